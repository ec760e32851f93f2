"""Defines what the box needs of a Kubernetes cluster, whichever driver provides it.

The contract every driver keeps (``tests/contract/cluster_suite.py`` asks it of each):

``create``   Before: nothing, a stopped cluster, half a cluster left by a crash, or a running one. After:
             the node is Ready, ``kubeconfig`` exists (0600) and works, runtime classes' handlers are in
             force *before* the first pod could start, ``publish`` and ``allow`` of earlier runs hold
             again. Idempotent. Raises a coded error and leaves nothing that the next ``create``, ``stop``
             or ``delete`` could not deal with.
``stop``     After: no process, mount, link, rule, cgroup or route of the cluster is left; its state is.
             Idempotent.
``delete``   ``stop``, and then the state is gone too. Idempotent.
``status``   Never blocks for longer than a moment, never raises for a stopped cluster, needs no root.
``load_image``  Before: running. After: the archive's image can be run as ``name:tag`` and as
             ``name@digest``, with pull policy ``Never`` where ``registry`` is empty; else under that
             registry's name, from which the nodes pull it. Answers the manifest digest; cheap when the image
             is already there.
``publish_ports``  After: ``127.0.0.1:host_port`` reaches the NodePort. Replaces the ports published before; a
             driver whose ports are fixed when the node is made refuses others (``C2D-PORTS-FIXED``).
             Where the nodes are not ours no port is opened on them: the service behind the NodePort's
             number is reached through the API server.
``allow_endpoints``  After: pods of the staging and publishing classes reach exactly the endpoints listed and
             nothing else. Replaces the list of before. Pods of the algorithm class never reach anything.

Verbs that take long are generators of progress events (``sandbox.progress``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from sandbox.progress import Progress

TAKES_IMAGES = "cluster.containerd"
"""Step of ``create`` after whose end the node takes images, beside the rest of the boot; with a driver
without such a step it takes them once booted.
"""
ComponentState = Literal["waiting", "starting", "ready", "backing-off", "stopped", "failed"]
ClusterState = Literal["absent", "stopped", "starting", "running", "degraded", "stopping", "failed"]


@dataclass(frozen=True, slots=True)
class AllowedEndpoint:
    """One TCP address a job pod may open: a Service's cluster IP and port."""

    ip: str
    port: int

    @classmethod
    def from_value(cls, value: AllowedEndpoint | tuple[str, int] | list[Any]) -> AllowedEndpoint:
        """Return an endpoint of an ``(ip, port)`` pair, or of the list that JSON made of one."""
        # Converted, not trusted: the value may come from a file or over the socket.
        return value if isinstance(value, AllowedEndpoint) else cls(str(value[0]), int(value[1]))


@dataclass(frozen=True, slots=True)
class JobIsolation:
    """The endpoints that pods of the two routed job classes may reach. Empty: nothing at all.

    There is no field for the algorithm's class: nothing can be allowed to it by mistake.
    """

    staging: tuple[AllowedEndpoint, ...] = ()
    publishing: tuple[AllowedEndpoint, ...] = ()

    @classmethod
    def from_lists(
        cls, staging: list[tuple[str, int]] | None = None, publishing: list[tuple[str, int]] | None = None
    ) -> JobIsolation:
        """Return the isolation that ``(ip, port)`` pairs describe."""
        return cls(
            tuple(AllowedEndpoint.from_value(item) for item in staging or ()),
            tuple(AllowedEndpoint.from_value(item) for item in publishing or ()),
        )

    def as_dict(self) -> dict[str, list[list[Any]]]:
        """Return the form in which records and the supervisor's socket carry it."""
        return {
            "staging": [[item.ip, item.port] for item in self.staging],
            "publishing": [[item.ip, item.port] for item in self.publishing],
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> JobIsolation:
        """Return the isolation of that form; a missing list allows nothing."""
        return cls(
            # An unknown key is ignored: a typing error closes, it never opens.
            tuple(AllowedEndpoint.from_value(item) for item in value.get("staging", ())),
            tuple(AllowedEndpoint.from_value(item) for item in value.get("publishing", ())),
        )


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """The state of one component of the cluster, as its driver reports it."""

    name: str
    state: ComponentState
    pid: int | None = None
    restarts: int = 0
    last_error: str = ""
    since: float = 0.0
    """Unix seconds at which the state was entered."""


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """The state of the cluster and of its components."""

    state: ClusterState
    components: tuple[ComponentStatus, ...] = ()
    detail: str = ""
    """One sentence for the user; empty where all is well."""
    pid: int | None = None
    """Process that holds the cluster; ending it ends the cluster."""


@dataclass(frozen=True, slots=True)
class ClusterImage:
    """An image as the node knows it."""

    reference: str
    digest: str
    size: int = 0
    """Bytes of the content."""
    pinned: bool = False
    """True where the node keeps the image also when its disk is full."""


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """The memory of the running cluster, pods included."""

    pss_bytes: int
    """Proportional set size, in which a page that several processes share counts once; drivers that cannot
    measure it return the closest they have.
    """
    by_process: Mapping[str, int] = field(default_factory=dict)


class ClusterDriver(Protocol):
    """The interface of a driver. The module's text says what each verb promises.

    Drivers do not inherit from this class; mypy compares them with it where the registry makes them.
    """

    @property
    def name(self) -> str: ...

    @property
    def kubeconfig(self) -> Path: ...

    @property
    def node_ip(self) -> str:
        """Return the node's address, reachable from this machine only; known after the first ``create``."""
        ...

    @property
    def service_cidr(self) -> str: ...

    @property
    def dns_ip(self) -> str: ...

    @property
    def volumes_root(self) -> str:
        """Return the folder on the node for the volumes that the box's provisioner makes."""
        ...

    @property
    def devices(self) -> str:
        """Return the folder on the node with the machine's device nodes."""
        ...

    @property
    def runtime_classes(self) -> dict[str, str]:
        """Return handler names by role: ``algorithm``, ``configuration``, ``publishing``. Empty where the
        nodes are not ours: there, NetworkPolicies and each job's isolation report are all there is.
        """
        ...

    @property
    def registry(self) -> str:
        """Return the registry from which nodes take images (``host:port/path``); empty: images lie on the
        node itself.
        """
        ...

    def create(self) -> Progress[None]: ...

    def stop(self) -> Progress[None]: ...

    def delete(self) -> Progress[None]: ...

    def status(self) -> ClusterStatus: ...

    def load_image(self, archive: Path) -> Progress[str]: ...

    def list_images(self) -> list[ClusterImage]: ...

    def publish_ports(self, ports: Mapping[int, int]) -> None: ...

    def allow_endpoints(self, isolation: JobIsolation) -> None: ...

    def read_logs(self, component: str, lines: int = 200) -> str: ...

    def resource_usage(self) -> ResourceUsage: ...
