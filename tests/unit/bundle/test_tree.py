"""A layer's bytes follow from names and contents alone."""

from __future__ import annotations

import tarfile
import time
from pathlib import Path

from sandbox.bundle.oci import deterministic_tar
from sandbox.bundle.parts.recipe import SOURCE_DATE_EPOCH


def grown(root: Path, *, umask_like: int) -> Path:
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "tool").write_text("#!/bin/sh\n")
    (root / "bin" / "tool").chmod(0o700 | umask_like)
    (root / "data").write_text("x")
    (root / "link").symlink_to("bin/tool")
    return root


def test_the_same_tree_gives_the_same_bytes_whoever_made_it_and_when(tmp_path: Path) -> None:
    deterministic_tar.write_layer(
        tmp_path / "a.tar", deterministic_tar.nodes_below(grown(tmp_path / "a", umask_like=0o055), "opt/c2d")
    )
    time.sleep(0.01)
    deterministic_tar.write_layer(
        tmp_path / "b.tar",
        reversed(deterministic_tar.nodes_below(grown(tmp_path / "b", umask_like=0), "opt/c2d")),
    )
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_entries_are_sorted_owned_by_root_and_have_their_parents(tmp_path: Path) -> None:
    deterministic_tar.write_layer(
        tmp_path / "a.tar", deterministic_tar.nodes_below(grown(tmp_path / "a", umask_like=0), "opt/c2d")
    )
    with tarfile.open(tmp_path / "a.tar") as archive:
        members = archive.getmembers()
    names = [member.name for member in members]
    assert names == ["opt", "opt/c2d", "opt/c2d/bin", "opt/c2d/bin/tool", "opt/c2d/data", "opt/c2d/link"]
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0, 0, "", "", SOURCE_DATE_EPOCH)}
    modes = {member.name: member.mode for member in members}
    assert modes["opt/c2d/bin/tool"] == 0o755
    assert modes["opt/c2d/data"] == 0o644


def test_a_folder_keeps_the_mode_it_was_given(tmp_path: Path) -> None:
    nodes = [
        deterministic_tar.TarNode("tmp", folder=True, mode=0o1777),
        deterministic_tar.TarNode("tmp/note", text=b"hi"),
    ]
    deterministic_tar.write_layer(tmp_path / "a.tar", nodes)
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert archive.getmember("tmp").mode == 0o1777
