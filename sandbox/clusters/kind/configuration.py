"""Makes the configuration texts of kind and its node: pure functions of the record."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from typing import Any

from sandbox.clusters.kind.addresses import ALL_PODS, PODS, PUBLISHING, SERVICES, STAGING, UNROUTED
from sandbox.clusters.kind.firewall import nft_rules
from sandbox.clusters.kind.record import KindRecord

FOLDER = "/etc/c2d"
"""Folder of our files on the node; on its own file system, so they survive a restart of the container."""
DEVICES = "/run/c2d/dev"
"""Folder of the machine's device nodes, loop devices made later included: a container's own ``/dev`` is a
copy.
"""
VOLUMES = "/var/lib/c2d-box/volumes"
"""Folder on the node for the volumes that the box's provisioner makes."""
PIDS_PER_POD = 1024
"""Most processes of one pod: a fork bomb ends at it instead of at the node's limit, which all pods share."""
NETWORKS = {"unrouted": UNROUTED, "staging": STAGING, "publishing": PUBLISHING}
"""Range of each job class, by the name of its CNI folder; in the order of ``runtime_classes``."""
_RUNTIMES = 'plugins."io.containerd.grpc.v1.cri".containerd.runtimes'
"""containerd's table of handlers, as configurations of version 2 name it. kind's node images have that
version, and containerd 2 translates it.
"""


def cluster_document(record: KindRecord) -> dict[str, Any]:
    """Return the document for ``kind create cluster --config``; JSON is YAML."""
    kubelet = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "podPidsLimit": PIDS_PER_POD,
        # Pods that name no seccomp profile get the runtime's, not none.
        "seccompDefault": True,
        # An algorithm that prints without end fills 30 MiB, not the disk.
        "containerLogMaxSize": "10Mi",
        "containerLogMaxFiles": 3,
        "cgroupDriver": "systemd" if _by_systemd(record) else "cgroupfs",
    }
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": record.cluster,
        "networking": {
            # The rules and ranges below are IPv4; a second family would be a second way out to close.
            "ipFamily": "ipv4",
            "apiServerAddress": "127.0.0.1",
            # kindnet would give each pod a link of its kind, and mask addresses by which the rules tell the
            # classes.
            "disableDefaultCNI": True,
            "podSubnet": ALL_PODS,
            "serviceSubnet": SERVICES,
        },
        "nodes": [{"role": "control-plane", "extraPortMappings": port_mappings(record.ports)}],
        "containerdConfigPatches": [containerd_runtimes(record)],
        # kind merges each into the document of the same kind and version.
        "kubeadmConfigPatches": [
            json.dumps(kubelet),
            *(json.dumps(patch) for patch in _single_node_patches()),
        ],
    }


def _by_systemd(record: KindRecord) -> bool:
    """Return whether systemd makes the control groups of pods; kubelet and containerd must agree on that.

    kind's default is systemd. With it runc freezes each new container in version 1, which a busy machine does
    not get done in time ("unable to freeze"): there runc makes them itself.
    """
    return record.cgroups == 2


def _single_node_patches() -> list[dict[str, Any]]:
    """Turn leader election off: with one control plane it is not needed, and components would stop where a
    busy machine lets an election time out.

    Returned in the two forms that kubeadm has had since 1.23; kind takes the one that matches.
    """
    old: dict[str, Any] = {"extraArgs": {"leader-elect": "false"}}
    new: dict[str, Any] = {"extraArgs": [{"name": "leader-elect", "value": "false"}]}
    return [
        {
            "kind": "ClusterConfiguration",
            "apiVersion": f"kubeadm.k8s.io/{version}",
            "controllerManager": arguments,
            "scheduler": arguments,
        }
        for version, arguments in (("v1beta3", old), ("v1beta4", new))
    ]


def port_mappings(ports: Mapping[int, int]) -> list[dict[str, Any]]:
    """Return kind's port mappings. They listen on 127.0.0.1 only: kind's default is every address of the
    machine.
    """
    return [
        {"listenAddress": "127.0.0.1", "hostPort": host, "containerPort": node, "protocol": "TCP"}
        for host, node in sorted(ports.items())
    ]


def containerd_runtimes(record: KindRecord) -> str:
    """Return containerd's handlers of the three job classes, each with a CNI folder of its own.

    A RuntimeClass names its handler, and the folder decides on the network: no label or policy can widen it.
    """
    by_systemd = f"  SystemdCgroup = {str(_by_systemd(record)).lower()}"
    # The ordinary pods' handler must use the same driver of control groups as the kubelet is told to.
    lines = [f'[{_RUNTIMES}."runc".options]', by_systemd]
    for handler, role in zip(record.runtime_classes.values(), NETWORKS, strict=True):
        table = f'{_RUNTIMES}."{handler}"'
        lines += [
            f"[{table}]",
            '  runtime_type = "io.containerd.runc.v2"',
            f'  cni_conf_dir = "{FOLDER}/cni/{role}"',
            f"[{table}.options]",
            by_systemd,
        ]
    return "\n".join(lines) + "\n"


