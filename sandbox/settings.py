"""The content of ``box.json``: ports, chain, cluster, where results go, limits and values of the chart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from c2d_box.errors import UsageError
from c2d_box.units import LOCAL_CHAIN_ID

DEFAULT_NAME = "c2d"
"""Name of the box that commands mean without ``--name``."""


HIGHEST_PORT = 65535


NODE_PORTS = {
    "chain": 30545,
    "cache": 30500,
    "provider": 30030,
    "operator_service": 31000,
    "ipfs_api": 30501,
    "ipfs_gateway": 30808,
    "s3": 30900,
}
"""NodePort of each service. They are fixed, in Kubernetes' default range 30000-32767, and written into the
chart too: drivers whose ports are fixed with the node need them before the services exist.
"""


BEHIND = {
    "chain": ("chain", 8545),
    "cache": ("cache", 5000),
    "provider": ("provider", 8030),
    "operator_service": ("operator-service", 8050),
    "ipfs_api": ("ipfs", 5001),
    "ipfs_gateway": ("ipfs", 8080),
    "s3": ("s3", 9000),
}
"""Service and port behind each NodePort, for clusters on whose nodes the box opens none."""


@dataclass(frozen=True, slots=True)
class BoxPorts:
    """Ports on 127.0.0.1, by service. The defaults are those Ocean users know."""

    chain: int = 8545
    cache: int = 5000
    provider: int = 8030
    operator_service: int = 31000
    ipfs_api: int = 5001
    ipfs_gateway: int = 8080
    s3: int = 9000

    def __post_init__(self) -> None:
        for name, port in asdict(self).items():
            # Checked at every way in (options, offset, file), as an offset can push a valid port over the
            # end.
            if not 0 < port <= HIGHEST_PORT:
                raise UsageError(
                    "C2D-USAGE-PORT",
                    f"port {port} for {name.replace('_', '-')} does not exist",
                    f"choose ports (or an offset) that end between 1 and {HIGHEST_PORT}",
                )

    def with_offset(self, offset: int) -> BoxPorts:
        """Return the ports, each moved by ``offset``: for a second box beside the first."""
        return BoxPorts(**{name: port + offset for name, port in asdict(self).items()})

    def with_port(self, name: str, port: int) -> BoxPorts:
        """Return the ports with one replaced; ``name`` as users write it (``operator-service``)."""
        attribute = name.replace("-", "_")
        if attribute not in asdict(self):
            known = ", ".join(sorted(asdict(self))).replace("_", "-")
            raise UsageError("C2D-USAGE-PORT", f"there is no port named {name}", f"use one of: {known}")
        return replace(self, **{attribute: port})

    def as_dict(self) -> dict[str, int]:
        """Return the ports by attribute name, in the order in which they are shown."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ChainChoice:
    """The chain the box talks to: its own test chain, or one outside (``rpc_url``)."""

    kind: str = "testchain"
    rpc_url: str | None = None
    """URL of a node outside, as pods reach it; None: the box runs its own chain."""
    address_file: str | None = None
    """File or URL at which a chain outside keeps its contracts' addresses; None: at its URL, under
    ``/address.json``.
    """
    chain_id: int = LOCAL_CHAIN_ID


@dataclass(frozen=True, slots=True)
class ExistingClusterSettings:
    """A cluster that somebody else made, and how the box may use it."""

    kubeconfig: str = ""
    """The user's kubeconfig; empty: where kubectl looks. Never written to."""
    context: str = ""
    """Context of the kubeconfig; empty: its current one."""
    registry: str = ""
    """``[http://]host[:port][/path]``: images are pushed there, and the nodes pull them from there."""
    pull_secret: str = ""
    """``namespace/name`` of a Secret in that cluster with which nodes pull; copied into our namespaces."""
    pull_by_login: bool = False
    """Make the pull secret from `docker login`'s entry for the registry."""


@dataclass(frozen=True, slots=True)
class BoxSettings:
    """The settings of a box, as ``box.json`` holds them."""

    name: str = DEFAULT_NAME
    ports: BoxPorts = field(default_factory=BoxPorts)
    chain: ChainChoice = field(default_factory=ChainChoice)
    barge_keys: bool = False
    """Whether the well-known signing keys are used (:data:`sandbox.keys.BARGE_KEYS`)."""
    trust_empty_lists: str = "none"
    """Meaning of an asset's empty list of trusted algorithms: ``none`` may compute, or ``all``, as old assets
    meant.
    """
    cluster: str = ""
    """Driver that carries the box, chosen at its first ``up``; empty: not chosen yet, or native."""
    result_store: str = "ipfs"
    """Store of results: ``ipfs`` (whoever knows the CID reads) or ``s3`` (private)."""
    existing: ExistingClusterSettings = field(default_factory=ExistingClusterSettings)
    unproven_jobs: bool = False
    """Let jobs run also where their isolation is not proven: the operator of somebody's cluster said so."""
    origins: tuple[str, ...] = ()
    """Origins of web pages that may talk to the box's own chain."""
    limits: Mapping[str, int] = field(default_factory=dict, hash=False)
    """Limits that differ from the defaults, by their names in the box file."""
    values: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Values of the chart, on top of those that the box sets."""
