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
from sandbox.clusters.driver_record import NOT_ISOLATED, ClusterOptions, not_running_error, require_record
from sandbox.clusters.kind import addresses, api, configuration, node
from sandbox.clusters.kind.record import KindRecord
from sandbox.clusters.kind.tool import ClusterTool, KindTool, installed_kind
from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.port import (
    TAKES_IMAGES,
    ClusterImage,
    ClusterStatus,
    ComponentStatus,
    JobIsolation,
    ResourceUsage,
)
from sandbox.home import BoxHome
from sandbox.progress import Progress, ProgressEvent

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

READY_PATIENCE = 180.0
"""Seconds for the node to become Ready once the tool is done."""
STOP_SECONDS = 15
"""Seconds that Docker gives the node's init before it kills the container."""


class KindPrograms(Protocol):
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
        home: BoxHome,
        bundle: KindPrograms,
        name: str = "c2d",
        ports: Mapping[int, int] | None = None,
        options: ClusterOptions | None = None,
    ) -> None:
        self.home = home
        self.name = name
        self._bundle = bundle
        # Empty where the caller names none: those in the record then stay.
        self._ports = dict(ports or {})
        self._options = options or ClusterOptions()
        self._layout = ClusterLayout(home, name)

    @property
    def kubeconfig(self) -> Path:
        return self.home.kubeconfig

    @property
    def node_ip(self) -> str:
        """Return the node's address on the box's own Docker network. It may change when the container
        restarts.
        """
        record, client = self._record(), docker_engine.connect_engine()
        return node.ip_address(self._running(client, record), record.cluster)

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

    def _new_record(self) -> KindRecord:
        """Return the record of a cluster that is not made yet, of this box's name, ports and options."""
        return KindRecord(self.name, self._layout.control_group, ports=self._ports, options=self._options)

    def _record(self) -> KindRecord:
        """Return the record; raise ``C2D-NO-CLUSTER`` where nothing was ever made."""
        return require_record(KindRecord.load_from(self._layout.record_file), self.home.path)

    # -- create, stop, delete ------------------------------------------------------------------------------

    def create(self) -> Progress[None]:
        """Make the cluster, or start what is there; see the contract.

        A record in the phase ``creating`` is one of an interrupted run: nothing tells how far it came, so all
        of it goes first.
        """
        self._layout.check_limits()
        client = docker_engine.connect_engine()
        docker_engine.require_new_enough(client)
        record = KindRecord.load_from(self._layout.record_file)
        if record is not None and record.phase == "creating":
            yield ProgressEvent("cluster.sweep", "started", "taking away what was half made")
            self._sweep_containers(client, record)
            yield ProgressEvent("cluster.sweep", "done")
            record = None
        if record is None:
            yield from self._make_cluster(client)
            return
        container = docker_engine.find_container(client, record.node_name)
        if container is None:
            raise StateProblem(
                "C2D-NODE-GONE",
                f"The node's container {record.node_name} was removed, and the box's state with it.",
                "Forget the box with `c2d-box reset`, then `c2d-box up` makes a new one.",
            )
        yield from self._resume_cluster(client, record, container)

    def _make_cluster(self, client: DockerClient) -> Progress[None]:
        """Make the cluster from nothing."""
        began = time.monotonic()
        self._layout.root.mkdir(parents=True, exist_ok=True)
        # Saved before anything exists: whatever ends this process, the next command knows what to sweep.
        record = self._new_record().with_values(cgroups=docker_engine.cgroup_version(client))
        record.save_record(self._layout.record_file)
        if record.options.isolation_off:
            yield ProgressEvent("cluster.isolation", "note", NOT_ISOLATED)
        image = yield from self._node_image(client)
        # Before kind, which would make the network itself, without the label that names the home.
        docker_engine.ensure_network(client, record.cluster, str(self.home.path))
        tool, taking = self._cluster_tool(record), False
        wanted = self._layout.root / "wanted.json"
        replace_private_file(wanted, json.dumps(self._cluster_document(record), indent=1))
        yield ProgressEvent("cluster.tool", "started", f"{tool.name} create cluster")
        # A kubeconfig of our own: without the option kind writes into the user's.
        for text in tool.create_cluster(wanted, self._layout.root / "kubeconfig", image):
            yield ProgressEvent("cluster.tool", "progress", text)
            if tool.takes_images and text.startswith(tool.takes_images) and not taking:
                taking = True
                # Now, not at the end: on a busy machine it is the start of the control plane that runs out of
                # time.
                docker_engine.set_cpu_weight(self._running(client, record))
                yield ProgressEvent(TAKES_IMAGES, "done", "the node takes images")
        yield ProgressEvent("cluster.tool", "done", seconds=time.monotonic() - began)
        container = self._running(client, record)
        self._require_handlers(container, record)
        self._install_isolation(container, record)
        self._keep_kubeconfig(tool.read_kubeconfig())
        self._tune_cluster()
        yield from self._until_ready(record)
        record.with_values(phase="created").save_record(self._layout.record_file)
        yield ProgressEvent("cluster", "done", seconds=time.monotonic() - began)

    def _resume_cluster(
        self, client: DockerClient, record: KindRecord, container: Container
    ) -> Progress[None]:
        """Start a container that was stopped, and put in force what it holds."""
        if record.ports != self._ports and self._ports:
            raise _ports_fixed(record.ports)
        # Both: a container can run with a control plane that never came up.
        if container.status == "running" and api.api_answers(self.kubeconfig):
            yield ProgressEvent("cluster", "skipped", "the cluster is running")
            return
        # The API server still lists the node as Ready from before the stop; reports older than this do not
        # count.
        began, since = time.monotonic(), time.time()
        yield ProgressEvent("cluster.node", "started", f"starting the container {record.node_name}")
        with docker_engine.coded_errors():
            container.start()
        self._await_started(container)
        self._install_isolation(container, record)
        yield ProgressEvent("cluster.node", "done")
        yield ProgressEvent(TAKES_IMAGES, "done", "the node takes images")
        self._keep_kubeconfig(self._cluster_tool(record).read_kubeconfig())
        yield from self._until_ready(record, since)
        yield ProgressEvent("cluster", "done", seconds=time.monotonic() - began)

    def stop(self) -> Progress[None]:
        """Stop the node's container; see the contract. Pods, images and etcd stay in it."""
        record = KindRecord.load_from(self._layout.record_file)
        if record is None:
            return
        client = self._engine_or_none()
        if client is None:
            yield ProgressEvent(
                "cluster.stop", "note", "no Docker engine answers, so no container of this box runs"
            )
            return
        if record.phase == "creating":
            self._sweep_containers(client, record)
            self._forget_state()
            return
        container = docker_engine.find_container(client, record.node_name)
        if container is not None and container.status in ("running", "paused", "restarting"):
            yield ProgressEvent("cluster.stop", "started", f"stopping the container {record.node_name}")
            with docker_engine.coded_errors():
                container.stop(timeout=STOP_SECONDS)
            yield ProgressEvent("cluster.stop", "done")

    def delete(self) -> Progress[None]:
        """Remove containers, volumes, network and record.

        Where no engine answers, the record goes all the same: the network's label lets ``doctor --fix``
        finish.
        """
        record = KindRecord.load_from(self._layout.record_file)
        if record is not None:
            yield ProgressEvent("cluster.delete", "started", "forgetting the cluster's state")
            client = self._engine_or_none()
            if client is None:
                yield ProgressEvent(
                    "cluster.delete",
                    "note",
                    "no Docker engine answers: once it does, "
                    f"`c2d-box doctor --fix` removes {record.node_name}",
                )
            else:
                self._sweep_containers(client, record)
            yield ProgressEvent("cluster.delete", "done")
        self._forget_state()

    def _forget_state(self) -> None:
        shutil.rmtree(self._layout.root, ignore_errors=True)
        self.kubeconfig.unlink(missing_ok=True)

    def _sweep_containers(self, client: DockerClient, record: KindRecord) -> None:
        """Remove what `kind delete cluster` removes, and the network; works on half a cluster too."""
        docker_engine.remove_box(client, record.cluster)

    def _engine_or_none(self) -> DockerClient | None:
        """Return a client; None where no engine runs. Other problems are raised: with a missing permission,
        say, the containers may well run.
        """
        try:
            return docker_engine.connect_engine()
        except EnvironmentProblem as problem:
            if problem.code != "C2D-DOCKER-UNREACHABLE":
                raise
            return None

    # -- parts of creating ---------------------------------------------------------------------------------

    # What differs between kind and k3d; ``sandbox.clusters.k3d.driver`` has its own of these.

    def _cluster_tool(self, record: KindRecord) -> ClusterTool:
        return KindTool(installed_kind() or self._bundle.binary("kind"), record.cluster)

    def _cluster_document(self, record: KindRecord) -> dict[str, Any]:
        return configuration.cluster_document(record)

    def _require_handlers(self, container: Container, record: KindRecord) -> None:
        """Check that the job classes' handlers are there. Otherwise the first sign would be pods that never
        start.
        """
        node.require_handlers(container, list(record.runtime_classes.values()))

    def _install_isolation(self, container: Container, record: KindRecord) -> None:
        """Install the isolation on the node and put it in force, now and at every start of the node."""
        node.write_files(container, configuration.node_files(record))
        node.enforce_isolation(container)

    def _tune_cluster(self) -> None:
        """Adjust the components that the tool itself put into the cluster."""
        api.tune_kubeadm(self.kubeconfig)

    def _await_started(self, container: Container) -> None:
        """Wait until commands can be run on the node."""
        node.await_started(container)

    def _component_statuses(self, container: Container) -> tuple[ComponentStatus, ...]:
        """Return the state of the node's components; the node itself is always the first."""
        return node.component_statuses(container, api.api_answers(self.kubeconfig))

    def _load(self, record: KindRecord, container: Container, archive: Path) -> None:
        """Import an archive with the tool's own command."""
        self._cluster_tool(record).load_archive(archive)

    def _apply_rules(self, container: Container, record: KindRecord) -> None:
        """Replace the packet rules, on the node's disk (for its next start) and in force."""
        rules = f"{configuration.FOLDER}/rules.nft"
        node.write_files(container, {rules: (configuration.rules_of(record), 0o600)})
        docker_engine.run_in_container(container, "nft", "-f", rules)

    def _component_logs(self, container: Container, component: str, lines: int) -> str:
        """Return the last lines of one component; raise for a name that has no log."""
        return node.component_logs(container, component, lines)

    def _node_image(self, client: DockerClient) -> Progress[str | None]:
        """Bring the bundle's node image to the engine; return None where there is none: kind has its own."""
        image = self._bundle.node_image()
        if image is None:
            return None
        import docker.errors

        with docker_engine.coded_errors():
            try:
                # Compared by id: an older bundle's node image may still have the same name.
                present = client.images.get(image.reference).id
            except docker.errors.ImageNotFound:
                present = None
        if present != image.id:
            began = time.monotonic()
            yield ProgressEvent(
                "cluster.node-image", "started", "bringing the node image to the Docker engine"
            )
            with docker_engine.coded_errors(), image.archive.open("rb") as stream:
                client.images.load(stream)
            yield ProgressEvent("cluster.node-image", "done", seconds=time.monotonic() - began)
        return str(image.reference)

    def _keep_kubeconfig(self, text: str) -> None:
        replace_private_file(self.kubeconfig, text)

    def _until_ready(self, record: KindRecord, since: float = 0.0) -> Progress[None]:
        """Wait until the node is ready by a report after ``since`` (Unix seconds), so after a restart."""
        began = time.monotonic()
        yield ProgressEvent("cluster.ready", "started", "waiting for the node")
        while not api.reports_ready_node(self.kubeconfig, record.node_name, since):
            if time.monotonic() - began > READY_PATIENCE:
                raise Failed(
                    "C2D-NODE-NOT-READY",
                    f"The node {record.node_name} is not Ready after {READY_PATIENCE:.0f} s.",
                    "c2d-box logs kubelet; then c2d-box up goes on from here",
                )
            time.sleep(0.2)
        yield ProgressEvent("cluster.ready", "done", seconds=time.monotonic() - began)

    def _running(self, client: DockerClient, record: KindRecord) -> Container:
        """Return the node's container; raise ``C2D-NOT-RUNNING`` for any state in which commands would
        fail.
        """
        container = docker_engine.find_container(client, record.node_name)
        if container is None or container.status != "running":
            raise not_running_error()
        return container

    # -- while it runs -------------------------------------------------------------------------------------

    def status(self) -> ClusterStatus:
        """Return the state; see the contract. It needs no lock and changes nothing."""
        record = KindRecord.load_from(self._layout.record_file)
        if record is None:
            return ClusterStatus("absent")
        try:
            # Short: screens ask every few seconds, and an engine that hangs must not stop them.
            client = docker_engine.connect_engine(timeout=5)
            container = docker_engine.find_container(client, record.node_name)
        except C2DError as problem:
            return ClusterStatus("stopped", detail=f"{problem.message} {problem.next_step}")
        if container is None:
            # A cluster whose making was interrupted is none; one that was made and lost its container lost
            # its data.
            state = "absent" if record.phase == "creating" else "failed"
            return ClusterStatus(state, detail=f"the container {record.node_name} is gone")  # type: ignore[arg-type]
        parts = self._component_statuses(container)
        return ClusterStatus(
            _cluster_state(record, parts), parts, NOT_ISOLATED if record.options.isolation_off else ""
        )

    def load_image(self, archive: Path) -> Progress[str]:
        """Import an archive, and give the image its second name by digest; see the contract."""
        began = time.monotonic()
        image = read_archive(archive)
        record = self._record()
        container = self._running(docker_engine.connect_engine(), record)
        yield ProgressEvent("cluster.image", "started", f"importing {archive.name}")
        # By digest, not by name: a rebuilt image has the old name.
        present = {item.reference: item.digest for item in node.list_images(container)}
        if present.get(image.reference) != image.digest:
            self._load(record, container, archive)
        # The tool's import makes the name with the tag only, and algorithms are named by digest.
        if present.get(image.by_digest) != image.digest:
            node.tag_by_digest(container, image)
        # After each import: the kubelet may choose an image to delete at any moment.
        node.pin_images(container)
        yield ProgressEvent(
            "cluster.image", "done", f"{archive.name} is in the cluster", seconds=time.monotonic() - began
        )
        return image.digest

    def list_images(self) -> list[ClusterImage]:
        """Return the images on the node, its own among them."""
        record = self._known_record()
        return node.list_images(self._running(docker_engine.connect_engine(), record))

    def publish_ports(self, ports: Mapping[int, int]) -> None:
        """Accept the ports that the node publishes already; refuse others (``C2D-PORTS-FIXED``). Docker
        cannot add a port to a container.
        """
        record = self._known_record()
        if any(record.ports.get(host) != target for host, target in ports.items()):
            raise _ports_fixed(record.ports)

    def allow_endpoints(self, isolation: JobIsolation) -> None:
        """Put a new list of endpoints in force for the two routed job classes. The rules come first: a record
        must not claim what nft refused.
        """
        record = self._known_record().with_values(isolation=isolation)
        container = self._running(docker_engine.connect_engine(), record)
        self._apply_rules(container, record)
        record.save_record(self._layout.record_file)

    def read_logs(self, component: str, lines: int = 200) -> str:
        return self._component_logs(
            self._running(docker_engine.connect_engine(), self._known_record()), component, lines
        )

    def resource_usage(self) -> ResourceUsage:
        """Return the node's memory as Docker counts it, less page cache: a PSS sum cannot be had there."""
        record = self._known_record()
        client = docker_engine.connect_engine()
        used = docker_engine.memory_bytes(client, self._running(client, record))
        return ResourceUsage(used, {record.node_name: used})

    def _known_record(self) -> KindRecord:
        """Return the record; raise ``C2D-NOT-RUNNING`` where there is none, for verbs of a running box."""
        record = KindRecord.load_from(self._layout.record_file)
        if record is None:
            raise not_running_error()
        return record


def _cluster_state(record: KindRecord, parts: tuple[ComponentStatus, ...]) -> Any:
    """Return the state of the whole. ``parts[0]`` is the node: without it the others say nothing."""
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
