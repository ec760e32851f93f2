"""Which images have a shell, by their layers; a line that needs one is refused before anybody pays."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from c2d_box.errors import Refused
from sandbox.box import Box
from sandbox.bundle.oci import archive_inspection, image_archives, shell_probe
from sandbox.home import BoxHome
from sandbox.install import images
from sandbox.install.images import ContainerImage
from sandbox.settings import BoxSettings

ENTRY = tuple[str, str | None]
"""A path in a layer, and where it links to."""


def layer(folder: Path, number: int, entries: list[ENTRY], packed: bool = False) -> image_archives.Blob:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, target in entries:
            info = tarfile.TarInfo(name)
            if target is not None:
                info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    path = folder / f"{number}.tar"
    path.write_bytes(gzip.compress(held.getvalue()) if packed else held.getvalue())
    return image_archives.Blob.of_file(image_archives.LAYER, path)


def image(folder: Path, *layers: list[ENTRY], packed: bool = False) -> image_archives.ArchivedImage:
    target = folder / "image.tar"
    blobs = [layer(folder, number, entries, packed) for number, entries in enumerate(layers)]
    settings = image_archives.ImageSettings(user="1")
    image_archives.write_image(
        target, name="x:1", architecture="amd64", layers=blobs, settings=settings, created="2026"
    )
    return archive_inspection.inspect_archive(target, "amd64")


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([[("bin/sh", None)]], True),
        ([[("./bin/sh", "dash")]], True),
        ([[("bin", "usr/bin"), ("usr/bin/sh", "dash")]], True),
        ([[("usr/bin/sh", None)]], False),
        ([[("program", None)]], False),
        ([[("bin/sh", None)], [("bin/.wh.sh", None)]], False),
        ([[("bin/sh", None)], [(".wh.bin", None)]], False),
        ([[("bin/sh", None)], [("bin/.wh..wh..opq", None), ("bin/busybox", None)]], False),
        ([[("bin/.wh.sh", None)], [("bin/sh", "busybox")]], True),
        ([], False),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_shell_is_found_where_it_is(
    tmp_path: Path, layers: list[list[ENTRY]], expected: bool, packed: bool
) -> None:
    assert shell_probe.has_shell(image(tmp_path, *layers, packed=packed)) is expected


def test_a_layer_that_cannot_be_read_leaves_it_open(tmp_path: Path) -> None:
    made = image(tmp_path, [("bin/sh", None)])
    path = tmp_path / "odd.tar"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(2000))
    blob = image_archives.Blob.of_file(image_archives.LAYER, path)
    settings = image_archives.ImageSettings(user="1")
    image_archives.write_image(
        made.archive, name="x:1", architecture="amd64", layers=[blob], settings=settings, created="2026"
    )
    assert shell_probe.has_shell(archive_inspection.inspect_archive(made.archive, "amd64")) is None


@pytest.mark.parametrize(
    ("shell", "line", "refused"),
    [
        (False, "/run $ALGO", False),
        (False, "/run $ALGO | tee x", True),
        (False, "cd /data && /run $ALGO", True),
        (True, "/run $ALGO | tee x", False),
        (None, "/run $ALGO | tee x", False),
    ],
)
def test_a_line_that_needs_a_shell_is_refused_before_payment(
    shell: bool | None, line: str, refused: bool
) -> None:
    known = ContainerImage("x", "1", "sha256:" + "0" * 64, shell=shell)
    if not refused:
        images.demand_entrypoint(known, line)
        return
    with pytest.raises(Refused, match="C2D-ENTRYPOINT-NEEDS-SHELL"):
        images.demand_entrypoint(known, line)


def test_what_was_seen_at_import_is_remembered(tmp_path: Path) -> None:
    box = Box(BoxHome(tmp_path), BoxSettings())
    images._note_shell(box, "sha256:a", False)
    images._note_shell(box, "sha256:b", True)
    images._note_shell(box, "sha256:c", None)
    assert images._known_shells(box) == {"sha256:a": False, "sha256:b": True}
    (tmp_path / "shells.json").write_text("{")
    assert images._known_shells(box) == {}
