"""A box: one name, one home, one cluster, one set of ports. Opening it starts nothing.

``box.json`` in the home stores the choices of the first ``up``, so that later commands need no options.
"""

from __future__ import annotations

import glob
import json
import shlex
import shutil
import sys
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from c2d_box.errors import StateProblem
from c2d_box.files import replace_file
from sandbox.home import BoxHome
from sandbox.settings import (
    DEFAULT_NAME,
    NODE_PORTS,
    BoxPorts,
    BoxSettings,
    ChainChoice,
    ExistingClusterSettings,
)

if TYPE_CHECKING:
    from c2d_box.kubernetes.sync_client import KubeApi
    from sandbox.clusters.port import ClusterDriver

PROGRAM = "c2d-box"


@dataclass(frozen=True)
class Box:
    """A box that may be up, down or not there yet.

    It is a value: the home says where everything lies, the settings say what was chosen.
    """

    home: BoxHome
    settings: BoxSettings

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def ports(self) -> BoxPorts:
        return self.settings.ports

    @property
    def exists(self) -> bool:
        """Return whether ``box.json`` is there: whether an ``up`` ever got as far as writing its choices."""
        return self.home.box_file.exists()

    @cached_property
    def cluster(self) -> ClusterDriver:
        """Return the driver of the cluster that carries this box. Nothing is started or contacted."""
        # Imported here: the drivers need this module, and `--help` needs no driver.
        from sandbox.clusters.driver_registry import ClusterRequest, driver_of

        return driver_of(self.settings.cluster).make(
            ClusterRequest(self.home, self.settings, self.published_ports)
        )

    @property
    def published_ports(self) -> dict[int, int]:
        """Return port of 127.0.0.1 → NodePort, of every service this box runs.

        A box on a chain outside runs no chain of its own, so the chain's port is not taken.
        """
        ports = self.ports.as_dict()
        if self.settings.chain.rpc_url is not None:
            ports.pop("chain")
        return {port: NODE_PORTS[name] for name, port in ports.items()}

    @property
    def service_urls(self) -> dict[str, str]:
        """Return the URL of each service as this machine reaches it, by the name users write
        (``operator-service``). Pods do not use these: 127.0.0.1 is the pod itself there.
        """
        ports = self.ports.as_dict()
        if self.settings.chain.rpc_url:
            ports.pop("chain")
        urls = {name.replace("_", "-"): f"http://127.0.0.1:{port}" for name, port in ports.items()}
        if self.settings.chain.rpc_url:
            urls["chain"] = self.settings.chain.rpc_url
        return urls

    def kube_api(self) -> KubeApi:
        """Return a client of the box's Kubernetes API, to be closed by the caller; raise ``C2D-BOX-DOWN``
        where there is no kubeconfig yet.
        """
        from c2d_box.kubernetes.sync_client import KubeApi

        return KubeApi.of(self.home.kubeconfig)

    def command_line(self, arguments: str) -> str:
        """Return a command line for this very box, as the user would have to type it."""
        words = [program_name()]
        # Only what differs from the defaults is named, so that the usual hint stays short enough to type.
        if self.name != DEFAULT_NAME:
            words.append(f"--name {self.name}")
        if self.home != default_home(self.name):
            words.append(f"--home {shlex.quote(str(self.home.path))}")
        return " ".join([*words, arguments])

    def save_settings(self, settings: BoxSettings) -> Box:
        """Write ``box.json``; returns the box with these settings."""
        replace_file(self.home.box_file, json.dumps(asdict(settings), indent=2) + "\n")
        return replace(self, settings=settings)


def program_name() -> str:
    """Return what to type for this program: its name where the shell finds it, else the path it was called
    by.
    """
    called = Path(sys.argv[0])
    # Run through `python -m` or from a test, argv[0] is some other file: that path would not help the user.
    if shutil.which(PROGRAM) or called.name != PROGRAM or not called.exists():
        return PROGRAM
    here = Path.cwd()
    return shlex.quote(str(called.relative_to(here) if called.is_relative_to(here) else called))


def default_home(name: str) -> BoxHome:
    """Return the home of the box called ``name``: boxes with another name stand beside the default one."""
    home = BoxHome.default_home()
    return home if name == DEFAULT_NAME else BoxHome(home.path.with_name(f"{home.path.name}-{name}"))


def list_box_names() -> list[str]:
    """Return the names of the boxes in their default homes, sorted; one at a ``--home`` is not found."""
    first = BoxHome.default_home()
    homes = [first, *map(BoxHome, first.path.parent.glob(f"{glob.escape(first.path.name)}-*"))]
    names = (
        DEFAULT_NAME if home == first else home.path.name.removeprefix(f"{first.path.name}-")
        for home in homes
    )
    return sorted(name for name, home in zip(names, homes, strict=True) if home.box_file.exists())


def open_box(home: Path | None = None, name: str | None = None) -> Box:
    """Return the box at ``home`` (or of that ``name``), with what its ``box.json`` stores.

    A name that disagrees with the stored one is refused (``C2D-BOX-OTHER-NAME``): cluster, links and control
    groups carry the name, and a command under another would not find them.
    """
    place = BoxHome(home.expanduser().absolute()) if home else default_home(name or DEFAULT_NAME)
    if not place.box_file.exists():
        return Box(place, BoxSettings(name=name or DEFAULT_NAME))
    settings = _read_settings(place.box_file)
    if name and name != settings.name:
        raise StateProblem(
            "C2D-BOX-OTHER-NAME",
            f"the box at {place.path} is called {settings.name}, not {name}",
            "leave --name out, or choose another --home",
        )
    return Box(place, settings)


def _read_settings(file: Path) -> BoxSettings:
    """Return the settings in ``box.json``; raise ``C2D-BOX-FILE-BROKEN`` for a file that cannot be
    understood.
    """
    try:
        document = json.loads(file.read_text())
        # Keys of another version are left out: an older program still finds its box, and `reset` still works.
        known = {item.name for item in fields(BoxSettings)}
        values = {key: value for key, value in document.items() if key in known}
        values["ports"] = BoxPorts(**values.get("ports", {}))
        values["chain"] = ChainChoice(**values.get("chain", {}))
        values["existing"] = ExistingClusterSettings(**values.get("existing", {}))
        values["origins"] = tuple(values.get("origins", ()))
        return BoxSettings(**values)
    except (ValueError, TypeError, AttributeError) as cause:
        raise StateProblem(
            "C2D-BOX-FILE-BROKEN", f"{file} cannot be read", "c2d-box reset --all forgets this box"
        ) from cause
