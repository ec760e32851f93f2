"""ocean.py 3.1.2, unmodified, on Python 3.10: each step is a test (``--full``)."""

from __future__ import annotations

import pytest

from tests.clients.driving import Runs
from tests.clients.oceanpy_runs import CHAPTERS, HERE, NAME


@pytest.mark.parametrize(
    ("chapter", "step"), [(chapter, name) for chapter, names in CHAPTERS.items() for name in names]
)
def test_it_takes_the_step(oceanpy: Runs, chapter: str, step: str) -> None:
    taken = oceanpy[NAME][f"{chapter}: {step}"]
    assert taken.outcome == "passed", f"{taken.text}\n" + "\n".join(taken.calls)


def test_nothing_answers_with_a_server_error(oceanpy: Runs) -> None:
    calls = [call for steps in oceanpy.values() for step in steps.values() for call in step.calls]
    assert [call for call in calls if call.rsplit(" ", 1)[1].startswith("5")] == []


def test_the_list_pins_every_version_and_names_no_registry() -> None:
    lines = (HERE / "requirements.txt").read_text().splitlines()
    assert all(line.count("==") == 1 for line in lines) and "ocean-lib==3.1.2" in lines
    assert not any("://" in line or line.startswith("-") for line in lines)
