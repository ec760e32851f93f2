"""One small world for all tests of the Provider: see tests/harness."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.local_stack import LocalStack, world_in


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with world_in(tmp_path_factory.mktemp("provider-world")) as made:
        yield made
