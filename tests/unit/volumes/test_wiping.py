"""What is left of a file's bytes: read back where the file system lets us, else from the raw disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from c2d_box.volumes import wiping

CANARY = b"the patient's name is Ada "


def test_every_byte_is_overwritten_and_holes_stay_holes(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.write(CANARY * 1000)
        file.seek(64 << 20)
        file.write(CANARY * 300_000)
        file.truncate(128 << 20)
    blocks = path.stat().st_blocks
    written = wiping.overwrite_file(path)
    assert path.stat().st_size == 128 << 20
    assert path.stat().st_blocks <= blocks
    assert len(CANARY) * 301_000 <= written < 16 << 20
    assert not any(path.read_bytes())


def test_a_file_without_data_is_nothing_to_do(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    assert wiping.overwrite_file(path) == 0


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(CANARY)
    link.symlink_to(target)
    with pytest.raises(OSError):
        wiping.overwrite_file(link)
    assert target.read_bytes() == CANARY
