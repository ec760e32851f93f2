"""The wheel alone, installed far from the checkout, runs the demo: all that it needs travels inside it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.demo.story import DemoOutcome
from sandbox.settings import BoxPorts

from .conftest import free_ports

CHECKOUT = Path(__file__).parents[2]
CleanBox = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``c2d-box`` as pip installs it from a freshly built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    environment = folder / "venv"
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(CHECKOUT))
    _run(sys.executable, "-m", "venv", str(environment))
    (wheel,) = folder.glob("*.whl")
    _run(str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", str(wheel), "pytest")
    return environment / "bin" / "c2d-box"


@pytest.fixture(scope="module")
def clean_box(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CleanBox]:
    """That command on a home of its own, far from the checkout."""
    home, elsewhere = tempfile.mkdtemp(prefix="c2d-w"), tmp_path_factory.mktemp("elsewhere")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(installed), "--home", home, "--name", "wheel", *arguments]
        return subprocess.run(
            command, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=600, check=False
        )

    yield call
    call("reset", "--all", "--yes")


def test_the_wheel_finds_the_bundle_that_the_checkout_built(clean_box: CleanBox) -> None:
    parts = json.loads(clean_box("bundle", "list", "--json").stdout)
    assert [part["name"] for part in parts if part["state"] != "ready"] == []


def test_the_wheel_runs_the_demo_with_the_same_numbers(clean_box: CleanBox, outcome: DemoOutcome) -> None:
    offset = free_ports().chain - BoxPorts().chain
    up = clean_box("up", "--port-offset", str(offset), "--yes")
    assert up.returncode == 0, up.stderr[-2000:]
    done = clean_box("demo", "--yes", "--json", "--to", "results")
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["metrics"] == dict(outcome.metrics)


def test_a_projects_suite_of_ten_jobs_passes_with_the_wheel_alone(
    installed: Path, clean_box: CleanBox, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """All ten with ``--full``; two of them otherwise."""
    project = tmp_path / "project"
    shutil.copytree(CHECKOUT / "docs" / "examples" / "testing", project)
    home = json.loads(clean_box("status", "--json").stdout)["home"]
    some = () if request.config.getoption("--full") else ("-k", "zero or words")
    python = str(installed.with_name("python"))
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "--c2d-home", home, *some],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
