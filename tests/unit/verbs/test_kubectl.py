"""kubectl, also where the bundle was made for kind and has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from c2d_box.errors import C2DError
from sandbox.install import kubectl


def test_without_one_in_the_bundle_the_machines_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("C2D_BOX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(C2DError) as problem:
        kubectl.program()
    assert problem.value.code == "C2D-KUBECTL-MISSING" and "bundle build kube" in problem.value.next_step
    (tmp_path / "kubectl").write_text("#!/bin/sh\n")
    (tmp_path / "kubectl").chmod(0o755)
    assert kubectl.program() == tmp_path / "kubectl"
