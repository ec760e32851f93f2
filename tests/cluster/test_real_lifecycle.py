"""A box that is killed on its way up, stopped, forgotten: it always comes back, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from sandbox.settings import BoxPorts

from ..conftest import sample_cells
from .conftest import free_ports

SERVICES = ("chain", "postgres", "ipfs", "s3", "cache", "provider", "operator-service", "operator-engine")
IMAGES = ("runtime", "postgres", "kubo", "s3", "algo-python", "algo-node")
COMPONENTS = (
    *("prepare", "etcd", "containerd", "kube-apiserver", "forwarder", "kube-controller-manager"),
    *("kube-scheduler", "coredns", "kubelet", "kube-proxy"),
)
STEPS = (
    *(f"cluster.{name}" for name in COMPONENTS),
    "cluster",
    *(f"image.{name}" for name in IMAGES),
    *("chart.secrets", "chart.install"),
    *(f"service.{name}" for name in SERVICES),
    *("isolation", "cluster.choice", "baseline"),
    "box.addresses",
)
"""Every step at which a boot can be met."""
WAYS = (signal.SIGINT, signal.SIGKILL)


@dataclass(frozen=True)
class Traces:
    """What a box could leave on a machine."""

    mounts: frozenset[str]
    links: frozenset[str]
    routes: frozenset[str]
    rules: frozenset[str]
    control_groups: frozenset[str]
    processes: frozenset[str]
    loops: frozenset[str]

    @classmethod
    def now(cls, home: Path) -> Traces:
        return cls(
            mounts=frozenset(line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()),
            links=frozenset(path.name for path in Path("/sys/class/net").iterdir()),
            routes=_lines("ip", "route", "show", "table", "all"),
            rules=_lines("nft", "list", "tables") | _lines("iptables-save", "-t", "filter"),
            control_groups=frozenset(_control_groups()),
            processes=frozenset(_processes(str(home))),
            loops=frozenset(line for line in _lines("losetup", "-a") if str(home) in line),
        )

    def beyond(self, before: Traces) -> dict[str, list[str]]:
        """What is there now and was not before."""
        found = {f.name: getattr(self, f.name) - getattr(before, f.name) for f in fields(self)}
        return {name: sorted(added) for name, added in found.items() if added}


@dataclass
class Lab:
    """A box of its own, driven only through the command line, as a script would."""

    home: Path
    offset: int

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=300, check=False
        )

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "sandbox.cli", "--home", str(self.home), "--name", "life", *arguments]

    def up(self) -> dict[str, Any]:
        done = self.call("up", "--json", "--yes", "--port-offset", str(self.offset))
        assert done.returncode == 0, done.stderr[-3000:]
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def steps(self) -> list[str]:
        """The steps of a whole ``up``."""
        done = self.call("up", "--json", "--yes", "--port-offset", str(self.offset))
        assert done.returncode == 0, done.stderr[-3000:]
        events = [json.loads(line).get("event", {}) for line in done.stderr.splitlines()]
        return [event["step"] for event in events if "step" in event]

    def interrupt(self, step: str, way: signal.Signals) -> bool:
        """Start ``up`` and interrupt it when ``step`` starts; False if the step never came."""
        command = self.command("up", "--json", "--yes", "--port-offset", str(self.offset))
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as running:
            assert running.stderr is not None
            for line in running.stderr:
                event = json.loads(line).get("event", {})
                if event.get("step") == step:
                    running.send_signal(way)
                    running.stderr.read()
                    return True
        return False


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    ports = free_ports()
    made = Lab(Path(tempfile.mkdtemp(prefix="c2d-l")), ports.chain - BoxPorts().chain)
    yield made
    made.call("reset", "--all", "--yes")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every step with ``--full``; a sample by the commit otherwise."""
    if "step" in metafunc.fixturenames:
        seed, full = os.environ.get("C2D_TEST_SEED", "0"), metafunc.config.getoption("--full")
        metafunc.parametrize("step", sample_cells(STEPS, 2, seed, bool(full)))


def test_up_after_an_up_that_was_interrupted_twice_works(step: str, lab: Lab) -> None:
    lab.call("reset", "--yes")
    for way in WAYS:
        if lab.interrupt(step, way):
            continue
        lab.call("reset", "--yes")  # what was left went on by itself and is past that step
        assert lab.interrupt(step, way), f"up never came to {step}"
    lab.up()
    assert json.loads(lab.call("status", "--json").stdout)["state"] == "running"


def test_the_sweep_knows_every_step(lab: Lab) -> None:
    lab.call("reset", "--yes")
    assert set(lab.steps()) == {"bundle", *STEPS}


def test_a_second_up_at_the_same_time_is_told_who_is_at_it(lab: Lab) -> None:
    lab.call("reset", "--yes")
    command = lab.command("up", "--json", "--yes", "--port-offset", str(lab.offset))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as first:
        assert first.stderr is not None
        next(line for line in first.stderr if '"cluster' in line)
        second = lab.call("up", "--json")
        first.stderr.read()
    assert second.returncode == 4
    error = json.loads(second.stderr.splitlines()[-1])["error"]
    assert error["code"] == "C2D-BOX-BUSY"
    assert str(first.pid) in error["message"]


def test_what_was_published_is_still_there_after_down_and_up(lab: Lab) -> None:
    lab.up()
    data = lab.home / "table.csv"
    data.write_text("a\n1\n")
    did = json.loads(lab.call("publish", "dataset", str(data), "--json").stdout)["did"]
    assert lab.call("down").returncode == 0
    report = lab.up()
    print(f"up with the state kept: {report['seconds']:.1f} s")
    assert json.loads(lab.call("jobs", "--json").stdout) == [], "signed: PostgreSQL has to answer"
    assert did in [asset["id"] for asset in json.loads(lab.call("assets", "--json").stdout)]


@pytest.mark.parametrize("ending", [("down",), ("reset", "--all", "--yes")], ids=["down", "reset"])
def test_nothing_is_left_that_was_not_there_before(ending: tuple[str, ...], lab: Lab) -> None:
    lab.call("down")
    before = Traces.now(lab.home)
    lab.up()
    assert Traces.now(lab.home).beyond(before), "the probe sees nothing of a running box"
    assert lab.call(*ending).returncode == 0
    assert Traces.now(lab.home).beyond(before) == {}


def test_a_killed_supervisor_is_repaired_by_up(lab: Lab) -> None:
    lab.up()
    for line in _processes(str(lab.home)):
        pid = int(line.split()[0])
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGKILL)
    lab.up()
    assert json.loads(lab.call("jobs", "--json").stdout) == [], "signed: PostgreSQL has to answer"
    assert json.loads(lab.call("status", "--json").stdout)["state"] == "running"


def test_a_taken_port_is_refused_with_its_holders_name(lab: Lab) -> None:
    import socket

    lab.call("down")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", BoxPorts().with_offset(lab.offset).provider))
        listener.listen()
        done = lab.call("up", "--json", "--yes", "--port-offset", str(lab.offset))
    assert done.returncode == 3
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert error["code"] == "C2D-PORT-TAKEN"
    assert str(os.getpid()) in error["message"]


def _lines(*command: str) -> frozenset[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return frozenset()
    return frozenset(line for line in done.stdout.splitlines() if not line.startswith("#"))


def _control_groups() -> Iterator[str]:
    for folder in Path("/sys/fs/cgroup").glob("*"):
        yield from (str(path) for path in folder.glob("*/") if path.is_dir())


def _processes(home: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if home in words and int(entry.name) != os.getpid() and "sandbox.cli" not in words:
            found.append(f"{entry.name} {words[:80]}")
    return found
