"""The driver for a cluster that somebody else made: the box asks first, adds its objects, removes them later.

Nothing on the nodes is ours: images come from a registry, isolation rests on NetworkPolicies and on the
isolation report in each job, ports lead through the API server. See ``sandbox.clusters.port`` for the
contract.
"""

from __future__ import annotations

import ipaddress
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from c2d_box.errors import C2DError, EnvironmentProblem, Failed, StateProblem, UsageError
from c2d_box.files import replace_private_file
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.clusters.archive_names import read_archive
from sandbox.clusters.existing import access, belongings
from sandbox.clusters.existing.doors import Door, Doors
from sandbox.clusters.existing.pull_secrets import find_pull_secret
from sandbox.clusters.existing.record import Record
from sandbox.clusters.existing.registry import Registry
from sandbox.clusters.layout import Layout
from sandbox.clusters.port import ClusterImage, ClusterStatus, ComponentStatus, Isolation, Resources
from sandbox.home import Home
from sandbox.progress import Event, Progress
from sandbox.settings import Existing

WANTED = range(30, 34)
"""Offsets of the box's fixed addresses in the part of the service range that is chosen for it."""
PART = 26
VOLUMES = "/var/lib/c2d-box/volumes"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{belongings.SERVICES}/deployments"
OWN = (belongings.SERVICES, belongings.JOBS, belongings.SYSTEM)


class Programs(Protocol):
    """The part of a bundle that this driver needs."""

    def binary(self, name: str) -> Path: ...


