"""A file is replaced as a whole or not at all, and nothing is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from c2d_box.files import open_replacement, replace_file, replace_private_file


def test_old_or_new_content_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file.json"
    replace_file(path, "old")
    with path.open() as reader:
        replace_file(path, b"new")
        assert reader.read() == "old"
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_failure_leaves_the_old_content_and_no_draft(
    tmp_path: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    path = tmp_path / "file.json"
    replace_file(path, "old")
    monkeypatch.setattr(*((os, "fsync", fail) if broken == "fsync" else (Path, "replace", fail)))
    with pytest.raises(OSError):
        replace_file(path, "new", durable=True)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_private_file_is_never_readable_for_others(tmp_path: Path) -> None:
    replace_private_file(tmp_path / "key", "secret")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_stream_that_breaks_off_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, "old")
    with pytest.raises(ConnectionError), open_replacement(path) as stream:
        stream.write(b"half of the n")
        raise ConnectionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
