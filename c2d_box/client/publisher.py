"""Publishing: files sealed by the Provider, NFT and price on the chain, the DDO encrypted into an event.

Everything that can be wrong is looked at before the first transaction: the file objects, whether the Provider
reaches them, the description. An asset is returned once the metadata cache shows it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from c2d_box.assets.addresses import ZERO
from c2d_box.assets.disclosure import InvalidRules
from c2d_box.assets.disclosure import parse_set as parse_rules
from c2d_box.assets.documents.drafting import (
    NOBODY,
    build_ddo,
    compact_json,
    demand_valid,
    metadata_section,
    service_section,
    strip_decorations,
)
from c2d_box.assets.files import FileObject, FileObjectError, files_document, parse_file
from c2d_box.client import rulebook
from c2d_box.client.connection import Connection
from c2d_box.client.explanations import AlgorithmVersion, algorithm_facts
from c2d_box.client.payment.prices import Amount, PoolPrice, sale_terms
from c2d_box.errors import Refused, UsageError

if TYPE_CHECKING:
    from c2d_box.chain import Signer
    from c2d_box.chain.publishing import SaleTerms

Files = Sequence[Mapping[str, Any] | FileObject]
# Flag of setMetaData: the document is encrypted for the Provider. The cache decrypts it through that one.
ENCRYPTED = 2


@dataclass(frozen=True)
class PublishedAsset:
    """A published asset; ``tx`` is the transaction that wrote its metadata."""

    did: str
    nft: str
    datatoken: str
    service_id: str
    exchange_id: str | None
    tx: str
    pool: str | None = None


class Publisher:
    """Publishes and edits as one account. Prices are whole tokens (OCEAN unless ``token`` is given).

    A number is a fixed price, 0 is free, :class:`PoolPrice` sells from a pool.
    """

    def __init__(self, connection: Connection, signer: Signer) -> None:
        self.connection = connection
        self.signer = signer

    def publish_dataset(
        self,
        name: str,
        files: Files,
        *,
        price: Amount | PoolPrice = 0,
        token: str | None = None,
        services: Sequence[str] = ("compute",),
        timeout: int = 0,
        compute: Mapping[str, Any] | None = None,
        description: str = "",
        author: str = "",
        license: str = "CC-BY-4.0",
        metadata: Mapping[str, Any] | None = None,
        market: str = ZERO,
        credentials: Mapping[str, Any] | None = None,
        check_files: bool = True,
        disclosure: Mapping[str, Any] | None = None,
    ) -> PublishedAsset:
        """Publish ``files`` as a dataset. Its compute service trusts no algorithm until :meth:`permit`.

        ``timeout`` is how many seconds an order carries (0: without end). ``check_files`` False skips
        asking the Provider whether it reaches the files. ``disclosure`` are rules for results, as
        :meth:`govern_results` takes them. Raises Refused or UsageError before anything is on the chain where
        the description, the files, the rules or the price cannot be used.
        """
        limits = _disclosure_section(disclosure)
        section = metadata_section("dataset", name, description, author, license, metadata)
        # Nobody unless said otherwise: a dataset must not be open by omission.
        rules = {**NOBODY, **(compute or {})}
        return self._publish_asset(
            section,
            files,
            services,
            timeout,
            rules,
            sale_terms(self.connection.chain, price, token),
            market,
            credentials,
            check_files,
            # In the first document: until a second one came, results would leave without rules.
            {} if limits is None else {"disclosure": limits},
        )

    def publish_algorithm(
        self,
        name: str,
        files: Files,
        *,
        container: Mapping[str, str],
        price: Amount | PoolPrice = 0,
        token: str | None = None,
        services: Sequence[str] = ("access",),
        timeout: int = 0,
        description: str = "",
        author: str = "",
        license: str = "CC-BY-4.0",
        language: str = "",
        version: str = "1.0",
        metadata: Mapping[str, Any] | None = None,
        market: str = ZERO,
        credentials: Mapping[str, Any] | None = None,
        check_files: bool = True,
    ) -> PublishedAsset:
        """Publish an algorithm: ``container`` has entrypoint, image, tag and checksum.

        With ``services=("compute",)`` it is private: it runs in jobs and can be downloaded by nobody. The
        checksum is the image's digest; what runs and what is permitted is compared by it.
        """
        algorithm = {"container": dict(container), "version": version}
        if language:
            algorithm["language"] = language
        # Fields of ``metadata["algorithm"]`` win over the arguments: they are the more special wish.
        section = metadata_section("algorithm", name, description, author, license, metadata)
        section = {**section, "algorithm": {**algorithm, **section.get("algorithm", {})}}
        return self._publish_asset(
            section,
            files,
            services,
            timeout,
            NOBODY,
            sale_terms(self.connection.chain, price, token),
            market,
            credentials,
            check_files,
            {},
        )

    def permit(self, dataset: str, algorithm: str, version: AlgorithmVersion | None = None) -> str:
        """Let ``algorithm``, exactly as it is now, run on ``dataset``; the transaction's hash.

        The permission holds the checksums of its files and container: a changed algorithm needs a new one.
        With ``version``, Refused (C2D-PERMIT-CHANGED) where the algorithm is not, or no longer, that one.
        """
        # Made before the document is read: it asks the Provider for checksums, which may take long.
        entry = self._trusted_entry(algorithm, version)

        def change(document: dict[str, Any]) -> None:
            for rules in rulebook.compute_rules(document):
                # The old entry goes: two for one DID would permit two versions.
                others = [
                    e for e in rulebook.trusted_entries(rules) if not rulebook.is_entry_of(e, algorithm)
                ]
                rules["publisherTrustedAlgorithms"] = [*others, entry]

        return self.edit(dataset, change)

    def revoke(self, dataset: str, algorithm: str) -> str:
        """Take ``algorithm`` off the dataset's list of trusted ones; the transaction's hash."""

        def change(document: dict[str, Any]) -> None:
            found = False
            for rules in rulebook.compute_rules(document):
                kept = [e for e in rulebook.trusted_entries(rules) if not rulebook.is_entry_of(e, algorithm)]
                # All services are searched: one may list the algorithm while another does not.
                found = found or len(kept) < len(rulebook.trusted_entries(rules))
                rules["publisherTrustedAlgorithms"] = kept
            # Writing an unchanged document would cost gas and look like a change.
            if not found:
                raise Refused(
                    "C2D-PERMIT-NONE",
                    f"{algorithm} is not among the algorithms {dataset} trusts",
                    "see its DDO",
                )

        return self.edit(dataset, change)

    def trust(
        self,
        dataset: str,
        *,
        publishers: Sequence[str] | None = None,
        markets: Sequence[str] | None = None,
        all_published: bool | None = None,
        raw: bool | None = None,
        network: bool | None = None,
    ) -> str:
        """Set whom the dataset trusts besides single algorithms; None leaves a setting as it is.

        Every list that is not empty restricts: ``publishers`` by the algorithm's owner, ``markets`` by where
        it was published. ``all_published`` counts only while all lists are empty. ``raw`` and ``network`` are
        the publisher's word on unpublished code and network access. Returns the transaction's hash.
        """
        # Fields of Ocean's standard stand in ``compute``, which its Provider reads; ours have a section of
        # their own.
        stored = {
            "publisherTrustedAlgorithmPublishers": None if publishers is None else list(publishers),
            "allowRawAlgorithm": raw,
            "allowNetworkAccess": network,
        }
        extended = {
            "trustedMarkets": None if markets is None else list(markets),
            "trustAllPublished": all_published,
        }

        def change(document: dict[str, Any]) -> None:
            for service in rulebook.judged_services(document):
                service["compute"].update((k, v) for k, v in stored.items() if v is not None)
                rulebook.update_settings(service, {k: v for k, v in extended.items() if v is not None})

        return self.edit(dataset, change)

    def govern_results(
        self,
        dataset: str,
        *,
        may_be_published: bool | None = None,
        disclosure: Mapping[str, Any] | None = None,
    ) -> str:
        """Set what may become of what is computed on the dataset; None leaves a setting as it is.

        ``may_be_published``: whether a consumer's job may make an asset of its results. ``disclosure``:
        limits of :class:`c2d_box.assets.disclosure.DisclosureRules`; ``{}`` lifts them.
        Returns the transaction's hash.
        """
        settings: dict[str, Any] = {}
        if may_be_published is not None:
            settings["allowPublishedResults"] = may_be_published
        if disclosure is not None:
            settings["disclosure"] = _disclosure_section(disclosure)
        return self.edit(dataset, lambda document: rulebook.govern_services(document, settings))

    def edit(self, did: str, change: Callable[[dict[str, Any]], None]) -> str:
        """Publish the asset's DDO again after ``change`` has altered it in place; return the transaction's
        hash.

        The read and the write are not one step: of two editors at once the later one wins.
        """
        # Without what the cache added: it would be published as part of the description.
        document = strip_decorations(self.connection.cache.read_record(did))
        # The contract would refuse too, after the document was encrypted and the gas estimated.
        self._demand_updater(did, document["nftAddress"])
        change(document)
        # Our own clock: the schema demands the moment of the last change.
        document["metadata"]["updated"] = metadata_section("", "", "", "", "")["updated"]
        return self._write_ddo(document)

    def replace_files(self, did: str, files: Files, *, container: Mapping[str, str] | None = None) -> str:
        """Publish the asset again with other content under its DID; the transaction's hash.

        Permissions hold checksums: whoever permitted the algorithm as it was has to permit it anew.
        """
        objects = [_file_object(file) for file in files]
        self._demand_reachable(objects)

        def change(ddo: dict[str, Any]) -> None:
            for service in ddo["services"]:
                # Each service has a copy that is bound to its NFT and datatoken, so it cannot be used
                # elsewhere.
                sealed = files_document(ddo["nftAddress"], service["datatokenAddress"], objects)
                service["files"] = self.connection.provider.encrypt_document(sealed)
            if container is not None:
                ddo["metadata"]["algorithm"]["container"] = dict(container)

        return self.edit(did, change)

    def set_state(self, did: str, state: int) -> str:
        """Change the NFT's state (0 active, 1 ended, 2 deprecated, 3 revoked, 4 no orders, 5 unlisted)."""
        from c2d_box.chain import publishing

        nft = self.connection.cache.read_ddo(did).nft_address
        return publishing.set_state(self.connection.chain, self.signer, nft, state)

    def end(self, did: str) -> str:
        """Declare the asset's end of life: it can be ordered and used no more."""
        return self.set_state(did, 1)

    def _publish_asset(
        self,
        metadata: Mapping[str, Any],
        files: Files,
        services: Sequence[str],
        timeout: int,
        compute: Mapping[str, Any],
        price: SaleTerms,
        market: str,
        credentials: Mapping[str, Any] | None,
        check_files: bool,
        settings: Mapping[str, Any],
    ) -> PublishedAsset:
        """Check everything, make NFT and price, write the description; return the asset once the cache
        shows it."""
        from c2d_box.chain import publishing

        # Parsed first: a wrong file object costs nothing yet.
        objects = [_file_object(file) for file in files]
        if not objects or not services:
            raise UsageError(
                "C2D-PUBLISH-EMPTY", "an asset needs a file and a service", "name at least one of each"
            )

        def document_for(nft: str, datatoken: str, sealed: str) -> dict[str, Any]:
            sections = [
                service_section(
                    kind,
                    datatoken=datatoken,
                    endpoint=self.connection.provider_url,
                    files=sealed,
                    timeout=timeout,
                    compute=compute,
                )
                for kind in services
            ]
            document = build_ddo(nft, self.connection.chain_id, metadata, sections, credentials)
            rulebook.govern_services(document, settings)
            return document

        # Zero addresses stand for contracts that do not exist yet; the form is the same.
        demand_valid(document_for(ZERO, ZERO, "0x"))
        # Before the NFT is made: an asset whose document the cache cannot read never appears.
        self.connection.cache.demand_decryptor(self.connection.provider_url)
        if check_files:
            self._demand_reachable(objects)
        # The first transaction. From here on a failure leaves an NFT without a description behind.
        made = publishing.create_asset(
            self.connection.chain, self.signer, str(metadata["name"]), "C2D", price, market=market
        )
        # After it, since the sealed files name NFT and datatoken.
        sealed = self.connection.provider.encrypt_document(files_document(made.nft, made.datatoken, objects))
        complete = document_for(made.nft, made.datatoken, sealed)
        tx = self._write_ddo(complete)
        return PublishedAsset(
            complete["id"], made.nft, made.datatoken, services[0], made.exchange_id, tx, made.pool
        )

    def _write_ddo(self, document: dict[str, Any]) -> str:
        """Validate, encrypt, write as the NFT's metadata and wait for the cache."""
        from c2d_box.chain import publishing

        demand_valid(document)
        # These exact bytes are validated, encrypted and hashed: another spelling of the JSON has another
        # hash.
        text = compact_json(document)
        # The validator's signature goes onto the chain, where indexers may demand it.
        proof = self.connection.cache.validate_ddo(text)
        sealed = self.connection.provider.encrypt_document(text)
        tx = publishing.set_metadata(
            self.connection.chain,
            self.signer,
            document["nftAddress"],
            0,
            self.connection.provider_url,
            ENCRYPTED,
            bytes.fromhex(sealed.removeprefix("0x")),
            "0x" + hashlib.sha256(text).hexdigest(),
            # A cache that signs nothing answers without a key.
            [proof] if proof.get("publicKey") else (),
            decryptor_address=self.signer.address,
        )
        # By transaction, since an edit keeps the DID.
        self.connection.cache.wait_for(document["id"], tx)
        return tx

    def _trusted_entry(self, did: str, version: AlgorithmVersion | None) -> dict[str, str]:
        """Return what a dataset stores of an algorithm it trusts."""
        facts = algorithm_facts(self.connection, did)
        # An entry without checksum would permit every later version too.
        if not facts.files_checksum:
            raise Refused(
                "C2D-PERMIT-NO-CHECKSUM",
                f"the files of {did} cannot be read or are too large for a checksum: "
                "nobody could say later whether they changed",
                "ask the algorithm's publisher to check where they are kept",
            )
        if version is not None and not version.is_version_of(facts):
            raise Refused(
                "C2D-PERMIT-CHANGED",
                f"{did} is not the version that was looked at",
                "nothing was permitted; look at what it is now, and permit that",
            )
        return {
            "did": did,
            "filesChecksum": facts.files_checksum,
            "containerSectionChecksum": facts.container_checksum,
        }

    def _demand_updater(self, did: str, nft: str) -> None:
        """Raise Refused C2D-ASSET-NOT-YOURS where the account may not write the NFT's metadata."""
        from c2d_box.chain import nfts

        if not nfts.may_update_metadata(self.connection.chain, nft, self.signer.address):
            raise Refused(
                "C2D-ASSET-NOT-YOURS",
                f"{self.signer.address} may not change {did}",
                "act as the account that published it (--as)",
            )

    def _demand_reachable(self, files: Sequence[FileObject]) -> None:
        """Raise Refused C2D-FILE-UNREACHABLE where the Provider cannot read one of the files.

        Jobs fail much later and less clearly, and a consumer has paid by then.
        """
        for position, file in enumerate(files):
            infos = self.connection.provider.file_info(file.to_dict(), self.signer)
            # The Provider answers with a list, also for one file object; each entry has to be readable.
            bad = next((info for info in infos if not info.get("valid")), None)
            if bad is None and infos:
                continue
            reason = str((bad or {}).get("reason") or "")
            # The one refusal that no better address can solve: the Provider guards its own network.
            inside = "not a public address" in reason
            raise Refused(
                "C2D-FILE-UNREACHABLE",
                f"the Provider cannot read file {position} ({file.type}){f': {reason}' if reason else ''}",
                "a Provider never reads addresses of its own machine or network: give the file itself"
                if inside
                else "check its address, and whether the Provider may reach it",
            )


def _disclosure_section(disclosure: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the rules in the form of a description; None where there are none.

    Raises UsageError before a transaction: wrong rules on the chain would make the dataset unusable.
    """
    try:
        rules = parse_rules(disclosure or None)
    except InvalidRules as problem:
        raise UsageError("C2D-DISCLOSURE-INVALID", str(problem), "see docs/disclosure.md") from problem
    return rules.as_dict() if rules else None


def _file_object(file: Mapping[str, Any] | FileObject) -> FileObject:
    """Return a file object as parsed; UsageError names the field that is wrong."""
    try:
        return parse_file(dict(file)) if isinstance(file, Mapping) else file
    except FileObjectError as error:
        raise UsageError(
            "C2D-FILE-INVALID", f"the file object cannot be used: {error}", "correct it"
        ) from error