def node_files(record: KindRecord) -> dict[str, tuple[str, int]]:
    """Return our files on the node: path → text and mode.

    ``sandbox.clusters.kind.node`` writes them before any pod of the box exists, and again at each resume, so
    that an upgraded program brings its own.
    """
    networks = job_networks(record.options.isolation_off)
    return {
        f"{FOLDER}/rules.nft": (rules_of(record), 0o600),
        f"{FOLDER}/prepare": (PREPARE, 0o755),
        # containerd takes the first file by name; kind's own would begin with 10.
        "/etc/cni/net.d/00-c2d.conflist": (pod_network("pods", PODS, "0.0.0.0/0"), 0o644),
        **{f"{FOLDER}/cni/{role}/10-{role}.conflist": (text, 0o644) for role, text in networks.items()},
        "/opt/cni/bin/c2d-unrouted": (UNROUTED_PLUGIN, 0o755),
        "/etc/systemd/system/c2d-node.service": (UNIT, 0o644),
        # After kubeadm's 10-kubeadm.conf, which must keep its meaning.
        "/etc/systemd/system/kubelet.service.d/20-c2d.conf": (AFTER_US, 0o644),
    }


def rules_of(record: KindRecord) -> str:
    """Return the packet rules for a record, as they stand on the node and as ``allow_endpoints`` replaces
    them.
    """
    return nft_rules(record.isolation, record.options.egress, record.options.isolation_off)


def pod_network(name: str, subnet: str, reachable: str) -> str:
    """Return a CNI configuration with one link per pod; ``reachable`` is the range the pod has a route to."""
    gateway = str(ipaddress.ip_network(subnet)[1])
    ipam = {
        "type": "host-local",
        "dataDir": "/run/cni",
        "ranges": [[{"subnet": subnet, "gateway": gateway}]],
        "routes": [{"dst": reachable}],
    }
    # No masquerading: the rules must see the pod's own address at every point.
    plugin = {"type": "ptp", "ipMasq": False, "ipam": ipam}
    return json.dumps({"cniVersion": "1.0.0", "name": f"c2d-{name}", "plugins": [plugin]}, indent=1)


def job_networks(isolation_off: bool) -> dict[str, str]:
    """Return the networks of the job classes; with isolation off (tests only) that of the service pods."""
    # Only for tests that prove the probes: a selftest on this network must fail.
    if isolation_off:
        return dict.fromkeys(NETWORKS, pod_network("pods", PODS, "0.0.0.0/0"))
    ipam = {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": UNROUTED}]]}
    nothing = {"type": "c2d-unrouted", "ipam": ipam}
    return {
        "unrouted": json.dumps(
            {"cniVersion": "1.0.0", "name": "c2d-unrouted", "plugins": [nothing]}, indent=1
        ),
        "staging": pod_network("staging", STAGING, SERVICES),
        "publishing": pod_network("publishing", PUBLISHING, SERVICES),
    }


UNROUTED_PLUGIN = """#!/bin/sh
# Network of an algorithm's pod: none. Kubernetes wants an address for every pod, so one is taken from the
# range and told; no link is made, so nothing can come or go.
set -eu
case "$CNI_COMMAND" in
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}' ;;
ADD)
	answer=$("${CNI_PATH%%:*}/host-local")
	address=$(printf %s "$answer" | tr -d ' \\n\\t' | sed -n 's/.*"address":"\\([0-9.\\/]*\\)".*/\\1/p')
	[ -n "$address" ] || { printf '%s' "$answer"; exit 1; }
	printf '{"cniVersion":"1.0.0","interfaces":[{"name":"%s","sandbox":"%s"}],' "$CNI_IFNAME" "$CNI_NETNS"
	printf '"ips":[{"address":"%s","interface":0}]}' "$address"
	;;
DEL) "${CNI_PATH%%:*}/host-local" ;;
esac
"""

PREPARE = f"""#!/bin/sh
# Before any pod of this node can start: the box's packet rules, and device nodes for the volumes.
set -eu
for kind in all default; do
	echo 1 > /proc/sys/net/ipv6/conf/$kind/disable_ipv6 || true
	echo 1 > /proc/sys/net/ipv4/conf/$kind/rp_filter
	echo 0 > /proc/sys/net/ipv4/conf/$kind/send_redirects
	echo 0 > /proc/sys/net/ipv4/conf/$kind/accept_redirects
done
nft -f {FOLDER}/rules.nft
mkdir -p {DEVICES} {VOLUMES}
mountpoint -q {DEVICES} || mount -t devtmpfs none {DEVICES}
"""

UNIT = f"""[Unit]
Description=Isolation of the box's jobs
DefaultDependencies=no
After=local-fs.target
Before=containerd.service kubelet.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={FOLDER}/prepare
ExecReload={FOLDER}/prepare

[Install]
WantedBy=multi-user.target
"""

AFTER_US = """# Without the rules no pod starts.
[Unit]
Requires=c2d-node.service
After=c2d-node.service
"""
