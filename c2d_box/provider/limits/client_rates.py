"""Identifies clients by network address, and limits how often each may ask.

Signing keys cost nothing, so what must be scarce is counted by network address: a whole /64 for IPv6, which
is what one household gets. Behind proxies of the operator's own, the address is the last one in
X-Forwarded-For that none of them has: everything further left was written by the client.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextvars import ContextVar

from starlette.types import Scope

Clock = Callable[[], float]
visitor: ContextVar[str] = ContextVar("visitor", default="")
"""The name of the client (its network address) whose request is being answered."""

_REMEMBERED = 20_000
"""Addresses whose use is remembered. Bounded, because an attacker with many addresses chooses their
number."""


class VisitorResolver:
    """Finds the network address behind a request. ``proxies`` are networks whose X-Forwarded-For is
    believed."""

    def __init__(self, proxies: Iterable[str] = ()) -> None:
        self._proxies = tuple(ipaddress.ip_network(entry) for entry in proxies)

    def resolve_visitor(self, scope: Scope) -> str:
        """Return the network address that a request comes from, as text."""
        client = scope.get("client")
        peer = str(client[0]) if client else ""
        # Only the operator's own proxies may name another address: everybody can write the header.
        if not self._proxies or not self._is_proxy(peer):
            return _network_text(peer)
        # The header may occur several times, which is the same as one list (RFC 9110).
        forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        # From the right: each proxy appends the address that it saw.
        for hop in reversed([part.strip() for part in forwarded.decode("latin-1").split(",")]):
            if not self._is_proxy(hop):
                # An entry that is no address was written by somebody else than the proxy, so the proxy's own
                # address counts.
                return _network_text(hop) if _parse_address(hop) else _network_text(peer)
        return _network_text(peer)

    def _is_proxy(self, text: str) -> bool:
        address = _parse_address(text)
        return address is not None and any(address in network for network in self._proxies)


class VisitorRateLimiter:
    """A token bucket for each network address: so many per minute, a quarter of them at once; what was used
    comes back evenly. The addresses used least recently are forgotten beyond ``_REMEMBERED``."""

    def __init__(self, per_minute: float, clock: Clock = time.monotonic) -> None:
        self._rate = per_minute / 60
        # At least one, or a low rate would refuse everything.
        self._burst = max(1.0, per_minute / 4)
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take_allowance(self, name: str, amount: float = 1) -> float:
        """Take ``amount`` and return 0, or take nothing and return the seconds until it is allowed."""
        now = self._clock()
        left, since = self._left.pop(name, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        allowed = left >= amount
        # Moved to the end even where it is refused, so that an address under limit is not the first to be
        # forgotten.
        self._left[name] = (left - amount if allowed else left, now)
        # The one used least recently, whose bucket is full again most likely.
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
        return 0.0 if allowed else (amount - left) / self._rate

    def is_exhausted(self, name: str) -> bool:
        """Return whether :meth:`take_allowance` would refuse now. Nothing is taken."""
        left, since = self._left.get(name, (self._burst, 0.0))
        return min(self._burst, left + (self._clock() - since) * self._rate) < 1


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a text is, None where it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A dual-stack socket reports IPv4 clients in the mapped form; the same client must not count twice.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _network_text(text: str) -> str:
    """Return the name under which an address is counted: itself for IPv4, its /64 for IPv6."""
    address = _parse_address(text)
    # The last 64 bits are free to its owner, so counting single addresses would limit nobody.
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    # Unix sockets and tests have a name instead; it is cut, since it becomes a key in memory.
    return str(address) if address is not None else text[:64]
