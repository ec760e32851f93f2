"""Describes the processes a box is made of: how each is started, what it needs first, when it is ready.

Pure data: ``sandbox.clusters.native.supervision`` starts them. All but the forwarder listen on the node's
own address or its loopback, never on the machine's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.native.control_plane.configuration import CONTAINERD_SOCKET
from sandbox.clusters.native.control_plane.kubeconfigs import API_PORT
from sandbox.clusters.native.record import NativeRecord

NODE_PORTS = "30000-32767"
"""Kubernetes' default range; ``sandbox.settings.NODE_PORTS`` lie in it."""
ETCD_CLIENTS = "https://127.0.0.1:2379"
"""Loopback of the node: nobody but the API server talks to etcd."""


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """A readiness check: this URL answers 200. ``certificate`` is the stem of the client certificate to show,
    if any.
    """

    host: str
    port: int
    path: str
    certificate: str = ""
    authority: str = "ca"


@dataclass(frozen=True, slots=True)
class SocketCheck:
    """A readiness check: a connection to this unix socket, or TCP address, is accepted."""

    path: str = ""
    host: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class AliveCheck:
    """A readiness check that always holds: the component is ready once started."""


Check = HttpCheck | SocketCheck | AliveCheck


@dataclass(frozen=True, slots=True)
class ClusterComponent:
    """One process of the box: its command line, its readiness check, and the components it needs first."""

    name: str
    program: Path
    arguments: tuple[str, ...]
    check: Check
    needs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    in_host_network: bool = False
    """Start it in the machine's network, where users' ports are."""
    sees_own_parameters: bool = False
    """Give it its own view of the machine's kernel parameters, so that it does not change them (see
    ``mount_namespace.shield_parameters``).
    """
    patience: float = 60.0
    """Seconds from start to ready after which the first boot is given up."""


def all_components(layout: ClusterLayout, record: NativeRecord) -> list[ClusterComponent]:
    """Return all components, each after those it needs.

    The supervisor starts them all at once; each waits for its own needs only.
    """
    return [
        _etcd_component(layout, record),
        _containerd_component(layout, record),
        _apiserver_component(layout, record),
        _controller_manager_component(layout, record),
        _scheduler_component(layout, record),
        _kubelet_component(layout, record),
        _kube_proxy_component(layout, record),
        _coredns_component(layout, record),
        _forwarder_component(layout, record),
    ]


def _go_environment(megabytes: int) -> dict[str, str]:
    """Return settings that collect garbage earlier than Go would: the box is idle most of the time, and its
    owner has other uses for the memory.

    GOMEMLIMIT is a goal, not a limit: a component that needs more gets slower and is not killed.
    """
    return {"GOGC": "50", "GOMEMLIMIT": f"{megabytes}MiB"}


def _kube_program(record: NativeRecord) -> Path:
    """Return the one program that holds etcd and all of Kubernetes; it is told apart by the name it is called
    by.
    """
    return Path(record.programs["kube"])


def _etcd_component(layout: ClusterLayout, record: NativeRecord) -> ClusterComponent:
    """Return etcd: one member, with TLS for clients."""
    pki = layout.pki_folder
    return ClusterComponent(
        "etcd",
        _kube_program(record),
        (
            "--name=c2d",
            f"--data-dir={layout.etcd}",
            f"--listen-client-urls={ETCD_CLIENTS}",
            f"--advertise-client-urls={ETCD_CLIENTS}",
            # There are no peers, so any free port will do; the option cannot be left empty.
            "--listen-peer-urls=http://127.0.0.1:0",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=c2d=http://127.0.0.1:2380",
            # Milliseconds. The only member elects itself after one election timeout, so a short one shortens
            # restarts; etcd demands at least five heartbeats for it.
            "--heartbeat-interval=20",
            "--election-timeout=200",
            # Without it every process of the node, host-network pods among them, could read all Secrets.
            "--client-cert-auth",
            f"--trusted-ca-file={pki / 'etcd-ca.crt'}",
            f"--cert-file={pki / 'etcd.crt'}",
            f"--key-file={pki / 'etcd.key'}",
            "--auto-compaction-mode=periodic",
            "--auto-compaction-retention=30m",
            # etcd keeps as many entries in memory as lie between two snapshots.
            "--snapshot-count=5000",
            # 1 GiB: beyond it etcd refuses writes instead of filling the user's disk.
            "--quota-backend-bytes=1073741824",
            "--log-level=error",
        ),
        HttpCheck("127.0.0.1", 2379, "/health", "etcd-client", "etcd-ca"),
        environment=_go_environment(96),
    )


def _containerd_component(layout: ClusterLayout, record: NativeRecord) -> ClusterComponent:
    """Return containerd. It needs nothing, so images can be loaded long before the node is Ready."""
    return ClusterComponent(
        "containerd",
        Path(record.programs["containerd"]),
        ("--config", str(layout.configuration_folder / "containerd.toml"), "--log-level", "warn"),
        SocketCheck(path=CONTAINERD_SOCKET),
        environment=_go_environment(128),
    )


