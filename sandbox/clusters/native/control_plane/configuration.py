"""Makes the components' configuration files: pure functions of the record, written before every start."""

from __future__ import annotations

import json
from typing import Any

from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.native.host.address_ranges import AddressRanges
from sandbox.clusters.native.host.firewall import PODS, PUBLISHING, STAGING, UNROUTED
from sandbox.clusters.native.record import NativeRecord

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CLUSTER_DOMAIN = "cluster.local"
PIDS_PER_POD = 1024
CONTAINERS = "io.containerd.cri.v1.runtime"


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
    node = record.address_ranges.node_ip
    return json.dumps(
        [
            {"listen": f"127.0.0.1:{host}", "target": f"{node}:{target}"}
            for host, target in record.ports.items()
        ]
    )


def _bridge_network(name: str, bridge: dict[str, Any]) -> str:
    plugin = {"type": "bridge", "bridge": name, "promiscMode": False, **bridge}
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
    """Return the three job classes' networks; with isolation off (tests only) they are the service pods'
    network.
    """
    ranges = record.address_ranges
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
                    "routes": [{"dst": str(ranges.services), "gw": str(subnet[1])}],
                },
            },
        )
    return networks


def containerd_toml(layout: ClusterLayout, record: NativeRecord) -> str:
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
        "disabled_plugins = [",
        *(f'  "{plugin}",' for plugin in _UNUSED_PLUGINS),
        "]",
        "[grpc]",
        f'  address = "{CONTAINERD_SOCKET}"',
        "[plugins.'io.containerd.cri.v1.images'.pinned_images]",
        f'  sandbox = "{record.pause_reference}"',
        f"[plugins.'{CONTAINERS}']",
        "  restrict_oom_score_adj = true",
        "  netns_mounts_under_state_dir = true",
        "  enable_cdi = false",
        f"[plugins.'{CONTAINERS}'.cni]",
        f'  bin_dirs = ["{layout.programs_folder / "cni"}"]',
        f'  conf_dir = "{folder / "default"}"',
    ]
    for handler, networks in runtimes:
        table = f"plugins.'{CONTAINERS}'.containerd.runtimes.'{handler}'"
        lines += [
            f"[{table}]",
            '  runtime_type = "io.containerd.runc.v2"',
            f'  cni_conf_dir = "{networks}"',
            f"[{table}.options]",
            f'  BinaryName = "{layout.programs_folder / "runc"}"',
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


def kubelet_yaml(layout: ClusterLayout, record: NativeRecord) -> str:
    pki = layout.pki_folder
    node_ip = str(record.address_ranges.node_ip)
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": node_ip,
            "readOnlyPort": 0,
            "healthzBindAddress": "127.0.0.1",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True, "cacheTTL": "2m0s"},
                "x509": {"clientCAFile": str(pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(pki / "kubelet-serving.crt"),
            "tlsPrivateKeyFile": str(pki / "kubelet-serving.key"),
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{layout.control_group}",
            "failSwapOn": False,
            "clusterDNS": [str(record.address_ranges.dns_ip)],
            "clusterDomain": CLUSTER_DOMAIN,
            "resolvConf": str(layout.configuration_folder / "resolv.conf"),
            "podLogsDir": str(layout.pod_logs),
            "volumePluginDir": str(layout.kubelet / "volume-plugins"),
            "podPidsLimit": PIDS_PER_POD,
            "containerLogMaxSize": "10Mi",
            "containerLogMaxFiles": 3,
            "seccompDefault": True,
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1Gi",
                "imagefs.available": "1Gi",
            },
            # Five minutes by default, for which a box whose disk has room again would go on taking no pods.
            "evictionPressureTransitionPeriod": "20s",
            "enforceNodeAllocatable": ["pods"],
            "systemReserved": {"memory": "512Mi"},
            "rotateCertificates": False,
            "enableDebuggingHandlers": True,
            "makeIPTablesUtilChains": False,
            "logging": {"verbosity": 1},
        },
        indent=1,
    )


def kube_proxy_yaml(layout: ClusterLayout, record: NativeRecord) -> str:
    ranges = record.address_ranges
    return json.dumps(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {"kubeconfig": str(layout.configuration_folder / "kube-proxy.kubeconfig")},
            "hostnameOverride": record.name,
            "bindAddress": str(ranges.node_ip),
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            "clusterCIDR": str(ranges.pods),
            "detectLocalMode": "ClusterCIDR",
            "nodePortAddresses": [f"{ranges.node_ip}/32"],
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
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
