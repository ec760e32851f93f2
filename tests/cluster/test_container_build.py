"""The bundle's builder inside a container gives the very images that it gives outside.

The base is imported, as nothing can be pulled here; it has the compiler, so the container needs no network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.bundle import build_bundle, list_parts
from sandbox.bundle.cache import BundleCache
from sandbox.bundle.parts.debian_layers import SUITE
from tests.cluster.conftest import finish_verb
from tests.cluster.kind_rig import kind_engine, left_in

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="the tests' Docker engine needs root"),
]
ANEW = ("gate", "pause", "pause-image", "runtime-code", "runtime-image")
"""Made in the container from nothing but sources and, for the last two, the layers below them."""


@pytest.fixture
def base(pytestconfig: pytest.Config, tmp_path: Path) -> Path:
    """A Debian root file system with a compiler, as `--base` takes it."""
    if not pytestconfig.getoption("full"):
        pytest.skip("fetches a Debian: --full")
    target = tmp_path / "base.tar"
    words = ["--variant=minbase", "--skip=output/mknod", "--include=python3,musl-tools,ca-certificates"]
    subprocess.run(["mmdebstrap", *words, SUITE, target], check=True, capture_output=True)
    return target


@pytest.fixture
def other_cache() -> Iterator[BundleCache]:
    """A cache with all but the parts that are to be made anew."""
    folder = Path(tempfile.mkdtemp(prefix="c2d-bc-", dir=BundleCache().root))
    finish_verb(build_bundle(["runtime-image", "pause-image"], yes=True))
    for part in list_parts(["runtime-image", "pause-image"]):
        if part.name not in ANEW:
            shutil.copytree(
                part.folder, folder / "parts" / part.name / part.key, symlinks=True, copy_function=os.link
            )
    yield BundleCache(folder)
    shutil.rmtree(folder)


def test_images_made_in_a_container_are_those_made_outside(
    base: Path, other_cache: BundleCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {part.name: part.digest for part in list_parts(["runtime-image", "pause-image"]) if part.digest}
    monkeypatch.setenv("C2D_BUILD_NETWORK", "none")
    with kind_engine() as engine:
        parts = ["runtime-image", "pause-image"]
        finish_verb(build_bundle(parts, yes=True, cache=other_cache, container=True, base=base))
        assert left_in(engine)["containers"] == []
    found = {part.name: part.digest for part in list_parts(parts, cache=other_cache) if part.digest}
    assert found == wanted and set(wanted) == {"runtime-image", "pause-image"}
