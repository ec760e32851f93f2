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
from sandbox.bundle import build_bundle
from sandbox.clusters.port import ClusterDriver
from sandbox.home import BoxHome
from sandbox.install.cluster_choice import parts_for
from sandbox.progress import Progress, run_verb
from sandbox.settings import BoxSettings
from sandbox.verbs.lifecycle.down import down, reset
from sandbox.verbs.lifecycle.up import up
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
        found[driver] = _measure_driver(driver)
    print(json.dumps(found, indent=2))


def _measure_driver(driver: str) -> dict[str, Any]:
    with _container_engine(driver), _scratch_folder() as folder:
        bare = _bare_cluster(driver, folder)
        try:
            alone = {"first": _time_verb(bare.create())}
            _time_verb(bare.stop())
            alone["again"] = _time_verb(bare.create())
        finally:
            _time_verb(bare.delete())
        box = Box(BoxHome(folder / "box"), BoxSettings(name="bench", ports=free_ports(), cluster=driver))
        try:
            ours = {"first": _time_verb(up(box, yes=True))}
            _time_verb(down(box))
            ours["again"] = _time_verb(up(box, yes=True))
        finally:
            _time_verb(reset(box, everything=True))
    more = {name: round(ours[name] - alone[name], 1) for name in ALLOWED}
    return {
        "bare": alone,
        "box": ours,
        "more": more,
        "within": {name: more[name] <= seconds for name, seconds in ALLOWED.items()},
    }


def _bare_cluster(driver: str, folder: Path) -> ClusterDriver:
    """Return the cluster alone, as its driver makes it."""
    (folder / "archives").mkdir()
    made = kind_box(folder / "bare") if driver == "kind" else TestBox.at(folder / "bare", folder / "archives")
    cluster: ClusterDriver = made.cluster
    return cluster


@contextmanager
def _container_engine(driver: str) -> Iterator[None]:
    """Provide what the driver needs (kind: a Docker engine); missing parts of the bundle are built before
    timing.
    """
    if driver != "kind":
        _time_verb(build_bundle(parts_for(driver), yes=True))
    with docker_engine(Path(tempfile.mkdtemp(prefix="c2d-dk-"))) if driver == "kind" else nullcontext():
        if driver == "kind":
            _time_verb(build_bundle([*(parts_for(driver) or ()), *PARTS], yes=True))
        yield


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="c2d-u-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _time_verb(verb: Progress[Any]) -> float:
    began = time.monotonic()
    run_verb(verb, lambda event: None)
    return round(time.monotonic() - began, 1)


if __name__ == "__main__":
    main()
