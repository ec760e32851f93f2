"""What kind and its node are told: pure texts, and the one small program of ours that runs on the node."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2d_box.errors import C2DError
from sandbox import docker_engine
from sandbox.box import Box
from sandbox.clusters.bundle_parts import BundleParts
from sandbox.clusters.driver_record import ClusterOptions
from sandbox.clusters.kind import addresses, configuration, tool
from sandbox.clusters.kind.driver import KindCluster
from sandbox.clusters.kind.firewall import nft_rules
from sandbox.clusters.kind.record import KindRecord
from sandbox.clusters.port import JobIsolation
from sandbox.home import BoxHome
from sandbox.install import cluster_choice
from sandbox.settings import BoxSettings

RECORD = KindRecord("lab", "c2d-lab-12345678", ports={8545: 30545, 8030: 30030})
ASKED = '{"ipam":{}}'
LISTED = JobIsolation.from_lists(staging=[("10.96.0.30", 8030)], publishing=[("10.96.0.31", 8051)])


def test_ports_are_published_on_this_machine_only() -> None:
    node = configuration.cluster_document(RECORD)["nodes"][0]
    assert {entry["listenAddress"] for entry in node["extraPortMappings"]} == {"127.0.0.1"}
    assert configuration.cluster_document(RECORD)["networking"]["apiServerAddress"] == "127.0.0.1"


def test_every_job_class_has_a_handler_with_a_network_of_its_own() -> None:
    patch = configuration.cluster_document(RECORD)["containerdConfigPatches"][0]
    for handler, role in zip(
        RECORD.runtime_classes.values(), ("unrouted", "staging", "publishing"), strict=True
    ):
        assert f'runtimes."{handler}"]' in patch
        assert f'cni_conf_dir = "{configuration.FOLDER}/cni/{role}"' in patch
    networks = {name: json.loads(text) for name, text in configuration.job_networks(False).items()}
    assert networks["unrouted"]["plugins"][0]["type"] == "c2d-unrouted"
    for role in ("staging", "publishing"):
        assert networks[role]["plugins"][0]["ipam"]["routes"] == [{"dst": addresses.SERVICES}]


@pytest.mark.parametrize(("version", "driver", "systemd"), [(1, "cgroupfs", "false"), (2, "systemd", "true")])
def test_kubelet_and_containerd_agree_on_who_makes_control_groups(
    version: int, driver: str, systemd: str
) -> None:
    wanted = configuration.cluster_document(RECORD.with_values(cgroups=version))
    assert json.loads(wanted["kubeadmConfigPatches"][0])["cgroupDriver"] == driver
    said = re.findall(r"SystemdCgroup = (\w+)", wanted["containerdConfigPatches"][0])
    assert said == [systemd] * (1 + len(RECORD.runtime_classes))


def test_a_node_whose_rules_do_not_load_starts_no_pod() -> None:
    files = configuration.node_files(RECORD)
    assert "Requires=c2d-node.service" in files["/etc/systemd/system/kubelet.service.d/20-c2d.conf"][0]
    assert "Before=containerd.service kubelet.service" in files["/etc/systemd/system/c2d-node.service"][0]


def test_the_rules_drop_what_is_not_listed() -> None:
    lines = [line.strip() for line in nft_rules(LISTED, egress=False).splitlines()]
    staging = [line for line in lines if line.startswith(f"ip saddr {addresses.STAGING}")]
    assert staging[-1] == f"ip saddr {addresses.STAGING} drop"
    assert len(staging) == 2 and "10.96.0.30" in staging[0] and "8030" in staging[0]
    assert f"ip saddr {addresses.UNROUTED} drop" in lines
    assert f"ip daddr {{ {', '.join(addresses.JOB_RANGES)} }} drop" in lines
    assert 'oifname "eth0" reject with icmp type net-unreachable' in lines
    assert not any("masquerade" in line for line in lines)


@pytest.mark.skipif(os.geteuid() != 0, reason="nft reads its tables as root")
@pytest.mark.parametrize("egress", [False, True])
@pytest.mark.parametrize("off", [False, True])
def test_nft_accepts_the_rules(egress: bool, off: bool) -> None:
    command = ["unshare", "--net", "nft", "--check", "--file", "-"]
    done = subprocess.run(command, input=nft_rules(LISTED, egress, off), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _plugin(folder: Path, command: str, answer: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    ipam = folder / "host-local"
    ipam.write_text(
        f'#!/bin/sh\ncat > {folder}/asked\necho "$CNI_COMMAND" > {folder}/verb\n'
        f"cat <<'E'\n{answer}\nE\nexit {status}\n"
    )
    ipam.chmod(0o755)
    environment = {
        "PATH": os.environ["PATH"],
        "CNI_COMMAND": command,
        "CNI_PATH": str(folder),
        "CNI_IFNAME": "eth0",
        "CNI_NETNS": "/var/run/netns/x",
    }
    script = folder / "c2d-unrouted"
    script.write_text(configuration.UNROUTED_PLUGIN)
    return subprocess.run(
        ["sh", script], input='{"ipam":{}}', capture_output=True, text=True, env=environment
    )


def test_the_algorithms_network_gives_an_address_and_no_link(tmp_path: Path) -> None:
    answer = json.dumps(
        {"cniVersion": "1.0.0", "ips": [{"address": "10.244.64.7/18", "gateway": "10.244.64.1"}]}, indent=4
    )
    done = _plugin(tmp_path, "ADD", answer)
    assert json.loads(done.stdout) == {
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "eth0", "sandbox": "/var/run/netns/x"}],
        "ips": [{"address": "10.244.64.7/18", "interface": 0}],
    }
    assert (tmp_path / "asked").read_text() == ASKED


def test_the_algorithms_network_without_an_address_starts_no_pod(tmp_path: Path) -> None:
    assert _plugin(tmp_path, "ADD", '{"code": 11, "msg": "no addresses left"}').returncode != 0
    assert _plugin(tmp_path, "ADD", "", status=1).returncode != 0


def test_the_algorithms_network_gives_its_address_back(tmp_path: Path) -> None:
    assert _plugin(tmp_path, "DEL", "").returncode == 0
    assert (tmp_path / "verb").read_text().strip() == "DEL"
    assert "1.0.0" in json.loads(_plugin(tmp_path, "VERSION", "").stdout)["supportedVersions"]


@settings(max_examples=20, deadline=None)
@given(
    st.dictionaries(st.integers(1, 65535), st.integers(30000, 32767)),
    st.booleans(),
    st.sampled_from(["creating", "created"]),
)
def test_a_record_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, ports: dict[int, int], egress: bool, phase: str
) -> None:
    path = tmp_path_factory.mktemp("record") / "cluster.json"
    record = KindRecord("lab", "c2d-lab", phase, ports, LISTED, ClusterOptions(egress=egress))  # type: ignore[arg-type]
    record.save_record(path)
    assert KindRecord.load_from(path) == record


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (
            'ERROR: failed to pull image "kindest/node:v1.36.0"',
            "C2D-KIND-NODE-IMAGE",
        ),
        ("Bind for 127.0.0.1:8545 failed: port is already allocated", "C2D-PORT-TAKEN"),
        ("ERROR: something else", "C2D-KIND"),
    ],
)
def test_kinds_failures_have_codes_and_next_steps(tmp_path: Path, said: str, code: str) -> None:
    program = tmp_path / "kind"
    program.write_text(f"#!/bin/sh\necho ' • Preparing nodes 📦  ...'\necho '{said}' >&2\nexit 1\n")
    program.chmod(0o755)
    seen = []
    with pytest.raises(C2DError) as problem:
        for text in tool.KindTool(program, "c").create_cluster(
            tmp_path / "config", tmp_path / "kubeconfig", None
        ):
            seen.append(text)
    assert seen == ["Preparing nodes"]
    assert problem.value.code == code and problem.value.next_step


def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")


def test_without_docker_the_choice_is_native_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _nobody(monkeypatch, tmp_path)
    chosen = cluster_choice.choose_cluster(Box(BoxHome(tmp_path / "home"), BoxSettings()))
    assert chosen.driver == "native" and "no Docker engine answers" in chosen.text
    assert "\n" not in chosen.text


def test_a_box_keeps_the_cluster_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _nobody(monkeypatch, tmp_path)
    home = BoxHome(tmp_path / "home")
    box = Box(home, BoxSettings()).save_settings(BoxSettings(cluster="kind"))
    RECORD.save_record(home.cluster_folder / "cluster.json")
    assert cluster_choice.choose_cluster(Box(home, BoxSettings())).driver == "kind"
    with pytest.raises(C2DError) as problem:
        cluster_choice.choose_cluster(Box(home, BoxSettings(cluster="native")))
    assert problem.value.code == "C2D-CLUSTER-OTHER"
    assert box.cluster.status().state == "stopped"


def test_with_docker_nothing_of_kubernetes_is_compiled() -> None:
    parts = cluster_choice.parts_for("kind")
    assert parts is not None
    assert not {"kube", "containerd", "runc", "cni", "coredns"} & set(parts)


def test_the_record_names_no_endpoints_that_were_not_put_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise C2DError("C2D-X", "nft refused")

    cluster = KindCluster(BoxHome(tmp_path), BundleParts(), "lab")
    cluster._layout.root.mkdir(parents=True)
    RECORD.save_record(cluster._layout.record_file)
    monkeypatch.setattr(docker_engine, "connect_engine", lambda: None)
    monkeypatch.setattr(cluster, "_running", lambda client, record: None)
    monkeypatch.setattr(cluster, "_apply_rules", refuse)
    with pytest.raises(C2DError):
        cluster.allow_endpoints(LISTED)
    assert KindRecord.load_from(cluster._layout.record_file) == RECORD
    monkeypatch.setattr(cluster, "_apply_rules", lambda container, record: None)
    cluster.allow_endpoints(LISTED)
    assert KindRecord.load_from(cluster._layout.record_file) == RECORD.with_values(isolation=LISTED)
