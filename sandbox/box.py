"""A box: one name, one home, one cluster, one set of ports. Opening it starts nothing.

``box.json`` in the home stores the choices of the first ``up``, so that later commands need no options.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c2d_box.errors import StateProblem
from c2d_box.files import replace_file
from sandbox.home import Home
from sandbox.settings import BEHIND, DEFAULT_NAME, NODE_PORTS, ChainChoice, Existing, Ports, Settings

if TYPE_CHECKING:
    from c2d_box.kubernetes.sync_client import KubeApi
    from sandbox.bundle import Bundle
    from sandbox.clusters.port import Cluster

PROGRAM = "c2d-box"


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
        """Return whether an ``up`` ever got as far as choosing."""
        return self.home.box_file.exists()

    @cached_property
    def cluster(self) -> Cluster:
        """Return the cluster that carries this box."""
        from sandbox.clusters.driver_record import Options

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
        """Return port of 127.0.0.1 → NodePort, of every service this box runs."""
        ports = self.ports.as_dict()
        if self.settings.chain.rpc_url is not None:
            ports.pop("chain")
        return {port: NODE_PORTS[name] for name, port in ports.items()}

    @property
    def urls(self) -> dict[str, str]:
        """Return the URL of each service on this machine."""
        ports = self.ports.as_dict()
        if self.settings.chain.rpc_url:
            ports.pop("chain")
        urls = {name.replace("_", "-"): f"http://127.0.0.1:{port}" for name, port in ports.items()}
        if self.settings.chain.rpc_url:
            urls["chain"] = self.settings.chain.rpc_url
        return urls

    def kube(self) -> KubeApi:
        """Return the box's Kubernetes API; raise ``C2D-BOX-DOWN`` where there is none."""
        from c2d_box.kubernetes.sync_client import KubeApi

        return KubeApi.of(self.home.kubeconfig)

    def command(self, arguments: str) -> str:
        """Return a command line for this very box, as the user would have to type it."""
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
    """Return what to type for this program: its name where the shell finds it, else the path it was called
    by.
    """
    called = Path(sys.argv[0])
    if shutil.which(PROGRAM) or called.name != PROGRAM or not called.exists():
        return PROGRAM
    here = Path.cwd()
    return shlex.quote(str(called.relative_to(here) if called.is_relative_to(here) else called))


class _BundleWhenNeeded:
    """Opens the bundle in the cache on first use: only booting a box needs it, looking at one does not."""

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
    """Gives single programs of the bundle: where Docker carries the cluster the other parts need not be
    there.
    """

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
    """Return the home of the box called ``name``: boxes with another name stand beside the default one."""
    home = Home.default()
    return home if name == DEFAULT_NAME else Home(home.path.with_name(f"{home.path.name}-{name}"))


def open_box(home: Path | None = None, name: str | None = None) -> Box:
    """Return the box at ``home`` (or of that ``name``), with what its ``box.json`` stores."""
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
