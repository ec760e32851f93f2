"""The kind driver: a node that is one container, made by the real kind command.

kind makes the cluster; the box's isolation, networks and devices are placed on the node over the Docker SDK
and put in force by a unit of its init, so that they hold again whenever the container starts, before any
pod can. A Docker network per box keeps boxes apart.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from c2d_box.errors import C2DError, EnvironmentProblem, Failed, StateProblem
from c2d_box.files import replace_private_file
from sandbox import docker_engine
from sandbox.clusters.archive_names import read_archive
from sandbox.clusters.driver_record import Options
from sandbox.clusters.kind import addresses, api, configuration, node
from sandbox.clusters.kind.record import Record
from sandbox.clusters.kind.tool import Kind, Tool, installed
from sandbox.clusters.layout import Layout
from sandbox.clusters.port import ClusterImage, ClusterStatus, ComponentStatus, Isolation, Resources
from sandbox.home import Home
from sandbox.progress import Event, Progress

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

TAKES_IMAGES = "cluster.containerd"
READY_PATIENCE = 180.0
STOP_SECONDS = 15
NOT_ISOLATED = "JOBS ARE NOT ISOLATED IN THIS BOX: it exists for tests that must see themselves fail."


class Programs(Protocol):
    """The part of a bundle that this driver needs."""

    def binary(self, name: str) -> Path: ...

    def node_image(self) -> Any:
        """Return the bundle's own node image, or None: kind pulls its own."""
        ...


