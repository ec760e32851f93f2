"""The box's control groups, in folders that look like the kernel's hierarchies."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.clusters.native.host import cgroups


@pytest.fixture(params=["cpu.shares", "cpu.weight"])
def weight_file(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_box_counts_for_more_than_one_process_when_cpus_are_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weight_file: str
) -> None:
    usual = {"cpu.shares": 1024, "cpu.weight": 100}[weight_file]
    for folder in (tmp_path / "c2d-x", tmp_path / "c2d-x" / cgroups.BOX):
        folder.mkdir()
        (folder / weight_file).write_text(str(usual))
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [tmp_path])
    cgroups.create_groups("c2d-x")
    box, components = tmp_path / "c2d-x", tmp_path / "c2d-x" / cgroups.BOX
    assert int((box / weight_file).read_text()) == cgroups.BOX_WEIGHT * usual
    assert int((components / weight_file).read_text()) == cgroups.COMPONENTS_WEIGHT * usual


def test_a_hierarchy_without_cpus_gets_no_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [tmp_path])
    cgroups.create_groups("c2d-x")
    assert sorted(path.name for path in tmp_path.rglob("*")) == [cgroups.BOX, "c2d-x"]
