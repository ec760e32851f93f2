"""What counts as closed, and that nothing but the proof gives the go-ahead."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from c2d_box.pods import alive
from c2d_box.pods.alive import AliveAddresses
from c2d_box.pods.warden import __main__ as warden
from c2d_box.pods.warden import probes, restrictions
from c2d_box.pods.warden.probes import ProbeResult


@pytest.fixture
def listener() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_a_connection_is_open(listener: str) -> None:
    assert probes.probe_address(listener, "tcp", 0.5) == ProbeResult(listener, "tcp", False, "answered")


def test_a_refusal_is_an_answer() -> None:
    assert not probes.probe_address(closed_port(), "tcp", 0.5).closed
    assert not probes.probe_address(closed_port(), "udp", 0.5).closed


def test_silence_and_no_route_are_closed() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        assert probes.probe_address(f"127.0.0.1:{silent.getsockname()[1]}", "udp", 0.1).closed
    assert probes.probe_address("[fe80::1%nosuchlink]:80", "tcp", 0.1).closed


def test_a_dns_server_that_answers_is_open() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"

        def answer() -> None:
            _, peer = server.recvfrom(512)
            server.sendto(b"x", peer)

        thread = threading.Thread(target=answer)
        thread.start()
        assert not probes.probe_address(address, "udp", 1.0).closed
        thread.join()


def test_the_gateway_and_the_link_are_tried(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(
        "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
        "eth0 00000000 0100580A 0003 0 0 0 00000000 0 0 0\n"
        "eth0 0000580A 00000000 0001 0 0 0 0000FFFF 0 0 0\n"
    )
    (tmp_path / "if_inet6").write_text(
        "fe80000000000000 02 40 20 80 eth0\n00000000000000000000000000000001 01 80 10 80 lo\n"
    )
    found = [target for target, kind in probes.targets(["10.96.0.1:443"], tmp_path) if kind == "tcp"]
    assert {
        "10.88.0.1:6443",
        "10.88.0.1:10250",
        "[fe80::1%eth0]:53",
        "10.96.0.1:443",
        "169.254.169.254:80",
    } <= set(found)
    assert not any("%lo" in target for target in found)


CONTROL = AliveAddresses(0.0, ("10.0.0.9:8051",))


def watch(
    targets: tuple[str, ...],
    tmp_path: Path,
    *,
    staged: bool,
    monkeypatch: pytest.MonkeyPatch,
    closed: bool,
    recorded: str = "this pod",
    required: bool = True,
    control: AliveAddresses | None = CONTROL,
    demanded: tuple[str, ...] = (),
) -> int:
    monkeypatch.setattr(probes, "targets", lambda _: [("10.0.0.1:1", "tcp")])
    monkeypatch.setattr(
        probes, "run", lambda tries, _: [ProbeResult(target, kind, closed, "x") for target, kind in tries]
    )
    marker = tmp_path / "staged"
    if staged:
        marker.write_text(recorded + "\n")
    if control is not None:
        alive.write_alive(tmp_path / "alive.json", control)
    deadline = time.monotonic() + 0.05
    ahead = tmp_path / "ahead"
    return warden.prove_isolation(
        targets, 0.1, deadline, marker, ahead, "this pod", required=required, demanded=demanded
    )


def test_the_go_ahead_needs_inputs_and_a_closed_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch(("a:1",), tmp_path, staged=True, closed=True, monkeypatch=monkeypatch) == 0
    assert (tmp_path / "ahead").exists()
    assert json.loads(capsys.readouterr().out)["verdict"] == "closed"


@pytest.mark.parametrize(
    ("targets", "staged", "closed", "code"),
    [
        (("a:1",), True, False, warden.OPEN),
        (("a:1",), False, True, warden.LATE),
        ((), True, True, warden.UNABLE),
    ],
)
def test_everything_else_gives_none(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    targets: tuple[str, ...],
    staged: bool,
    closed: bool,
    code: int,
) -> None:
    assert watch(targets, tmp_path, staged=staged, closed=closed, monkeypatch=monkeypatch) == code
    assert not (tmp_path / "ahead").exists()


def test_a_pod_that_is_not_the_one_on_record_never_goes_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever made it (an engine that had lost its lease and did not know it yet): the algorithm has had its
    one start.
    """
    code = watch(("a:1",), tmp_path, staged=True, closed=True, monkeypatch=monkeypatch, recorded="another")
    assert code == warden.UNABLE
    assert not (tmp_path / "ahead").exists()
    assert "another pod is on record" in json.loads(capsys.readouterr().out)["verdict"]


