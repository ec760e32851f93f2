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

from c2d_box.errors import C2DError, EnvironmentProblem, Failed, UsageError
from c2d_box.files import replace_private_file
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.clusters.archive_names import read_archive
from sandbox.clusters.driver_record import not_running_error
from sandbox.clusters.existing import access, belongings
from sandbox.clusters.existing.doors import PortForward, PortForwards
from sandbox.clusters.existing.pull_secrets import find_pull_secret
from sandbox.clusters.existing.record import ExistingRecord
from sandbox.clusters.existing.registry import ImageRegistry
from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.port import ClusterImage, ClusterStatus, ComponentStatus, JobIsolation, ResourceUsage
from sandbox.defaults import SERVICE_ENDPOINTS
from sandbox.home import BoxHome
from sandbox.progress import Progress, ProgressEvent
from sandbox.settings import ExistingClusterSettings

PART = 26
"""Prefix length of that part: 64 addresses, which the offsets of all services fit into."""
VOLUMES = "/var/lib/c2d-box/volumes"
"""Folder on each node for the volumes of the box's provisioner."""
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{belongings.SERVICES}/deployments"
OWN = (belongings.SERVICES, belongings.JOBS, belongings.SYSTEM)
"""The box's namespaces; their pods are what ``resource_usage`` counts."""


class ExistingPrograms(Protocol):
    """The part of a bundle that this driver needs."""

    def binary(self, name: str) -> Path: ...


