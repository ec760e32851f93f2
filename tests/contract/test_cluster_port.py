"""The contract of a cluster's port, asked of the native driver; other drivers ask it in their tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.clusters.port import ClusterDriver
from sandbox.progress import run_verb
from tests.cluster.native_rig import TestBox
from tests.contract.cluster_suite import *  # noqa: F403 - the tests themselves

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="the native driver needs root"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterDriver]:
    scratch = Path(tempfile.mkdtemp(prefix="c2d-c-"))
    made: ClusterDriver = TestBox.at(scratch / "home", scratch).cluster
    yield made
    run_verb(made.delete(), lambda event: None)
    shutil.rmtree(scratch)
