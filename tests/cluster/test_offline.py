"""From one file to a finished job on a machine with Python and nothing else: no network, no compiler.

Only with ``--full``: gathering wheels and packing the whole bundle take minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace of its own needs root"),
]
SMALL = ("gate", "pause", "helm")
TOOLS = ("ip", "nft", "mkfs.ext4", "losetup", "mount", "umount", "du", "sh", "modprobe")
"""What the native cluster asks of a machine; of compilers and package tools there is none."""


class Desert:
    """An empty home, a PATH with the machine's own tools only, and a network namespace with no way out."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.program = self.home / "program" / "bin" / "c2d-box"
        self._path = folder / "path"
        for made in (self.home, self._path):
            made.mkdir()
        for tool in TOOLS:
            if found := shutil.which(tool, path="/usr/sbin:/sbin:/usr/bin:/bin"):
                (self._path / tool).symlink_to(found)

    def run(self, *command: str | Path, seconds: float = 300) -> str:
        environment = {"HOME": str(self.home), "PATH": str(self._path), "LANG": "C.UTF-8"}
        done = subprocess.run(
            ["/usr/bin/unshare", "--net", "/bin/sh", "-ec", 'ip link set lo up; exec "$@"', "sh", *command],
            capture_output=True,
            text=True,
            timeout=seconds,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def desert(pytestconfig: pytest.Config) -> Iterator[Desert]:
    if not pytestconfig.getoption("full"):
        pytest.skip("gathers wheels and packs the bundle: --full")
    folder = Path(tempfile.mkdtemp(prefix="c2d-o"))
    yield Desert(folder)
    shutil.rmtree(folder)


def save(target: Path, *parts: str) -> None:
    words = [word for part in parts for word in ("--part", part)]
    command = [sys.executable, "-m", "sandbox.cli", "bundle", "save", *words, str(target)]
    subprocess.run(command, check=True, capture_output=True)


def python() -> str:
    """The interpreter without this environment's packages."""
    return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")


def test_one_command_installs_program_and_parts(desert: Desert, tmp_path: Path) -> None:
    save(tmp_path / "small.bundle", *SMALL)
    desert.run(python(), tmp_path / "small.bundle", "--into", desert.home / "program")
    listed = desert.run(desert.program, "bundle", "list")
    ready = {line.split()[0] for line in listed.splitlines() if " ready " in line}
    assert ready == set(SMALL)
    assert "same" in desert.run(desert.program, "bundle", "diff", tmp_path / "small.bundle")


def test_the_demo_runs_where_nothing_can_be_downloaded_or_compiled(desert: Desert, tmp_path: Path) -> None:
    save(tmp_path / "whole.bundle")
    desert.run(python(), tmp_path / "whole.bundle", "--into", desert.home / "program")
    box = (desert.program, "--home", desert.home / "box")
    try:
        shown = desert.run(*box, "--json", "--yes", "demo", seconds=600)
        assert '"job_id"' in shown
    finally:
        desert.run(*box, "--yes", "reset", "--all")