class ExistingCluster:
    """The cluster that ``chosen`` names, for ``home``. ``behind`` maps NodePort → service and port."""

    def __init__(
        self,
        home: Home,
        bundle: Programs,
        name: str,
        chosen: Existing,
        behind: Mapping[int, tuple[str, int]],
    ) -> None:
        self.home = home
        self.name = name
        self._bundle = bundle
        self._chosen = chosen
        self._behind = dict(behind)
        self._layout = Layout(home, name)
        self._doors = Doors(self._layout.root)

    @property
    def kubeconfig(self) -> Path:
        return self.home.kubeconfig

    @property
    def node_ip(self) -> str:
        with self._kube() as kube:
            return _node_address(kube)

    @property
    def service_cidr(self) -> str:
        return self._known().services

    @property
    def dns_ip(self) -> str:
        return self._known().dns_ip

    @property
    def volumes_root(self) -> str:
        return VOLUMES

    @property
    def devices(self) -> str:
        return "/dev"

    @property
    def registry(self) -> str:
        return Registry(self._chosen.registry).prefix

    @property
    def runtime_classes(self) -> dict[str, str]:
        return {}

    def _kube(self, timeout: float = 10.0) -> KubeApi:
        return KubeApi.of(self.kubeconfig, timeout=timeout)

    def _known(self) -> Record:
        record = Record.load(self._layout.record)
        if record is None:
            raise StateProblem("C2D-NOT-RUNNING", "The box is not running.", "Start it with `c2d-box up`.")
        return record

    def _running(self) -> Record:
        record = self._known()
        if record.phase != "running":
            raise StateProblem("C2D-NOT-RUNNING", "The box is not running.", "Start it with `c2d-box up`.")
        return record

    # -- create, stop, delete ------------------------------------------------------------------------------

    def create(self) -> Progress[None]:
        self._layout.check()
        record = Record.load(self._layout.record)
        if record is not None and record.phase == "running" and self._answers():
            yield Event("cluster", "skipped", f"the box is a guest of {record.server}")
            return
        began = time.monotonic()
        if record is None:
            yield Event("cluster.look", "started", "looking at the cluster")
            record, warning = self._enter()
            yield Event("cluster.look", "done", record.server)
            if warning:
                yield Event("cluster.registry", "note", warning)
        self._require_answer(record)
        if record.replicas:
            self._scale(record.replicas)
        record.changed(phase="running", replicas={}).save(self._layout.record)
        yield Event("cluster", "done", seconds=time.monotonic() - began)

    def _enter(self) -> tuple[Record, str]:
        """Check the cluster without changing anything there; return the record and the text that the user
        must be told.
        """
        registry = Registry(self._chosen.registry)
        registry.require()
        text = access.extract(self._chosen.kubeconfig, self._chosen.context)
        self._layout.root.mkdir(parents=True, exist_ok=True)
        replace_private_file(self.kubeconfig, text)
        with self._kube() as kube:
            belongings.require_room(kube)
            can_pull = bool(find_pull_secret(kube, self._chosen)) or not registry.is_private
            record = Record(
                self.name,
                access.server(text),
                access.context(text),
                _free_part(kube),
                _dns(kube),
                registry.prefix,
            )
        record.save(self._layout.record)
        return record, "" if can_pull else unpullable(registry.host)

    def stop(self) -> Progress[None]:
        record = Record.load(self._layout.record)
        if record is None or record.phase == "stopped":
            return
        yield Event("cluster.stop", "started", "closing the ports, stopping the services")
        self._doors.close()
        replicas = record.replicas
        try:
            with self._kube() as kube:
                found = kube.items(DEPLOYMENTS)
            replicas = {item["metadata"]["name"]: int(item["spec"].get("replicas", 1)) for item in found}
            self._scale(dict.fromkeys(replicas, 0))
        except C2DError as problem:
            yield Event("cluster.stop", "note", f"{problem.message}; its services may run on")
        record.changed(phase="stopped", replicas=replicas).save(self._layout.record)
        yield Event("cluster.stop", "done")

    def delete(self) -> Progress[None]:
        record = Record.load(self._layout.record)
        if record is not None:
            self._doors.close()
            try:
                with self._kube(timeout=30.0) as kube:
                    left = yield from belongings.remove(kube)
            except C2DError as problem:
                left = [f"{path.rpartition('/')[2]} {name}" for path, name in belongings.SCOPED]
                yield Event("cluster.rest", "note", problem.message)
            if left:
                command = f"kubectl --context {record.context} delete namespace {' '.join(OWN)}"
                yield Event(
                    "cluster.rest", "note", f"still in {record.server}: {', '.join(left)}. Remove: {command}"
                )
        shutil.rmtree(self._layout.root, ignore_errors=True)
        self.kubeconfig.unlink(missing_ok=True)

    def _scale(self, replicas: Mapping[str, int]) -> None:
        with self._kube() as kube:
            for name, count in replicas.items():
                kube.merge(f"{DEPLOYMENTS}/{name}", {"spec": {"replicas": count}})

    def _answers(self) -> bool:
        try:
            with self._kube(timeout=3.0) as kube:
                return kube.ok("/readyz")
        except C2DError:
            return False

    def _require_answer(self, record: Record) -> None:
        if not self._answers():
            raise EnvironmentProblem(
                "C2D-EXISTING-SILENT",
                f"The cluster at {record.server} does not answer, or refuses the context {record.context}.",
                "kubectl get --raw /readyz says why; then c2d-box up",
            )

    # -- while it runs -------------------------------------------------------------------------------------

    def status(self) -> ClusterStatus:
        record = Record.load(self._layout.record)
        if record is None:
            return ClusterStatus("absent")
        if record.phase == "stopped":
            return ClusterStatus("stopped", detail=f"guest of {record.server}")
        answers, opened = self._answers(), self._doors.are_open()
        parts = [ComponentStatus("kube-apiserver", "ready" if answers else "failed")]
        if record.ports:
            parts.append(ComponentStatus("doors", "ready" if opened else "failed"))
        healthy = all(part.state == "ready" for part in parts)
        return ClusterStatus(
            "running" if healthy else "degraded", tuple(parts), f"guest of {record.server} ({record.context})"
        )

    def load_image(self, archive: Path) -> Progress[str]:
        began = time.monotonic()
        image, record = read_archive(archive), self._running()
        yield Event("cluster.image", "started", f"pushing {archive.name}")
        reference = Registry(self._chosen.registry).push(archive, image)
        # Read again: several images come at the same time.
        record = self._running()
        record.changed(images={**record.images, reference: image.digest}).save(self._layout.record)
        yield Event(
            "cluster.image", "done", f"{archive.name} is in the registry", seconds=time.monotonic() - began
        )
        return image.digest

    def images(self) -> list[ClusterImage]:
        return [ClusterImage(reference, digest) for reference, digest in self._running().images.items()]

    def publish(self, ports: Mapping[int, int]) -> None:
        record = self._running()
        doors = [Door(port, *self._behind[node_port]) for port, node_port in sorted(ports.items())]
        kubectl = [*self._kubectl(), "--kubeconfig", str(self.kubeconfig)] if doors else []
        self._doors.open(kubectl, record.server, belongings.SERVICES, doors)
        record.changed(ports=dict(ports)).save(self._layout.record)

    def allow(self, isolation: Isolation) -> None:
        """Record the endpoints for ``status``; the chart's NetworkPolicies enforce them already."""
        self._running().changed(isolation=isolation).save(self._layout.record)

    def logs(self, component: str, lines: int = 200) -> str:
        self._known()
        if component == "kube-apiserver":
            with self._kube() as kube:
                return kube.text("/readyz", verbose="")
        if component == "doors":
            text = self._doors.log.read_text("utf-8", "replace") if self._doors.log.exists() else ""
            return "\n".join(text.splitlines()[-lines:])
        raise UsageError(
            "C2D-NO-SUCH-COMPONENT",
            f"There is no log of '{component}': the cluster is somebody else's.",
            "There are: kube-apiserver, doors.",
        )

    def resources(self) -> Resources:
        """Return the memory of the box's pods, as each node's kubelet accounts for it."""
        self._running()
        found: dict[str, int] = {}
        with self._kube() as kube:
            for node in kube.items("/api/v1/nodes"):
                path = f"/api/v1/nodes/{node['metadata']['name']}/proxy/stats/summary"
                for pod in (kube.get(path) or {}).get("pods", []):
                    if pod["podRef"]["namespace"] in OWN:
                        found[pod["podRef"]["name"]] = int(pod.get("memory", {}).get("workingSetBytes", 0))
        return Resources(sum(found.values()), found)

    def _kubectl(self) -> list[str]:
        """Return the user's kubectl; the bundle's where the user has none."""
        if found := shutil.which("kubectl"):
            return [found]
        return [str(self._bundle.binary("kube")), "kubectl"]


