"""k3d's driver where no k3s can be had: texts, and what the command's words are taken to mean.

The transcripts are DERIVED, NEVER RUN: each is put together from format strings of k3d v5.8.3's source, at
the place named beside it. What the real command did, as far as it goes without k3s, is in
``tests/cluster/test_k3d.py``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from pathlib import Path

import pytest

from c2d_box.errors import C2DError
from sandbox.box import Box
from sandbox.clusters.k3d import configuration, tool, trust
from sandbox.clusters.k3d.driver import K3dCluster
from sandbox.clusters.kind.addresses import DNS, SERVICES
from sandbox.clusters.kind.record import KindRecord
from sandbox.home import BoxHome
from sandbox.install import cluster_choice
from sandbox.settings import BoxSettings

RECORD = KindRecord("lab", "c2d-12345678", ports={8545: 30545, 8030: 30030}, driver="k3d")
LINE = "\x1b[36m{level}\x1b[0m[0000] {text}"
"""As the real command was seen to print, with and without a terminal."""
LEVELS = {"info": "INFO", "error": "ERRO", "fatal": "FATA"}


@dataclasses.dataclass(frozen=True)
class Transcript:
    """DERIVED, NEVER RUN."""

    origin: str
    said: tuple[tuple[str, str], ...]
    """Level and text of each line."""
    status: int
    steps: tuple[str, ...] = ()
    code: str = ""


TRANSCRIPTS = [
    Transcript(
        "pkg/client/cluster.go:284,343 and cmd/cluster/clusterCreate.go:170",
        (
            ("info", "Prep: Network"),
            ("info", "Starting servers..."),
            ("info", "Cluster 'c2d-12345678' created successfully!"),
        ),
        0,
        ("Prep: Network", "Starting servers...", "Cluster 'c2d-12345678' created successfully!"),
    ),
    Transcript(
        "pkg/runtimes/docker/container.go:58,111, pkg/client/cluster.go:78, cmd/cluster/clusterCreate.go:168",
        (
            ("info", "Prep: Network"),
            (
                "error",
                "failed Cluster Creation: docker failed to pull image 'docker.io/rancher/k3s:v1.34.4-k3s1': "
                "docker failed to pull the image 'docker.io/rancher/k3s:v1.34.4-k3s1': no such host",
            ),
            ("fatal", "Cluster creation FAILED, all changes have been rolled back!"),
        ),
        1,
        ("Prep: Network",),
        "C2D-K3D-IMAGE",
    ),
    Transcript(
        "pkg/client/cluster.go:106 around the engine's own words, cmd/cluster/clusterCreate.go:168",
        (
            (
                "error",
                "Failed Cluster Start: Failed to start server k3d-c2d-12345678-server-0: driver failed: "
                "Bind for 127.0.0.1:8545 failed: port is already allocated",
            ),
            ("fatal", "Cluster creation FAILED, all changes have been rolled back!"),
        ),
        1,
        (),
        "C2D-PORT-TAKEN",
    ),
    Transcript(
        "cmd/cluster/clusterCreate.go:166",
        (("fatal", "Cluster creation FAILED, also FAILED to rollback changes!"),),
        1,
        (),
        "C2D-K3D",
    ),
]


def program(folder: Path, lines: list[str], status: int) -> Path:
    path = folder / "k3d"
    told = "\n".join(f"echo {shlex.quote(line)} >&2" for line in lines)
    path.write_text(f"#!/bin/sh\n{told}\nexit {status}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda transcript: transcript.origin)
def test_what_k3d_says_is_understood(tmp_path: Path, transcript: Transcript) -> None:
    lines = [LINE.format(level=LEVELS[level], text=text) for level, text in transcript.said]
    made = tool.K3dTool(program(tmp_path, lines, transcript.status), "c2d-12345678")
    seen: list[str] = []

    def create() -> None:
        seen.extend(made.create_cluster(tmp_path / "wanted", tmp_path / "kubeconfig", None))

    if transcript.code:
        with pytest.raises(C2DError) as problem:
            create()
        assert problem.value.code == transcript.code and problem.value.next_step
    else:
        create()
    assert tuple(seen) == transcript.steps


def test_a_kubeconfig_comes_after_a_separator(tmp_path: Path) -> None:
    """cmd/kubeconfig/kubeconfigGet.go:76, DERIVED, NEVER RUN."""
    path = tmp_path / "k3d"
    path.write_text("#!/bin/sh\necho ---\necho 'apiVersion: v1'\n")
    path.chmod(0o755)
    assert tool.K3dTool(path, "c").read_kubeconfig() == "apiVersion: v1\n"


def test_only_this_machine_reaches_the_node() -> None:
    wanted = configuration.cluster_document(RECORD, "node")
    assert {entry["port"] for entry in wanted["ports"]} == {"127.0.0.1:8545:30545", "127.0.0.1:8030:30030"}
    assert wanted["kubeAPI"]["hostIP"] == "127.0.0.1"
    assert wanted["network"] == RECORD.cluster
    arguments = {entry["arg"] for entry in wanted["options"]["k3s"]["extraArgs"]}
    assert {f"--service-cidr={SERVICES}", f"--cluster-dns={DNS}"} <= arguments
    assert wanted["options"]["kubeconfig"]["updateDefaultKubeconfig"] is False


def test_the_algorithms_class_has_a_handler_without_a_link() -> None:
    files = configuration.node_files(RECORD)
    path, containerd = files["containerd.toml.tmpl"]
    assert path == configuration.CONTAINERD and containerd.startswith('{{ template "base" . }}')
    assert "runtimes.'lab-unrouted']" in containerd
    network = json.loads(files["unrouted.conflist"][1])
    assert network["plugins"][0]["type"] == "c2d-unrouted"
    assert f'cni_conf_dir = "{Path(files["unrouted.conflist"][0]).parent}"' in containerd


@pytest.fixture
def engine_and_k3d(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine where a Docker engine answers, k3d is installed and kind is not; an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    k3d = folder / "k3d"
    k3d.write_text("#!/bin/sh\necho 'k3d version v5.8.3'\n")
    k3d.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("C2D_BOX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cluster_choice, "_no_docker", lambda: "")
    return tmp_path


def test_auto_does_not_choose_k3d_before_a_selftest_passed(engine_and_k3d: Path) -> None:
    box = Box(BoxHome(engine_and_k3d / "home"), BoxSettings())
    assert cluster_choice.choose_cluster(box).driver == "kind"
    trust.mark_verified()
    assert cluster_choice.choose_cluster(box).driver == "k3d"


def test_a_box_on_k3d_says_that_it_is_unverified(
    engine_and_k3d: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{engine_and_k3d}/nobody.sock")
    box = Box(BoxHome(engine_and_k3d / "home"), BoxSettings(cluster="k3d"))
    assert isinstance(box.cluster, K3dCluster)
    assert next(box.cluster.create()).text == trust.UNVERIFIED
    trust.mark_verified()
    with pytest.raises(C2DError):
        next(box.cluster.create())
    assert set(box.cluster.runtime_classes) == {"algorithm"}
    assert cluster_choice.parts_for("k3d") is not None and "k3d" not in (
        cluster_choice.parts_for("k3d") or ()
    )