class ExistingCluster:
    """The cluster that ``chosen`` names, for ``home``. ``behind`` maps NodePort → service and port.

    Every call goes through the box's own kubeconfig, which ``create`` writes: a user who switches context
    meanwhile does not move the box.
    """

    def __init__(
        self,
        home: BoxHome,
        bundle: ExistingPrograms,
        name: str,
        chosen: ExistingClusterSettings,
        behind: Mapping[int, tuple[str, int]],
    ) -> None:
        self.home = home
        self.name = name
        self._bundle = bundle
        self._chosen = chosen
        self._behind = dict(behind)
        self._layout = ClusterLayout(home, name)
        self._doors = PortForwards(self._layout.root)

    @property
    def kubeconfig(self) -> Path:
        return self.home.kubeconfig

    @property
    def node_ip(self) -> str:
        """Return the address of the first node that has one, for the isolation probes: kubelet and API server
        are tried there.
        """
        with self._kube() as kube:
            return _node_address(kube)

    @property
    def service_cidr(self) -> str:
        """Return the part of the service range that was chosen for the box, not the whole range."""
        return self._known_record().services

    @property
    def dns_ip(self) -> str:
        return self._known_record().dns_ip

    @property
    def volumes_root(self) -> str:
        return VOLUMES

    @property
    def devices(self) -> str:
        return "/dev"

    @property
    def registry(self) -> str:
        """Return the prefix of image names; the driver's own setting, so it is known before anything is
        made.
        """
        return ImageRegistry(self._chosen.registry).name_prefix

    @property
    def runtime_classes(self) -> dict[str, str]:
        """Return nothing: a handler would have to be configured on nodes that are not ours."""
        return {}

    def _kube(self, timeout: float = 10.0) -> KubeApi:
        """Return a client of the cluster; ``timeout`` is in seconds per request."""
        return KubeApi.of(self.kubeconfig, timeout=timeout)

    def _known_record(self) -> ExistingRecord:
        """Return the record; raise ``C2D-NOT-RUNNING`` where the box was never put there."""
        record = ExistingRecord.load_from(self._layout.record_file)
        if record is None:
            raise not_running_error()
        return record

    def _running_record(self) -> ExistingRecord:
        """Return the record of a box that is not stopped."""
        record = self._known_record()
        if record.phase != "running":
            raise not_running_error()
        return record

    # -- create, stop, delete ------------------------------------------------------------------------------

    def create(self) -> Progress[None]:
        """Look at the cluster and write the record, or scale the services up again after ``stop``.

        Nothing is added to the cluster here; the chart does that, after the user agreed
        (:mod:`sandbox.clusters.existing.introduction`).
        """
        self._layout.check_limits()
        record = ExistingRecord.load_from(self._layout.record_file)
        if record is not None and record.phase == "running" and self._answers():
            yield ProgressEvent("cluster", "skipped", f"the box is a guest of {record.server}")
            return
        began = time.monotonic()
        if record is None:
            yield ProgressEvent("cluster.look", "started", "looking at the cluster")
            record, warning = self._inspect_cluster()
            yield ProgressEvent("cluster.look", "done", record.server)
            if warning:
                yield ProgressEvent("cluster.registry", "note", warning)
        self._require_answer(record)
        # Kept until the services run again: an interrupted `create` finds the counts still there.
        if record.replicas:
            self._scale_deployments(record.replicas)
        record.with_values(phase="running", replicas={}).save_record(self._layout.record_file)
        yield ProgressEvent("cluster", "done", seconds=time.monotonic() - began)

    def _inspect_cluster(self) -> tuple[ExistingRecord, str]:
        """Check the cluster without changing anything there; return the record and the text that the user
        must be told.
        """
        registry = ImageRegistry(self._chosen.registry)
        # First: it changes nothing anywhere.
        registry.require_access()
        text = access.extract_kubeconfig(self._chosen.kubeconfig, self._chosen.context)
        self._layout.root.mkdir(parents=True, exist_ok=True)
        replace_private_file(self.kubeconfig, text)
        with self._kube() as kube:
            belongings.require_room(kube)
            # Raises where the user named a Secret that cannot be used; then nothing has been added yet.
            can_pull = bool(find_pull_secret(kube, self._chosen)) or not registry.is_private
            record = ExistingRecord(
                self.name,
                access.server_url(text),
                access.current_context(text),
                _free_part(kube),
                _dns_ip(kube),
                registry.name_prefix,
            )
        record.save_record(self._layout.record_file)
        return record, "" if can_pull else unpullable_text(registry.host)

    def stop(self) -> Progress[None]:
        """Close the ports and scale the services to nothing; objects and volumes stay.

        A cluster that does not answer is no reason to fail: the ports are closed all the same, and a note
        says the rest.
        """
        record = ExistingRecord.load_from(self._layout.record_file)
        if record is None or record.phase == "stopped":
            return
        yield ProgressEvent("cluster.stop", "started", "closing the ports, stopping the services")
        self._doors.close_forwards()
        replicas = record.replicas
        try:
            with self._kube() as kube:
                # Read now: the user may have scaled a Deployment by hand.
                found = kube.items(DEPLOYMENTS)
            replicas = {item["metadata"]["name"]: int(item["spec"].get("replicas", 1)) for item in found}
            self._scale_deployments(dict.fromkeys(replicas, 0))
        except C2DError as problem:
            yield ProgressEvent("cluster.stop", "note", f"{problem.message}; its services may run on")
        record.with_values(phase="stopped", replicas=replicas).save_record(self._layout.record_file)
        yield ProgressEvent("cluster.stop", "done")

    def delete(self) -> Progress[None]:
        """Remove all objects of the box from the cluster, then the record.

        What cannot be removed is named together with the command that does it, since the record that knows
        goes away.
        """
        record = ExistingRecord.load_from(self._layout.record_file)
        if record is not None:
            self._doors.close_forwards()
            try:
                with self._kube(timeout=30.0) as kube:
                    left = yield from belongings.remove_objects(kube)
            except C2DError as problem:
                left = [f"{path.rpartition('/')[2]} {name}" for path, name in belongings.SCOPED]
                yield ProgressEvent("cluster.rest", "note", problem.message)
            if left:
                command = f"kubectl --context {record.context} delete namespace {' '.join(OWN)}"
                yield ProgressEvent(
                    "cluster.rest", "note", f"still in {record.server}: {', '.join(left)}. Remove: {command}"
                )
        shutil.rmtree(self._layout.root, ignore_errors=True)
        self.kubeconfig.unlink(missing_ok=True)

    def _scale_deployments(self, replicas: Mapping[str, int]) -> None:
        """Set the number of replicas of each Deployment of the services."""
        with self._kube() as kube:
            for name, count in replicas.items():
                kube.merge(f"{DEPLOYMENTS}/{name}", {"spec": {"replicas": count}})

    def _answers(self) -> bool:
        """Return whether the API server is ready for this user, within three seconds."""
        try:
            with self._kube(timeout=3.0) as kube:
                return kube.ok("/readyz")
        except C2DError:
            return False

    def _require_answer(self, record: ExistingRecord) -> None:
        if not self._answers():
            raise EnvironmentProblem(
                "C2D-EXISTING-SILENT",
                f"The cluster at {record.server} does not answer, or refuses the context {record.context}.",
                "kubectl get --raw /readyz says why; then c2d-box up",
            )

    # -- while it runs -------------------------------------------------------------------------------------

    def status(self) -> ClusterStatus:
        """Return the state; see the contract. The API server and the port forwards are all that can be looked
        at.
        """
        record = ExistingRecord.load_from(self._layout.record_file)
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
        """Push an archive to the registry and record its reference; see the contract."""
        began = time.monotonic()
        image, record = read_archive(archive), self._running_record()
        yield ProgressEvent("cluster.image", "started", f"pushing {archive.name}")
        reference = ImageRegistry(self._chosen.registry).push_image(archive, image)
        # Read again: several images come at the same time.
        record = self._running_record()
        record.with_values(images={**record.images, reference: image.digest}).save_record(
            self._layout.record_file
        )
        yield ProgressEvent(
            "cluster.image", "done", f"{archive.name} is in the registry", seconds=time.monotonic() - began
        )
        return image.digest

    def list_images(self) -> list[ClusterImage]:
        """Return the images that the box pushed. What else nodes have is not the box's to offer."""
        return [
            ClusterImage(reference, digest) for reference, digest in self._running_record().images.items()
        ]

    def publish_ports(self, ports: Mapping[int, int]) -> None:
        """Forward ports of 127.0.0.1 to the services; an empty mapping closes all."""
        record = self._running_record()
        doors = [PortForward(port, *self._behind[node_port]) for port, node_port in sorted(ports.items())]
        kubectl = [*self._kubectl_command(), "--kubeconfig", str(self.kubeconfig)] if doors else []
        self._doors.open_forwards(kubectl, record.server, belongings.SERVICES, doors)
        record.with_values(ports=dict(ports)).save_record(self._layout.record_file)

    def allow_endpoints(self, isolation: JobIsolation) -> None:
        """Record the endpoints for ``status``; the chart's NetworkPolicies enforce them already."""
        self._running_record().with_values(isolation=isolation).save_record(self._layout.record_file)

    def read_logs(self, component: str, lines: int = 200) -> str:
        """Return what the API server says of its readiness, or the forwards' log; nodes' logs are not ours to
        read.
        """
        self._known_record()
        if component == "kube-apiserver":
            with self._kube() as kube:
                return kube.text("/readyz", verbose="")
        if component == "doors":
            text = self._doors.log_file.read_text("utf-8", "replace") if self._doors.log_file.exists() else ""
            return "\n".join(text.splitlines()[-lines:])
        raise UsageError(
            "C2D-NO-SUCH-COMPONENT",
            f"There is no log of '{component}': the cluster is somebody else's.",
            "There are: kube-apiserver, doors.",
        )

    def resource_usage(self) -> ResourceUsage:
        """Return the memory of the box's pods, as each node's kubelet accounts for it."""
        self._running_record()
        found: dict[str, int] = {}
        with self._kube() as kube:
            for node in kube.items("/api/v1/nodes"):
                path = f"/api/v1/nodes/{node['metadata']['name']}/proxy/stats/summary"
                for pod in (kube.get(path) or {}).get("pods", []):
                    if pod["podRef"]["namespace"] in OWN:
                        # The working set is what the kubelet itself evicts by; it has no proportional set
                        # size.
                        found[pod["podRef"]["name"]] = int(pod.get("memory", {}).get("workingSetBytes", 0))
        return ResourceUsage(sum(found.values()), found)

    def _kubectl_command(self) -> list[str]:
        """Return the user's kubectl; the bundle's where the user has none."""
        if found := shutil.which("kubectl"):
            return [found]
        # One program holds all of Kubernetes; called by its own name it takes the command as first word.
        return [str(self._bundle.binary("kube")), "kubectl"]


