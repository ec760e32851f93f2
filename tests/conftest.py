"""Options that all tests share: ``--full`` runs every cell of the sampled sweeps."""

from __future__ import annotations

import os
import random
import re
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from tests import needs

T = TypeVar("T")
FLAKY_LIST = Path(__file__).with_name("flaky.txt")
"""No release is made while a test is on it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run every cell of the sampled sweeps")
    parser.addoption("--write-docs", action="store_true", help="write the pages of docs that tests make")


@pytest.hookimpl(tryfirst=True)  # hypothesis reads its option in the same hook
def pytest_configure(config: pytest.Config) -> None:
    """Generated examples follow the sweeps' seed: what one run of a commit finds, each run of it finds."""
    seed = os.environ.get("C2D_TEST_SEED")
    if seed and config.getoption("--hypothesis-seed", None) is None:
        config.option.hypothesis_seed = str(zlib.crc32(seed.encode()))


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two workers: one has all that needs a cluster, in its order and on one box; the other has the rest,
    file by file, so that a file's fixtures are made once.
    """
    for item in items:
        needs.mark(item)
        folder, file = item.path.parent.name, str(item.path)
        item.add_marker(pytest.mark.xdist_group("cluster" if folder in ("cluster", "contract") else file))


def pytest_collection_finish() -> None:
    """Tests import py-evm and web3 by themselves, which raises the limit of the whole process. The product
    does so with the limit kept, and what it imports later must keep it too.
    """
    sys.setrecursionlimit(1000)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Short names for long values, the same in each process: the workers of a run compare what they
    collected, and packed or random bytes differ between them.
    """
    if isinstance(val, bytes | bytearray) and len(val) > 16:
        return f"{argname} of {len(val)} bytes"
    if isinstance(val, str) and len(val) > 200:
        return f"{argname} of {len(val)} characters"
    return None


def flaky_tests(stats: Mapping[str, Sequence[pytest.TestReport]]) -> list[str]:
    """Tests that failed and passed when they were run once more: each is a defect, of the test or of the
    product (docs/development/testing.md). xdist appends its group to a test's id, which is taken away.
    """
    failed = {report.nodeid for report in stats.get("failed", ())}
    rerun = {report.nodeid for report in stats.get("rerun", ())}
    return sorted(re.sub(r"@(cluster|/.*\.py)$", "", name) for name in rerun - failed)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found = flaky_tests(terminalreporter.stats)
    if not found:
        return
    terminalreporter.section(f"flaky: failed at first and passed when run once more, see {FLAKY_LIST}")
    for name in found:
        terminalreporter.line(f"FLAKY {name}")
    listed = FLAKY_LIST.read_text().splitlines() if FLAKY_LIST.exists() else []
    FLAKY_LIST.write_text("\n".join([*listed, *(name for name in found if name not in listed)]) + "\n")


@pytest.fixture(scope="session")
def seed() -> str:
    """The sweep's seed: the commit in CI, so that another commit takes other cells."""
    return os.environ.get("C2D_TEST_SEED", "0")


def sample_cells(cells: Sequence[T], count: int, seed: str, full: bool) -> list[T]:
    """``count`` of ``cells`` by ``seed``, or all of them with ``--full``."""
    if full or len(cells) <= count:
        return list(cells)
    return random.Random(seed).sample(list(cells), count)
