"""Back-off, process identities, ports and probes: what the driver asks of and about the machine."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from c2d_box.errors import EnvironmentProblem, StateProblem, UsageError
from sandbox.clusters.archive_names import read_archive
from sandbox.clusters.log_tail import tail_log
from sandbox.clusters.native import launching
from sandbox.clusters.native.driver import NativeCluster
from sandbox.clusters.native.host import host_ports, probes
from sandbox.clusters.native.host.processes import ProcessIdentity
from sandbox.clusters.native.supervision import control_socket
from sandbox.home import BoxHome
from sandbox.progress import run_verb


def test_identity_holds_for_the_process_and_not_for_its_number() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = ProcessIdentity.of_pid(child.pid)
    assert identity is not None
    assert identity.is_alive()
    assert not ProcessIdentity(child.pid, identity.started + 1, identity.boot).is_alive()
    assert not ProcessIdentity(child.pid, identity.started, "another boot").is_alive()
    assert ProcessIdentity.from_list(json.loads(json.dumps(identity.as_list()))) == identity
    assert identity.kill_process()
    child.wait()
    assert child.stdin is not None
    child.stdin.close()
    assert not identity.is_alive()
    assert ProcessIdentity.of_pid(child.pid) is None


def test_taken_port_is_told_with_its_owner() -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        with pytest.raises(EnvironmentProblem) as problem:
            host_ports.require_free([port])
    assert problem.value.code == "C2D-PORT-TAKEN"
    assert f"process {os.getpid()}" in problem.value.message
    host_ports.require_free([port])


def test_every_probe_says_what_it_saw_and_what_to_do() -> None:
    found = probes.findings(Path("/"))
    assert len({finding.id for finding in found}) == len(found) >= 10
    assert all(finding.evidence for finding in found)
    assert all(finding.fix for finding in found if not finding.holds)


def test_missing_program_is_a_finding_with_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(EnvironmentProblem) as problem:
        probes.require_all()
    assert problem.value.code == "C2D-MACHINE-LACKS"
    assert problem.value.next_step


def archive(folder: Path, index: object) -> Path:
    path = folder / "image.tar"
    with tarfile.open(path, "w") as tar:
        data = index.encode() if isinstance(index, str) else json.dumps(index).encode()
        entry = tarfile.TarInfo("index.json")
        entry.size = len(data)
        tar.addfile(entry, BytesIO(data))
    return path


def test_archive_tells_name_and_digest(tmp_path: Path) -> None:
    notes = {"io.containerd.image.name": "example.org:5000/a/b:v1"}
    image = read_archive(archive(tmp_path, {"manifests": [{"digest": "sha256:1", "annotations": notes}]}))
    assert (image.reference, image.digest) == ("example.org:5000/a/b:v1", "sha256:1")
    assert image.by_digest == "example.org:5000/a/b@sha256:1"


NAMED = {"io.containerd.image.name": "example.org/a:v1"}


@pytest.mark.parametrize(
    "index",
    [
        {},
        {"manifests": []},
        {"manifests": [{"digest": "sha256:1"}]},
        {"manifests": ["x"]},
        {"manifests": [{"digest": "sha256:1", "annotations": ["x"]}]},
        {"manifests": [{"digest": "sha256:1", "annotations": {"io.containerd.image.name": ["a/b"]}}]},
        {"manifests": [{"annotations": NAMED}]},
        {"manifests": [{"digest": "--all", "annotations": NAMED}]},
        [],
        "[" * 200_000,
        '{"manifests": NaN}',
    ],
    ids=lambda index: str(index)[:60],
)
def test_unusable_archive_is_refused(tmp_path: Path, index: object) -> None:
    with pytest.raises(UsageError) as problem:
        read_archive(archive(tmp_path, index))
    assert problem.value.code == "C2D-IMAGE-ARCHIVE"


def test_errors_cross_the_socket_whole() -> None:
    before = StateProblem("C2D-X", "what", "next")
    with pytest.raises(StateProblem) as problem:
        control_socket.raise_error(json.loads(json.dumps(control_socket.error_value(before))))
    assert (problem.value.code, problem.value.message, problem.value.next_step) == ("C2D-X", "what", "next")


def test_tail_gives_the_last_lines_of_a_long_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(str(number) for number in range(100_000)))
    assert tail_log(log, 2) == "99998\n99999"
    assert tail_log(tmp_path / "none", 2) == ""


class NoBundle:
    kubernetes_version = "v1.34.4"

    def binary(self, name: str) -> Path:
        return Path("/nowhere") / name

    def image(self, name: str) -> object:
        class Pause:
            reference = "c2d.local/pause:latest"
            archive = Path("/nowhere/pause.tar")

        return Pause()


def test_verbs_of_a_running_cluster_say_that_it_is_not(tmp_path: Path) -> None:
    cluster = NativeCluster(BoxHome(tmp_path), NoBundle())
    for verb in (cluster.list_images, cluster.resource_usage):
        with pytest.raises(StateProblem) as problem:
            verb()
        assert problem.value.code == "C2D-NOT-RUNNING"
        assert problem.value.next_step


def test_without_root_and_sudo_create_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(probes, "findings", lambda home=None: [])
    # Not below tmp_path: where the user's name is long, that is longer than a home may be.
    with tempfile.TemporaryDirectory(prefix="c2d-") as short, pytest.raises(EnvironmentProblem) as problem:
        run_verb(NativeCluster(BoxHome(Path(short) / "h"), NoBundle()).create(), lambda event: None)
    assert problem.value.code == "C2D-NOT-ROOT"
    assert "root" in problem.value.next_step


def test_a_sudo_that_closes_descriptors_keeps_the_creators_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sudo closes all from 3 on; a killed creator must not free its lock before the supervisor runs."""
    lock = tmp_path / "lock"
    fd = os.open(lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    seen = (
        "import fcntl, json, os, sys\n"
        "os.closerange(3, 100)\n"
        "held = any(os.fstat(n).st_ino == os.stat(sys.argv[1]).st_ino for n in range(3))\n"
        "print(json.dumps({'ok': True} if held else {'error': {'code': 'C2D-X', 'message': 'gone'}}))\n"
    )
    monkeypatch.setattr(launching, "_sudo_command", lambda: [sys.executable, "-c", seen, str(lock)])
    try:
        launching.as_root(BoxHome(tmp_path), held=fd)
    finally:
        os.close(fd)


def test_another_system_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no /proc to read there."""

    def no_proc(self: Path, *_: Any, **__: Any) -> str:
        raise FileNotFoundError(self)

    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(Path, "read_text", no_proc)
    assert [(finding.id, finding.holds) for finding in probes.findings(Path("/"))] == [("linux", False)]
    with pytest.raises(EnvironmentProblem) as problem:
        probes.require_all()
    assert problem.value.code == "C2D-MACHINE-LACKS" and "kind" in problem.value.next_step