class KindCluster:
    """A kind cluster for ``home``. See ``sandbox.clusters.port`` for the contract.

    ``ports`` (host port → NodePort) are fixed when the node is made.
    """

    def __init__(
        self,
        home: Home,
        bundle: Programs,
        name: str = "c2d",
        ports: Mapping[int, int] | None = None,
        options: Options | None = None,
    ) -> None:
        self.home = home
        self.name = name
        self._bundle = bundle
        self._ports = dict(ports or {})
        self._options = options or Options()
        self._layout = Layout(home, name)

    @property
    def kubeconfig(self) -> Path:
        return self.home.kubeconfig

    @property
    def node_ip(self) -> str:
        record, client = self._record(), docker_engine.connect()
        return node.address(self._running(client, record), record.cluster)

    @property
    def service_cidr(self) -> str:
        return addresses.SERVICES

    @property
    def dns_ip(self) -> str:
        return addresses.DNS

    @property
    def volumes_root(self) -> str:
        return configuration.VOLUMES

    @property
    def devices(self) -> str:
        return configuration.DEVICES

    @property
    def registry(self) -> str:
        return ""

    @property
    def runtime_classes(self) -> dict[str, str]:
        return self._new_record().runtime_classes

    def _new_record(self) -> Record:
        return Record(self.name, self._layout.control_group, ports=self._ports, options=self._options)

    def _record(self) -> Record:
        record = Record.load(self._layout.record)
        if record is None:
            raise StateProblem(
                "C2D-NO-CLUSTER", f"There is no cluster in {self.home.path}.", "Create it with `c2d-box up`."
            )
        return record

    # -- create, stop, delete ------------------------------------------------------------------------------

    def create(self) -> Progress[None]:
        self._layout.check()
        client = docker_engine.connect()
        docker_engine.require_new_enough(client)
        record = Record.load(self._layout.record)
        if record is not None and record.phase == "creating":
            yield Event("cluster.sweep", "started", "taking away what was half made")
            self._sweep(client, record)
            yield Event("cluster.sweep", "done")
            record = None
        if record is None:
            yield from self._make(client)
            return
        container = docker_engine.container(client, record.node)
        if container is None:
            raise StateProblem(
                "C2D-NODE-GONE",
                f"The node's container {record.node} was removed, and the box's state with it.",
                "Forget the box with `c2d-box reset`, then `c2d-box up` makes a new one.",
            )
        yield from self._resume(client, record, container)

    def _make(self, client: DockerClient) -> Progress[None]:
        began = time.monotonic()
        self._layout.root.mkdir(parents=True, exist_ok=True)
        record = self._new_record().changed(cgroups=docker_engine.cgroups(client))
        record.save(self._layout.record)
        if record.options.isolation_off:
            yield Event("cluster.isolation", "note", NOT_ISOLATED)
        image = yield from self._node_image(client)
        docker_engine.ensure_network(client, record.cluster, str(self.home.path))
        tool, taking = self._tool(record), False
        wanted = self._layout.root / "wanted.json"
        replace_private_file(wanted, json.dumps(self._wanted(record), indent=1))
        yield Event("cluster.tool", "started", f"{tool.name} create cluster")
        for text in tool.create(wanted, self._layout.root / "kubeconfig", image):
            yield Event("cluster.tool", "progress", text)
            if tool.takes_images and text.startswith(tool.takes_images) and not taking:
                taking = True
                docker_engine.weigh(self._running(client, record))
                yield Event(TAKES_IMAGES, "done", "the node takes images")
        yield Event("cluster.tool", "done", seconds=time.monotonic() - began)
        container = self._running(client, record)
        self._require_handlers(container, record)
        self._furnish(container, record)
        self._keep_kubeconfig(tool.kubeconfig())
        self._settle()
        yield from self._until_ready(record)
        record.changed(phase="created").save(self._layout.record)
        yield Event("cluster", "done", seconds=time.monotonic() - began)

    def _resume(self, client: DockerClient, record: Record, container: Container) -> Progress[None]:
        if record.ports != self._ports and self._ports:
            raise _ports_fixed(record.ports)
        if container.status == "running" and api.answers(self.kubeconfig):
            yield Event("cluster", "skipped", "the cluster is running")
            return
        began, since = time.monotonic(), time.time()
        yield Event("cluster.node", "started", f"starting the container {record.node}")
        with docker_engine.coded():
            container.start()
        self._await_started(container)
        self._furnish(container, record)
        yield Event("cluster.node", "done")
        yield Event(TAKES_IMAGES, "done", "the node takes images")
        self._keep_kubeconfig(self._tool(record).kubeconfig())
        yield from self._until_ready(record, since)
        yield Event("cluster", "done", seconds=time.monotonic() - began)

    def stop(self) -> Progress[None]:
        record = Record.load(self._layout.record)
        if record is None:
            return
        client = self._engine_or_none()
        if client is None:
            yield Event("cluster.stop", "note", "no Docker engine answers, so no container of this box runs")
            return
        if record.phase == "creating":
            self._sweep(client, record)
            self._forget()
            return
        container = docker_engine.container(client, record.node)
        if container is not None and container.status in ("running", "paused", "restarting"):
            yield Event("cluster.stop", "started", f"stopping the container {record.node}")
            with docker_engine.coded():
                container.stop(timeout=STOP_SECONDS)
            yield Event("cluster.stop", "done")

    def delete(self) -> Progress[None]:
        record = Record.load(self._layout.record)
        if record is not None:
            yield Event("cluster.delete", "started", "forgetting the cluster's state")
            client = self._engine_or_none()
            if client is None:
                yield Event(
                    "cluster.delete",
                    "note",
                    f"no Docker engine answers: once it does, `c2d-box doctor --fix` removes {record.node}",
                )
            else:
                self._sweep(client, record)
            yield Event("cluster.delete", "done")
        self._forget()

    def _forget(self) -> None:
        shutil.rmtree(self._layout.root, ignore_errors=True)
        self.kubeconfig.unlink(missing_ok=True)

    def _sweep(self, client: DockerClient, record: Record) -> None:
        """Remove what `kind delete cluster` removes, and the network; works on half a cluster too."""
        docker_engine.remove_box(client, record.cluster)

    def _engine_or_none(self) -> DockerClient | None:
        try:
            return docker_engine.connect()
        except EnvironmentProblem as problem:
            if problem.code != "C2D-DOCKER-UNREACHABLE":
                raise
            return None

    # -- parts of creating ---------------------------------------------------------------------------------

    # What differs between kind and k3d; ``sandbox.clusters.k3d.driver`` has its own of these.

    def _tool(self, record: Record) -> Tool:
        return Kind(installed() or self._bundle.binary("kind"), record.cluster)

    def _wanted(self, record: Record) -> dict[str, Any]:
        return configuration.cluster(record)

    def _require_handlers(self, container: Container, record: Record) -> None:
        node.require_handlers(container, list(record.runtime_classes.values()))

    def _furnish(self, container: Container, record: Record) -> None:
        """Install the isolation on the node and put it in force, now and at every start of the node."""
        node.place(container, configuration.node_files(record))
        node.enforce(container)

    def _settle(self) -> None:
        """Adjust the components that the tool itself put into the cluster."""
        api.settle(self.kubeconfig)

    def _await_started(self, container: Container) -> None:
        node.await_started(container)

    def _parts(self, container: Container) -> tuple[ComponentStatus, ...]:
        return node.components(container, api.answers(self.kubeconfig))

    def _load(self, record: Record, container: Container, archive: Path) -> None:
        self._tool(record).load(archive)

    def _apply_rules(self, container: Container, record: Record) -> None:
        rules = f"{configuration.FOLDER}/rules.nft"
        node.place(container, {rules: (configuration.rules_of(record), 0o600)})
        docker_engine.execute(container, "nft", "-f", rules)

    def _logs(self, container: Container, component: str, lines: int) -> str:
        return node.logs(container, component, lines)

    def _node_image(self, client: DockerClient) -> Progress[str | None]:
        """Bring the bundle's node image to the engine; return None where there is none: kind has its own."""
        image = self._bundle.node_image()
        if image is None:
            return None
        import docker.errors

        with docker_engine.coded():
            try:
                present = client.images.get(image.reference).id
            except docker.errors.ImageNotFound:
                present = None
        if present != image.id:
            began = time.monotonic()
            yield Event("cluster.node-image", "started", "bringing the node image to the Docker engine")
            with docker_engine.coded(), image.archive.open("rb") as stream:
                client.images.load(stream)
            yield Event("cluster.node-image", "done", seconds=time.monotonic() - began)
        return str(image.reference)

    def _keep_kubeconfig(self, text: str) -> None:
        replace_private_file(self.kubeconfig, text)

    def _until_ready(self, record: Record, since: float = 0.0) -> Progress[None]:
        """Wait until the node is ready by a report after ``since`` (Unix seconds), so after a restart."""
        began = time.monotonic()
        yield Event("cluster.ready", "started", "waiting for the node")
        while not api.reports_ready_node(self.kubeconfig, record.node, since):
            if time.monotonic() - began > READY_PATIENCE:
                raise Failed(
                    "C2D-NODE-NOT-READY",
                    f"The node {record.node} is not Ready after {READY_PATIENCE:.0f} s.",
                    "c2d-box logs kubelet; then c2d-box up goes on from here",
                )
            time.sleep(0.2)
        yield Event("cluster.ready", "done", seconds=time.monotonic() - began)

    def _running(self, client: DockerClient, record: Record) -> Container:
        container = docker_engine.container(client, record.node)
        if container is None or container.status != "running":
            raise StateProblem("C2D-NOT-RUNNING", "The box is not running.", "Start it with `c2d-box up`.")
        return container

    # -- while it runs -------------------------------------------------------------------------------------

    def status(self) -> ClusterStatus:
        record = Record.load(self._layout.record)
        if record is None:
            return ClusterStatus("absent")
        try:
            client = docker_engine.connect(timeout=5)
            container = docker_engine.container(client, record.node)
        except C2DError as problem:
            return ClusterStatus("stopped", detail=f"{problem.message} {problem.next_step}")
        if container is None:
            state = "absent" if record.phase == "creating" else "failed"
            return ClusterStatus(state, detail=f"the container {record.node} is gone")  # type: ignore[arg-type]
        parts = self._parts(container)
        return ClusterStatus(
            _state(record, parts), parts, NOT_ISOLATED if record.options.isolation_off else ""
        )

    def load_image(self, archive: Path) -> Progress[str]:
        began = time.monotonic()
        image = read_archive(archive)
        record = self._record()
        container = self._running(docker_engine.connect(), record)
        yield Event("cluster.image", "started", f"importing {archive.name}")
        present = {item.reference: item.digest for item in node.images(container)}
        if present.get(image.reference) != image.digest:
            self._load(record, container, archive)
        if present.get(image.by_digest) != image.digest:
            node.tag_by_digest(container, image)
        node.pin(container)
        yield Event(
            "cluster.image", "done", f"{archive.name} is in the cluster", seconds=time.monotonic() - began
        )
        return image.digest

    def images(self) -> list[ClusterImage]:
        record = self._known()
        return node.images(self._running(docker_engine.connect(), record))

    def publish(self, ports: Mapping[int, int]) -> None:
        record = self._known()
        if any(record.ports.get(host) != target for host, target in ports.items()):
            raise _ports_fixed(record.ports)

    def allow(self, isolation: Isolation) -> None:
        record = self._known().changed(isolation=isolation)
        container = self._running(docker_engine.connect(), record)
        record.save(self._layout.record)
        self._apply_rules(container, record)

    def logs(self, component: str, lines: int = 200) -> str:
        return self._logs(self._running(docker_engine.connect(), self._known()), component, lines)

    def resources(self) -> Resources:
        """Return the node's memory as Docker counts it, less page cache: a PSS sum cannot be had there."""
        record = self._known()
        client = docker_engine.connect()
        used = docker_engine.memory(client, self._running(client, record))
        return Resources(used, {record.node: used})

    def _known(self) -> Record:
        record = Record.load(self._layout.record)
        if record is None:
            raise StateProblem("C2D-NOT-RUNNING", "The box is not running.", "Start it with `c2d-box up`.")
        return record


def _state(record: Record, parts: tuple[ComponentStatus, ...]) -> Any:
    if parts[0].state != "ready":
        return "stopped"
    if record.phase == "creating":
        return "starting"
    return "running" if all(part.state == "ready" for part in parts) else "degraded"


def _ports_fixed(ports: Mapping[int, int]) -> StateProblem:
    return StateProblem(
        "C2D-PORTS-FIXED",
        f"The node publishes {', '.join(map(str, sorted(ports))) or 'no ports'}, fixed when it was made.",
        "Forget the box with `c2d-box reset` and choose the ports at its next `up`, or make another box.",
    )
