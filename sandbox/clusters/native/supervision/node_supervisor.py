"""The supervisor: boots the components, answers on the socket, stops everything in order.

One asyncio loop; what blocks (readiness checks, containerd's client, nft) runs in threads. It is root inside
the box's namespaces, so a request on the socket can do no more than the verbs below.
"""

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
from sandbox.clusters.archive_names import missing_archive
from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.log_tail import tail_log
from sandbox.clusters.native.control_plane import configuration, kubeconfigs, pki
from sandbox.clusters.native.control_plane.api import connect_as_admin, mark_pods_unready
from sandbox.clusters.native.control_plane.components import ClusterComponent, all_components
from sandbox.clusters.native.control_plane.node_images import NodeImages
from sandbox.clusters.native.host import cgroups, network
from sandbox.clusters.native.record import NativeRecord
from sandbox.clusters.native.supervision import control_socket
from sandbox.clusters.native.supervision.component_process import LAST_LINES, SupervisedComponent
from sandbox.clusters.native.supervision.resources import measure_memory
from sandbox.clusters.node_readiness import node_is_ready
from sandbox.clusters.port import JobIsolation
from sandbox.progress import ProgressEvent

PAUSE = "pause-image"
"""Name of a condition of the kubelet: the image with which every pod begins is on the node."""
RULES = "job-rules"
"""Name of a condition of the kubelet: the packet rules are in force."""
PODS_MARKED = "pods-marked"
"""Name of a condition of the kubelet: pods of an earlier run do not count as ready any more."""
NODE_DEADLINE = 90.0
"""Seconds from the components' readiness to the node's."""
PERSISTENCE = 100
"""Tries of a call that an API server may refuse right after its start, a tenth of a second apart."""
CONTAINER_PATIENCE = 2.5
"""Seconds for containers to end after SIGTERM; what is left is killed with the namespaces."""
LOG_CAP = 8 << 20
"""Bytes at which a component's log is cut; one older piece is kept."""
CLIENTS = ("controller-manager", "scheduler", "kubelet", "kube-proxy", "coredns")
"""Components that speak to the API server and so need a kubeconfig."""


