"""The rule which addresses a fetch may reach: it keeps a file object from becoming a way into the cluster.

A publisher, and for raw algorithms any consumer, chooses the URLs that the Provider reads. So every host is
resolved first, *all* its addresses must be public, and the connection then goes to the very address that was
checked: a name that answers differently the second time (DNS rebinding) changes nothing. Exceptions are whole
origins, exact in scheme, host and port, that the operator wrote down.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from c2d_box.storage.errors import FetchForbidden, SourceUnreachable
from c2d_box.storage.resolving import NameResolver, ResolverLimits

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Awaitable[list[str]]]

# One text for every refused address: the reason must not tell a stranger what is behind it.
NOT_PUBLIC = "the host is not a public address"
DEFAULT_PORTS = {"http": 80, "https": 443}
# ``urlsplit`` drops some of these without a word, and the URL that is checked would not be the one that is
# sent.
_CONTROL = re.compile("[\x00-\x1f\x7f]")

# Networks that Python counts as global, at least in some versions, but through which private or local
# addresses can be reached.
_NEVER = [
    ipaddress.ip_network(text)
    for text in (
        "168.63.129.16/32",  # Azure's wire server: a public number that only the cloud's host answers
        "192.88.99.0/24",  # 6to4 relay anycast
        "64:ff9b::/96",  # NAT64 carries an IPv4 address, private ones too
        "64:ff9b:1::/48",
        "2002::/16",  # 6to4, likewise
        "2001::/32",  # Teredo, likewise
    )
]
# Last labels that public name servers do not know: clusters, home routers and companies use them.
_INSIDE = ("arpa", "cluster", "corp", "home", "internal", "intranet", "lan", "local", "localhost", "svc")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""The only range of IPv6 that is routed on the Internet so far (RFC 4291, IANA)."""


def is_public(text: str) -> bool:
    """Return whether this is a globally routed unicast address. An IPv4-mapped IPv6 address counts as what
    it carries. Text that is no address is not public."""
    try:
        address: Address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        # A scope names an interface of this host; outside 2000::/3 nothing is public.
        if address.scope_id or address not in _GLOBAL_UNICAST:
            return False
    # ``is_global`` alone is not enough: it is true for multicast, and its tables differ between versions of
    # Python.
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return not any(address in network for network in _NEVER if network.version == address.version)


@dataclass(frozen=True)
class Origin:
    """Scheme, host and port of a URL: the unit of exceptions, aliases and slots."""

    scheme: str
    host: str
    port: int

    @classmethod
    def from_url(cls, url: str) -> Origin:
        """Return the origin of a URL. Raise FetchForbidden for anything but http(s) with a host."""
        return _origin_of(url)

    @property
    def netloc(self) -> str:
        """The origin as a Host header has it: the port only where it is not the scheme's own, IPv6 in
        brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


@lru_cache(maxsize=256)
def _origin_of(url: str) -> Origin:
    """Return the origin of a URL. Cached, because each hop asks five times for the same address: for
    aliases, rules and slots, and for the connection."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise FetchForbidden("the address is not a valid URL") from None
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS or not host:
        raise FetchForbidden("only http and https addresses can be fetched")
    # White space in the path is encoded later; in the host it would be a second header or another host.
    if _CONTROL.search(url) or " " in parts.netloc:
        raise FetchForbidden("the address holds control characters, or white space in its host")
    try:
        # Names in other scripts as IDNA, the form in which name servers and certificates know them.
        host = host.encode("ascii").decode() if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise FetchForbidden("the host name is not valid") from None
    # A final dot makes a name complete and names the same host; without this an exception could be evaded.
    return Origin(scheme, host.rstrip("."), port if port is not None else DEFAULT_PORTS[scheme])


class AddressRules:
    """Decides, per hop, to which addresses a connection may go.

    Names of the operator's own exceptions and names that strangers chose are looked up apart from each
    other, so that the latter cannot keep the former waiting.
    """

    def __init__(self, allow: Iterable[str] = (), *, resolver: Resolver | None = None) -> None:
        self._allowed = frozenset(Origin.from_url(entry) for entry in allow)
        self._resolve_own = resolver or NameResolver(ResolverLimits(seconds=5.0, each_domain=16))
        # Complete names: a cluster's search list would turn a stranger's ``redis`` into a service of the
        # cluster.
        self._resolve = resolver or NameResolver(absolute=True)

    def is_own(self, origin: Origin) -> bool:
        """Return whether the operator wrote this origin down as an exception."""
        return origin in self._allowed

    async def checked_addresses(self, origin: Origin) -> list[str]:
        """Return the addresses to connect to. Raise FetchForbidden if any of them is not public and the
        origin is not an exception, SourceUnreachable if the name has none."""
        own = self.is_own(origin)
        if not own and _is_inside(origin.host):
            raise FetchForbidden(NOT_PUBLIC)  # without a look-up, which would tell strangers what is there
        try:
            addresses = await (self._resolve_own if own else self._resolve)(origin.host, origin.port)
        except (OSError, UnicodeError):
            raise SourceUnreachable("the host name does not resolve") from None
        if not addresses:
            raise SourceUnreachable("the host name does not resolve")
        # All and not any: with one public and one private address the connection could go to the private one.
        if not own and not all(is_public(address) for address in addresses):
            raise FetchForbidden(NOT_PUBLIC)
        return addresses


def _is_inside(host: str) -> bool:
    """Return whether no public name server knows such a name: a single label, or one that ends in a local
    one."""
    last = host.lower().rstrip(".").rpartition(".")
    return ":" not in host and (last[2] in _INSIDE or (not last[0] and not last[2].isdigit()))
