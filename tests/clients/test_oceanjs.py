"""ocean.js 3.3.0 and 3.4.6, unmodified: each step of each version is a test."""

from __future__ import annotations

import json

import pytest

from tests.clients import oceanjs_runs
from tests.clients.driving import Runs
from tests.clients.oceanjs_runs import CHAPTERS, HERE, VERSIONS


@pytest.mark.parametrize("step", [name for names in CHAPTERS.values() for name in names])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_published_version_takes_the_step(oceanjs: Runs, version: str, step: str) -> None:
    taken = oceanjs[version][step]
    if taken.outcome == "absent":
        pytest.skip(taken.text.splitlines()[0])
    assert taken.outcome == "passed", f"{taken.text}\n" + "\n".join(taken.calls)


def test_nothing_answers_with_a_server_error(oceanjs: Runs) -> None:
    steps = [step for steps in oceanjs.values() for step in steps.values()]
    assert [call for step in steps for call in step.calls if call.rsplit(" ", 1)[1].startswith("5")] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_installed_version_is_the_one_named(oceanjs: Runs, version: str) -> None:
    package = oceanjs_runs.install(version) / "node_modules/@oceanprotocol/lib/package.json"
    assert json.loads(package.read_text())["version"] == version


@pytest.mark.parametrize("version", VERSIONS)
def test_the_lock_pins_contents_and_names_no_registry(version: str) -> None:
    lock = (HERE / version / "package-lock.json").read_text()
    assert "resolved" not in lock and "://" not in lock and lock.count("integrity") > 300