def _apiserver_component(layout: ClusterLayout, record: NativeRecord) -> ClusterComponent:
    """Return the API server. It needs no other component to start: it waits for etcd by itself."""
    pki = layout.pki_folder
    ranges = record.address_ranges
    return ClusterComponent(
        "kube-apiserver",
        _kube_program(record),
        (
            f"--advertise-address={ranges.node_ip}",
            f"--bind-address={ranges.node_ip}",
            f"--secure-port={API_PORT}",
            # So even the readiness check shows a certificate.
            "--anonymous-auth=false",
            # With NodeRestriction: the kubelet's certificate opens its own node's pods and their Secrets, no
            # others.
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            # It taints a new node as not ready until the controller manager lifts that; with one node, pods
            # only wait.
            "--disable-admission-plugins=TaintNodesByCondition",
            # The provisioner's pod mounts volumes on the node.
            "--allow-privileged=true",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--etcd-servers={ETCD_CLIENTS}",
            f"--etcd-cafile={pki / 'etcd-ca.crt'}",
            f"--etcd-certfile={pki / 'etcd-client.crt'}",
            f"--etcd-keyfile={pki / 'etcd-client.key'}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            f"--kubelet-client-certificate={pki / 'apiserver-kubelet.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-kubelet.key'}",
            # The node's name cannot be resolved anywhere: there is no DNS outside the cluster's own.
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki / 'service-account.pub'}",
            # Kept over restarts (see pki), so that tokens stay valid.
            f"--service-account-signing-key-file={pki / 'service-account.key'}",
            f"--service-cluster-ip-range={ranges.services}",
            f"--service-node-port-range={NODE_PORTS}",
            # Twice the default.
            "--event-ttl=2h",
            "--profiling=false",
        ),
        HttpCheck(str(ranges.node_ip), API_PORT, "/readyz", "admin"),
        environment=_go_environment(384),
    )


def _client_arguments(layout: ClusterLayout, name: str) -> tuple[str, ...]:
    """Return the arguments of a component that acts on the API by its own kubeconfig and serves loopback."""
    pki, kubeconfig = layout.pki_folder, layout.configuration_folder / f"{name}.kubeconfig"
    return (
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--tls-cert-file={pki / 'loopback.crt'}",
        f"--tls-private-key-file={pki / 'loopback.key'}",
        # One instance. Elections would cost writes to etcd, and end the process when a slow disk lets one
        # time out.
        "--leader-elect=false",
        "--profiling=false",
    )


def _controller_manager_component(layout: ClusterLayout, record: NativeRecord) -> ClusterComponent:
    """Return the controller manager, which talks to the API server only and listens on loopback only."""
    pki = layout.pki_folder
    return ClusterComponent(
        "kube-controller-manager",
        _kube_program(record),
        (
            *_client_arguments(layout, "controller-manager"),
            # Each controller acts with the rights of its own account, not with those of all together.
            "--use-service-account-credentials=true",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--service-account-private-key-file={pki / 'service-account.key'}",
            # Both serve nodes that join a cluster; none ever joins this one.
            "--controllers=*,-bootstrap-signer-controller,-token-cleaner-controller",
        ),
        HttpCheck("127.0.0.1", 10257, "/healthz", "admin"),
        needs=("kube-apiserver",),
        environment=_go_environment(160),
    )


def _scheduler_component(layout: ClusterLayout, record: NativeRecord) -> ClusterComponent:
    """Return the scheduler. With one node it chooses nothing, but a pod without it is never bound."""
    return ClusterComponent(
        "kube-scheduler",
        _kube_program(record),
        _client_arguments(layout, "scheduler"),
        HttpCheck("127.0.0.1", 10259, "/healthz", "admin"),
        needs=("kube-apiserver",),
        environment=_go_environment(96),
    )


def _kubelet_component(layout: ClusterLayout, record: NativeRecord) -> ClusterComponent:
    """Return the kubelet. The supervisor adds conditions of its own: rules in force, pause image there."""
    return ClusterComponent(
        "kubelet",
        _kube_program(record),
        (
            f"--config={layout.configuration_folder / 'kubelet.yaml'}",
            f"--kubeconfig={layout.configuration_folder / 'kubelet.kubeconfig'}",
            f"--root-dir={layout.kubelet}",
            f"--cert-dir={layout.kubelet / 'pki'}",
            f"--hostname-override={record.name}",
            f"--node-ip={record.address_ranges.node_ip}",
        ),
        HttpCheck("127.0.0.1", 10248, "/healthz"),
        needs=("containerd", "kube-apiserver"),
        environment=_go_environment(160),
        # It insists on kernel parameters of the whole machine (vm.overcommit_memory, kernel.panic).
        sees_own_parameters=True,
    )


def _kube_proxy_component(layout: ClusterLayout, record: NativeRecord) -> ClusterComponent:
    """Return kube-proxy, which rewrites Service addresses to pods' addresses on the node."""
    return ClusterComponent(
        "kube-proxy",
        _kube_program(record),
        (f"--config={layout.configuration_folder / 'kube-proxy.yaml'}",),
        HttpCheck("127.0.0.1", 10256, "/healthz"),
        # It looks its node up in the API, and the kubelet is what registers the node.
        needs=("kubelet",),
        environment=_go_environment(64),
    )


def _coredns_component(layout: ClusterLayout, record: NativeRecord) -> ClusterComponent:
    """Return the cluster's DNS, a process of the node instead of a pod: one image and one pod start less."""
    return ClusterComponent(
        "coredns",
        Path(record.programs["coredns"]),
        ("-conf", str(layout.configuration_folder / "Corefile")),
        SocketCheck(host=str(record.address_ranges.dns_ip), port=53),
        needs=("kube-apiserver",),
        environment=_go_environment(64),
    )


def _forwarder_component(layout: ClusterLayout, record: NativeRecord) -> ClusterComponent:
    """Return the forwarder: 127.0.0.1:<port> of the machine → NodePort of the node."""
    return ClusterComponent(
        "forwarder",
        Path(record.programs["forwarder"]),
        (str(layout.configuration_folder / "forwards.json"),),
        AliveCheck(),
        environment=_go_environment(32),
        in_host_network=True,
    )
