"""Directories of services have no limit: what is over its plan is told of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from c2d_box.volumes.claims import VolumeClaim
from c2d_box.volumes.controller import VolumeController
from c2d_box.volumes.disks import NodeDisk

MIB = 1 << 20


def claim(name: str, size: int) -> VolumeClaim:
    return VolumeClaim("c2d", name, f"u-{name}", "1", "c2d-service", size, "", True, False, (), "node", ())


class Told:
    """The cluster as the controller sees it; keeps the events."""

    def __init__(self, **claims: VolumeClaim) -> None:
        self.claims = {f"pvc-u-{name}": found for name, found in claims.items()}
        self.events: list[tuple[str, str, str]] = []

    async def write_event(self, claim: VolumeClaim, reason: str, message: str) -> None:
        self.events.append((claim.name, reason, message))


async def test_a_service_that_takes_more_than_planned_is_told_of(tmp_path: Path) -> None:
    for name, size in (("s3", 3 * MIB), ("ipfs", MIB // 2)):
        folder = tmp_path / "services" / f"pvc-u-{name}" / "volume" / "deep"
        folder.mkdir(parents=True)
        (folder / "x").write_bytes(b"x" * size)
    (tmp_path / "jobs" / "pvc-u-job").mkdir(parents=True)
    cluster: Any = Told(s3=claim("s3", 2 * MIB), ipfs=claim("ipfs", MIB), job=claim("job", 1))
    await VolumeController(cluster, NodeDisk(tmp_path), "node").check_sizes()
    ((name, reason, message),) = cluster.events
    assert (name, reason) == ("s3", "C2D-VOLUME-OVER")
    assert "3 MiB" in message and "2 MiB are planned" in message


def test_holes_and_links_do_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "services" / "a" / "volume"
    folder.mkdir(parents=True)
    with (folder / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    (folder / "link").symlink_to("/usr")
    assert (NodeDisk(tmp_path).used_bytes("a") or 0) < MIB
    assert NodeDisk(tmp_path).used_bytes("missing") is None


@pytest.mark.parametrize("name", ["gone"])
def test_a_directory_that_cannot_be_read_is_no_failure(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "services" / name / "volume"
    folder.mkdir(parents=True)
    (folder / "closed").mkdir(mode=0)
    assert NodeDisk(tmp_path).used_bytes(name) is not None
    (folder / "closed").chmod(0o700)
