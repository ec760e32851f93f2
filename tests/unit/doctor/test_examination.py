"""The checks as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.doctor import Finding, examine_machine, machine


def test_every_finding_has_an_id_and_every_bad_one_a_fix(tmp_path: Path) -> None:
    for finding in examine_machine(tmp_path, tmp_path / "not" / "there", {"chain": 1}, running=False):
        assert finding.id.startswith("C2D-DOC-")
        assert finding.level == "ok" or finding.fix


def test_problems_come_first(tmp_path: Path) -> None:
    def bad() -> Finding:
        return Finding("C2D-DOC-X", "problem", "x", "seen", "mend it")

    found = examine_machine(tmp_path, tmp_path, {}, running=True, more=[bad])
    levels = [finding.level for finding in found]
    assert levels == sorted(levels, key=["problem", "warning", "ok"].index)
    assert "C2D-DOC-X" in {finding.id for finding in found}


def test_a_check_that_breaks_does_not_hide_the_others(tmp_path: Path) -> None:
    def broken() -> Finding:
        raise OSError("surprise")

    findings = examine_machine(tmp_path, tmp_path, {}, running=True, more=[broken])
    assert any(f.id == "C2D-DOC-CHECK" and "surprise" in f.evidence for f in findings)
    assert any(f.id == "C2D-DOC-MEMORY" for f in findings)


@pytest.mark.parametrize(("available", "level"), [(1, "problem"), (3, "warning"), (8, "ok")])
def test_memory_is_judged_by_what_is_available(
    available: int, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_meminfo", lambda: {"MemAvailable": available * machine.GIB})
    assert machine.check_memory().level == level
