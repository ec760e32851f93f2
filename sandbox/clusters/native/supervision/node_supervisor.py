"""The supervisor: boots the components, answers on the socket, stops everything in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from c2d_box.errors import C2DError, Failed
from c2d_box.files import replace_private_file
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.native.control_plane import configuration, kubeconfigs, pki
from sandbox.clusters.native.control_plane.api import connect_as_admin, mark_pods_unready
from sandbox.clusters.native.control_plane.components import ClusterComponent, all_components
from sandbox.clusters.native.control_plane.node_images import NodeImages
from sandbox.clusters.native.host import cgroups, network
from sandbox.clusters.native.record import NativeRecord
from sandbox.clusters.native.supervision import control_socket
from sandbox.clusters.native.supervision.component_process import LAST_LINES, SupervisedComponent, tail_log
from sandbox.clusters.native.supervision.resources import measure_memory
from sandbox.clusters.node_readiness import node_is_ready
from sandbox.clusters.port import JobIsolation
from sandbox.progress import ProgressEvent

PAUSE = "pause-image"
RULES = "job-rules"
PODS_MARKED = "pods-marked"
NODE_DEADLINE = 90.0
PERSISTENCE = 100
CONTAINER_PATIENCE = 2.5
LOG_CAP = 8 << 20
CLIENTS = ("controller-manager", "scheduler", "kubelet", "kube-proxy", "coredns")


def write_files(layout: ClusterLayout, record: NativeRecord) -> None:
    """Write everything the components read (certificates, configuration, program links), anew where it must
    be.
    """
    ranges = record.address_ranges
    pki.ensure_certificates(
        layout.pki_folder, pki.certificate_subjects(record.name, ranges.node_ip, ranges.api_service_ip)
    )
    texts = configuration.configuration_files(layout, record)
    for stem in CLIENTS:
        texts[f"{stem}.kubeconfig"] = kubeconfigs.kubeconfig_text(
            str(ranges.node_ip), layout.pki_folder, stem, record.name
        )
    for name, text in texts.items():
        path = layout.configuration_folder / name
        if not path.exists() or path.read_text() != text:
            replace_private_file(path, text, durable=False)
    admin = kubeconfigs.kubeconfig_text(str(ranges.node_ip), layout.pki_folder, "admin", record.name)
    replace_private_file(layout.home.kubeconfig, admin, record.owner)
    _link_programs(layout, record)
    for folder in (layout.etcd, layout.containerd, layout.kubelet, layout.logs_folder, layout.pod_logs):
        folder.mkdir(parents=True, exist_ok=True)
    layout.etcd.chmod(0o700)


def _link_programs(layout: ClusterLayout, record: NativeRecord) -> None:
    shutil.rmtree(layout.programs_folder, ignore_errors=True)
    for name, target in record.programs.items():
        link = layout.programs_folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


@dataclass(frozen=True, slots=True)
class HostHandles:
    """Handles of the machine outside the supervisor's namespaces."""

    network: int
    """File descriptor of the machine's network namespace."""
    anchor: Path
    """The anchor's folder in the machine's ``/proc``."""


