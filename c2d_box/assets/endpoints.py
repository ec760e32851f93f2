"""Addresses of services: how they are compared, and in what other ways one may be written.

Publishers write ``localhost`` where the box prints ``127.0.0.1``, and both mean the same Provider. This is
the one definition for all code that compares addresses or makes aliases of them.
"""

from __future__ import annotations

from urllib.parse import urlsplit

_THIS_MACHINE = ("127.0.0.1", "localhost", "::1", "0.0.0.0")
"""Hosts that mean the same machine. ``0.0.0.0`` is one to listen on, and Linux connects to itself by it."""
_PORTS = {"http": 80, "https": 443}
"""Default ports, left out in one spelling of a URL and given in another."""


def same_endpoint(one: str, other: str) -> bool:
    """Return whether two URLs name the same service; texts that are no URLs are compared as they are."""
    return _canonical_parts(one) == _canonical_parts(other)


def origin_spellings(url: str) -> tuple[str, ...]:
    """Return the URL's origin in every way in which it is written: four for an address of this machine."""
    parts = urlsplit(url)
    if (parts.hostname or "").lower() not in _THIS_MACHINE:
        return (url,)
    port = parts.port or _PORTS[parts.scheme]
    return tuple(f"{parts.scheme}://{_bracketed_host(host)}:{port}" for host in _THIS_MACHINE)


def _canonical_parts(url: str) -> tuple[str, ...]:
    """Return what two URLs have to share to name one service: scheme, host, port, path and query, in one
    spelling."""
    text = url.strip()
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").lower().rstrip("."), parts.port
    # ``urlsplit`` raises for brackets that do not match and ports that are none.
    except ValueError:
        return (text,)
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not host:
        return (text.rstrip("/"),)
    place = _THIS_MACHINE[0] if host in _THIS_MACHINE else host
    return scheme, place, str(port or _PORTS[scheme]), parts.path.rstrip("/"), parts.query


def _bracketed_host(host: str) -> str:
    """Return a host as it stands in a URL, where an IPv6 address has brackets."""
    return f"[{host}]" if ":" in host else host
