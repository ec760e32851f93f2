"""The box: one name, one home, one cluster, one set of ports. Opening it starts nothing.

``box.json`` in the home remembers what was chosen at the first ``up``, so that later commands need no
options.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c2d_box.errors import StateProblem, UsageError
from c2d_box.files import replace_file
from c2d_box.units import LOCAL_CHAIN_ID
from sandbox.home import Home

if TYPE_CHECKING:
    from c2d_box.kubernetes.sync_client import KubeApi
    from sandbox.bundle import Bundle
    from sandbox.clusters.port import Cluster

DEFAULT_NAME = "c2d"
PROGRAM = "c2d-box"
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
class Ports:
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
            if not 0 < port <= HIGHEST_PORT:
                raise UsageError(
                    "C2D-USAGE-PORT",
                    f"port {port} for {name.replace('_', '-')} does not exist",
                    f"choose ports (or an offset) that end between 1 and {HIGHEST_PORT}",
                )

    def shifted(self, offset: int) -> Ports:
        """Every port moved by ``offset``: a second box beside the first."""
        return Ports(**{name: port + offset for name, port in asdict(self).items()})

    def changed(self, name: str, port: int) -> Ports:
        """One port replaced; ``name`` as users write it (``operator-service``)."""
        attribute = name.replace("-", "_")
        if attribute not in asdict(self):
            known = ", ".join(sorted(asdict(self))).replace("_", "-")
            raise UsageError("C2D-USAGE-PORT", f"there is no port named {name}", f"use one of: {known}")
        return replace(self, **{attribute: port})

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ChainChoice:
    """Which chain the box talks to: its own test chain, its own anvil, or one outside."""

    kind: str = "testchain"
    rpc_url: str | None = None
    address_file: str | None = None
    """Where a chain outside keeps its contracts' addresses; None: at its URL, under ``/address.json``."""
    chain_id: int = LOCAL_CHAIN_ID


@dataclass(frozen=True, slots=True)
class Existing:
    """A cluster that somebody else made, and how the box may use it."""

    kubeconfig: str = ""
    """The user's own; empty: where kubectl looks. Never written to."""
    context: str = ""
    """Empty: the kubeconfig's current one."""
    registry: str = ""
    """``[http://]host[:port][/path]``: images are pushed there, and the nodes pull them from there."""
    pull_secret: str = ""
    """``namespace/name`` of a Secret in that cluster with which nodes pull; copied into our namespaces."""
    pull_by_login: bool = False
    """Make that Secret of `docker login`'s entry for the registry."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``box.json`` holds."""

    name: str = DEFAULT_NAME
    ports: Ports = field(default_factory=Ports)
    chain: ChainChoice = field(default_factory=ChainChoice)
    barge_keys: bool = False
    trust_empty_lists: str = "none"
    cluster: str = ""
    """Which driver carries the box, chosen at its first ``up``; empty: not chosen yet, or native."""
    result_store: str = "ipfs"
    """Where results go: ``ipfs`` (whoever knows the CID reads) or ``s3`` (private)."""
    existing: Existing = field(default_factory=Existing)
    unproven_jobs: bool = False
    """Jobs run also where their isolation is not proven: the operator of somebody's cluster said so."""


