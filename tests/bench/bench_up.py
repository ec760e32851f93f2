"""Seconds for ``up`` beside a bare cluster of the same kind: ``python -m tests.bench.bench_up [DRIVER…]``.

For each driver, one after the other: a bare cluster made from nothing and started once more after a stop,
then a box in the same two situations, ``first`` (no image is on the node) and ``again`` (all are). A box may
cost 45 and 15 seconds more than the bare cluster. What the bundle lacks is made before. Prints one JSON
object.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sandbox.box import Box
from sandbox.bundle import build
from sandbox.clusters.port import Cluster
from sandbox.home import Home
from sandbox.install.cluster_choice import parts_for
from sandbox.progress import Progress, run
from sandbox.settings import Settings
from sandbox.verbs.down import down, reset
from sandbox.verbs.up import up
from tests.cluster.conftest import free_ports
from tests.cluster.docker_rig import docker_engine
from tests.cluster.kind_rig import PARTS, kind_box
from tests.cluster.native_rig import TestBox

ALLOWED = {"first": 45.0, "again": 15.0}
"""Seconds that a box may take longer than the bare cluster."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("drivers", nargs="*", default=["native", "kind"], metavar="DRIVER")
    found: dict[str, Any] = {"load_before": round(os.getloadavg()[0], 1)}
    for driver in parser.parse_args().drivers:
        found[driver] = _measured(driver)
    print(json.dumps(found, indent=2))


def _measured(driver: str) -> dict[str, Any]:
    with _engine(driver), _scratch() as folder:
        bare = _bare(driver, folder)
        try:
            alone = {"first": _seconds(bare.create())}
            _seconds(bare.stop())
            alone["again"] = _seconds(bare.create())
        finally:
            _seconds(bare.delete())
        box = Box(Home(folder / "box"), Settings(name="bench", ports=free_ports(), cluster=driver))
        try:
            ours = {"first": _seconds(up(box, yes=True))}
            _seconds(down(box))
            ours["again"] = _seconds(up(box, yes=True))
        finally:
            _seconds(reset(box, everything=True))
    more = {name: round(ours[name] - alone[name], 1) for name in ALLOWED}
    return {
        "bare": alone,
        "box": ours,
        "more": more,
        "within": {name: more[name] <= seconds for name, seconds in ALLOWED.items()},
    }


def _bare(driver: str, folder: Path) -> Cluster:
    """Return the cluster alone, as its driver makes it."""
    (folder / "archives").mkdir()
    made = kind_box(folder / "bare") if driver == "kind" else TestBox.at(folder / "bare", folder / "archives")
    cluster: Cluster = made.cluster
    return cluster


@contextmanager
def _engine(driver: str) -> Iterator[None]:
    """Provide what the driver needs (kind: a Docker engine); missing parts of the bundle are built before
    timing.
    """
    if driver != "kind":
        _seconds(build(parts_for(driver), yes=True))
    with docker_engine(Path(tempfile.mkdtemp(prefix="c2d-dk-"))) if driver == "kind" else nullcontext():
        if driver == "kind":
            _seconds(build([*(parts_for(driver) or ()), *PARTS], yes=True))
        yield


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="c2d-u-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _seconds(verb: Progress[Any]) -> float:
    began = time.monotonic()
    run(verb, lambda event: None)
    return round(time.monotonic() - began, 1)


if __name__ == "__main__":
    main()
