"""A test that failed and passed when it was run once more is named at the end of the run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
TESTS = """
from pathlib import Path

def test_that_fails_at_first(request):
    mark = Path(__file__).with_name("was-here")
    was_here = mark.exists()
    mark.touch()
    assert was_here

def test_that_fails_always():
    assert False
"""


def test_it_is_named_and_a_failure_stays_a_failure(tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text((REPOSITORY / "tests" / "conftest.py").read_text())
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rR",
        "--reruns",
        "1",
        "-p",
        "no:cacheprovider",
        "test_sample.py",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("FLAKY ")] == [
        "FLAKY test_sample.py::test_that_fails_at_first"
    ]
    assert "1 failed, 1 passed, 2 rerun" in done.stdout
