"""Makes the components' configuration files: pure functions of the record, written before every start.

Nothing in them is edited by hand or kept: a new version of the program brings new files at the next ``up``.
"""

from __future__ import annotations

import json
from typing import Any

from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.native.host.address_ranges import AddressRanges
from sandbox.clusters.native.host.firewall import PODS, PUBLISHING, STAGING, UNROUTED
from sandbox.clusters.native.record import NativeRecord

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
"""Path in the box's own /run, which is private to its mount namespace."""
CLUSTER_DOMAIN = "cluster.local"
PIDS_PER_POD = 1024
"""Most processes of one pod: a fork bomb ends at it instead of at the node's limit, which all pods share."""
CONTAINERS = "io.containerd.cri.v1.runtime"
"""containerd's plugin for containers, as configurations of version 3 name it."""


def configuration_files(layout: ClusterLayout, record: NativeRecord) -> dict[str, str]:
    """Return every file of the configuration folder by its relative path."""
    return {
        "containerd.toml": containerd_toml(layout, record),
        "kubelet.yaml": kubelet_yaml(layout, record),
        "kube-proxy.yaml": kube_proxy_yaml(layout, record),
        "Corefile": corefile_text(layout, record),
        "resolv.conf": "# There is no resolver on the node: it has no network but the box's.\n",
        "forwards.json": forwards_json(record),
        "cni/default/10-pods.conflist": pod_network(record.address_ranges, not record.options.isolation_off),
        **{f"cni/{role}/10-{role}.conflist": text for role, text in job_networks(record).items()},
    }


def forwards_json(record: NativeRecord) -> str:
    """Return the forwarder's list of ports, which it reads again on SIGHUP."""
    node = record.address_ranges.node_ip
    return json.dumps(
        [
            {"listen": f"127.0.0.1:{host}", "target": f"{node}:{target}"}
            for host, target in record.ports.items()
        ]
    )


def _bridge_network(name: str, bridge: dict[str, Any]) -> str:
    """Return a CNI configuration for one bridge; ``bridge`` holds what differs between the classes."""
    plugin = {"type": "bridge", "bridge": name, "promiscMode": False, **bridge}
    # /run is private and ends with the box, so no address stays taken after a crash.
    plugin["ipam"] = {"type": "host-local", "dataDir": "/run/cni", **bridge["ipam"]}
    return json.dumps({"cniVersion": "1.0.0", "name": f"c2d-{name}", "plugins": [plugin]}, indent=1)


def pod_network(ranges: AddressRanges, isolated_ports: bool = True) -> str:
    """Return the network of service pods. Ports are isolated: every packet between two pods is routed, and so
    filtered, by the node.
    """
    subnet = {"subnet": str(ranges.pods), "gateway": str(ranges.pods[1])}
    return _bridge_network(
        PODS,
        {
            "isGateway": True,
            "ipMasq": False,
            "portIsolation": isolated_ports,
            "ipam": {"ranges": [[subnet]], "routes": [{"dst": "0.0.0.0/0"}]},
        },
    )


def job_networks(record: NativeRecord) -> dict[str, str]:
    """Return the three job classes' networks.

    The algorithm's bridge has no address and its pods no route: there is no gateway to be asked. The other
    two classes have a route to Services and to nothing else. With isolation off (tests only) all three are
    the service pods' network.
    """
    ranges = record.address_ranges
    # Ports that are not isolated here: these pods reach each other without the node, as on ordinary clusters.
    if record.options.isolation_off:
        return dict.fromkeys((UNROUTED, STAGING, PUBLISHING), pod_network(ranges, isolated_ports=False))
    networks = {
        UNROUTED: _bridge_network(
            UNROUTED,
            {
                "isGateway": False,
                "ipMasq": False,
                "portIsolation": True,
                "ipam": {"ranges": [[{"subnet": str(ranges.unrouted)}]]},
            },
        )
    }
    for role, subnet in ((STAGING, ranges.staging), (PUBLISHING, ranges.publishing)):
        networks[role] = _bridge_network(
            role,
            {
                "isGateway": True,
                "ipMasq": False,
                "portIsolation": True,
                "ipam": {
                    "ranges": [[{"subnet": str(subnet), "gateway": str(subnet[1])}]],
                    # No default route: to any other address the pod's own kernel says "network unreachable".
                    "routes": [{"dst": str(ranges.services), "gw": str(subnet[1])}],
                },
            },
        )
    return networks


