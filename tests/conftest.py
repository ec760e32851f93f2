"""Options that all tests share: ``--full`` runs every cell of the sampled sweeps."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run every cell of the sampled sweeps")


@pytest.fixture(scope="session")
def seed() -> str:
    """The sweep's seed: the commit in CI, so that another commit takes other cells."""
    return os.environ.get("C2D_TEST_SEED", "0")


def sample(cells: Sequence[T], count: int, seed: str, full: bool) -> list[T]:
    """``count`` of ``cells`` by ``seed``, or all of them with ``--full``."""
    if full or len(cells) <= count:
        return list(cells)
    return random.Random(seed).sample(list(cells), count)
