"""Resolves the host names that a job's pods need although they have no DNS.

Configuration and publishing talk to the engine, the Provider and the result store. Where those have fixed
addresses the settings hold numbers; elsewhere they hold names, which only the engine can resolve. It does so
when it makes a pod and writes the answer into the `hosts` file of the pod, so TLS still sees the name. These
answers are also what the warden must find closed, beside the API server and the DNS server of this process.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from c2d_box.kubernetes.port import ClusterError
from c2d_box.operator_engine.settings import EngineSettings
from c2d_box.workflow.result_store import IpfsStore

KEPT_SECONDS = 30.0
"""Seconds for which an answer is used again: an external store may move, a service does not."""
RESOLVE_SECONDS = 5.0
"""Longest wait for DNS; the pod is then made a little later."""
PORTS = {"http": 80, "https": 443}
RESOLVER_FILE = Path("/etc/resolv.conf")
"""This pod's resolver configuration, where the cluster's DNS servers stand."""

Resolve = Callable[[str], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class JobNetwork:
    """``aliases``: host name to address, for the pods; ``targets``: ``ip:port`` that an algorithm must not
    reach.
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    targets: tuple[str, ...] = ()


UNKNOWN_NETWORK = JobNetwork()
"""No address is known. A warden without targets lets no algorithm start."""


class JobNetworkResolver:
    """Resolves the current addresses; asks DNS at most once in ``KEPT_SECONDS``."""

    def __init__(
        self,
        settings: EngineSettings,
        own_targets: Sequence[str] = (),
        resolve: Resolve | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``own_targets`` are addresses that this process found itself, see :func:`targets_of_this_pod`."""
        # From the settings alone, so the list is fixed; only the addresses behind the names change.
        self._urls = tuple(urls_for_jobs(settings))
        self._targets = (*settings.warden.targets, *own_targets)
        self._resolve = resolve or resolve_name
        self._clock = clock
        self._known: JobNetwork | None = None
        self._asked = 0.0

    async def current(self) -> JobNetwork:
        """Return aliases and targets for a new pod. Raises ClusterError where a name cannot be resolved: the
        pod is then made a little later.
        """
        if self._known is None or self._clock() - self._asked >= KEPT_SECONDS:
            aliases, targets = {}, list(self._targets)
            for url in self._urls:
                parts = urlsplit(url)
                host = parts.hostname or ""
                address = host if is_number(host) else await self._resolve(host)
                # A name gets an entry in the hosts file; a number needs none.
                if address != host:
                    aliases[host] = address
                port = parts.port or PORTS.get(parts.scheme, 80)
                # What the other pods of the job may call, its algorithm must not reach.
                targets.append(f"[{address}]:{port}" if ":" in address else f"{address}:{port}")
            # The same address may serve two purposes; the warden need not try it twice. The order is kept.
            self._known, self._asked = JobNetwork(aliases, tuple(dict.fromkeys(targets))), self._clock()
        return self._known


def urls_for_jobs(settings: EngineSettings) -> list[str]:
    """Return the URLs that a job's pods call: the engine, the Provider and the result store."""
    store = settings.result_store
    ends = [store.api] if isinstance(store, IpfsStore) else [store.endpoint]
    return [settings.engine_url, *([settings.provider_url] if settings.provider_url else []), *ends]


async def resolve_name(host: str) -> str:
    """Return the first IPv4 address of ``host``, or the first of any kind. Raises ClusterError."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await loop.getaddrinfo(host, None)
    except (OSError, TimeoutError) as error:
        raise ClusterError(f"The name {host} cannot be resolved: {error or 'no answer'}") from error
    addresses = [str(entry[4][0]) for entry in found]
    # IPv4 first: many pod networks route no other family.
    return next((address for address in addresses if ":" not in address), addresses[0])


def is_number(host: str) -> bool:
    """Return whether ``host`` is an IP address already and needs no DNS."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def targets_of_this_pod(
    server: str, environment: Mapping[str, str] = os.environ, resolver_file: Path = RESOLVER_FILE
) -> list[str]:
    """Return ``ip:port`` of the API server (``server``, and its Service) and of this pod's DNS servers."""
    parts = urlsplit(server)
    # The address that this process uses, and the Service's: a policy could cut one and leave the other open.
    ends = [(parts.hostname or "", parts.port or PORTS["https"])]
    if host := environment.get("KUBERNETES_SERVICE_HOST"):
        ends.append((host, int(environment.get("KUBERNETES_SERVICE_PORT") or PORTS["https"])))
    lines = resolver_file.read_text().splitlines() if resolver_file.exists() else []
    servers = [words[1] for line in lines if len(words := line.split()) > 1 and words[0] == "nameserver"]
    ends += [(address, 53) for address in servers]
    # The warden has no DNS, so a name is no target.
    usable = [(host, port) for host, port in ends if is_number(host) and not _is_loopback(host)]
    return list(
        dict.fromkeys(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in usable)
    )


def _is_loopback(host: str) -> bool:
    """Return whether ``host`` is loopback: a pod could not reach a nested machine's own resolver."""
    return ipaddress.ip_address(host).is_loopback
