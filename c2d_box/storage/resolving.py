"""Name resolution on threads of its own, with a deadline, so that a name server that does not answer costs
the one who named it.

The system's resolver blocks a thread for as long as a name server is silent, ten seconds and more. On the
event loop's own few threads four such names stop every connection that is made by name. Here each look-up has
a thread of its own, threads are counted, and only a few of them may wait for names of one domain. An attacker
with silent name servers for dozens of domains, who asks faster than one network address may, can take all
threads: then other strangers' names are given up after the deadline, and the operator's own are still found,
since their resolver is another.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from c2d_box.storage.errors import SourceUnreachable

SILENT = "the name server of the host does not answer in time"
"""Told to clients, so that a publisher knows whose server to look at."""
_KEPT_NAMES = 1024
"""Answers that are kept; strangers choose how many names there are."""

Lookup = Callable[[str, int], list[str]]


def system_lookup(host: str, port: int) -> list[str]:
    """Return every address of a name, in the system's order of preference; blocks."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # Each address once: the system lists one entry per protocol.
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class ResolverLimits:
    """Bounds of a resolver: ``seconds`` until a caller is told that the name server is silent; threads in
    all and for one domain; ``kept_seconds`` for which an answer is used again."""

    seconds: float = 2.0
    in_all: int = 256
    each_domain: int = 4
    kept_seconds: float = 10.0


class NameResolver:
    """Returns addresses by name. Raises SourceUnreachable where there are none or no name server answers
    in time."""

    def __init__(
        self, limits: ResolverLimits | None = None, *, lookup: Lookup = system_lookup, absolute: bool = False
    ) -> None:
        """Set the resolver up. ``absolute``: names are complete as they stand; no search list of the
        cluster is tried."""
        self._limits = limits or ResolverLimits()
        self._lookup = lookup
        self._absolute = absolute
        self._in_all = asyncio.Semaphore(self._limits.in_all)
        self._domains: dict[str, asyncio.Semaphore] = {}
        self._running: dict[str, asyncio.Task[list[str]]] = {}
        self._known: OrderedDict[str, tuple[float, list[str]]] = OrderedDict()

    async def __call__(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host. ``port`` only has to be valid: it does not change the answer."""
        if _is_number(host):
            return [host]
        known = self._known.get(host)
        if known is not None and time.monotonic() - known[0] < self._limits.kept_seconds:
            return known[1]
        # Callers for one name share its look-up, so asking often takes no further threads.
        running = self._running.get(host)
        if running is None:
            running = self._running[host] = asyncio.create_task(self._looked_up(host, port))
            running.add_done_callback(lambda done: self._forget_lookup(host, done))
        try:
            async with asyncio.timeout(self._limits.seconds):
                # A caller whose time is over leaves the look-up to the others, and to those who ask next.
                return await asyncio.shield(running)
        except TimeoutError:
            raise SourceUnreachable(SILENT) from None

    async def _looked_up(self, host: str, port: int) -> list[str]:
        """Look a name up once a thread is free. Wait for it at most as long as a caller waits for the
        answer."""
        places = self._domains.setdefault(
            _registered_domain(host), asyncio.Semaphore(self._limits.each_domain)
        )
        try:
            async with asyncio.timeout(self._limits.seconds):
                # The domain's slot first: a look-up that waits for its own domain holds no thread of others.
                await places.acquire()
                try:
                    await self._in_all.acquire()
                # Cancelled while waiting for the second slot; the first must not stay taken.
                except BaseException:
                    places.release()
                    raise
        except TimeoutError:
            raise SourceUnreachable(SILENT) from None
        try:
            return self._remember_addresses(host, await self._on_thread(host, port))
        finally:
            self._in_all.release()
            places.release()

    async def _on_thread(self, host: str, port: int) -> list[str]:
        """Look a name up on a daemon thread: a silent name server must not hold the end of the process up
        either."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str]] = loop.create_future()

        def tell(found: list[str] | None, problem: Exception | None) -> None:
            # The waiting task was cancelled meanwhile.
            if answer.done():
                return
            if problem is not None:
                answer.set_exception(problem)
            else:
                answer.set_result(found or [])

        def work() -> None:
            found, problem = None, None
            try:
                # A final dot keeps the resolver from its search list. Single labels have been refused before.
                found = self._lookup(host + "." if self._absolute and "." in host else host, port)
            except (OSError, UnicodeError) as error:
                problem = _unreachable_error(error)
            with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(tell, found, problem)

        threading.Thread(target=work, name="name-lookup", daemon=True).start()
        return await answer

    def _remember_addresses(self, host: str, addresses: list[str]) -> list[str]:
        """Keep an answer for a few seconds, the newest last."""
        self._known.pop(host, None)
        if addresses and self._limits.kept_seconds:
            self._known[host] = (time.monotonic(), addresses)
            while len(self._known) > _KEPT_NAMES:
                self._known.popitem(last=False)
        return addresses

    def _forget_lookup(self, host: str, done: asyncio.Task[list[str]]) -> None:
        """Forget a look-up that has ended, and the slots of its domain where nobody uses them."""
        if self._running.get(host) is done:
            del self._running[host]
            # The semaphore of a domain lives as long as a look-up uses it.
            if not any(_registered_domain(other) == _registered_domain(host) for other in self._running):
                self._domains.pop(_registered_domain(host), None)
        if not done.cancelled():
            done.exception()  # read once: its askers may all have gone


def _unreachable_error(error: Exception) -> SourceUnreachable:
    """Return the error for a failed look-up. EAI_AGAIN is a name server that did not answer: that may
    pass."""
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        return SourceUnreachable(SILENT)
    return SourceUnreachable("the host name does not resolve")


@lru_cache(1024)
def _is_number(host: str) -> bool:
    """Return whether the host is an address already, which needs no look-up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _registered_domain(host: str) -> str:
    """Return the part of a name that one party most likely rules as a whole: the last two labels, or three
    below names like co.uk. A guess suffices, since it only divides threads."""
    labels = host.lower().rstrip(".").split(".")
    taken = 3 if len(labels) > 2 and len(labels[-2]) <= 3 and len(labels[-1]) <= 3 else 2
    return ".".join(labels[-taken:])
