"""Follows the chain: reads each block's events once, in order, and keeps the records they leave.

Blocks are asked for in spans. Before each span the last block read is compared with the node's: where the
chain was reorganised (or a test chain reverted), everything after the last common block is taken back
first.

A block is finished when each of its events is recorded; that waits for the node alone. Documents are read in
another task (:mod:`c2d_box.metadata.fetching`). An event that cannot be processed is set aside with its
reason, so that it holds up no other event. Only an outage of the node or of the cache's own file stops a
block, which is then read again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from c2d_box.assets.addresses import checksum_address
from c2d_box.assets.did import did_for
from c2d_box.chain import Chain, events
from c2d_box.chain.events import ContractEvent
from c2d_box.chain.failures import UNREACHABLE
from c2d_box.errors import C2DError
from c2d_box.metadata.decorations import ChainFacts, record
from c2d_box.metadata.documents import DocumentSource
from c2d_box.metadata.fetching import DocumentQueue
from c2d_box.metadata.heads import HeadWatcher
from c2d_box.metadata.origins import OriginCheck
from c2d_box.metadata.progress import IndexProgress
from c2d_box.metadata.publications import checked_document, services_of
from c2d_box.metadata.sales import SALE_EVENTS, SaleEvents
from c2d_box.metadata.settings import MetadataSettings
from c2d_box.metadata.store import AssetVersion, MetadataStore, OutcomeState, Publication

log = logging.getLogger("c2d.cache.indexer")

T = TypeVar("T")

_CREATED_OR_UPDATED = ("MetadataCreated", "MetadataUpdated")
_READ = (*events.METADATA, "OrderStarted", *SALE_EVENTS)
"""The events that one question for logs asks for."""
_NFT_TOKEN = "0x" + f"{1:064x}"
"""The id of a data NFT's only token: the third indexed value of its transfers, by which the node filters
them."""
_THREADS = 4
"""Threads that wait for the node."""
_TRIGGERS = 4
"""Transactions that strangers may have read again at the same time, each a question to the node."""
_FIRST_TURN_SECONDS = 5.0
"""The seconds for which a starting cache waits for its documents before it reports that it is ready."""


class TooManyTriggers(Exception):
    """No more transactions may be read again at the same time."""


class ChainIndexer:
    """One task for blocks and one for documents; ``progress`` says how far it is."""

    def __init__(
        self,
        chain: Chain,
        store: MetadataStore,
        documents: DocumentSource,
        heads: HeadWatcher,
        settings: MetadataSettings,
    ) -> None:
        self._chain = chain
        self._store = store
        self._heads = heads
        self._settings = settings
        self._facts = ChainFacts(chain)
        # The present number of blocks per question: smaller after a refusal, see ``_read_span``.
        self._span = settings.span
        # Blocks and documents are written in turns: a document must not be added while its block is taken
        # back.
        self._turn = asyncio.Lock()
        self._triggers = 0
        # Of its own: name resolution and searches on the common threads must not keep the chain waiting.
        self._threads = ThreadPoolExecutor(_THREADS, "indexer")
        origins = OriginCheck(chain, self._asked, settings)
        self._sales = SaleEvents(chain, self._asked)
        self.documents = DocumentQueue(store, documents, origins.require_permitted, self._serve_document)
        self.progress = IndexProgress(settings.ready_seconds, settings.confirmations)
        self.caught_up = asyncio.Event()

    @property
    def last_block(self) -> int:
        """The last block that was read. Before the first one it is the block before the contracts were
        deployed."""
        known = self._store.last_block()
        return known[0] if known else self._chain.addresses.start_block - 1

    async def run(self) -> None:
        """Follow the chain and read documents until cancelled. A node that fails is asked again."""
        # If one of the two fails for good, the other ends too.
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.documents.run())
            tasks.create_task(self._follow_head())

    async def _follow_head(self) -> None:
        """Catch up with the head, then wait for the next one, for ever."""
        head = -1
        while True:
            try:
                # At the start and after each failure: the head that was known may be of another branch.
                if head < 0:
                    head = await self._asked(self._chain.latest_block)
                self.progress.note_head(head, self.last_block)
                await self.catch_up(head)
                self.progress.note_head(head, self.last_block)
                # After the blocks, because a new event of an asset makes its record anew anyway.
                await self._retry_stale()
                await self._first_turn()
                head = await self._next_head(head)
            except C2DError as error:
                log.warning("the chain could not be read", extra={"code": error.code})
                self.progress.note_failure(f"the chain could not be read ({error.code})")
                head = -1
                await asyncio.sleep(1)
            except Exception as error:
                # Single events are set aside further down, so what arrives here is an outage (a full disk),
                # which passes.
                log.exception("indexing failed, trying again")
                self.progress.note_failure(f"blocks cannot be processed ({type(error).__name__})")
                head = -1
                await asyncio.sleep(1)

    async def _first_turn(self) -> None:
        """Try each waiting document once before the cache first reports that it is ready, so that a client
        who waits for a starting cache finds the documents too, unless their servers are slow."""
        if not self.caught_up.is_set():
            await self.documents.first_turn(_FIRST_TURN_SECONDS)
            self.caught_up.set()
            self.progress.is_started = True

    async def catch_up(self, head: int) -> None:
        """Read every confirmed block up to ``head``. Where the chain has become shorter or was reorganised,
        take back the blocks that are gone first."""
        async with self._turn:
            # First: blocks are added to the branch that the node follows now, never to one that it has left.
            await self._take_back_if_changed(head)
            # Only confirmed blocks, as many as ``confirmations`` demands, are read at all.
            while (start := self.last_block + 1) <= (last := head - self._settings.confirmations):
                if not await self._read_span(start, last):
                    return
                self.progress.note_block(self.last_block)

    async def trigger_transaction(self, tx: str, position: int | None = None) -> list[Publication]:
        """Read one transaction's metadata events (again) and return them; empty if it holds none."""
        # Anybody may call this, and each call asks the node for a receipt.
        if self._triggers >= _TRIGGERS:
            raise TooManyTriggers
        self._triggers += 1
        try:
            receipt = await self._asked(lambda: self._chain.find_receipt(tx))
        finally:
            self._triggers -= 1
        if receipt is None:
            return []
        found = [
            self._publication_of(event)
            for event in events.decode_logs(receipt["logs"], _CREATED_OR_UPDATED)
            # ``position`` is the log's index in the block, which the caller may give.
            if position in (None, event.index)
        ]
        for publication in found:
            self.documents.ask_again(publication)
        return found

    async def _next_head(self, head: int) -> int:
        """Return the next head; return after a second at the latest when a record waits to be made again."""
        # Still behind (the chain changed while it was read): go on at once.
        if self.last_block < head - self._settings.confirmations:
            return await self._asked(self._chain.latest_block)
        if not self._store.select_rows("SELECT 1 FROM stale LIMIT 1"):
            return await self._heads.wait_for_head(head)
        try:
            async with asyncio.timeout(1.0):
                return await self._heads.wait_for_head(head)
        except TimeoutError:
            return await self._asked(self._chain.latest_block)

    async def _asked(self, question: Callable[[], T]) -> T:
        """Run a question that blocks on the indexer's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, question)

    def close(self) -> None:
        """Let the threads go without waiting for the node."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    # -- blocks

    async def _take_back_if_changed(self, head: int) -> None:
        """Take back all blocks after the last common one where the node no longer has the last block that
        was read."""
        last = self._store.last_block()
        if last is None or await self._is_unchanged(last, head):
            return
        # If no checkpoint is left on the node's chain, everything is read anew.
        common = self._chain.addresses.start_block - 1
        # The newest first: reorganisations are short, so the first or second one fits mostly.
        for known in self._store.checkpoints():
            if await self._is_unchanged(known, head):
                common = known[0]
                break
        changed = self._store.take_back(common)
        # After the store: it tells which documents still wait.
        self.documents.forget_missing()
        log.warning("the chain was reorganised", extra={"after_block": common, "assets": len(changed)})
        await self._refresh_records(changed)

    async def _is_unchanged(self, known: tuple[int, str], head: int) -> bool:
        """Return whether the node's chain still holds this block. A chain that became shorter does not."""
        return known[0] <= head and await self._block_hash(known[0]) == known[1]

    async def _block_hash(self, number: int) -> str:
        """Return the hash of a block in lower case, empty where the node has no such block."""
        try:
            block = await self._asked(lambda: self._chain.block_header(number))
        except C2DError as error:
            if error.code == UNREACHABLE:
                raise
            return ""
        # Bytes or text, depending on the client's formatting.
        value = block["hash"]
        return value.lower() if isinstance(value, str) else "0x" + bytes(value).hex()

    async def _read_span(self, start: int, last: int) -> bool:
        """Read as many blocks as the node answers for: half as many after a refusal, then slowly more again.
        Return False if the chain changed meanwhile."""
        end = min(last, start + self._span - 1)
        try:
            read = await self._read_blocks(start, end)
        except C2DError as error:
            # A single block that the node does not answer for is an outage: nothing smaller can be asked.
            if end == start:
                raise
            # Nodes limit a question by blocks, logs or time and name the limit in many ways, so halving finds
            # it.
            self._span = max(1, (end - start + 1) // 2)
            log.info("the node did not answer for a span", extra={"blocks_next": self._span})
            if error.code == UNREACHABLE:
                raise
            return True
        self._span = min(self._settings.span, self._span + max(1, self._span // 4))
        return read

    async def _read_blocks(self, start: int, end: int) -> bool:
        """Read one span of blocks; return False if the chain changed meanwhile. The hash of the last block is
        read before and after, so that logs of another branch are not taken for this one's."""
        # An empty hash: the node has no such block (any more).
        before = await self._block_hash(end)
        topics = [events.event_topic(name) for name in _READ]
        logs = await self._asked(lambda: self._chain.get_logs(topics, start, end))
        # In the same window between the two looks at the hash, so that owners belong to this branch too.
        moved = await self._new_owners(start, end)
        if await self._block_hash(end) != before or not before:
            return False
        await self._apply_logs(logs, moved)
        # Last: a process that ends before this reads the blocks again, and every write before is repeatable.
        self._store.add_checkpoint(end, before)
        return True

    async def _new_owners(self, start: int, end: int) -> set[str]:
        """Return the NFTs that were transferred in these blocks, including NFTs that are not Ocean's."""
        topics, first_token = [events.event_topic("Transfer721")], (None, None, _NFT_TOKEN)
        # The node filters by the only token's id. Naming all known NFTs instead would make the question grow
        # with them.
        logs = await self._asked(lambda: self._chain.get_logs(topics, start, end, None, first_token))
        return {checksum_address(str(entry["address"])) for entry in logs}

    # -- events

    async def _apply_logs(self, logs: list[Any], moved: set[str]) -> None:
        """Record the events of one span in their order, then make the records anew that they concern."""
        changed: set[str] = {self._did_of(nft) for nft in moved}
        # Datatokens, because sale and order events do not name the asset.
        priced: set[str] = set()
        # Nodes mostly send logs in order; the order of updates must not depend on that.
        found = sorted(events.decode_logs(logs, _READ), key=lambda event: (event.block, event.index))
        for event in found:
            try:
                await self._note_event(event, changed, priced)
            except (C2DError, sqlite3.OperationalError) as problem:
                # An outage of the node or of the disk is no fault of the event: the whole span is read again.
                # Everything else is the event's own, or one hostile event could stop the cache.
                if isinstance(problem, C2DError) and problem.code != UNREACHABLE:
                    self._set_aside(event, problem)
                else:
                    raise
            except Exception as problem:
                self._set_aside(event, problem)
        # Also outside the loop: such logs were not decoded, so they are not among the events.
        self._note_unreadable(logs)
        # Transfers of NFTs that are no assets here are dropped; a document's own task makes its record.
        changed &= set(self._store.records) | {did for did in changed if self._store.asset_versions(did)}
        changed |= {did for did in self._store.records if self._store.tokens_of(did) & priced}
        await self._refresh_records(changed)

    async def _note_event(self, event: ContractEvent, changed: set[str], priced: set[str]) -> None:
        """Record one event. Add its asset to ``changed``, or the datatokens whose price or orders it concerns
        to ``priced``."""
        if event.name in _CREATED_OR_UPDATED:
            self.documents.add_publication(self._publication_of(event))
        elif event.name == "MetadataState":
            # Strangers' NFTs can emit this event too.
            if self._note_state(event):
                changed.add(self._did_of(event.address))
        elif event.name == "TokenURIUpdate":
            changed.add(self._did_of(event.address))
        elif event.name == "OrderStarted":
            self._store.add_order(event.tx, event.index, event.address, event.block)
            priced.add(event.address.lower())
        elif event.name in SALE_EVENTS:
            # May ask the chain, so it can raise; the event is then set aside like any other.
            priced |= await self._sales.tokens_of(event)

    def _set_aside(self, event: ContractEvent, problem: Exception) -> None:
        """Record why an event could not be processed. That fails only where nothing can be stored at all."""
        log.error(
            "an event was set aside",
            exc_info=problem,
            extra={"event": event.name, "nft": event.address, "tx": event.tx},
        )
        # Only metadata events have an outcome. A price or an order that cannot be read changes no document.
        if event.name in (*_CREATED_OR_UPDATED, "MetadataState"):
            reason = f"the event {event.name} cannot be processed ({type(problem).__name__})"
            self._store.put_outcome(self._placeholder_publication(event), OutcomeState.FAILED, reason)

    def _note_unreadable(self, logs: list[Any]) -> None:
        """Record events that cannot be decoded as refused. An unreadable update is still an update: the asset
        is not what it was before."""
        for event in events.unreadable_logs(logs, (*_CREATED_OR_UPDATED, "MetadataState")):
            if self._store.asset_versions(self._did_of(event.address)):
                reason = f"the values of the event {event.name} cannot be decoded"
                self._store.put_outcome(self._placeholder_publication(event), OutcomeState.REFUSED, reason)

    def _placeholder_publication(self, event: ContractEvent | events.UnreadableLog) -> Publication:
        """Return a publication that names the event and nothing else, for an outcome whose values cannot
        be read."""
        did = self._did_of(event.address)
        return Publication(did, event.address, event.tx, event.index, event.block, "", 0, 0, "", "")

    def _publication_of(self, event: ContractEvent) -> Publication:
        """Return the publication that a metadata event announces."""
        return Publication(
            did=self._did_of(event.address),
            nft=event.address,
            tx=event.tx,
            position=event.index,
            block=event.block,
            author=_event_author(event),
            state=int(event["state"]),
            timestamp=int(event["timestamp"]),
            decryptor_url=str(event["decryptorUrl"]),
            document_hash=str(event["metaDataHash"]),
        )

    def _note_state(self, event: ContractEvent) -> bool:
        """Store a change of state, and return whether it concerns an asset that is known here or whose
        document is still being read; else nothing is stored."""
        did = self._did_of(event.address)
        if not self._store.asset_versions(did) and self._store.last_outcome(did) is None:
            return False
        # A version without a document: its state counts from this block on, and is taken back with it.
        version = AssetVersion(
            did,
            event.block,
            event.index,
            event.address,
            event.tx,
            _event_author(event),
            int(event["state"]),
            int(event["timestamp"]),
            None,
        )
        self._store.add_version(version)
        return True

    # -- documents

    async def _serve_document(self, publication: Publication, text: bytes) -> None:
        """Store a document that was read as a version of its asset. Raise DocumentRejected where it is not
        acceptable."""
        # Outside the turn: validating takes time and needs no store.
        checked_document(text, publication.nft, self._settings.chain.id)
        async with self._turn:
            # Looked up under the lock: the block may have been taken back while the document was read.
            if self._store.queued_publication(*publication.event_key) is None:
                return
            self._store.add_version(
                AssetVersion(
                    publication.did,
                    publication.block,
                    publication.position,
                    publication.nft,
                    publication.tx,
                    publication.author,
                    publication.state,
                    publication.timestamp,
                    text.decode(),
                )
            )
            # In the same turn, so that no reader sees the version without its record for long.
            await self._refresh_records({publication.did})

    # -- records

    async def _refresh_records(self, dids: Iterable[str]) -> None:
        """Make these records anew from their versions and the chain. One that cannot be made is tried again
        later, and holds up no other one."""
        for did in dids:
            try:
                await self._remake_record(did)
            except (C2DError, sqlite3.OperationalError) as problem:
                # An outage ends the round; the span is read again, or the document is tried again.
                if not isinstance(problem, C2DError) or problem.code == UNREACHABLE:
                    raise
                self._wait_for_record(did, problem)
            except Exception as problem:
                self._wait_for_record(did, problem)

    async def _remake_record(self, did: str) -> None:
        """Make one record anew, or drop it where no document is left of its asset."""
        versions = self._store.asset_versions(did)
        if not any(version.document is not None for version in versions):
            self._store.drop_record(did)
        else:
            orders = self._store.order_count(_document_tokens(versions))
            made = await self._asked(lambda: record(self._facts, versions, orders))
            self._store.put_record(did, made)
        self._store.drop_stale(did)

    def _wait_for_record(self, did: str, problem: Exception) -> None:
        """Note that a record could not be made. Until it is, its old version is served together with the
        reason."""
        log.error("a record could not be made", exc_info=problem, extra={"did": did})
        self._store.put_stale(did, f"the record cannot be made ({type(problem).__name__})")

    async def _retry_stale(self) -> None:
        """Try the records again whose time has come."""
        due = self._store.due_stale()
        if due:
            async with self._turn:
                await self._refresh_records(due)

    def _did_of(self, nft: str) -> str:
        """Return the DID of an NFT: in Ocean v4 it is the hash of NFT address and chain id."""
        return did_for(nft, self._settings.chain.id)


def _event_author(event: ContractEvent) -> str:
    """Return the account that wrote the event; events of a change of state name it under another key."""
    return str(event.arguments.get("createdBy") or event.arguments.get("updatedBy") or "")


def _document_tokens(versions: list[AssetVersion]) -> set[str]:
    """Return the datatokens that the newest document names, in lower case."""
    document: dict[str, Any] = {}
    for version in versions:
        if version.document is not None:
            document = json.loads(version.document)
    return {str(service.get("datatokenAddress", "")).lower() for service in services_of(document)}
