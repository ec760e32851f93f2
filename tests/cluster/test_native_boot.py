"""A box on a real machine: it boots, runs pods, serves, is visited, and comes back."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from c2d_box.errors import C2DError
from sandbox.clusters.port import JobIsolation
from tests.cluster.native_rig import (
    NAMESPACE,
    PROBE,
    TestBox,
    eventually,
    nothing_left,
    pod,
    prepared_namespace,
    probe_image,
)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="the supervisor needs root"),
]
TEXT_PORT = 18030


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="c2d-t-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def box(scratch: Path) -> Iterator[TestBox]:
    made = TestBox.at(scratch / "home", scratch)
    with nothing_left(scratch / "home"):
        with pytest.MonkeyPatch.context() as environment:
            # As an ordinary user of Debian has it: without the places of `ip` and `nft`.
            environment.setenv("PATH", "/usr/local/bin:/usr/bin:/bin")
            made.create()
        try:
            prepared_namespace(made)
            made.load(probe_image(scratch))
            yield made
        finally:
            made.delete()
    assert not (scratch / "home/cluster").exists()


def service(name: str, port: int, node_port: int | None = None) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "selector": {"app": "listener"},
        "ports": [{"port": port, "targetPort": 7000, **({"nodePort": node_port} if node_port else {})}],
        "type": "NodePort" if node_port else "ClusterIP",
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


def ask(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), 2) as connection:
        return connection.recv(100).decode()


def test_every_component_is_ready(box: TestBox) -> None:
    status = box.cluster.status()
    assert status.state == "running"
    assert {part.state for part in status.components} == {"ready"}
    assert len(status.components) == 9


def test_component_pids_are_the_machines_own(box: TestBox) -> None:
    etcd = next(part for part in box.cluster.status().components if part.name == "etcd")
    assert Path(f"/proc/{etcd.pid}/cmdline").read_bytes().startswith(b"etcd\0")


def test_it_is_upstream_kubernetes_with_one_ready_node(box: TestBox) -> None:
    version = json.loads(box.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
    assert version == box.bundle.kubernetes_version
    (node,) = box.get("nodes")["items"]
    assert {item["type"]: item["status"] for item in node["status"]["conditions"]}["Ready"] == "True"


def test_create_again_changes_nothing(box: TestBox) -> None:
    holder = box.holder("anchor")
    box.create()
    assert box.holder("anchor") == holder


def test_secrets_are_the_owners_alone(box: TestBox) -> None:
    cluster = box.cluster.home.cluster_folder
    secret = [box.cluster.kubeconfig, *cluster.glob("pki/*.key"), *cluster.glob("etc/*.kubeconfig")]
    assert len(secret) > 10
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in secret} == {"0o600"}


def test_api_server_refuses_strangers(box: TestBox) -> None:
    import ssl
    import urllib.error
    import urllib.request

    context = ssl.create_default_context(cafile=str(box.cluster.home.cluster_folder / "pki/ca.crt"))
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"https://{box.cluster.node_ip}:6443/healthz", context=context, timeout=3)
    assert refusal.value.code == 401
    refusal.value.close()


def test_etcd_and_kubelet_are_closed_to_the_machine(box: TestBox) -> None:
    for address, port in ((box.cluster.node_ip, 10250), (box.cluster.node_ip, 2379), ("127.0.0.1", 2379)):
        with pytest.raises(OSError):
            socket.create_connection((address, port), 0.5)


def test_services_reach_two_endpoints_by_name_and_from_the_machine(box: TestBox) -> None:
    box.apply(
        pod("one", ["serve", "one", "7000"], labels={"app": "listener"}),
        pod("two", ["serve", "two", "7000"], labels={"app": "listener"}),
        service("text", 8030, 30333),
    )
    for name in ("one", "two"):
        box.wait_log(name, "serving")
    box.cluster.publish_ports({TEXT_PORT: 30333})
    eventually(lambda: _answers(TEXT_PORT), 10, lambda: box.cluster.read_logs("forwarder"))
    assert {ask(TEXT_PORT) for _ in range(30)} == {"one", "two"}
    address = box.get("service", "text", "-n", NAMESPACE)["spec"]["clusterIP"]
    other = box.pod("two")["status"]["podIP"]
    own_dials = [f"dial{i} tcp4 {address} 8030".split() for i in range(12)]
    words = [word for dial in own_dials for word in dial]
    words += f"pod tcp4 {other} 7000 dns udp4 {box.cluster.dns_ip} 53".split()
    words += f"unserved tcp4 {address.rsplit('.', 1)[0]}.254 80 outside tcp4 192.0.2.1 80".split()
    box.apply(pod("caller", ["dial", *words]))
    log = box.wait_log("caller", "done")
    results = dict(line.split() for line in log.splitlines() if line.count(" ") == 1)
    assert [results[f"dial{i}"] for i in range(12)] == ["open"] * 12
    assert (results["pod"], results["dns"]) == ("open", "open")
    assert results["unserved"] in ("EHOSTUNREACH", "ECONNREFUSED")
    assert results["outside"] == "ENETUNREACH"


def _answers(port: int) -> bool:
    try:
        return bool(ask(port))
    except OSError:
        return False


def test_image_is_found_by_tag_and_digest(box: TestBox, scratch: Path) -> None:
    digest = box.load(scratch / "probe.tar")
    by_digest = pod("by-digest", ["serve", "x", "7001"])
    by_digest["spec"]["containers"][0]["image"] = f"{PROBE.partition(':')[0]}@{digest}"
    box.apply(by_digest)
    box.wait_running("by-digest")
    assert digest in {image.digest for image in box.cluster.list_images() if image.reference == PROBE}


def test_restricted_pod_has_a_user_namespace_and_a_pid_limit(box: TestBox) -> None:
    box.apply(pod("mapped", ["dial"]))
    log = box.wait_log("mapped", "done")
    inner, outer, size = next(line for line in log.splitlines() if line.startswith("uid_map")).split()[1:]
    assert (inner, size) == ("0", "65536")
    assert int(outer) >= 65536
    uid = box.pod("mapped")["metadata"]["uid"]
    limits = list(Path("/sys/fs/cgroup").glob(f"**/*{uid}*/pids.max"))
    assert limits
    assert {path.read_text().strip() for path in limits} == {"1024"}


def test_mounts_of_a_privileged_pod_reach_other_pods_and_not_the_machine(box: TestBox) -> None:
    volumes = box.cluster.home.volumes_folder
    volumes.mkdir(exist_ok=True)
    box.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "nodes"}})
    box.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "x", "namespace": "nodes"}})
    mounter = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "mounter", "namespace": "nodes"},
        "spec": {
            "serviceAccountName": "x",
            "terminationGracePeriodSeconds": 1,
            "volumes": [{"name": "v", "hostPath": {"path": str(volumes)}}],
            "containers": [
                {
                    "name": "m",
                    "image": PROBE,
                    "imagePullPolicy": "Never",
                    "args": ["mount", f"{volumes}/inner"],
                    "securityContext": {"privileged": True, "runAsUser": 0},
                    "volumeMounts": [
                        {"name": "v", "mountPath": str(volumes), "mountPropagation": "Bidirectional"}
                    ],
                }
            ],
        },
    }
    box.apply(mounter)
    inside = Path(f"/proc/{box.init_pid}/mounts")
    target = str(volumes / "inner")
    eventually(
        lambda: target in inside.read_text(),
        20,
        lambda: (
            box.kubectl("logs", "mounter", "-n", "nodes") + box.kubectl("describe", "pods", "-n", "nodes")
        ),
    )
    assert target not in Path("/proc/self/mounts").read_text()


def test_state_survives_stop_and_create(box: TestBox) -> None:
    box.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "kept", "namespace": NAMESPACE},
            "data": {"a": "b"},
        }
    )
    box.cluster.allow_endpoints(JobIsolation.from_lists(staging=[("10.1.2.3", 8030)]))
    box.stop()
    assert box.cluster.status().state == "stopped"
    began = time.monotonic()
    box.create()
    assert time.monotonic() - began < 15
    assert box.get("configmap", "kept", "-n", NAMESPACE)["data"] == {"a": "b"}
    for name in ("one", "two"):
        if _says_ready(box.pod(name)):
            inside = Path(f"/proc/{box.init_pid}/root/run/containerd/io.containerd.runtime.v2.task/k8s.io")
            assert len(list(inside.iterdir())) >= 2, "a pod of an earlier life says that it is ready"
    eventually(lambda: _answers(TEXT_PORT), 20, lambda: "the published port does not answer after resume")
    assert "10.1.2.3" in (box.cluster.home.cluster_folder / "cluster.json").read_text()


def _says_ready(pod: Any) -> bool:
    return any(item["type"] == "Ready" and item["status"] == "True" for item in pod["status"]["conditions"])


def test_taken_port_names_who_has_it(box: TestBox) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        with pytest.raises(C2DError) as problem:
            box.cluster.publish_ports({port: 30333})
    assert problem.value.code == "C2D-PORT-TAKEN"
    assert f"process {os.getpid()}" in problem.value.message


def test_idle_box_fits_its_memory(box: TestBox) -> None:
    resources = box.cluster.resource_usage()
    assert 100 << 20 < resources.pss_bytes < 1536 << 20
    assert "kube-apiserver" in resources.by_process
