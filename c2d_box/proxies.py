"""Decides which addresses may be reached through a proxy that the environment names.

``HTTP_PROXY`` and its relatives are for addresses outside. A company's proxy cannot reach the box's own
addresses, so each of our clients asks :func:`may_use_proxy`, and child processes that talk to the box's
cluster get its addresses in ``NO_PROXY``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

_VARIABLES = ("NO_PROXY", "no_proxy")
"""Both spellings are read as well as written: a user may have set either."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Always reached directly, whatever the environment says."""


def may_use_proxy(url: str) -> bool:
    """Return whether ``url`` leads outside, where a proxy may be used: False for loopback, private and
    link-local addresses and for bare names."""
    # A trailing dot is the DNS root and means the same host.
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    try:
        address = ip_address(host)
    except ValueError:
        # Names that only a cluster or this machine resolves. A bare name is one of a local search domain.
        is_cluster_name = host.endswith((".localhost", ".local", ".internal", ".svc", ".cluster.local"))
        return "." in host and not is_cluster_name
    return address.is_global


def environment_without_proxy(*urls: str, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a child process that talks to ``urls``, none of them through a proxy.

    ``base`` takes the place of our own environment. Both spellings of the variable are set, because programs
    differ in which one they read.
    """
    found = dict(os.environ if base is None else base)
    known = [part for name in _VARIABLES for part in found.get(name, "").split(",") if part.strip()]
    hosts = [urlsplit(url).hostname or "" for url in urls]
    # What the user has set stays; ours is added.
    joined = ",".join(dict.fromkeys([*(part.strip() for part in known), *_LOOPBACK, *filter(None, hosts)]))
    return {**found, **dict.fromkeys(_VARIABLES, joined)}