def test_an_operator_may_let_jobs_run_that_are_not_isolated_and_the_report_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch(("a:1",), tmp_path, staged=True, closed=False, monkeypatch=monkeypatch, required=False) == 0
    assert (tmp_path / "ahead").exists()
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == warden.UNPROVEN and report["unproven"] is True
    (tmp_path / "ahead").unlink()
    code = watch((), tmp_path, staged=True, closed=False, monkeypatch=monkeypatch, required=False)
    assert code == warden.UNABLE and not (tmp_path / "ahead").exists()


def test_silence_proves_nothing_while_nothing_is_known_to_be_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = watch(("a:1",), tmp_path, staged=True, closed=True, monkeypatch=monkeypatch, control=None)
    assert code == warden.UNABLE and not (tmp_path / "ahead").exists()
    assert "silence proves nothing" in json.loads(capsys.readouterr().out)["verdict"]
    code = watch(
        ("a:1",), tmp_path, staged=True, closed=True, monkeypatch=monkeypatch, control=AliveAddresses(1.0, ())
    )
    assert code == warden.UNABLE


def test_what_answers_configuration_and_the_warden_too_is_a_way_out(
    tmp_path: Path, listener: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The configured targets are silent, since they are dead: the engine moved. Real sockets throughout."""
    alive.write_alive(tmp_path / "alive.json", alive.dial_hosts([f"http://{listener}"], 1.0))
    (tmp_path / "staged").write_text("this pod\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dead:
        dead.bind(("127.0.0.1", 0))
        code = warden.prove_isolation(
            ("[fe80::1%nosuchlink]:80",),
            0.2,
            time.monotonic() + 1,
            tmp_path / "staged",
            tmp_path / "ahead",
            "this pod",
        )
    said = json.loads(capsys.readouterr().out)
    assert code == warden.OPEN and not (tmp_path / "ahead").exists()
    assert said["alive"] == [listener]
    assert 0 <= said["aliveSeconds"] < 1
    assert [probe["kind"] for probe in said["probes"] if probe["target"] == listener] == ["tcp", "udp"]


def test_the_control_waits_for_an_engine_that_starts_again() -> None:
    port = int(closed_port().rpartition(":")[2])

    def late() -> None:
        time.sleep(0.3)
        with socket.create_server(("127.0.0.1", port)) as server:
            server.accept()[0].close()

    thread = threading.Thread(target=late)
    thread.start()
    began = time.time()
    found = alive.dial_hosts(["", f"http://127.0.0.1:{port}/x"], 5.0)
    thread.join()
    assert found.addresses == (f"127.0.0.1:{port}",)
    assert found.at >= began + 0.25
    assert alive.dial_hosts([f"http://{closed_port()}"], 0.1).addresses == ()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"at": "x", "addresses": ["a"]}', '{"at": 1, "addresses": []}']
)
def test_a_broken_control_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "alive.json").write_text(text)
    assert alive.read_alive(tmp_path / "alive.json") is None
    assert alive.read_alive(tmp_path / "missing") is None


RESTRICTED = {"capabilities": "0" * 16, "no_new_privileges": "1", "seccomp": "2", "user_namespace": "yes"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("capabilities", "00000000a80425fb"),
        ("no_new_privileges", "0"),
        ("seccomp", "0"),
        ("user_namespace", "no"),
    ],
)
def test_each_restriction_is_required_where_it_is_demanded(name: str, value: str) -> None:
    assert restrictions.missing_restrictions(RESTRICTED, RESTRICTED) == []
    assert restrictions.missing_restrictions({**RESTRICTED, name: value}, RESTRICTED) == [name]
    assert restrictions.missing_restrictions({**RESTRICTED, name: value}, ()) == []
    assert restrictions.missing_restrictions({}, [name]) == [name], (
        "what the kernel did not say does not hold"
    )
    assert restrictions.missing_restrictions(RESTRICTED, ["unheard of"]) == ["unheard of"]


def test_a_pod_that_is_not_restricted_gets_no_go_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """This very process has no seccomp filter: the kernel is asked."""
    if restrictions.of_this_process()["seccomp"] == "2":
        pytest.skip("the tests themselves run under a seccomp filter")
    code = watch(("a:1",), tmp_path, staged=True, closed=True, monkeypatch=monkeypatch, demanded=("seccomp",))
    assert code == warden.UNRESTRICTED and not (tmp_path / "ahead").exists()
    assert "seccomp" in json.loads(capsys.readouterr().out)["verdict"]


def test_more_than_one_port_and_more_than_tcp_is_tried(tmp_path: Path) -> None:
    found = probes.targets(["10.96.0.1:443"], tmp_path)
    assert {("10.96.0.1:443", "udp"), ("10.96.0.1:53", "udp"), ("10.96.0.1:0", "icmp")} <= set(found)
    assert len(found) == len(set(found))


def test_an_echo_that_comes_back_is_open() -> None:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP).close()
    except OSError:
        pytest.skip("this machine lets nobody send echo requests")
    assert not probes.probe_address("127.0.0.1:0", "icmp", 1.0).closed
