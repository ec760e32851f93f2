"""Fetches published documents beside the reading of blocks, so that a slow server delays only its own
documents.

The URL of a decryptor is written on the chain by a publisher: it may be dead, slow or hostile. Therefore

* one request at a time goes to a host (nonces must arrive in the order in which they were made);
* configured hosts are not limited by slots, and hosts that answered well before have other slots than unknown
  ones;
* a host that fails three times in a row is not asked for a while, longer each time;
* attempts end, after about half a day; :meth:`DocumentQueue.ask_again` starts them anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from c2d_box.errors import C2DError
from c2d_box.metadata.documents import (
    DecryptorUnreachable,
    DocumentSource,
    DocumentUnavailable,
    DocumentWithheld,
    DocumentWrong,
)
from c2d_box.metadata.publications import DocumentRejected
from c2d_box.metadata.store import MetadataStore, OutcomeState, Publication

log = logging.getLogger("c2d.cache.fetching")

SLOTS = 64
"""The most requests in flight to hosts that never answered well; as many again are allowed to those that
did."""
MAX_ATTEMPTS = 24
"""Attempts for one document; with pauses that double up to an hour they take about half a day."""
LONGEST_WAIT = 3600.0
"""The longest pause between two attempts, in seconds."""
_FAULTY_ATTEMPTS = 5
"""Attempts for a document that makes the cache itself fail: fewer, since each writes a traceback into the
log."""
_FAILURES_TO_OPEN = 3
"""Failures in a row after which a host is left alone."""
_LONGEST_BREAK = 300.0
"""The longest time, in seconds, for which a host is left alone."""
_KEPT_HOSTS = 10_000
"""Hosts that are remembered. Publishers choose their number, so idle ones are forgotten beyond it."""

Check = Callable[[Publication], Awaitable[None]]
Serve = Callable[[Publication, bytes], Awaitable[None]]


@dataclass
class DecryptorHost:
    """A decryptor's host: its waiting documents, and the state of its circuit breaker. ``configured``: the
    operator of this cache named it. ``proven``: it has answered well, and has not been unreachable since."""

    configured: bool = False
    proven: bool = False
    busy: bool = False
    failures: int = 0
    open_until: float = 0.0
    error: str = ""
    due: list[tuple[float, int, int, str]] = field(default_factory=list)
    """A heap of (time, block, position, transaction); entries of another time than the queue's are void."""


