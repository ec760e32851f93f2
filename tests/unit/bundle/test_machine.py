"""A Go toolchain is used when it is new enough and not asked for more than it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.bundle.build_dependencies import go_is_enough
from sandbox.bundle.parts.go_programs import _version_text


def go(folder: Path, says: str, status: int = 0) -> Path:
    program = folder / "go"
    program.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("says", "enough"),
    [
        ("go1.99.0", True),
        ("go2.0", True),
        ("go1.19.8", False),
        ("go1.26", False),
        ("devel", False),
        ("", False),
    ],
)
def test_the_version_decides(tmp_path: Path, says: str, enough: bool) -> None:
    assert go_is_enough(go(tmp_path, says)) is enough


def test_the_manifest_names_the_machines_own_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a bare name, found in PATH, and mostly a link into the folder of one release."""
    release, links = tmp_path / "go-1.99", tmp_path / "bin"
    (release / "bin").mkdir(parents=True)
    links.mkdir()
    (release / "VERSION").write_text("go1.99.0\ntime 2026\n")
    (links / "go").symlink_to(go(release / "bin", "go1.99.0"))
    monkeypatch.setenv("PATH", str(links))
    assert _version_text(Path("go")) == _version_text(release / "bin" / "go") == "go1.99.0"
    monkeypatch.setenv("PATH", "")
    assert _version_text(Path("go")) == "unknown"


def test_no_go_is_not_enough(tmp_path: Path) -> None:
    assert not go_is_enough(tmp_path / "none")