def unpullable_text(host: str) -> str:
    """Return the warning to show before anything is installed: whether nodes have credentials of their own
    cannot be asked.
    """
    return (
        f"{host} asks for credentials: if its nodes have none of their own, no pod will start. Then: "
        "c2d-box up --pull-secret NAMESPACE/NAME (a Secret in that cluster), or --pull-by-login"
    )


def _node_address(kube: KubeApi) -> str:
    """Return the first internal address of a node; raise where there is none."""
    for node in kube.items("/api/v1/nodes"):
        for address in node.get("status", {}).get("addresses", []):
            if address["type"] == "InternalIP":
                return str(address["address"])
    raise Failed("C2D-EXISTING-NO-NODE", "The cluster has no node with an address.", "kubectl get nodes")


def _dns_ip(kube: KubeApi) -> str:
    """Return the DNS service's address. The label is the one that kubeadm, k3s and the large providers keep
    for it.
    """
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
    # The services need fixed addresses (job pods have no DNS), and somebody's cluster has others taken.
    whole = ipaddress.ip_network(_service_range(kube))
    # All namespaces: a cluster IP is unique in the cluster.
    taken = {item["spec"].get("clusterIP", "") for item in kube.items("/api/v1/services")}
    offsets = [offset for offset, _ in SERVICE_ENDPOINTS.values()]
    parts: Any = [whole] if whole.prefixlen >= PART else whole.subnets(new_prefix=PART)
    for part in parts:
        if part.num_addresses > max(offsets) and not any(str(part[offset]) in taken for offset in offsets):
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
        # 0.0.0.1 is in no range; the refusal quotes the range. A server that took it would make nothing.
        kube.apply("/api/v1/namespaces/default/services/c2d-box-question", body, dryRun="All")
    except Failed as refusal:
        if match := re.search(r"range of valid IPs is (\d[\d./]+)", refusal.message):
            return match[1]
        raise
    raise Failed("C2D-EXISTING-RANGE", "The cluster's service range cannot be found out.", "c2d-box doctor")