class NodeSupervisor:
    """Boots and watches the components. It runs inside the box's namespaces; there is one per box."""

    def __init__(self, layout: ClusterLayout, record: NativeRecord, place: HostHandles) -> None:
        self.layout = layout
        self.record = record
        self.place = place
        self.events: list[ProgressEvent] = []
        self.news = asyncio.Condition()
        self.ended = asyncio.Event()
        self.gone = asyncio.Event()
        self.began = time.monotonic()
        self.booted = time.time()
        self.phase = "starting"
        self.problem: C2DError | None = None
        self.done = {name: asyncio.Event() for name in (PAUSE, RULES, PODS_MARKED)}
        self.parts = {
            part.name: SupervisedComponent(part, layout, place.network, self._component_changed)
            for part in all_components(layout, record)
        }
        self.images = NodeImages(record.programs["ctr"])
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loading = asyncio.Lock()

    def _needed_events(self, part: ClusterComponent) -> list[asyncio.Event]:
        extra = (PAUSE, RULES, PODS_MARKED) if part.name == "kubelet" else ()
        return [self.parts[name].ready for name in part.needs] + [self.done[name] for name in extra]

    def _component_changed(self, part: SupervisedComponent) -> None:
        if part.state == "ready":
            self._add_event(
                ProgressEvent(f"cluster.{part.name}", "done", f"{part.name} is ready", seconds=part.took)
            )
        elif part.state == "starting" and not part.restarts:
            self._add_event(ProgressEvent(f"cluster.{part.name}", "started", f"starting {part.name}"))
        elif part.state == "backing-off":
            self._add_event(
                ProgressEvent(f"cluster.{part.name}", "note", f"{part.name} ended: {part.last_error}")
            )
        self._write_components()

    def _write_components(self) -> None:
        """Write the components' state to a file, for readers while the socket does not answer. Errors are
        ignored: a full disk must not end a component's supervision.
        """
        value = [asdict(part.status()) for part in self.parts.values()]
        with contextlib.suppress(OSError):
            replace_private_file(
                self.layout.components_file, json.dumps(value), self.record.owner, durable=False
            )

    def _add_event(self, event: ProgressEvent) -> None:
        self.events.append(event)
        self._start_task(self._wake_followers())

    async def _wake_followers(self) -> None:
        async with self.news:
            self.news.notify_all()

    def _start_task(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run_until_stopped(self, serving: Callable[[], None]) -> None:
        """Run until a request stops the box."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: self._start_task(self.stop_components()))
        self.layout.supervisor_socket.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(
            self._serve_connection, self.layout.supervisor_socket, limit=control_socket.LONGEST_LINE
        )
        self.layout.supervisor_socket.chmod(0o600)
        os.chown(self.layout.supervisor_socket, *self.record.owner)
        serving()
        for part in self.parts.values():
            self._start_task(self._keep_component(part))
        self._start_task(self._boot_node())
        self._start_task(self._rotate_logs())
        await self.gone.wait()
        server.close()
        self.layout.supervisor_socket.unlink(missing_ok=True)

    async def _keep_component(self, part: SupervisedComponent) -> None:
        """Supervise a component; if the supervision itself raises, mark it, or the boot would wait for it in
        vain.
        """
        try:
            await part.keep_running(self._needed_events(part.component))
        except Exception as problem:
            traceback.print_exc()
            part.last_error = f"its supervision ended: {type(problem).__name__}: {problem}"
            part.hopeless.set()

    async def _boot_node(self) -> None:
        try:
            await asyncio.gather(self._prepare_node(), self._await_node())
        except C2DError as problem:
            self._note_failure(problem)
            return
        except Exception as problem:
            traceback.print_exc()
            self._note_failure(control_socket.unforeseen_error(problem, self.layout.log_file("supervisor")))
            return
        if self.phase != "stopping":
            self.phase = "running"
            total = time.monotonic() - self.began
            self._add_event(ProgressEvent("cluster", "done", "the node is Ready", seconds=total))

    def _note_failure(self, problem: C2DError) -> None:
        """Record a failure of the boot, except during a stop: errors that the stop causes are not the boot's
        failure.
        """
        if self.phase != "stopping":
            self.phase, self.problem = "failed", problem
            self._add_event(ProgressEvent("cluster", "failed", problem.message))

    async def _prepare_node(self) -> None:
        """Set up what must hold before the first pod: the rules, and the image every pod begins with."""
        await asyncio.to_thread(network.load_rules, self.layout, self.record)
        self.done[RULES].set()
        await self._await_component("containerd")
        await asyncio.to_thread(self.images.load_archive, Path(self.record.pause_archive))
        self.done[PAUSE].set()

    async def _await_component(self, name: str) -> None:
        """Wait for a component; raise when it has been given up."""
        part = self.parts[name]
        waits = [asyncio.ensure_future(event.wait()) for event in (part.ready, part.hopeless)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not part.ready.is_set():
            log = tail_log(self.layout.log_file(name), LAST_LINES)
            raise Failed(
                "C2D-COMPONENT-FAILED",
                f"{name} will not start: {part.last_error or 'no reason given'}\n{log}".rstrip(),
                f"Look at `c2d-box logs {name}` and at `c2d-box doctor`, then try again.",
            )

    async def _await_node(self) -> None:
        for name in ("etcd", "kube-apiserver"):
            await self._await_component(name)
        kube = connect_as_admin(str(self.record.address_ranges.node_ip), self.layout.pki_folder)
        self._start_task(self._grant_dns(kube))
        await asyncio.to_thread(_call_succeeds, partial(mark_pods_unready, kube, self.record.name))
        self.done[PODS_MARKED].set()
        for name in ("kubelet", "kube-proxy", "forwarder"):
            await self._await_component(name)
        end = time.monotonic() + NODE_DEADLINE
        while not await asyncio.to_thread(node_is_ready, kube, self.record.name, self.booted):
            if time.monotonic() > end:
                log = tail_log(self.layout.log_file("kubelet"), LAST_LINES)
                raise Failed(
                    "C2D-NODE-NOT-READY",
                    f"The node is not Ready after {NODE_DEADLINE:.0f} s.\n{log}",
                    "Look at `c2d-box logs kubelet`.",
                )
            await asyncio.sleep(0.03)
        await self._await_component("coredns")
        for name in ("kube-controller-manager", "kube-scheduler"):
            await self._await_component(name)

    async def _grant_dns(self, kube: KubeApi) -> None:
        """Let the name server read Services and their endpoints, nothing else."""
        kinds = "/apis/rbac.authorization.k8s.io/v1"
        name = "c2d-box:coredns"
        reads = [
            {"apiGroups": [""], "resources": ["services", "namespaces"], "verbs": ["list", "watch"]},
            {
                "apiGroups": ["discovery.k8s.io"],
                "resources": ["endpointslices"],
                "verbs": ["list", "watch"],
            },
        ]
        group = "rbac.authorization.k8s.io"
        role = {"kind": "ClusterRole", "metadata": {"name": name}, "rules": reads}
        binding = {
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": name}],
        }
        for path, body in ((f"{kinds}/clusterroles", role), (f"{kinds}/clusterrolebindings", binding)):
            for _ in range(PERSISTENCE):
                if await asyncio.to_thread(_call_succeeds, partial(kube.create_object, path, body)):
                    break
                await asyncio.sleep(0.1)

    async def _rotate_logs(self) -> None:
        """Keep each component's log below its cap; they append, so cutting the file is safe."""
        while True:
            await asyncio.sleep(10)
            for log in self.layout.logs_folder.glob("*.log"):
                if log.stat().st_size > LOG_CAP:
                    with contextlib.suppress(OSError):  # no space for the copy: the log is cut all the more
                        shutil.copyfile(log, log.with_suffix(".log.1"))
                    os.truncate(log, 0)

    async def stop_components(self) -> None:
        """Stop everything: controllers first, so that nothing is started again; then containers; then what
        holds the state.
        """
        if self.phase == "stopping":
            return
        self.phase = "stopping"
        self._add_event(ProgressEvent("cluster.stop", "started", "stopping pods and components"))
        for part in self.parts.values():
            part.stopping = True
        first = ("kubelet", "kube-scheduler", "kube-controller-manager", "kube-proxy", "coredns", "forwarder")
        await asyncio.gather(
            *(self.parts[name].end_process(signal.SIGTERM, 0.5) for name in first), self._end_containers()
        )
        await self.parts["kube-apiserver"].end_process(signal.SIGTERM, 0.2)
        await asyncio.gather(
            self.parts["containerd"].end_process(signal.SIGTERM, 1.0),
            self.parts["etcd"].end_process(signal.SIGTERM, 2.0),
        )
        self._write_components()
        self._add_event(ProgressEvent("cluster.stop", "done", "stopped"))
        self.ended.set()
        await asyncio.sleep(0.1)
        self.gone.set()

    async def _end_containers(self) -> None:
        """Send SIGTERM to each container's first process, then wait for a limited time."""
        group = self.layout.control_group
        for pid in await asyncio.to_thread(cgroups.container_inits, group):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + CONTAINER_PATIENCE
        while time.monotonic() < end:
            if not await asyncio.to_thread(cgroups.container_inits, group):
                return
            await asyncio.sleep(0.05)

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await reader.readline())
            result = await self._answer_request(request, writer)
            writer.write(control_socket.encode_line({"result": result}))
        except C2DError as problem:
            writer.write(control_socket.encode_line({"error": control_socket.error_value(problem)}))
        except (ConnectionError, ValueError):
            pass
        except Exception as problem:
            traceback.print_exc()
            failed = control_socket.unforeseen_error(problem, self.layout.log_file("supervisor"))
            writer.write(control_socket.encode_line({"error": control_socket.error_value(failed)}))
        finally:
            with contextlib.suppress(ConnectionError):
                await writer.drain()
                writer.close()

    async def _answer_request(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> Any:
        verb = request.get("verb")
        if verb == "status":
            return self._status_report()
        if verb == "follow-boot":
            return await self._send_events(writer, 0, lambda: self.phase in ("running", "failed"))
        if verb == "stop":
            seen = len(self.events)
            self._start_task(self.stop_components())
            return await self._send_events(writer, seen, lambda: self.ended.is_set())
        if verb == "load-image":
            async with self._loading:
                return await asyncio.to_thread(self.images.load_archive, Path(request["archive"]))
        if verb == "images":
            return [asdict(image) for image in await asyncio.to_thread(self.images.list_images)]
        if verb == "publish":
            return self._publish_ports({int(host): int(node) for host, node in request["ports"].items()})
        if verb == "allow":
            return await self._allow_endpoints(JobIsolation.from_dict(request["isolation"]))
        if verb == "resources":
            return await asyncio.to_thread(measure_memory, self.place.anchor)
        raise Failed(
            "C2D-UNKNOWN-VERB", f"The supervisor does not know '{verb}'.", "Use one version of c2d-box."
        )

    def _status_report(self) -> dict[str, Any]:
        return {
            "phase": self.phase,
            "problem": control_socket.error_value(self.problem) if self.problem else None,
            "components": [asdict(part.status()) for part in self.parts.values()],
            "isolation_off": self.record.options.isolation_off,
        }

    async def _send_events(self, writer: asyncio.StreamWriter, sent: int, enough: Callable[[], bool]) -> None:
        """Send the events of this run from number ``sent`` on, then new ones until ``enough``."""
        while True:
            for event in self.events[sent:]:
                writer.write(control_socket.event_line(event))
            sent = len(self.events)
            await writer.drain()
            if enough():
                break
            async with self.news:
                if sent == len(self.events) and not enough():
                    await self.news.wait()
        if self.problem is not None and self.phase == "failed":
            raise self.problem

    def _save_record(self, record: NativeRecord) -> None:
        self.record = record
        record.save_record(self.layout.record_file)

    def _publish_ports(self, ports: dict[int, int]) -> None:
        self._save_record(self.record.with_values(ports=ports))
        replace_private_file(
            self.layout.configuration_folder / "forwards.json", configuration.forwards_json(self.record)
        )
        self.parts["forwarder"].send_signal(signal.SIGHUP)

    async def _allow_endpoints(self, isolation: JobIsolation) -> None:
        changed = self.record.with_values(isolation=isolation)
        await asyncio.to_thread(network.load_rules, self.layout, changed)
        self._save_record(changed)


def _call_succeeds(call: Callable[[], None]) -> bool:
    """Return whether a call of the API server went through."""
    try:
        call()
    except C2DError:
        return False
    return True
