"""What the canary's diallers said, turned into what holds; and the listener and dialler as processes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from c2d_box.pods.warden import restrictions
from sandbox.install.canary import DialReport
from sandbox.install.isolation import forget_finding, judge_reports, load_finding, save_finding

CANARY = {"tcp 10.0.0.9:7007", "udp 10.0.0.9:7007"}
NONE: tuple[str, ...] = ()
ALL = tuple(CANARY)


def said(**reached: tuple[str, ...]) -> dict[str, DialReport]:
    return {name: DialReport(found, 20, {"cgroup": "v1"}) for name, found in reached.items()}


@pytest.mark.parametrize(
    ("reached", "proven", "words"),
    [
        ({"routed": ALL, "job": NONE, "policy": ALL, "construction": NONE}, True, "by construction;"),
        ({"routed": ALL, "job": NONE, "policy": NONE}, True, "by NetworkPolicy;"),
        ({"routed": ALL, "job": NONE, "policy": NONE, "construction": NONE}, True, "construction and Net"),
        ({"routed": ALL, "job": ALL, "policy": ALL}, False, "NOT ISOLATED"),
        ({"routed": ALL, "job": ("tcp 10.96.0.1:443",), "policy": NONE}, False, "10.96.0.1:443"),
        ({"routed": NONE, "job": NONE, "policy": NONE}, False, "not proven"),
        ({"routed": ("tcp 10.0.0.9:7007",), "job": NONE, "policy": NONE}, False, "not proven"),
    ],
)
def test_what_holds_follows_from_who_got_through(
    reached: dict[str, tuple[str, ...]], proven: bool, words: str
) -> None:
    found = judge_reports(said(**reached), CANARY)
    assert found.is_proven is proven
    assert words in found.summary_text


def test_what_was_found_is_remembered_until_the_next_boot(tmp_path: Path) -> None:
    assert load_finding(tmp_path) is None
    found = judge_reports(said(routed=ALL, job=NONE, policy=ALL, construction=NONE), CANARY)
    save_finding(tmp_path, found)
    assert load_finding(tmp_path) == found
    forget_finding(tmp_path)
    forget_finding(tmp_path)
    assert load_finding(tmp_path) is None


def test_a_broken_record_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "isolation.json").write_text('{"job": true')
    assert load_finding(tmp_path) is None


@pytest.fixture
def canary() -> Iterator[tuple[subprocess.Popen[str], int]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "c2d_box.pods.canary", "listen", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "listening\n"
    yield process, port
    process.kill()
    process.communicate()


def test_the_canary_says_who_spoke_and_the_dialler_that_it_got_through(
    canary: tuple[subprocess.Popen[str], int],
) -> None:
    process, port = canary
    target = f"127.0.0.1:{port}"
    command = [sys.executable, "-m", "c2d_box.pods.canary", "dial", "0.3", target]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    open_ = {(probe["kind"], probe["target"]) for probe in said["probes"] if not probe["closed"]}
    assert {("tcp", target), ("udp", target)} <= open_
    assert process.stdout is not None
    heard = {process.stdout.readline().split()[1] for _ in range(2)}
    assert heard == {"tcp", "udp"}


def test_restrictions_are_what_the_kernel_says(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("Name:\tx\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n")
    (tmp_path / "uid_map").write_text("         0 2823553024      65536\n")
    (tmp_path / "cgroup").write_text("0::/\n")
    assert restrictions.of_this_process(tmp_path) == {
        "capabilities": "0000000000000000",
        "no_new_privileges": "1",
        "seccomp": "2",
        "user_namespace": "yes",
        "cgroup": "v2",
    }
