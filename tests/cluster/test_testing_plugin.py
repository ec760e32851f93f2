"""The plugin that comes with the wheel, on the example project of the documentation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sandbox.box import Box

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "testing"
WRONG = """
def test_it_counts(dataset, algorithm, run_job):
    script = "import sys; print('seven of nine'); sys.exit(7)"
    job = run_job(dataset("a\\n1\\n"), algorithm(script))
    assert job.succeeded
"""


def pytest_of(box: Box, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest as a user's project runs it, against this box."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--c2d-home",
        str(box.home.path),
    ]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", *arguments],
        cwd=EXAMPLE,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_workers_share_the_box_with_accounts_of_their_own(box: Box) -> None:
    done = pytest_of(box, "-n", "2", "-k", "one or two_tables or nobody", ".")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "3 passed" in done.stdout
    assert box.cluster.status().state == "running", "a box that was up is left up"


def test_a_failed_tests_report_says_what_its_job_said(box: Box, tmp_path: Path) -> None:
    (tmp_path / "test_wrong.py").write_text(WRONG)
    done = pytest_of(box, str(tmp_path))
    assert done.returncode == 1
    assert "status 75 Algorithm failed" in done.stdout
    assert "exitCode 7" in done.stdout
    assert "seven of nine" in done.stdout
