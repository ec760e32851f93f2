"""Which addresses a fetch may reach: the rule that keeps a file object from becoming a way into the cluster.

A publisher, and for raw algorithms any consumer, chooses the URLs that the Provider reads. So every host
is resolved first, *all* its addresses must be public, and the connection then goes to the very address
that was checked: a name that answers differently the second time (DNS rebinding) changes nothing.
Exceptions are whole origins, exact in scheme, host and port, that the operator wrote down.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from c2d_box.storage.errors import Forbidden, Unreachable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Awaitable[list[str]]]

DEFAULT_PORTS = {"http": 80, "https": 443}

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
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


def is_public(text: str) -> bool:
    """True only for a globally routed unicast address; an IPv4-mapped IPv6 address counts as what it
    carries."""
    try:
        address: Address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        if address.scope_id or address not in _GLOBAL_UNICAST:
            return False
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return not any(address in network for network in _NEVER if network.version == address.version)


@dataclass(frozen=True)
class Origin:
    """Scheme, host and port of a URL: what the allow-list is made of."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """Raises Forbidden for anything but http(s) with a host."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise Forbidden("the address is not a valid URL") from None
        scheme = parts.scheme.lower()
        if scheme not in DEFAULT_PORTS or not host:
            raise Forbidden("only http and https addresses can be fetched")
        if any(ord(character) <= 32 or ord(character) == 127 for character in url):
            raise Forbidden("the address holds white space or control characters")
        try:
            host = host.encode("ascii").decode() if host.isascii() else host.encode("idna").decode()
        except UnicodeError:
            raise Forbidden("the host name is not valid") from None
        return cls(scheme, host.rstrip("."), port if port is not None else DEFAULT_PORTS[scheme])

    @property
    def netloc(self) -> str:
        """As in a Host header: the port only where it is not the scheme's own, IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


async def resolve(host: str, port: int) -> list[str]:
    """Every address of a name, in the system's order of preference."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class AddressRules:
    """Decides, per hop, to which addresses a connection may go."""

    def __init__(self, allow: Iterable[str] = (), *, resolver: Resolver = resolve) -> None:
        self._allowed = frozenset(Origin.of(entry) for entry in allow)
        self._resolve = resolver

    async def checked(self, origin: Origin) -> list[str]:
        """The addresses to connect to; Forbidden if any of them is not public and the origin is not
        allowed."""
        try:
            addresses = await self._resolve(origin.host, origin.port)
        except (OSError, UnicodeError):
            raise Unreachable("the host name does not resolve") from None
        if not addresses:
            raise Unreachable("the host name does not resolve")
        if origin not in self._allowed and not all(is_public(address) for address in addresses):
            raise Forbidden("the host is not a public address")
        return addresses
