"""The texts a box is configured by: components, networks, packet rules."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from c2d_box.errors import StateProblem, UsageError
from sandbox.clusters.driver_record import ClusterOptions
from sandbox.clusters.layout import ClusterLayout
from sandbox.clusters.native.control_plane import configuration
from sandbox.clusters.native.control_plane.components import all_components
from sandbox.clusters.native.host import firewall
from sandbox.clusters.native.record import NativeRecord
from sandbox.clusters.port import AllowedEndpoint, JobIsolation
from sandbox.home import BoxHome

LAYOUT = ClusterLayout(BoxHome(Path("/h")), "c2d")


def record(**changes: Any) -> NativeRecord:
    names = ("kube", "containerd", "ctr", "runc", "coredns", "forwarder")
    values: dict[str, Any] = {
        "name": "c2d",
        "block": "10.9.0.0/16",
        "kubernetes_version": "v1.34.4",
        "programs": {name: f"/bundle/{name}" for name in names},
        "owner": (1000, 1000),
        "pause_reference": "c2d.local/pause:latest",
        "pause_archive": "/bundle/pause.tar",
    }
    return NativeRecord(**{**values, **changes})


def test_containerd_knows_a_handler_for_each_class_with_its_own_network() -> None:
    parsed = tomllib.loads(configuration.containerd_toml(LAYOUT, record()))
    runtimes = parsed["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]
    assert set(runtimes) == {"runc", "c2d-unrouted", "c2d-staging", "c2d-publishing"}
    assert len({runtime["cni_conf_dir"] for runtime in runtimes.values()}) == 4


def test_algorithm_network_has_no_gateway_and_no_route() -> None:
    (plugin,) = json.loads(configuration.job_networks(record())["unrouted"])["plugins"]
    assert plugin["isGateway"] is False
    assert "routes" not in plugin["ipam"]
    assert plugin["portIsolation"] is True


@pytest.mark.parametrize("role", ["staging", "publishing"])
def test_routed_job_networks_know_services_only(role: str) -> None:
    (plugin,) = json.loads(configuration.job_networks(record())[role])["plugins"]
    assert [route["dst"] for route in plugin["ipam"]["routes"]] == ["10.9.0.0/20"]
    assert plugin["portIsolation"] is True


def test_isolation_off_is_visible_in_every_job_network() -> None:
    networks = configuration.job_networks(record(options=ClusterOptions(isolation_off=True)))
    assert {json.loads(text)["plugins"][0]["bridge"] for text in networks.values()} == {"pods"}


def test_kubelet_is_closed_and_bounded() -> None:
    kubelet = json.loads(configuration.kubelet_yaml(LAYOUT, record()))
    assert kubelet["authentication"]["anonymous"] == {"enabled": False}
    assert kubelet["authorization"] == {"mode": "Webhook"}
    assert kubelet["readOnlyPort"] == 0
    assert kubelet["podPidsLimit"] == 1024
    assert kubelet["seccompDefault"] is True


def test_nothing_listens_on_every_address() -> None:
    texts = " ".join(word for part in all_components(LAYOUT, record()) for word in part.arguments)
    texts += "".join(configuration.configuration_files(LAYOUT, record()).values())
    assert "0.0.0.0:" not in texts
    assert "bind-address=0.0.0.0" not in texts


def test_no_secret_stands_in_a_command_line() -> None:
    for part in all_components(LAYOUT, record()):
        assert not any("PRIVATE" in word or "password" in word for word in part.arguments)


def test_forwards_lead_from_the_loopback_to_node_ports() -> None:
    forwards = json.loads(configuration.forwards_json(record(ports={8545: 30545})))
    assert forwards == [{"listen": "127.0.0.1:8545", "target": "10.9.255.2:30545"}]


def rules(**changes: Any) -> str:
    isolation = JobIsolation(
        staging=(AllowedEndpoint("10.9.0.30", 8030),), publishing=(AllowedEndpoint("10.9.0.31", 8051),)
    )
    values: dict[str, Any] = {"isolation": isolation, "egress": False, "isolation_off": False, **changes}
    return firewall.nft_rules("c2d-c2d", record().address_ranges, **values)


def test_rules_are_accepted_by_nft(tmp_path: Path) -> None:
    text = tmp_path / "rules"
    text.write_text(rules())
    answer = subprocess.run(["nft", "--check", "-f", str(text)], capture_output=True, text=True, check=False)
    if "Operation not permitted" in answer.stderr or "No such file" in answer.stderr:
        pytest.skip("needs root and the bridges")
    assert answer.returncode == 0, answer.stderr


def test_each_class_is_let_to_its_own_endpoint_before_everything_is_dropped() -> None:
    lines = [line.strip() for line in rules().splitlines()]
    for bridge, address, port in (("staging", "10.9.0.30", 8030), ("publishing", "10.9.0.31", 8051)):
        own = [line for line in lines if line.startswith(f'iifname "{bridge}"')]
        assert len(own) == 2
        assert f"ct original ip daddr {address} ct original proto-dst {port} accept" in own[0]
        assert own[1] == f'iifname "{bridge}" drop'


def test_without_allowances_the_routed_classes_are_dropped_outright() -> None:
    lines = [line.strip() for line in rules(isolation=JobIsolation()).splitlines()]
    for bridge in ("staging", "publishing", "unrouted"):
        assert [line for line in lines if line.startswith(f'iifname "{bridge}"')] == [
            f'iifname "{bridge}" drop'
        ]


def test_nothing_leaves_the_box_unless_asked() -> None:
    assert "masquerade" not in rules()
    assert 'oifname "uplink" reject' in rules()
    assert "masquerade" in rules(egress=True)


def test_rules_replace_the_tables_in_one_transaction() -> None:
    text = rules()
    for family in ("inet", "bridge", "netdev"):
        assert text.index(f"delete table {family} c2d-c2d") < text.index(f"table {family} c2d-c2d {{")


def test_record_survives_the_disk(tmp_path: Path) -> None:
    before = record(ports={8545: 30545}, isolation=JobIsolation.from_lists(staging=[("10.9.0.30", 8030)]))
    before.save_record(tmp_path / "cluster.json")
    assert NativeRecord.load_from(tmp_path / "cluster.json") == before


def test_no_record_is_none_and_a_damaged_one_an_error(tmp_path: Path) -> None:
    assert NativeRecord.load_from(tmp_path / "nothing") is None
    (tmp_path / "bad").write_text('{"format": 99}')
    with pytest.raises(StateProblem) as problem:
        NativeRecord.load_from(tmp_path / "bad")
    assert problem.value.code == "C2D-CLUSTER-RECORD"


@pytest.mark.parametrize("name", ["", "Capital", "with space", "a/b", "x" * 21, "ünïcode"])
def test_names_that_would_break_something_are_refused(name: str) -> None:
    with pytest.raises(UsageError) as problem:
        ClusterLayout(BoxHome(Path("/h")), name).check_limits()
    assert problem.value.code == "C2D-BOX-NAME"


def test_too_long_a_home_is_refused() -> None:
    with pytest.raises(UsageError) as problem:
        ClusterLayout(BoxHome(Path("/" + "x" * 90)), "c2d").check_limits()
    assert problem.value.code == "C2D-HOME-TOO-LONG"


def test_a_home_is_measured_in_bytes_as_the_kernel_does() -> None:
    with pytest.raises(UsageError) as problem:
        ClusterLayout(BoxHome(Path("/" + "ü" * 60)), "c2d").check_limits()
    assert problem.value.code == "C2D-HOME-TOO-LONG" and "121 bytes" in problem.value.message
    ClusterLayout(BoxHome(Path("/" + "u" * 60)), "c2d").check_limits()


@pytest.mark.parametrize("home", ["/tmp/my bøx", "/tmp/a{b} #c", '/tmp/say "hi"'])
def test_the_corefile_names_one_path_whatever_the_home_is_called(home: str) -> None:
    text = configuration.corefile_text(ClusterLayout(BoxHome(Path(home)), "c2d"), record())
    (line,) = [line for line in text.splitlines() if "kubeconfig" in line]
    assert caddy_words(line) == ["kubeconfig", f"{home}/cluster/etc/coredns.kubeconfig"]


def caddy_words(line: str) -> list[str]:
    """As CoreDNS splits a line: at blanks outside double quotes; a backslash keeps a quote."""
    found = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line)
    return [quoted.replace('\\"', '"') or plain for quoted, plain in found]


def test_names_on_the_machine_fit_and_differ_by_home() -> None:
    one, other = (ClusterLayout(BoxHome(Path(path)), "c2d") for path in ("/a", "/b"))
    assert len(one.host_link) <= 15
    assert one.host_link != other.host_link
    assert one.control_group != other.control_group
