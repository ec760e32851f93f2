"""The contract of the store of workflows, asked of a real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from c2d_box.kubernetes.client import HttpCluster
from c2d_box.kubernetes.kubeconfig import from_kubeconfig
from c2d_box.kubernetes.port import Cluster
from sandbox.box import Box
from tests.contract.workflow_store_suite import *  # noqa: F403 - the tests themselves


@pytest.fixture
async def cluster(box: Box) -> AsyncIterator[Cluster]:
    """In a namespace where no engine attends to what the tests make."""
    real = HttpCluster(from_kubeconfig(box.home.path / "kubeconfig"), "default")
    yield real
    await real.close()
