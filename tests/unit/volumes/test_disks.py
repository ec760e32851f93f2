"""Real file systems on real loop devices; needs root, and leaves nothing mounted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from c2d_box.errors import Failed
from c2d_box.volumes import mounts
from c2d_box.volumes.claims import StorageClass, VolumeFolder
from c2d_box.volumes.disks import NodeDisk, allocate_blocks
from c2d_box.volumes.plan import StoredVolume
from c2d_box.volumes.unmounting import unmount_all

MIB = 1 << 20
FOLDERS = (VolumeFolder("inputs", 10001, 10000, 0o750), VolumeFolder("outputs", 10003, 10000, 0o750))
DISK = StorageClass("c2d-jobs", "disk", VolumeFolder("volume", 0, 0, 0o755), FOLDERS)
DIRECTORY = StorageClass("c2d-service", "directory", VolumeFolder("volume", 65532, 65532, 0o700), ())
real = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/loop-control").exists(), reason="needs root and loop"
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder whose mounts propagate, as on an ordinary machine: a box that boots meanwhile gets a copy of
    all mounts, and lets go of what is unmounted here only if it is told.
    """
    if os.geteuid() != 0:
        yield tmp_path
        return
    subprocess.run(["mount", "--bind", tmp_path, tmp_path], check=True)
    subprocess.run(["mount", "--make-shared", tmp_path], check=True)
    yield tmp_path
    unmount_all(tmp_path)
    subprocess.run(["umount", tmp_path], check=True)


@pytest.fixture
def disks(place: Path) -> NodeDisk:
    return NodeDisk(place)


@real
def test_a_volume_has_its_folders_and_owners_and_nothing_else(disks: NodeDisk) -> None:
    path = disks.make_volume("pvc-1", DISK, 64 * MIB)
    seen = {e.name: (e.stat().st_uid, e.stat().st_gid, e.stat().st_mode & 0o777) for e in path.iterdir()}
    assert seen == {"inputs": (10001, 10000, 0o750), "outputs": (10003, 10000, 0o750)}
    assert [e.name for e in path.parent.iterdir()] == ["volume"]
    assert disks.find_stored("pvc-1") == StoredVolume("disk", True)


@real
def test_a_full_volume_says_no_space_left_and_takes_no_more_of_the_node(disks: NodeDisk) -> None:
    path = disks.make_volume("pvc-1", DISK, 32 * MIB)
    with pytest.raises(OSError, match="No space left on device"):
        (path / "outputs" / "flood").write_bytes(os.urandom(MIB) * 40)
    os.sync()
    assert (disks.root / "jobs/pvc-1/disk.img").stat().st_blocks * 512 <= 33 * MIB


@real
def test_what_a_job_writes_does_not_show_in_the_nodes_free_space(disks: NodeDisk) -> None:
    """Another job on the node reads that number: it would be a way to talk."""
    path = disks.make_volume("pvc-1", DISK, 64 * MIB)
    before = (disks.root / "jobs/pvc-1/disk.img").stat().st_blocks
    (path / "outputs" / "much").write_bytes(os.urandom(MIB) * 30)
    os.sync()
    assert (disks.root / "jobs/pvc-1/disk.img").stat().st_blocks == before
    (path / "outputs" / "much").unlink()
    os.sync()
    assert (disks.root / "jobs/pvc-1/disk.img").stat().st_blocks == before


@real
def test_blocks_that_were_taken_and_never_written_are_not_overwritten(disks: NodeDisk) -> None:
    """Erasing costs as much as was written, not as much as was asked for."""
    disks.make_volume("pvc-1", DISK, 256 * MIB)
    assert disks.erase_volume("pvc-1") < 32 * MIB


@pytest.fixture
def node_disk(place: Path) -> Iterator[tuple[Path, Path]]:
    """A whole disk of a node as one file that can be searched, and the folder where it is mounted."""
    image, point = place / "node.img", place / "node"
    point.mkdir()
    with image.open("wb") as file:
        file.truncate(192 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, point], check=True)
    yield image, point
    unmount_all(point)
    subprocess.run(["umount", point], check=True)


@real
def test_a_disk_without_room_for_a_volume_is_named(node_disk: tuple[Path, Path]) -> None:
    with (node_disk[1] / "x").open("wb") as file, pytest.raises(Failed, match="no room for"):
        allocate_blocks(file.fileno(), 1 << 30)


def searched(disk: tuple[Path, Path], text: bytes) -> int:
    """How often ``text`` stands on the disk, in files, free blocks or journal alike."""
    os.sync()
    subprocess.run(["fsfreeze", "-f", disk[1]], check=True)
    try:
        return disk[0].read_bytes().count(text)
    finally:
        subprocess.run(["fsfreeze", "-u", disk[1]], check=True)