def unpullable(host: str) -> str:
    """Return the warning to show before anything is installed: whether nodes have credentials of their own
    cannot be asked.
    """
    return (
        f"{host} asks for credentials: if its nodes have none of their own, no pod will start. Then: "
        "c2d-box up --pull-secret NAMESPACE/NAME (a Secret in that cluster), or --pull-by-login"
    )


def _node_address(kube: KubeApi) -> str:
    for node in kube.items("/api/v1/nodes"):
        for address in node.get("status", {}).get("addresses", []):
            if address["type"] == "InternalIP":
                return str(address["address"])
    raise Failed("C2D-EXISTING-NO-NODE", "The cluster has no node with an address.", "kubectl get nodes")


def _dns(kube: KubeApi) -> str:
    found = kube.items("/api/v1/namespaces/kube-system/services", labelSelector="k8s-app=kube-dns")
    if not found:
        raise EnvironmentProblem(
            "C2D-EXISTING-NO-DNS",
            "The cluster has no DNS service (k8s-app=kube-dns in kube-system); the box's services need one.",
            "Install CoreDNS there, or use another cluster.",
        )
    return str(found[0]["spec"]["clusterIP"])


def _free_part(kube: KubeApi) -> str:
    """Return a part of the service range in which the addresses of the box's services are free."""
    whole = ipaddress.ip_network(_service_range(kube))
    taken = {item["spec"].get("clusterIP", "") for item in kube.items("/api/v1/services")}
    parts: Any = [whole] if whole.prefixlen >= PART else whole.subnets(new_prefix=PART)
    for part in parts:
        if part.num_addresses > WANTED[-1] and not any(str(part[offset]) in taken for offset in WANTED):
            return str(part)
    raise EnvironmentProblem(
        "C2D-EXISTING-ADDRESSES",
        f"The service range {whole} has no room for the box.",
        "Use another cluster.",
    )


def _service_range(kube: KubeApi) -> str:
    """Return the service range: from the API where it tells it (1.33), else from its refusal of an impossible
    address.
    """
    listed = kube.items("/apis/networking.k8s.io/v1/servicecidrs")
    cidrs = [cidr for item in listed for cidr in item["spec"]["cidrs"] if ":" not in cidr]
    if cidrs:
        return str(cidrs[0])
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "c2d-box-question"},
        "spec": {"clusterIP": "0.0.0.1", "ports": [{"port": 1}]},
    }
    try:
        kube.apply("/api/v1/namespaces/default/services/c2d-box-question", body)
    except Failed as refusal:
        if match := re.search(r"range of valid IPs is (\d[\d./]+)", refusal.message):
            return match[1]
        raise
    raise Failed("C2D-EXISTING-RANGE", "The cluster's service range cannot be found out.", "c2d-box doctor")
