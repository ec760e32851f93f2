"""Checks whether a document may be read at all: only documents of data NFTs that Ocean's factory made, and of
permitted publishers, are."""

from __future__ import annotations

from c2d_box.chain import Chain, events, nfts
from c2d_box.metadata.publications import DocumentRejected
from c2d_box.metadata.questions import AskChain, LastingAnswers
from c2d_box.metadata.settings import MetadataSettings
from c2d_box.metadata.store import Publication


class OriginCheck:
    """The check of a publication's origin. The chain is asked at most once for an NFT, because its maker
    never changes."""

    def __init__(self, chain: Chain, ask: AskChain, settings: MetadataSettings) -> None:
        self._chain = chain
        self._ask = ask
        self._settings = settings
        self._genuine = LastingAnswers[bool](ask)

    async def require_permitted(self, publication: Publication) -> None:
        """Raise DocumentRejected for a publication whose document is not to be read."""
        # Any contract can write an event that looks like Ocean's, so the factory is asked first.
        nft = publication.nft
        if not await self._genuine.answer_about(nft, lambda: nfts.is_deployed_nft(self._chain, nft)):
            raise DocumentRejected("The NFT was not made by Ocean's factory.")
        # An empty list lets everybody publish, as in the original.
        publishers = {entry.lower() for entry in self._settings.allowed_publishers}
        if publishers and publication.author.lower() not in publishers:
            raise DocumentRejected("The publisher is not among the allowed ones.")
        # Last, because it costs a look at the transaction's receipt.
        validators = {entry.lower() for entry in self._settings.allowed_validators}
        if validators and not validators & await self._validator_addresses(publication):
            raise DocumentRejected("No allowed validator has signed the document.")

    async def _validator_addresses(self, publication: Publication) -> set[str]:
        """Return the validators whose proof stands in the same transaction, for this NFT and this very
        document."""
        receipt = await self._ask(lambda: self._chain.find_receipt(publication.tx))
        # Without a receipt the transaction is gone, and nothing is proven.
        proofs = events.decode_logs(receipt["logs"] if receipt else [], ("MetadataValidated",))
        return {
            str(proof["validator"]).lower()
            for proof in proofs
            if proof.address == publication.nft and proof["metaDataHash"] == publication.document_hash
        }