def write_files(layout: ClusterLayout, record: NativeRecord) -> None:
    """Write everything the components read (certificates, configuration, program links), anew where it must
    be.

    Called inside the box's namespaces, before the supervisor starts.
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
            # Not synced: whatever is lost or cut short is written again at the next start.
            replace_private_file(path, text, durable=False)
    # The one kubeconfig that is the user's; it lies in the home.
    admin = kubeconfigs.kubeconfig_text(str(ranges.node_ip), layout.pki_folder, "admin", record.name)
    replace_private_file(layout.home.kubeconfig, admin, record.owner)
    _link_programs(layout, record)
    for folder in (layout.etcd, layout.containerd, layout.kubelet, layout.logs_folder, layout.pod_logs):
        folder.mkdir(parents=True, exist_ok=True)
    # All Secrets are in it; etcd itself asks for a folder that is closed to others.
    layout.etcd.chmod(0o700)


def _link_programs(layout: ClusterLayout, record: NativeRecord) -> None:
    """Link the bundle's programs into one folder of the box.

    containerd and runc look for each other, and for network plugins, by folder; the cache has one folder per
    part.
    """
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
        """Return what a component waits for before its first start."""
        # The kubelet starts pods as soon as it can, those of an earlier run too: all that isolates them comes
        # first.
        extra = (PAUSE, RULES, PODS_MARKED) if part.name == "kubelet" else ()
        return [self.parts[name].ready for name in part.needs] + [self.done[name] for name in extra]

    def _component_changed(self, part: SupervisedComponent) -> None:
        """Turn a component's change of state into an event, and write the states down."""
        if part.state == "ready":
            self._add_event(
                ProgressEvent(f"cluster.{part.name}", "done", f"{part.name} is ready", seconds=part.took)
            )
        # Restarts are told by the note on the end before; a second "started" would open the step again.
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
        """Append an event; followers of a boot or a stop are sent it. Events are kept, so that a late
        follower sees all.
        """
        self.events.append(event)
        self._start_task(self._wake_followers())

    async def _wake_followers(self) -> None:
        async with self.news:
            self.news.notify_all()

    def _start_task(self, work: Awaitable[Any]) -> None:
        """Start a task and hold it: asyncio itself keeps only a weak reference, and would let it vanish."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run_until_stopped(self, serving: Callable[[], None]) -> None:
        """Run until a request, or a signal, stops the box. ``serving`` is called once the socket answers."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: self._start_task(self.stop_components()))
        self.layout.supervisor_socket.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(
            self._serve_connection, self.layout.supervisor_socket, limit=control_socket.LONGEST_LINE
        )
        # The folder around it is 0700, so nobody else can have connected before this line.
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
        """Wait for everything that makes the node ready, and set the phase to what came of it."""
        try:
            # At the same time: containerd needs nothing of the API server, and the kubelet waits for both.
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
        # The record's isolation, so what was allowed in an earlier run; nothing is open in between.
        await asyncio.to_thread(network.load_rules, self.layout, self.record)
        self.done[RULES].set()
        await self._await_component("containerd")
        await asyncio.to_thread(self.images.load_archive, Path(self.record.pause_archive))
        self.done[PAUSE].set()

    async def _await_component(self, name: str) -> None:
        """Wait for a component; raise when it has been given up."""
        part = self.parts[name]
        # Whichever comes first: an event that is never set must not hang the boot.
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
        """Wait for the components in the order in which they can become ready, then for the node itself."""
        for name in ("etcd", "kube-apiserver"):
            await self._await_component(name)
        kube = connect_as_admin(str(self.record.address_ranges.node_ip), self.layout.pki_folder)
        # Beside the boot: DNS is awaited below, with time to spare.
        self._start_task(self._grant_dns(kube))
        # Also where it fails: the kubelet must start, and corrects each pod within seconds.
        await asyncio.to_thread(_call_succeeds, partial(mark_pods_unready, kube, self.record.name))
        self.done[PODS_MARKED].set()
        for name in ("kubelet", "kube-proxy", "forwarder"):
            await self._await_component(name)
        end = time.monotonic() + NODE_DEADLINE
        # Reports from before this start do not count: etcd still holds the last one.
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
        """Let the name server read Services and their endpoints, nothing else.

        Repeated until it succeeds, for some seconds: an API server that has just started may refuse.
        """
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
            # No rename: the process would go on writing to the renamed file.
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
        # Before the first signal, so that errors from here on are not taken for a failed boot.
        self.phase = "stopping"
        self._add_event(ProgressEvent("cluster.stop", "started", "stopping pods and components"))
        for part in self.parts.values():
            part.stopping = True
        # The kubelet first of all: it would start again the containers that are ended beside this.
        first = ("kubelet", "kube-scheduler", "kube-controller-manager", "kube-proxy", "coredns", "forwarder")
        await asyncio.gather(
            *(self.parts[name].end_process(signal.SIGTERM, 0.5) for name in first), self._end_containers()
        )
        # Briefly: what it has acknowledged is in etcd, so its own graceful end would add nothing.
        await self.parts["kube-apiserver"].end_process(signal.SIGTERM, 0.2)
        await asyncio.gather(
            self.parts["containerd"].end_process(signal.SIGTERM, 1.0),
            # Last: nothing writes any more.
            self.parts["etcd"].end_process(signal.SIGTERM, 2.0),
        )
        self._write_components()
        self._add_event(ProgressEvent("cluster.stop", "done", "stopped"))
        self.ended.set()
        # The followers' last lines go out before the socket closes.
        await asyncio.sleep(0.1)
        self.gone.set()

    async def _end_containers(self) -> None:
        """Send SIGTERM to each container's first process, then wait for a limited time."""
        group = self.layout.control_group
        # Only the first process: it hands the signal to its own children, or they end with it.
        for pid in await asyncio.to_thread(cgroups.container_inits, group):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + CONTAINER_PATIENCE
        while time.monotonic() < end:
            if not await asyncio.to_thread(cgroups.container_inits, group):
                return
            await asyncio.sleep(0.05)

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request; whatever goes wrong becomes an error line, never the end of the supervisor."""
        try:
            request = json.loads(await reader.readline())
            result = await self._answer_request(request, writer)
            writer.write(control_socket.encode_line({"result": result}))
        except C2DError as problem:
            writer.write(control_socket.encode_line({"error": control_socket.error_value(problem)}))
        # The client is gone, or sent no JSON: there is nobody to tell, or nothing to answer.
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
        """Return the result of one request, with events on the way for verbs that take long."""
        verb = request.get("verb")
        if verb == "status":
            return self._status_report()
        if verb == "follow-boot":
            return await self._send_events(writer, 0, lambda: self.phase in ("running", "failed"))
        if verb == "stop":
            # Only what happens from now on: the boot's events are not part of a stop.
            seen = len(self.events)
            self._start_task(self.stop_components())
            return await self._send_events(writer, seen, lambda: self.ended.is_set())
        if verb == "load-image":
            # One at a time: each import first looks at what is there already.
            async with self._loading:
                return await asyncio.to_thread(self._load_archive, Path(request["archive"]))
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
        """Return the answer to ``status``. It asks no component: screens call it every few seconds."""
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
                # Asked again under the lock: an event between the two would wake nobody.
                if sent == len(self.events) and not enough():
                    await self.news.wait()
        if self.problem is not None and self.phase == "failed":
            raise self.problem

    def _load_archive(self, archive: Path) -> str:
        """Import an archive of the machine; return its digest."""
        # As the anchor sees it: here private folders cover the machine's /run, /var/lib and /var/log.
        seen = self.place.anchor / "root" / archive.relative_to("/")
        if not seen.exists():
            raise missing_archive(archive)
        with seen.open("rb") as file:
            # By a path that containerd's client can open too.
            return self.images.load_archive(Path(f"/proc/{os.getpid()}/fd/{file.fileno()}"))

    def _save_record(self, record: NativeRecord) -> None:
        """Keep a changed record, in memory and on disk."""
        self.record = record
        record.save_record(self.layout.record_file)

    def _publish_ports(self, ports: dict[int, int]) -> None:
        """Replace the forwarder's ports. It keeps connections of ports that stay."""
        self._save_record(self.record.with_values(ports=ports))
        replace_private_file(
            self.layout.configuration_folder / "forwards.json", configuration.forwards_json(self.record)
        )
        self.parts["forwarder"].send_signal(signal.SIGHUP)

    async def _allow_endpoints(self, isolation: JobIsolation) -> None:
        """Put another list of endpoints in force. The rules come first: a record must not claim what nft
        refused.
        """
        changed = self.record.with_values(isolation=isolation)
        await asyncio.to_thread(network.load_rules, self.layout, changed)
        self._save_record(changed)


def _call_succeeds(call: Callable[[], None]) -> bool:
    """Return whether a call of the API server went through; its error does not matter to the caller."""
    try:
        call()
    except C2DError:
        return False
    return True
