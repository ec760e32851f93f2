"""All drivers. An entry says how a driver is made, what it needs, and nothing that starts anything."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.clusters.bundle_parts import BundleParts, WholeBundle
from sandbox.clusters.port import ClusterDriver
from sandbox.home import BoxHome
from sandbox.settings import BEHIND, NODE_PORTS, BoxSettings

if TYPE_CHECKING:
    from sandbox.clusters.driver_record import ClusterOptions


@dataclass(frozen=True, slots=True)
class ClusterRequest:
    """The box for which a cluster is made. ``published``: port of 127.0.0.1 to NodePort."""

    home: BoxHome
    settings: BoxSettings
    published: Mapping[int, int]

    @property
    def options(self) -> ClusterOptions:
        """Return the options that follow from the settings: services of a box on a chain outside must reach
        it.
        """
        from sandbox.clusters.driver_record import ClusterOptions

        # Otherwise no service needs a way out, and the node's network stays closed (ADR 0004).
        return ClusterOptions(egress=self.settings.chain.rpc_url is not None)


@dataclass(frozen=True, slots=True)
class DriverEntry:
    """An entry of the registry. Its functions import the driver when they are called: ``--help`` needs none.

    ``missing_parts`` names other projects' commands that the driver runs and that are not on this machine, as
    parts of the bundle; it is None where the driver needs the whole bundle. ``uses_docker``: a missing Docker
    engine is a problem for ``doctor``.
    """

    name: str
    make: Callable[[ClusterRequest], ClusterDriver]
    missing_parts: Callable[[], tuple[str, ...]] | None = None
    uses_docker: bool = False


def driver_of(name: str) -> DriverEntry:
    """Return the driver of that name; native where none was chosen yet.

    An empty name in ``box.json`` with a cluster beside it means native too.
    """
    return DRIVERS.get(name, _NATIVE)


def _native_cluster(request: ClusterRequest) -> ClusterDriver:
    """Make the native driver. It takes no ports: its forwarder can be told others at any time."""
    from sandbox.clusters.native.driver import NativeCluster

    return NativeCluster(request.home, WholeBundle(), request.settings.name, request.options)


def _kind_cluster(request: ClusterRequest) -> ClusterDriver:
    """Make kind's driver: a node in a container of the user's Docker."""
    from sandbox.clusters.kind.driver import KindCluster

    name = request.settings.name
    # The ports go in here, as Docker fixes them when it makes the container.
    return KindCluster(request.home, BundleParts(), name, request.published, request.options)


def _kind_parts() -> tuple[str, ...]:
    """Return what must be built: nothing where the user's own command is new enough."""
    from sandbox.clusters.kind.tool import installed_kind

    return () if installed_kind() else ("kind",)


def _k3d_cluster(request: ClusterRequest) -> ClusterDriver:
    """Make k3d's driver. Like kind's it needs the published ports before the cluster exists."""
    from sandbox.clusters.k3d.driver import K3dCluster

    name = request.settings.name
    return K3dCluster(request.home, BundleParts(), name, request.published, request.options)


def _k3d_parts() -> tuple[str, ...]:
    """Return what must be built: nothing where the user's own command serves."""
    from sandbox.clusters.k3d.tool import installed

    return () if installed() else ("k3d",)


def _existing_cluster(request: ClusterRequest) -> ClusterDriver:
    """Make the driver of somebody else's cluster, in which the box is a guest."""
    from sandbox.clusters.existing.driver import ExistingCluster

    # No NodePort is opened there, so each one stands for the service that it would lead to.
    behind = {NODE_PORTS[name]: service for name, service in BEHIND.items()}
    settings = request.settings
    return ExistingCluster(request.home, BundleParts(), settings.name, settings.existing, behind)


def _existing_parts() -> tuple[str, ...]:
    """Return what must be built: nothing where the user has kubectl."""
    # For the port forwards; the calls of the API are our own.
    return () if shutil.which("kubectl") else ("kube",)


# Without `missing_parts`: it needs the whole bundle.
_NATIVE = DriverEntry("native", _native_cluster)

# The order is the one in which `--cluster` lists them.
DRIVERS: dict[str, DriverEntry] = {
    driver.name: driver
    for driver in (
        _NATIVE,
        DriverEntry("kind", _kind_cluster, _kind_parts, uses_docker=True),
        DriverEntry("k3d", _k3d_cluster, _k3d_parts, uses_docker=True),
        DriverEntry("existing", _existing_cluster, _existing_parts),
    )
}
