"""Follows the chain: reads each block's metadata events once, in order, and keeps the records they leave.

Blocks are asked for in spans. Before each span the last block read is compared with the node's: where the
chain was reorganised (or a test chain reverted), everything after the last common block is taken back
first.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable
from typing import Any

from c2d_box.assets.addresses import checksum
from c2d_box.assets.did import did_for
from c2d_box.chain import Chain, events, nfts
from c2d_box.chain.events import Event
from c2d_box.errors import C2DError
from c2d_box.metadata.decorations import Facts, record
from c2d_box.metadata.documents import (
    Decryptor,
    DocumentUnavailable,
    DocumentWithheld,
    DocumentWrong,
)
from c2d_box.metadata.heads import Heads
from c2d_box.metadata.publications import Rejected, checked_document
from c2d_box.metadata.settings import Settings
from c2d_box.metadata.store import Store, Version

log = logging.getLogger("c2d.cache.indexer")

_CREATED_OR_UPDATED = ("MetadataCreated", "MetadataUpdated")
_PRICES = ("ExchangeCreated", "ExchangeRateChanged", "DispenserCreated")


class Indexer:
    """One task. ``caught_up`` is set once everything up to some head has been read."""

    def __init__(
        self, chain: Chain, store: Store, decryptor: Decryptor, heads: Heads, settings: Settings
    ) -> None:
        self._chain = chain
        self._store = store
        self._decryptor = decryptor
        self._heads = heads
        self._settings = settings
        self._facts = Facts(chain)
        self._genuine: dict[str, bool] = {}
        self._turn = asyncio.Lock()
        self.caught_up = asyncio.Event()

    @property
    def last_block(self) -> int:
        known = self._store.last_block()
        return known[0] if known else self._chain.addresses.start_block - 1

    async def run(self) -> None:
        """Until cancelled; a node that fails is asked again."""
        head = -1
        while True:
            try:
                if head < 0:
                    head = await asyncio.to_thread(self._chain.latest_block)
                await self.catch_up(head)
                self.caught_up.set()
                await self._retry_due()
                head = await self._next_head()
            except C2DError as error:
                log.warning("the chain could not be read", extra={"code": error.code})
                head = -1
                await asyncio.sleep(1)
            except Exception:
                log.exception("indexing failed, trying again")
                head = -1
                await asyncio.sleep(1)

    async def catch_up(self, head: int) -> None:
        """Reads every block up to ``head``, or down to it where the chain has become shorter."""
        async with self._turn:
            await self._take_back_if_changed(head)
            while (start := self.last_block + 1) <= head:
                if not await self._read(start, min(head, start + self._settings.span - 1)):
                    return

    async def trigger(self, tx: str, position: int | None = None) -> bool:
        """Reads one transaction's metadata events (again); False if it holds none."""
        receipt = await asyncio.to_thread(self._chain.receipt, tx)
        if receipt is None:
            return False
        found = [
            event
            for event in events.decoded(receipt["logs"], _CREATED_OR_UPDATED)
            if position in (None, event.index)
        ]
        async with self._turn:
            for event in found:
                await self._published(event)
        return bool(found)

    async def _next_head(self) -> int:
        """The next head; sooner when something waits to be tried again."""
        waiting = self._store.rows("SELECT MIN(next) FROM retries")[0][0]
        if waiting is None:
            return await self._heads.after(self.last_block)
        try:
            async with asyncio.timeout(1.0):
                return await self._heads.after(self.last_block)
        except TimeoutError:
            return await asyncio.to_thread(self._chain.latest_block)

    async def _take_back_if_changed(self, head: int) -> None:
        last = self._store.last_block()
        if last is None or await self._still(last, head):
            return
        common = self._chain.addresses.start_block - 1
        for known in self._store.checkpoints():
            if await self._still(known, head):
                common = known[0]
                break
        changed = self._store.take_back(common)
        log.warning("the chain was reorganised", extra={"after_block": common, "assets": len(changed)})
        await self._refresh(changed)

    async def _still(self, known: tuple[int, str], head: int) -> bool:
        return known[0] <= head and await self._hash(known[0]) == known[1]

    async def _hash(self, number: int) -> str:
        try:
            block = await asyncio.to_thread(self._chain.block, number)
        except C2DError as error:
            if error.code == "C2D-CHAIN-UNREACHABLE":
                raise
            return ""
        value = block["hash"]
        return value.lower() if isinstance(value, str) else "0x" + bytes(value).hex()

    async def _read(self, start: int, end: int) -> bool:
        """One span; False if the chain changed under it. The end's hash is taken before and after, so
        that logs of another branch do not slip in between."""
        before = await self._hash(end)
        names = (*events.METADATA, "OrderStarted", *_PRICES)
        topics = [events.topic(name) for name in names]
        logs = await asyncio.to_thread(self._chain.logs, topics, start, end)
        found = sorted(events.decoded(logs, names), key=lambda event: (event.block, event.index))
        moved = await self._new_owners(start, end)
        if await self._hash(end) != before or not before:
            return False
        await self._apply(found, moved)
        self._store.checkpoint(end, before)
        return True

    async def _apply(self, found: list[Event], moved: set[str]) -> None:
        priced: set[str] = set()
        for event in found:
            if event.name in _CREATED_OR_UPDATED:
                await self._published(event)
            elif event.name == "MetadataState":
                await self._state_changed(event)
            elif event.name == "TokenURIUpdate":
                moved.add(event.address)
            elif event.name == "OrderStarted":
                self._store.add_order(event.tx, event.index, event.address, event.block)
                priced.add(event.address.lower())
            elif event.name in _PRICES:
                priced |= self._priced_by(event)
        dids = {did_for(nft, self._settings.chain.id) for nft in moved} & set(self._store.records)
        dids |= {did for did in self._store.records if self._store.tokens_of(did) & priced}
        await self._refresh(dids)

    def _priced_by(self, event: Event) -> set[str]:
        """Datatokens whose price an event may have changed; a rate change names only its exchange."""
        for name in ("datatoken", "datatokenAddress", "dataToken"):
            if name in event.arguments:
                return {str(event[name]).lower()}
        return {token for did in self._store.records for token in self._store.tokens_of(did)}

    async def _new_owners(self, start: int, end: int) -> set[str]:
        """Known NFTs that were transferred in these blocks."""
        known = [str(entry.get("nft", {}).get("address")) for entry in self._store.records.values()]
        moved: set[str] = set()
        for at in range(0, len(known), 500):
            topic = events.topic("Transfer721")
            logs = await asyncio.to_thread(self._chain.logs, [topic], start, end, known[at : at + 500])
            moved |= {checksum(str(entry["address"])) for entry in logs}
        return moved

    async def _published(self, event: Event) -> None:
        nft = event.address
        did = did_for(nft, self._settings.chain.id)
        try:
            await self._check_origin(event)
            document = await self._document(event)
            checked_document(document, nft, self._settings.chain.id)
        except Rejected as refusal:
            self._store.drop_retry(event.tx, event.index)
            self._store.put_outcome(nft, did, event.tx, str(refusal))
            log.info("an asset was not accepted", extra={"did": did, "tx": event.tx, "why": str(refusal)})
            return
        except DocumentUnavailable as problem:
            self._store.put_retry(event.tx, event.index, nft, event.block, str(problem))
            self._store.put_outcome(nft, did, event.tx, str(problem))
            log.warning("a document has to wait", extra={"did": did, "tx": event.tx, "why": str(problem)})
            return
        self._store.add_version(
            Version(
                did,
                event.block,
                event.index,
                nft,
                event.tx,
                _author(event),
                int(event["state"]),
                int(event["timestamp"]),
                document.decode(),
            )
        )
        await self._refresh({did})
        self._store.drop_retry(event.tx, event.index)
        self._store.put_outcome(nft, did, event.tx, "")
        log.info("an asset was indexed", extra={"did": did, "tx": event.tx, "block": event.block})

    async def _check_origin(self, event: Event) -> None:
        if event.address not in self._genuine:
            self._genuine[event.address] = await asyncio.to_thread(
                nfts.is_deployed_nft, self._chain, event.address
            )
        if not self._genuine[event.address]:
            raise Rejected("The NFT was not made by Ocean's factory.")
        publishers = {entry.lower() for entry in self._settings.allowed_publishers}
        if publishers and _author(event).lower() not in publishers:
            raise Rejected("The publisher is not among the allowed ones.")
        validators = {entry.lower() for entry in self._settings.allowed_validators}
        if validators and not validators & await self._validators(event):
            raise Rejected("No allowed validator has signed the document.")

    async def _validators(self, event: Event) -> set[str]:
        receipt = await asyncio.to_thread(self._chain.receipt, event.tx)
        proofs = events.decoded(receipt["logs"] if receipt else [], ("MetadataValidated",))
        return {
            str(proof["validator"]).lower()
            for proof in proofs
            if proof.address == event.address and proof["metaDataHash"] == event["metaDataHash"]
        }

    async def _document(self, event: Event) -> bytes:
        try:
            return await self._decryptor.document(
                str(event["decryptorUrl"]), event.address, event.tx, str(event["metaDataHash"])
            )
        except (DocumentWithheld, DocumentWrong) as problem:
            raise Rejected(str(problem)) from None

    async def _state_changed(self, event: Event) -> None:
        did = did_for(event.address, self._settings.chain.id)
        if not self._store.versions(did):
            return
        self._store.add_version(
            Version(
                did,
                event.block,
                event.index,
                event.address,
                event.tx,
                _author(event),
                int(event["state"]),
                int(event["timestamp"]),
                None,
            )
        )
        await self._refresh({did})

    async def _refresh(self, dids: Iterable[str]) -> None:
        """Makes these records anew from their versions and the chain."""
        for did in dids:
            versions = self._store.versions(did)
            if not any(version.document is not None for version in versions):
                self._store.drop_record(did)
                continue
            orders = self._store.order_count(_tokens(versions))
            made = await asyncio.to_thread(record, self._facts, versions, orders)
            self._store.put_record(did, made)

    async def _retry_due(self) -> None:
        for tx, position, _ in self._store.due_retries():
            if not await self.trigger(tx, position):
                self._store.drop_retry(tx, position)


def _author(event: Event) -> str:
    return str(event.arguments.get("createdBy") or event.arguments.get("updatedBy") or "")


def _tokens(versions: list[Version]) -> set[str]:
    document: dict[str, Any] = {}
    for version in versions:
        if version.document is not None:
            document = json.loads(version.document)
    services = document.get("services") or []
    return {str(service.get("datatokenAddress", "")).lower() for service in services}
