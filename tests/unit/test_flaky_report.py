"""A test that failed and passed when it was run once more is named at the end of the run and put on a list,
which must be empty at a release.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
FLAKY = "test_sample.py::test_that_fails_at_first"


@pytest.mark.parametrize("workers", [(), ("-n", "1", "--dist", "loadgroup")], ids=["alone", "worker"])
def test_it_is_named_and_listed_and_a_failure_stays_a_failure(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    (tmp_path / "test_sample.py").write_text(TESTS)
    (tmp_path / "flaky.txt").write_text("# kept\ntest_other.py::test_of_before\n")
    shutil.copy(REPOSITORY / "tests" / "conftest.py", tmp_path)
    command = [sys.executable, "-m", "pytest", "-rR", "--reruns", "1", "-p", "no:cacheprovider", *workers]
    done = subprocess.run(
        [*command, "test_sample.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1, done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("FLAKY ")] == [f"FLAKY {FLAKY}"]
    assert "1 failed, 1 passed, 2 rerun" in done.stdout
    assert (tmp_path / "flaky.txt").read_text() == f"# kept\ntest_other.py::test_of_before\n{FLAKY}\n"


@pytest.mark.parametrize(("line", "status"), [("", 0), (f"{FLAKY}\n", 2)])
def test_no_release_is_made_while_a_test_is_listed(tmp_path: Path, line: str, status: int) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "flaky.txt").write_text(f"# a remark\n\n{line}")
    make = ["make", "--no-print-directory", "-f", str(REPOSITORY / "Makefile")]
    done = subprocess.run([*make, "flaky"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == status and (FLAKY in done.stdout) == bool(status)
    plan = subprocess.run([*make, "-n", "release"], cwd=REPOSITORY, capture_output=True, text=True)
    assert plan.stdout.startswith("! grep"), "make release does not look at the list first"
