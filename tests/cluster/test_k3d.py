"""The real k3d command against a real Docker engine, as far as it goes where no k3s can be had.

In k3s' place stands an image that says what k3s says and serves nothing: k3d takes our configuration, makes
the node with its files, ports and network, and reports success; then the driver finds no API server and says
so.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from c2d_box.errors import C2DError
from sandbox import docker_engine as docker
from sandbox.bundle import Bundle, build_bundle
from sandbox.bundle.oci import deterministic_tar, image_archives
from sandbox.bundle.parts.kind_node_image import _describe_for_docker
from sandbox.bundle.parts.recipe import machine_architecture
from sandbox.clusters.bundle_parts import BundleParts
from sandbox.clusters.k3d import configuration, trust
from sandbox.clusters.k3d.driver import K3dCluster
from sandbox.clusters.kind import driver
from sandbox.home import BoxHome
from sandbox.progress import ProgressEvent, run_verb
from tests.cluster.conftest import finish_verb
from tests.cluster.docker_rig import Engine
from tests.cluster.kind_rig import kind_engine, left_in

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="the tests' Docker engine needs root"),
]
K3S, TOOLS = "rancher/k3s:v1.34.4-k3s1", "ghcr.io/k3d-io/k3d-tools:5.8.3"
KUBECONFIG = """apiVersion: v1
kind: Config
clusters: [{name: default, cluster: {server: "https://127.0.0.1:6443"}}]
users: [{name: default, user: {token: none}}]
contexts: [{name: default, context: {cluster: default, user: default}}]
current-context: default
"""
PRETENDS = f"""#!/bin/sh
template={configuration.CONTAINERD}
[ -e "$template" ] && grep -v template "$template" > "${{template%/*}}/config.toml"
mkdir -p /output /var/lib/rancher/k3s/server/manifests
cat > /output/kubeconfig.yaml <<'E'
{KUBECONFIG}E
echo 'kind: ConfigMap
data: {{}}' > /var/lib/rancher/k3s/server/manifests/coredns.yaml
echo "k3s is up and running"
echo "Cluster dns configmap has been set successfully"
exec sleep 100000
"""
BESIDE = "kubectl ctr iptables iptables-save iptables-restore"
"""What k3s' image has besides, and k3d's entrypoint runs."""
APPLETS = "sh cat chmod cp date echo grep hostname mkdir mount sed sleep touch rm ls getent awk true"


def pretender(target: Path, reference: str) -> Path:
    """An image that says what k3s says."""
    busybox = Bundle.open_cached(["busybox"]).binary("busybox")
    nodes = [
        deterministic_tar.TarNode("bin/busybox", file=busybox, mode=0o755),
        *(deterministic_tar.TarNode(f"bin/{name}", link="busybox") for name in APPLETS.split()),
        *(
            deterministic_tar.TarNode(f"bin/{name}", text=b"#!/bin/sh\n", mode=0o755)
            for name in BESIDE.split()
        ),
        deterministic_tar.TarNode("bin/k3s", text=PRETENDS.encode(), mode=0o755),
        *(
            deterministic_tar.TarNode(path, folder=True, mode=0o755)
            for path in ("tmp", "var/log", "run", "etc")
        ),
    ]
    layer = target.with_suffix(".layer")
    deterministic_tar.write_layer(layer, nodes)
    image_archives.write_image(
        target,
        name=reference,
        architecture=machine_architecture(),
        layers=[image_archives.Blob.of_file(image_archives.LAYER, layer)],
        settings=image_archives.ImageSettings(user="0", entrypoint=("/bin/k3s",), env=(("PATH", "/bin"),)),
        created="2020-01-01T00:00:00Z",
    )
    _describe_for_docker(target, reference)
    return target


@pytest.fixture(scope="module")
def engine(pytestconfig: pytest.Config) -> Iterator[Engine]:
    if not pytestconfig.getoption("full"):
        pytest.skip("a driver that is unverified: --full")
    finish_verb(build_bundle(["k3d", "busybox"], yes=True))
    scratch = Path(tempfile.mkdtemp(prefix="c2d-3-"))
    with kind_engine() as made:
        client = docker.connect_engine()
        for number, reference in enumerate((K3S, TOOLS)):
            with pretender(scratch / f"{number}.tar", reference).open("rb") as stream:
                client.images.load(stream)
        yield made
    shutil.rmtree(scratch)


def test_the_real_command_makes_and_the_driver_removes(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "READY_PATIENCE", 1.0)
    monkeypatch.setattr(trust, "is_verified", lambda: False)
    home = BoxHome(Path(tempfile.mkdtemp(prefix="c2d-3")))
    cluster = K3dCluster(home, BundleParts(), "lab", {18545: 30545})
    events: list[ProgressEvent] = []
    with pytest.raises(C2DError) as problem:
        run_verb(cluster.create(), events.append)
    assert problem.value.code == "C2D-NODE-NOT-READY", events
    assert any(event.text == trust.UNVERIFIED for event in events)
    assert any("created successfully" in event.text for event in events)
    record = cluster._known_record()
    node = docker.find_container(docker.connect_engine(), record.node_name)
    assert node is not None and node.status == "running"
    assert node.attrs["HostConfig"]["PortBindings"]["30545/tcp"] == [
        {"HostIp": "127.0.0.1", "HostPort": "18545"}
    ]
    assert list(node.attrs["NetworkSettings"]["Networks"]) == [record.cluster]
    handler = record.runtime_classes["algorithm"]
    assert handler in docker.run_in_container(node, "cat", configuration.CONTAINERD)
    assert "c2d-unrouted" in docker.run_in_container(node, "cat", configuration.NETWORK)
    assert "loop-control" in docker.run_in_container(node, "ls", "/run/c2d/dev")
    assert cluster.status().state == "starting"
    assert home.kubeconfig.read_text().startswith("apiVersion: v1")
    docker.run_in_container(node, "true")
    engine.kill()
    assert cluster.status().state == "stopped"
    engine.start()
    finish_verb(cluster.delete())
    assert left_in(engine) == {"containers": [], "volumes": [], "networks": []}
    assert cluster.status().state == "absent"
    shutil.rmtree(home.path)


def test_an_image_that_cannot_be_pulled_is_said(engine: Engine, tmp_path: Path) -> None:
    docker.connect_engine().images.remove(K3S, force=True)
    home = BoxHome(Path(tempfile.mkdtemp(prefix="c2d-3")))
    cluster = K3dCluster(home, BundleParts(), "lab", {})
    with pytest.raises(C2DError) as problem:
        finish_verb(cluster.create())
    assert problem.value.code == "C2D-K3D-IMAGE"
    finish_verb(cluster.stop())
    assert left_in(engine) == {"containers": [], "volumes": [], "networks": []}
    finish_verb(cluster.delete())
    shutil.rmtree(home.path)
