"""Makes the configuration texts of k3d and its node: pure functions of the record.

An algorithm's pod gets no network link: a network plugin of ours sees to that, as on kind. The two other job
classes have the ordinary network, which k3s' own network policy controller cuts down to what the chart's
policies list.
"""

from __future__ import annotations

import json
from typing import Any

from sandbox.clusters.kind.addresses import ALL_PODS, DNS, SERVICES
from sandbox.clusters.kind.configuration import PIDS_PER_POD, UNROUTED_PLUGIN
from sandbox.clusters.kind.record import KindRecord

ONLY = ["server:0"]
"""k3d's filter for the one node there is: the first server."""
CONTAINERD = "/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl"
"""Path of the template from which k3s makes containerd's configuration. It may start with k3s' own one."""
NETWORK = "/etc/c2d/cni/unrouted/10-unrouted.conflist"
"""CNI configuration of the algorithm's pods. Its folder is in no place where k3s' containerd looks by itself,
so no other pod can get it.
"""
PLUGIN = "/var/lib/rancher/k3s/data/cni/c2d-unrouted"
"""Path of our network plugin, in the folder where k3s' containerd looks for plugins."""
UNROUTED_RANGE = "10.242.0.0/16"
"""Addresses told to Kubernetes for pods without a link; outside ``ALL_PODS``, so no address is given twice.
"""
TIMEOUT = "180s"
"""Time that k3d itself waits for its node before it rolls back."""


def cluster_document(record: KindRecord, files: str) -> dict[str, Any]:
    """Return the document for ``k3d cluster create --config`` (pkg/config/v1alpha5/schema.json); JSON is
    YAML.

    ``files`` is the folder with what :func:`node_files` names, to be put on the node before it starts; k3d
    takes it from the folder of the document.
    """
    arguments = [
        # What k3s brings along: an ingress, load balancers and a storage class that the box has no use for.
        *(f"--disable={name}" for name in ("traefik", "servicelb", "local-storage", "metrics-server")),
        f"--cluster-cidr={ALL_PODS}",
        f"--service-cidr={SERVICES}",
        f"--cluster-dns={DNS}",
        f"--kubelet-arg=pod-max-pids={PIDS_PER_POD}",
        # As on the other drivers: pods that name no seccomp profile get the runtime's, not none.
        "--kubelet-arg=seccomp-default=true",
    ]
    return {
        "apiVersion": "k3d.io/v1alpha5",
        "kind": "Simple",
        "metadata": {"name": record.cluster},
        "servers": 1,
        "agents": 0,
        # k3d's default is 0.0.0.0, where the whole network could knock.
        "kubeAPI": {"hostIP": "127.0.0.1"},
        # A network of the box's own: in a shared one, boxes would reach each other's node.
        "network": record.cluster,
        # "direct": published by the node itself, as there is no load balancer in front of it.
        "ports": [
            {"port": f"127.0.0.1:{host}:{node}", "nodeFilters": ["server:0:direct"]}
            for host, node in sorted(record.ports.items())
        ],
        "files": [
            {"source": f"{files}/{name}", "destination": path, "nodeFilters": ONLY}
            for name, (path, _) in node_files(record).items()
        ],
        "options": {
            # Its volume for images is of no use, but without one k3d looks for the cluster it is making.
            "k3d": {"wait": True, "timeout": TIMEOUT, "disableLoadbalancer": True},
            "k3s": {"extraArgs": [{"arg": word, "nodeFilters": ONLY} for word in arguments]},
            # The user's own kubeconfig is not ours to change.
            "kubeconfig": {"updateDefaultKubeconfig": False, "switchCurrentContext": False},
        },
    }


def node_files(record: KindRecord) -> dict[str, tuple[str, str]]:
    """Return our files on the node: name → path there and text.

    The handler's CNI folder is what isolates: a pod of that RuntimeClass gets its network from it and from
    nowhere else.
    """
    handler = record.runtime_classes["algorithm"]
    table = f"plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.'{handler}'"
    containerd = (
        # k3s' own configuration first; without it containerd would know no default runtime.
        '{{ template "base" . }}\n\n'
        f'[{table}]\n  runtime_type = "io.containerd.runc.v2"\n'
        f'  cni_conf_dir = "{NETWORK.rpartition("/")[0]}"\n'
        f"[{table}.options]\n  SystemdCgroup = false\n"
    )
    ipam = {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": UNROUTED_RANGE}]]}
    # The plugin takes an address from this range and makes no link (UNROUTED_PLUGIN).
    nothing = {"type": PLUGIN.rpartition("/")[2], "ipam": ipam}
    network = {"cniVersion": "1.0.0", "name": "c2d-unrouted", "plugins": [nothing]}
    return {
        "containerd.toml.tmpl": (CONTAINERD, containerd),
        "unrouted.conflist": (NETWORK, json.dumps(network, indent=1)),
        "c2d-unrouted": (PLUGIN, UNROUTED_PLUGIN),
    }
