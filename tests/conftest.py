"""Options that all tests share: ``--full`` runs every cell of the sampled sweeps."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator, Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run every cell of the sampled sweeps")
    parser.addoption("--write-docs", action="store_true", help="write the pages of docs that tests make")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two workers: one has all that needs a cluster, in its order and on one box; the other has the rest,
    file by file, so that a file's fixtures are made once.
    """
    for item in items:
        folder, file = item.path.parent.name, str(item.path)
        item.add_marker(pytest.mark.xdist_group("cluster" if folder in ("cluster", "contract") else file))


@pytest.fixture(autouse=True)
def usual_recursion_limit() -> Iterator[None]:
    """Python's own limit, which importing py-evm lifts to 100,000 for the whole process: above it hostile
    input ends in a RecursionError, with it in a segmentation fault.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(before)


@pytest.fixture(scope="session")
def seed() -> str:
    """The sweep's seed: the commit in CI, so that another commit takes other cells."""
    return os.environ.get("C2D_TEST_SEED", "0")


def sample(cells: Sequence[T], count: int, seed: str, full: bool) -> list[T]:
    """``count`` of ``cells`` by ``seed``, or all of them with ``--full``."""
    if full or len(cells) <= count:
        return list(cells)
    return random.Random(seed).sample(list(cells), count)
