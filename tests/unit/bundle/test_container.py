"""Building in a container: when it is chosen, and what comes back of what the builder says there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from c2d_box.errors import C2DError
from sandbox.bundle import container
from sandbox.bundle.parts.c_programs import SOURCES
from sandbox.progress import ProgressEvent, run_verb


def test_it_is_chosen_where_packages_are_not_debians(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert container.is_needed()
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/apt-get")
    assert not container.is_needed()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert container.is_needed()


def test_the_builders_events_arrive_whole_whatever_the_chunks() -> None:
    event = ProgressEvent("bundle.gate", "done", "gate 1", seconds=0.5)
    said = b"apt says something\n" + json.dumps({"event": asdict(event)}).encode() + b"\n"
    seen: list[ProgressEvent] = []
    run_verb(container._builder_events(iter([said[:7], said[7:40], said[40:]])), seen.append)
    assert seen == [event]


def test_its_error_is_raised_here_with_its_code() -> None:
    error = {"code": "C2D-BUNDLE-BUILD", "message": "no", "next_step": "yes", "cause": None}
    with pytest.raises(C2DError) as problem:
        run_verb(
            container._builder_events(iter([json.dumps({"error": error}).encode() + b"\n"])),
            lambda event: None,
        )
    assert (problem.value.code, problem.value.next_step) == ("C2D-BUNDLE-BUILD", "yes")


def test_the_builder_needs_pythons_own_library_only(tmp_path: Path) -> None:
    """As in the container: no packages, an empty cache; a part that does not exist is refused by its code."""
    environment = {"PYTHONPATH": str(SOURCES), "C2D_BOX_CACHE": str(tmp_path), "PATH": os.defpath}
    python = str(Path(sys.base_prefix) / "bin" / "python3")
    done = subprocess.run(
        [python, "-S", "-m", "sandbox.bundle.container_entrypoint", "nothing"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert json.loads(done.stdout)["error"]["code"] == "C2D-BUNDLE-PART"
