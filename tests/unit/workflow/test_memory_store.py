"""The contract of the store of workflows, asked of the one in memory; the real one is asked elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import Cluster
from tests.contract.workflow_store_suite import *  # noqa: F403 - the tests themselves


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    yield MemoryCluster()