def containerd_toml(layout: ClusterLayout, record: NativeRecord) -> str:
    """Return containerd's configuration: where it keeps things, and one handler per class of pods."""
    folder = layout.configuration_folder / "cni"
    runtimes = [("runc", folder / "default")]
    runtimes += [
        (handler, folder / role)
        for handler, role in zip(
            record.runtime_classes.values(), (UNROUTED, STAGING, PUBLISHING), strict=True
        )
    ]
    lines = [
        "version = 3",
        f'root = "{layout.containerd}"',
        'state = "/run/containerd"',
        "oom_score = 0",
        # Less to load at each start.
        "disabled_plugins = [",
        *(f'  "{plugin}",' for plugin in _UNUSED_PLUGINS),
        "]",
        "[grpc]",
        f'  address = "{CONTAINERD_SOCKET}"',
        # The kubelet must not delete the image with which every pod begins: it cannot be pulled again.
        "[plugins.'io.containerd.cri.v1.images'.pinned_images]",
        f'  sandbox = "{record.pause_reference}"',
        f"[plugins.'{CONTAINERS}']",
        # Lowering the score takes a capability that root inside a container may lack.
        "  restrict_oom_score_adj = true",
        # Under the private /run, so that a crash leaves no network namespace mounted on the machine.
        "  netns_mounts_under_state_dir = true",
        "  enable_cdi = false",
        # The ordinary pods' network; each job class names its own folder below.
        f"[plugins.'{CONTAINERS}'.cni]",
        f'  bin_dirs = ["{layout.programs_folder / "cni"}"]',
        f'  conf_dir = "{folder / "default"}"',
    ]
    for handler, networks in runtimes:
        table = f"plugins.'{CONTAINERS}'.containerd.runtimes.'{handler}'"
        lines += [
            f"[{table}]",
            # The handler's own CNI folder decides on its pods' network; no label or policy can widen it.
            '  runtime_type = "io.containerd.runc.v2"',
            f'  cni_conf_dir = "{networks}"',
            f"[{table}.options]",
            f'  BinaryName = "{layout.programs_folder / "runc"}"',
            # The kubelet is told "cgroupfs" too; they must agree. No systemd runs inside the box.
            "  SystemdCgroup = false",
        ]
    return "\n".join(lines) + "\n"


_UNUSED_PLUGINS = (
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.tracing",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.nri.v1.nri",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.native",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.differ.v1.erofs",
)
"""Plugins of containerd for what the box does not do: tracing, NRI, other snapshotters."""


def kubelet_yaml(layout: ClusterLayout, record: NativeRecord) -> str:
    """Return the kubelet's configuration (JSON is YAML)."""
    pki = layout.pki_folder
    node_ip = str(record.address_ranges.node_ip)
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": node_ip,
            # That port would tell every pod's specification to whoever asks, without a certificate.
            "readOnlyPort": 0,
            "healthzBindAddress": "127.0.0.1",
            "authentication": {
                # Also tried from job pods: the warden must find port 10250 closed.
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True, "cacheTTL": "2m0s"},
                "x509": {"clientCAFile": str(pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(pki / "kubelet-serving.crt"),
            "tlsPrivateKeyFile": str(pki / "kubelet-serving.key"),
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "cgroupDriver": "cgroupfs",
            # All pods below the box's own group, so that removing that group ends them.
            "cgroupRoot": f"/{layout.control_group}",
            # The machine is a user's, and most have swap.
            "failSwapOn": False,
            "clusterDNS": [str(record.address_ranges.dns_ip)],
            "clusterDomain": CLUSTER_DOMAIN,
            # An empty file: pods that ask for the node's resolver must not get the machine's.
            "resolvConf": str(layout.configuration_folder / "resolv.conf"),
            # In the home: the usual /var/log/pods is private to the box and ends with it.
            "podLogsDir": str(layout.pod_logs),
            # Its default lies below /usr, which is the machine's.
            "volumePluginDir": str(layout.kubelet / "volume-plugins"),
            "podPidsLimit": PIDS_PER_POD,
            # An algorithm that prints without end fills 30 MiB, not the disk.
            "containerLogMaxSize": "10Mi",
            "containerLogMaxFiles": 3,
            # Pods that name no seccomp profile get the runtime's, not none.
            "seccompDefault": True,
            # Never by use of the disk. When the disk is full the kubelet still would: hence the pins
            # (docs/adr/0009).
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1Gi",
                "imagefs.available": "1Gi",
            },
            # Five minutes by default, for which a box whose disk has room again would go on taking no pods.
            "evictionPressureTransitionPeriod": "20s",
            # Pods together may not take the memory that the components need.
            "enforceNodeAllocatable": ["pods"],
            "systemReserved": {"memory": "512Mi"},
            # The supervisor issues certificates itself, before each start.
            "rotateCertificates": False,
            "enableDebuggingHandlers": True,
            # The node's rules are nftables; nothing here reads iptables.
            "makeIPTablesUtilChains": False,
            "logging": {"verbosity": 1},
        },
        indent=1,
    )


def kube_proxy_yaml(layout: ClusterLayout, record: NativeRecord) -> str:
    """Return kube-proxy's configuration (JSON is YAML)."""
    ranges = record.address_ranges
    return json.dumps(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            # The same kernel interface as our rules use, whose order against kube-proxy's is given by
            # priorities.
            "mode": "nftables",
            "clientConnection": {"kubeconfig": str(layout.configuration_folder / "kube-proxy.kubeconfig")},
            "hostnameOverride": record.name,
            "bindAddress": str(ranges.node_ip),
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            "clusterCIDR": str(ranges.pods),
            "detectLocalMode": "ClusterCIDR",
            # Without it NodePorts would also answer on the bridges' addresses, inside the pods' networks.
            "nodePortAddresses": [f"{ranges.node_ip}/32"],
            # Zero leaves the kernel's values: they belong to the whole machine.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            # Rules are written as soon as an endpoint changes: a boot waits for them, and the node has few.
            "nftables": {"minSyncPeriod": "0s", "syncPeriod": "30s"},
        },
        indent=1,
    )


def corefile_text(layout: ClusterLayout, record: NativeRecord) -> str:
    """Return CoreDNS' configuration, for the cluster's own names only: there is no server to forward other
    questions to.
    """
    kubeconfig = str(layout.configuration_folder / "coredns.kubeconfig").replace('"', r"\"")
    return f""".:53 {{
    bind {record.address_ranges.dns_ip}
    errors
    kubernetes {CLUSTER_DOMAIN} {{
        kubeconfig "{kubeconfig}"
        pods disabled
        ttl 5
    }}
    cache 5
}}
"""