@dataclass(frozen=True)
class Box:
    """A box that may be up, down or not there yet."""

    home: Home
    settings: Settings

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def ports(self) -> Ports:
        return self.settings.ports

    @property
    def exists(self) -> bool:
        """Whether ``up`` ever got as far as choosing."""
        return self.home.box_file.exists()

    @cached_property
    def cluster(self) -> Cluster:
        """The cluster that carries this box."""
        from sandbox.clusters.native.record import Options

        options = Options(egress=self.settings.chain.rpc_url is not None)
        if self.settings.cluster == "kind":
            from sandbox.clusters.kind.driver import KindCluster

            return KindCluster(self.home, BundleParts(), self.name, self.published, options)
        if self.settings.cluster == "k3d":
            from sandbox.clusters.k3d.driver import K3dCluster

            return K3dCluster(self.home, BundleParts(), self.name, self.published, options)
        if self.settings.cluster == "existing":
            from sandbox.clusters.existing.driver import ExistingCluster

            behind = {NODE_PORTS[name]: service for name, service in BEHIND.items()}
            return ExistingCluster(self.home, BundleParts(), self.name, self.settings.existing, behind)
        from sandbox.clusters.native.driver import NativeCluster

        return NativeCluster(self.home, _BundleWhenNeeded(), self.name, options)

    @property
    def published(self) -> dict[int, int]:
        """Port of 127.0.0.1 → NodePort, of every service this box runs."""
        ports = self.ports.as_dict()
        if self.settings.chain.rpc_url is not None:
            ports.pop("chain")
        return {port: NODE_PORTS[name] for name, port in ports.items()}

    @property
    def urls(self) -> dict[str, str]:
        """Where each service answers on this machine."""
        ports = self.ports.as_dict()
        if self.settings.chain.rpc_url:
            ports.pop("chain")
        urls = {name.replace("_", "-"): f"http://127.0.0.1:{port}" for name, port in ports.items()}
        if self.settings.chain.rpc_url:
            urls["chain"] = self.settings.chain.rpc_url
        return urls

    def kube(self) -> KubeApi:
        """The box's Kubernetes API; raises ``C2D-BOX-DOWN`` where there is none."""
        from c2d_box.kubernetes.sync_client import KubeApi

        return KubeApi.of(self.home.kubeconfig)

    def command(self, arguments: str) -> str:
        """A command line for this very box, as the user would have to type it."""
        words = [program()]
        if self.name != DEFAULT_NAME:
            words.append(f"--name {self.name}")
        if self.home != default_home(self.name):
            words.append(f"--home {shlex.quote(str(self.home.path))}")
        return " ".join([*words, arguments])

    def remember(self, settings: Settings) -> Box:
        """Write ``box.json``; returns the box with these settings."""
        replace_file(self.home.box_file, json.dumps(asdict(settings), indent=2) + "\n")
        return replace(self, settings=settings)


def program() -> str:
    """What to type for this program: its name where the shell finds it, else the path it was called by."""
    called = Path(sys.argv[0])
    if shutil.which(PROGRAM) or called.name != PROGRAM or not called.exists():
        return PROGRAM
    here = Path.cwd()
    return shlex.quote(str(called.relative_to(here) if called.is_relative_to(here) else called))


class _BundleWhenNeeded:
    """Looking at a box needs no bundle; booting it opens the one in the cache."""

    @property
    def kubernetes_version(self) -> str:
        return self._bundle().kubernetes_version

    def binary(self, name: str) -> Path:
        return self._bundle().binary(name)

    def image(self, name: str) -> Any:
        return self._bundle().image(name)

    def _bundle(self) -> Bundle:
        from sandbox.bundle import Bundle

        return Bundle.open()


class BundleParts:
    """Of the bundle, single programs: where Docker carries the cluster the rest need not be there."""

    def binary(self, name: str) -> Path:
        from sandbox.bundle import Bundle

        return Bundle.open([name]).binary(name)

    def node_image(self) -> Any:
        from sandbox.bundle import Bundle

        try:
            return Bundle.open(["node-image"]).node_image
        except StateProblem:
            return None


def default_home(name: str) -> Home:
    """The home of the box called ``name``: boxes with another name stand beside the default one."""
    home = Home.default()
    return home if name == DEFAULT_NAME else Home(home.path.with_name(f"{home.path.name}-{name}"))


def open_box(home: Path | None = None, name: str | None = None) -> Box:
    """The box at ``home`` (or of that ``name``), with what its ``box.json`` remembers."""
    place = Home(home.expanduser().absolute()) if home else default_home(name or DEFAULT_NAME)
    if not place.box_file.exists():
        return Box(place, Settings(name=name or DEFAULT_NAME))
    settings = _read(place.box_file)
    if name and name != settings.name:
        raise StateProblem(
            "C2D-BOX-OTHER-NAME",
            f"the box at {place.path} is called {settings.name}, not {name}",
            "leave --name out, or choose another --home",
        )
    return Box(place, settings)


def _read(file: Path) -> Settings:
    try:
        document = json.loads(file.read_text())
        known = {item.name for item in fields(Settings)}
        values = {key: value for key, value in document.items() if key in known}
        values["ports"] = Ports(**values.get("ports", {}))
        values["chain"] = ChainChoice(**values.get("chain", {}))
        values["existing"] = Existing(**values.get("existing", {}))
        return Settings(**values)
    except (ValueError, TypeError, AttributeError) as cause:
        raise StateProblem(
            "C2D-BOX-FILE-BROKEN", f"{file} cannot be read", "c2d-box reset --all forgets this box"
        ) from cause