class DocumentQueue:
    """Reads the documents of all queued publications. ``check`` refuses a publication before its host is
    asked, ``serve`` takes the document."""

    def __init__(self, store: MetadataStore, documents: DocumentSource, check: Check, serve: Serve) -> None:
        self._store = store
        self.source = self._documents = documents
        self._check = check
        self._serve = serve
        self._hosts: dict[str, DecryptorHost] = {}
        # The time of each waiting document's next attempt. It decides; entries of heaps that differ from it
        # are void, so nothing has to be removed from the middle of a heap.
        self._next: dict[tuple[str, int], float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # By whether the host has answered well: unknown hosts cannot take the slots of proven ones.
        self._in_flight = {True: 0, False: 0}
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        # A restart goes on with the same documents and the same number of attempts.
        for publication in store.waiting_publications():
            self._schedule_publication(publication)

    def add_publication(self, publication: Publication) -> None:
        """Queue a document, unless this very event is served, refused or waiting already."""
        known = self._store.event_outcome(*publication.event_key)
        # After a reorganisation the same event may stand in another block; it is then a new one.
        settled = known is not None and known.block == publication.block
        if settled and known is not None and known.state is not OutcomeState.FAILED:
            return
        self._enqueue_publication(publication)

    def ask_again(self, publication: Publication) -> None:
        """Start the attempts for a document anew. One that is served already is left as it is."""
        known = self._store.event_outcome(*publication.event_key)
        if known is not None and known.block == publication.block and known.state is OutcomeState.SERVED:
            return
        # A new beginning for a document whose attempts have ended: the publisher asks by triggerCaching.
        self._enqueue_publication(replace(publication, attempts=0, next=0.0))

    def forget_missing(self) -> None:
        """Drop the documents that no longer wait in the store, after a reorganisation has removed blocks."""
        # The store has deleted those of removed blocks; their heap entries become void.
        kept = {publication.event_key for publication in self._store.waiting_publications()}
        for key in set(self._next) - kept:
            del self._next[key]
        self._changed.set()

    @property
    def waiting_count(self) -> int:
        """The number of documents that wait for an attempt."""
        return len(self._next)

    def has_untried(self) -> bool:
        """Return whether a document waits that has not been asked for yet."""
        return bool(self._store.select_rows("SELECT 1 FROM retries WHERE attempts = 0 LIMIT 1"))

    async def first_turn(self, seconds: float) -> None:
        """Wait until each waiting document has been tried once, or for so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.has_untried():
                    # Cleared before waiting, so that an attempt that ends in between is not missed.
                    self._ended.clear()
                    await self._ended.wait()

    async def run(self) -> None:
        """Ask for documents as they become due, until cancelled."""
        try:
            while True:
                await asyncio.sleep(0)  # a long row of failures must not keep the loop from its other tasks
                self._changed.clear()
                # ``_changed`` is cleared first: what changes while requests are started makes the next round
                # begin at once.
                pause = self._start_due()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._changed.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def settle_due(self) -> None:
        """Start what is due, without :meth:`run`, and return when nothing is due and nothing in flight."""
        while True:
            self._changed.clear()
            self._start_due()
            if self._tasks:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            elif not self._changed.is_set():
                return

    # -- the schedule

    def _enqueue_publication(self, publication: Publication, error: str = "") -> None:
        """Store the document as waiting, then schedule it. In this order: what is scheduled and not stored
        would be lost with the process."""
        self._store.queue(publication, error)
        self._schedule_publication(publication)
        self._changed.set()

    def _schedule_publication(self, publication: Publication) -> None:
        """Note the time of the document's next attempt at its host."""
        host = self._host_of(publication)
        self._next[publication.event_key] = publication.next
        heapq.heappush(host.due, (publication.next, publication.block, publication.position, publication.tx))

    def _host_of(self, publication: Publication) -> DecryptorHost:
        """Return the host of a publication, made where it is not known yet.

        Texts that are no URL share one host, so that they share its one request at a time.
        """
        name = self._documents.host_of(publication.decryptor_url)
        if name not in self._hosts:
            if len(self._hosts) > _KEPT_HOSTS:
                # Hosts with waiting documents stay, or their documents would never be read.
                idle = [key for key, host in self._hosts.items() if not host.due and not host.busy]
                for key in idle:
                    del self._hosts[key]
            self._hosts[name] = DecryptorHost(
                configured=self._documents.is_configured(publication.decryptor_url)
            )
        return self._hosts[name]

    def _start_due(self) -> float:
        """Start one request to each host that may be asked now, and return the seconds until the next
        call."""
        now, soonest = time.time(), now_plus(60.0)
        for host in list(self._hosts.values()):
            publication = self._first_due(host)
            # One request at a time goes to a host: nonces must arrive there in their order.
            if publication is None or host.busy:
                continue
            if publication.next > now:
                soonest = min(soonest, publication.next)
            # The host is left alone. The attempt counts all the same, or a dead host's documents would wait
            # for ever.
            elif host.open_until > now:
                self._note_failure(publication, host.error)
                self._changed.set()
            # The operator's own Providers need no slot, so strangers' hosts cannot hold them up.
            elif host.configured or self._in_flight[host.proven] < SLOTS:
                self._start_attempt(host, publication)
        # Never 0, or two clocks that differ by a little would make a busy loop.
        return max(soonest - now, 0.01)

    def _first_due(self, host: DecryptorHost) -> Publication | None:
        """Return the document of this host that is due first, dropping void entries of its heap on the
        way."""
        while host.due:
            moment, _, position, tx = host.due[0]
            # Equal floats, because the same value was stored in both places.
            if self._next.get((tx, position)) == moment:
                publication = self._store.queued_publication(tx, position)
                if publication is not None:
                    return publication
                # Scheduled but no longer stored: its block was taken back.
                del self._next[tx, position]
            heapq.heappop(host.due)
        return None

    def _start_attempt(self, host: DecryptorHost, publication: Publication) -> None:
        """Start one attempt as a task of its own, and make its host and slot free when it ends."""
        heapq.heappop(host.due)
        host.busy = True
        # Kept for the end: the attempt itself may change the host's standing, and the slot to free is the one
        # taken.
        proven, counted = host.proven, int(not host.configured)
        self._in_flight[proven] += counted
        task = asyncio.create_task(self._attempt_read(host, publication))
        self._tasks.add(task)

        def over(done: asyncio.Task[None]) -> None:
            """Release what the attempt held, however it ended. Runs on the event loop."""
            self._tasks.discard(done)
            self._in_flight[proven] -= counted
            host.busy = False
            self._changed.set()
            self._ended.set()
            # The outcome itself could not be stored, for instance on a full disk. Nothing is concluded about
            # the document; it is due again in ten seconds.
            if not done.cancelled() and (error := done.exception()) is not None:
                log.error("a document's outcome could not be stored", exc_info=error)
                self._next[publication.event_key] = later = now_plus(10.0)
                heapq.heappush(host.due, (later, publication.block, publication.position, publication.tx))

        task.add_done_callback(over)

    # -- one attempt

    async def _attempt_read(self, host: DecryptorHost, publication: Publication) -> None:
        """Ask once for a document, and record the outcome: served, refused, or to be tried again."""
        why = {"did": publication.did, "tx": publication.tx}
        try:
            # Before the host is asked: whether the NFT is Ocean's is known to the chain, and costs the host
            # nothing.
            await self._check(publication)
            document = await self._documents.read_document(
                publication.decryptor_url, publication.nft, publication.tx, publication.document_hash
            )
            # The host has answered well, whatever becomes of the document.
            self._note_answer(host, proven=True)
            if self._store.queued_publication(*publication.event_key) is None:
                return  # its block was taken back meanwhile
            await self._serve(publication, document)
            self._settle_outcome(publication, OutcomeState.SERVED)
            log.info("an asset was indexed", extra={**why, "block": publication.block})
        # Final: asking again would give the same. A refusal by status 403 still shows a host that works.
        except (DocumentRejected, DocumentWithheld, DocumentWrong) as refusal:
            self._note_answer(host, proven=isinstance(refusal, DocumentWithheld) or host.proven)
            self._settle_outcome(publication, OutcomeState.REFUSED, str(refusal))
            log.info("an asset was not accepted", extra={**why, "why": str(refusal)})
        # Silence counts against the host and against the document.
        except DecryptorUnreachable as problem:
            self._note_silence(host, str(problem))
            self._note_failure(publication, str(problem))
        # The host has answered, if only with an error: its other documents may be good.
        except DocumentUnavailable as problem:
            self._note_answer(host, proven=host.proven)
            self._note_failure(publication, str(problem))
        # The chain was asked and failed, which says nothing about the host.
        except C2DError as problem:
            self._note_failure(publication, f"the chain could not be read ({problem.code})")
        except Exception as problem:
            # Whatever else one document brings about is that document's outcome, and nobody else's.
            log.exception("an event was set aside", extra=why)
            self._note_failure(
                publication, f"the document cannot be kept ({type(problem).__name__})", faulty=True
            )

    def _settle_outcome(self, publication: Publication, state: OutcomeState, error: str = "") -> None:
        """Record a final outcome, and take the document from the queue."""
        self._next.pop(publication.event_key, None)
        self._store.put_outcome(publication, state, error)

    def _note_failure(self, publication: Publication, error: str, *, faulty: bool = False) -> None:
        """Schedule the next attempt after 1, 2, 4 … seconds, at most an hour; after the last one give up."""
        attempts = publication.attempts + 1
        if self._store.queued_publication(*publication.event_key) is None:
            self._next.pop(publication.event_key, None)
            return
        if attempts >= (_FAULTY_ATTEMPTS if faulty else MAX_ATTEMPTS):
            ended = f"{error}; given up after {attempts} attempts, triggerCaching asks again"
            self._settle_outcome(replace(publication, attempts=attempts), OutcomeState.FAILED, ended)
            return
        wait = min(2.0 ** (attempts - 1), LONGEST_WAIT)
        self._enqueue_publication(replace(publication, attempts=attempts, next=now_plus(wait)), error)
        extra = {"did": publication.did, "tx": publication.tx, "why": error}
        log.warning("a document has to wait", extra=extra)

    # -- the circuit breaker

    def _note_answer(self, host: DecryptorHost, *, proven: bool) -> None:
        """Close the host's circuit breaker: it answers."""
        if host.failures >= _FAILURES_TO_OPEN:
            self._hurry_host(host)
        host.proven, host.failures, host.open_until, host.error = proven, 0, 0.0, ""

    def _hurry_host(self, host: DecryptorHost) -> None:
        """Make all documents that wait for a host due at once, because the host answers again."""
        # A copy, because queueing pushes onto the same heap.
        for _, _, position, tx in list(host.due):
            publication = (
                self._store.queued_publication(tx, position) if (tx, position) in self._next else None
            )
            if publication is not None:
                self._enqueue_publication(replace(publication, next=0.0), host.error)

    def _note_silence(self, host: DecryptorHost, error: str) -> None:
        """Count a failure of the host. From the third on it is left alone, for 8, 16 ... seconds, at most
        five minutes."""
        host.failures += 1
        host.proven, host.error = False, error
        if host.failures >= _FAILURES_TO_OPEN:
            host.open_until = now_plus(min(2.0**host.failures, _LONGEST_BREAK))


def now_plus(seconds: float) -> float:
    """Return the Unix time in so many seconds. Not the monotonic clock, because the store keeps these
    times over restarts."""
    return time.time() + seconds
