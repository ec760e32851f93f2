"""What the native driver's tests stand on: a box, its kubectl, probe pods, and the machine's traces."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sandbox.bundle import Bundle, BundleImage
from sandbox.bundle.oci import image_archives
from sandbox.clusters.driver_record import ClusterOptions
from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.native.driver import NativeCluster
from sandbox.clusters.native.host.processes import ProcessIdentity, outer_numbers
from sandbox.home import BoxHome
from sandbox.progress import ProgressEvent, run_verb

PARTS = ("kube", "containerd", "runc", "cni", "coredns", "forwarder", "pause-image")
"""What a cluster needs of the bundle: its tests wait for no image of ours."""
PROBE = "c2d.test/probe:latest"
NAMESPACE = "probe"


class Programs(Protocol):
    """What a test needs of a bundle."""

    @property
    def kubernetes_version(self) -> str: ...

    def binary(self, name: str) -> Path: ...

    def image(self, name: str) -> Any: ...


class LoosePrograms:
    """Programs from one folder (``C2D_TEST_PROGRAMS``) instead of a finished bundle: for work on the
    driver."""

    kubernetes_version = "v1.34.4"

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._folder = folder
        self._scratch = scratch

    def binary(self, name: str) -> Path:
        return self._folder / name

    def image(self, name: str) -> BundleImage:
        reference = f"c2d.local/{name}:latest"
        archive = self._scratch / f"{name}.tar"
        source = self._scratch / f"{name}.c"
        source.write_text("#include <unistd.h>\nint main(void) { for (;;) pause(); }\n")
        digest = static_image(source, reference, archive)
        return BundleImage(name, reference, digest, archive)


def programs(scratch: Path) -> Programs:
    loose = os.environ.get("C2D_TEST_PROGRAMS")
    return LoosePrograms(Path(loose), scratch) if loose else Bundle.open_cached(PARTS)


def static_image(source: Path, reference: str, archive: Path) -> str:
    """Compile one C file and wrap it as an image whose entry point it is; answers the digest."""
    program = archive.with_suffix("")
    subprocess.run(["gcc", "-Os", "-static", "-s", "-o", program, source], check=True)
    layer = archive.with_suffix(".layer")
    with tarfile.open(layer, "w") as tar:
        tar.add(program, "program")
        for folder in ("etc", "tmp", "data"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(entry)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    return image_archives.write_image(
        archive,
        name=reference,
        architecture=machine,
        layers=[image_archives.Blob.of_file(image_archives.LAYER, layer)],
        settings=image_archives.ImageSettings(user="65532", entrypoint=("/program",)),
        created="2020-01-01T00:00:00Z",
    )


def probe_image(scratch: Path) -> Path:
    archive = scratch / "probe.tar"
    static_image(Path(__file__).with_name("native_probe.c"), PROBE, archive)
    return archive


@dataclass
class TestBox:
    """A cluster of one test, with short words for what tests do with it."""

    __test__ = False
    cluster: Any
    """Any driver's."""
    bundle: Programs
    events: list[ProgressEvent]

    @classmethod
    def at(
        cls, folder: Path, scratch: Path, options: ClusterOptions | None = None, name: str = "c2d"
    ) -> TestBox:
        bundle = programs(scratch)
        return cls(NativeCluster(BoxHome(folder), bundle, name, options), bundle, [])

    def create(self) -> None:
        run_verb(self.cluster.create(), self.events.append)

    def stop(self) -> None:
        run_verb(self.cluster.stop(), self.events.append)

    def delete(self) -> None:
        run_verb(self.cluster.delete(), self.events.append)

    def load(self, archive: Path) -> str:
        return str(run_verb(self.cluster.load_image(archive), self.events.append))

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        command = [str(self.bundle.binary("kube")), "kubectl", "--kubeconfig", str(self.cluster.kubeconfig)]
        answer = subprocess.run(
            [*command, *arguments], input=text, capture_output=True, text=True, check=False
        )
        if answer.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {answer.stderr}")
        return answer.stdout

    def apply(self, *objects: dict[str, Any]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", text=json.dumps(items))

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def pod(self, name: str) -> Any:
        return self.get("pod", name, "-n", NAMESPACE)

    def pod_logs(self, name: str) -> str:
        return self.kubectl("logs", name, "-n", NAMESPACE)

    def wait_running(self, name: str) -> Any:
        def running() -> Any:
            pod = self.pod(name)
            statuses = pod["status"].get("containerStatuses", [])
            return pod if statuses and all("running" in item["state"] for item in statuses) else None

        return eventually(running, 30, lambda: json.dumps(self.pod(name)["status"], indent=1))

    def wait_log(self, name: str, line: str) -> str:
        self.wait_running(name)

        def said() -> str | None:
            log = self.pod_logs(name)
            return log if line in log.splitlines() else None

        return str(eventually(said, 30, lambda: f"{name} said: {self.pod_logs(name)}"))

    def with_programs(self, programs: Programs) -> TestBox:
        cluster = NativeCluster(self.cluster.home, programs, self.cluster.name)
        return TestBox(cluster, programs, self.events)

    def pod_logs_or_nothing(self, name: str) -> str:
        try:
            return self.pod_logs(name)
        except AssertionError:
            return ""

    def holder_lives(self) -> bool:
        try:
            return any(self.holder(role).is_alive() for role in ("anchor", "init"))
        except FileNotFoundError:
            return False

    def processes(self) -> list[int]:
        """Every process inside the box, as the machine numbers them."""
        return list(outer_numbers(self.init_pid).values())

    @property
    def init_pid(self) -> int:
        """Process 1 of the box, as the machine numbers it."""
        return self.holder("init").pid

    def holder(self, role: str) -> ProcessIdentity:
        state = json.loads((self.cluster.home.cluster_folder / "state.json").read_text())
        return ProcessIdentity.from_list(state[role])


def eventually(question: Callable[[], Any], seconds: float, complaint: Callable[[], str]) -> Any:
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(complaint())
        time.sleep(0.1)


def prepared_namespace(box: TestBox) -> None:
    """A namespace under Pod Security ``restricted``, and a ServiceAccount that waits for no controller."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    box.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "probe", "namespace": NAMESPACE}},
    )


def pod(
    name: str, arguments: list[str], runtime_class: str = "", labels: dict[str, str] | None = None
) -> Any:
    """A restricted probe pod with a user namespace of its own."""
    spec: dict[str, Any] = {
        "serviceAccountName": "probe",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "hostUsers": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10003,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "probe",
                "image": PROBE,
                "imagePullPolicy": "Never",
                "args": arguments,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }
    if runtime_class:
        spec["runtimeClassName"] = runtime_class
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def runtime_class(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": name},
        "handler": name,
    }


def _lines(*command: str) -> set[str]:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return set()
    return set(answer.stdout.splitlines())


@dataclass(frozen=True)
class Traces:
    """What a box could leave on a machine, seen at one moment."""

    processes: frozenset[str]
    mounts: frozenset[str]
    links: frozenset[str]
    addresses: frozenset[str]
    routes: frozenset[str]
    rules: frozenset[str]
    control_groups: frozenset[str]
    parameters: frozenset[str]
    loops: frozenset[str]
    folders: frozenset[str]

    @classmethod
    def take(cls, home: Path) -> Traces:
        return cls(
            processes=frozenset(_processes_of(home)),
            mounts=frozenset(_mounts(home)),
            links=_of_this_box_or_none((entry.name for entry in Path("/sys/class/net").iterdir()), home),
            addresses=_of_this_box_or_none(_lines("ip", "-o", "address"), home),
            routes=_of_this_box_or_none(_lines("ip", "route", "show", "table", "all"), home),
            rules=frozenset(_lines("nft", "list", "ruleset") | _rules_of_iptables()),
            control_groups=_of_this_box_or_none(_control_groups(), home),
            parameters=frozenset(_parameters()),
            loops=frozenset(line for line in _lines("losetup", "-a") if str(home) in line),
            folders=frozenset(_folders()),
        )

    def left_behind(self, later: Traces) -> dict[str, set[str]]:
        """What ``later`` has and this one has not, and what it lost, by kind; empty when nothing differs."""
        kinds = {name: getattr(self, name) ^ getattr(later, name) for name in self.__dataclass_fields__}
        return {name: set(values) for name, values in kinds.items() if values}


def _foreign(text: str, identity: str) -> bool:
    """Whether ``text`` names another box: several may run on one machine and are no traces of one another."""
    return any(found != identity for found in re.findall(r"c2d-(?:[a-z0-9-]+-)?([0-9a-f]{8})\b", text))


def _of_this_box_or_none(lines: Iterable[str], home: Path) -> frozenset[str]:
    identity = ClusterLayout(BoxHome(home), "c2d").identity
    return frozenset(line for line in lines if not _foreign(line, identity))


def _namespaces(process: Path) -> set[str]:
    return {str((process / "ns" / kind).readlink()) for kind in ("pid", "net")}


def _namespaces_of_others(identity: str) -> set[str]:
    """Namespaces of other boxes' processes; whoever else is in them has entered them from outside."""
    found: set[str] = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if _foreign((folder / "cgroup").read_text(), identity):
                found |= _namespaces(folder)
    return found


def _processes_of(home: Path) -> Iterator[str]:
    """Processes that name the home in their command, carry its group, or are orphans in odd namespaces."""
    identity = ClusterLayout(BoxHome(home), "c2d").identity
    known = _namespaces(Path("/proc/self")) | _namespaces_of_others(identity)
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            ours = identity in (folder / "cgroup").read_text() or str(home) in command
            orphan = "\nPPid:\t1\n" in (folder / "status").read_text()
            if ours or (orphan and _namespaces(folder) - known):
                yield f"{folder.name} {command}"


def _mounts(home: Path) -> Iterator[str]:
    """Mounts of this namespace, without those that others keep in folders of their own below /tmp."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if str(home) in line or " /tmp/" not in line:
            yield line


def _rules_of_iptables() -> set[str]:
    return {line for line in _lines("iptables-save") if not line.startswith("#")}


def _control_groups() -> Iterator[str]:
    """Groups that are a box's or Kubernetes' own; what is inside them says nothing more."""
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        for folder, inner, _ in os.walk(hierarchy):
            found = [name for name in inner if "c2d" in name or name.startswith("kubepods")]
            inner[:] = [name for name in inner if name not in found]
            yield from (f"{folder}/{name}" for name in found)


PARAMETERS = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/forwarding",
    "net/ipv4/conf/all/rp_filter",
    "net/ipv6/conf/all/disable_ipv6",
    "net/ipv6/conf/default/disable_ipv6",
    "net/bridge/bridge-nf-call-iptables",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def _parameters() -> Iterator[str]:
    for name in PARAMETERS:
        path = Path("/proc/sys", name)
        if path.exists():
            yield f"{name} = {path.read_text().strip()}"


def _folders() -> Iterator[str]:
    """Places Kubernetes' parts use by habit."""
    habits = (
        "/run/containerd",
        "/run/flannel",
        "/var/lib/cni",
        "/var/lib/kubelet",
        "/var/lib/containerd",
        "/var/log/pods",
        "/var/log/containers",
        "/etc/cni",
        "/etc/kubernetes",
        "/opt/cni",
        "/opt/containerd",
        "/usr/libexec/kubernetes",
    )
    return (path for path in habits if Path(path).exists())


@contextmanager
def nothing_left(home: Path, seconds: float = 5.0) -> Iterator[None]:
    """Hold the block to leaving the machine as it found it; the kernel gets a moment to end namespaces."""
    before = Traces.take(home)
    yield
    end = time.monotonic() + seconds
    while difference := before.left_behind(Traces.take(home)):
        if time.monotonic() > end:
            raise AssertionError(f"left behind: {difference}")
        time.sleep(0.1)