@real
def test_after_erasing_nothing_is_left_not_even_in_free_blocks(node_disk: tuple[Path, Path]) -> None:
    canary, control = b"<the patient is Ada>", b"<what unlinking leaves>"
    plain = node_disk[1] / "unlinked"
    plain.write_bytes(control * 5000)
    disks = NodeDisk(node_disk[1] / "volumes")
    path = disks.make_volume("pvc-1", DISK, 64 * MIB)
    (path / "inputs" / "0").write_bytes(canary * 50_000)
    (path / "outputs" / "deleted").write_bytes(canary * 50_000)
    assert searched(node_disk, canary) >= 100_000
    (path / "outputs" / "deleted").unlink()
    plain.unlink()
    written = disks.erase_volume("pvc-1")
    assert written >= 2 * len(canary) * 50_000
    assert disks.find_stored("pvc-1") is None
    assert disks.volume_names() == set()
    assert searched(node_disk, canary) == 0
    assert searched(node_disk, control) > 0, "the search itself finds what was merely unlinked"


@real
def test_erasing_and_making_are_idempotent_after_any_interruption(disks: NodeDisk) -> None:
    disks.make_volume("pvc-1", DISK, 16 * MIB)
    disks.unmount_volume("pvc-1")
    assert disks.find_stored("pvc-1") == StoredVolume("disk", False)
    (disks.root / "jobs/pvc-1/disk.img").unlink()
    assert disks.make_volume("pvc-1", DISK, 16 * MIB).is_dir()
    assert disks.erase_volume("pvc-1") >= 0
    assert disks.erase_volume("pvc-1") == 0


@real
def test_a_volume_of_a_node_that_went_down_is_checked_and_mounted_again(disks: NodeDisk) -> None:
    path = disks.make_volume("pvc-1", DISK, 16 * MIB)
    (path / "inputs" / "0").write_text("kept")
    os.sync()
    image = disks.root / "jobs/pvc-1/disk.img"
    crashed = image.read_bytes()  # as it would be found: never unmounted
    disks.unmount_volume("pvc-1")
    image.write_bytes(crashed)
    disks.mount_volume("pvc-1")
    assert (path / "inputs" / "0").read_text() == "kept"
    disks.mount_volume("pvc-1")


@real
def test_a_volume_in_use_is_not_erased(disks: NodeDisk) -> None:
    path = disks.make_volume("pvc-1", DISK, 16 * MIB)
    with (path / "inputs" / "0").open("w"), pytest.raises(Failed, match="umount"):
        disks.unmount_volume("pvc-1", patience=0.2)
    assert disks.find_stored("pvc-1") == StoredVolume("disk", True)


@real
def test_unmounting_a_root_takes_all_volumes_off_and_spares_others(place: Path) -> None:
    ours, others = NodeDisk(place / "ours"), NodeDisk(place / "others")
    for name in ("pvc-1", "pvc-2"):
        ours.make_volume(name, DISK, 16 * MIB)
    others.make_volume("pvc-3", DISK, 16 * MIB)
    second = place / "elsewhere"
    second.mkdir()
    subprocess.run(["mount", "--bind", ours.volume_path("pvc-1", "disk"), second], check=True)
    try:
        done = unmount_all(ours.root)
        assert second in done.points
        assert len(done.points) == 3
        assert not [m for m in mounts.list_mounts() if m.point.is_relative_to(ours.root) or m.point == second]
        assert others.find_stored("pvc-3") == StoredVolume("disk", True)
        assert unmount_all(ours.root).points == ()
    finally:
        unmount_all(others.root)


def test_a_directory_has_the_service_as_owner(disks: NodeDisk) -> None:
    mine = VolumeFolder("volume", os.getuid(), os.getgid(), 0o700)
    path = disks.make_volume("pvc-1", StorageClass("c2d-service", "directory", mine, ()), 0)
    assert path.stat().st_mode & 0o777 == 0o700
    assert disks.find_stored("pvc-1") == StoredVolume("directory", True, empty=True)
    (path / "data").write_text("x")
    disks.erase_volume("pvc-1")
    assert disks.volume_names() == set()


def test_a_disk_larger_than_the_nodes_room_is_refused(disks: NodeDisk) -> None:
    with pytest.raises(Failed) as refused:
        disks.make_volume("pvc-1", DISK, 1 << 60)
    assert refused.value.code == "C2D-VOLUME-NO-ROOM"


def test_what_other_disks_may_still_grow_by_is_promised_already(disks: NodeDisk) -> None:
    before = disks.free_bytes()
    folder = disks.root / "jobs/pvc-1"
    folder.mkdir(parents=True)
    with (folder / "disk.img").open("wb") as file:
        file.truncate(1 << 30)
    assert before - disks.free_bytes() > 900 * MIB


def test_a_failing_tool_is_named_with_what_it_said(tmp_path: Path) -> None:
    def refuse(command: Sequence[str], accept: Sequence[int] = (0,)) -> None:
        raise Failed("C2D-VOLUME-TOOL", f"{command[0]} ended with 1: no")

    with pytest.raises(Failed, match=r"mkfs\.ext4 ended with 1"):
        NodeDisk(tmp_path, run=refuse).make_volume("pvc-1", DISK, 16 * MIB)
