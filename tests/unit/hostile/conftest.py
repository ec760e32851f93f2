from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.local_stack import LocalStack, world_in


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Provider, metadata cache and chain as processes of their own."""
    with world_in(tmp_path_factory.mktemp("hostile-world")) as made:
        yield made


@pytest.fixture
def mutations(request: pytest.FixtureRequest) -> int:
    """How many of each template: a sample in CI, more with ``--full``."""
    return 400 if request.config.getoption("--full") else 12
