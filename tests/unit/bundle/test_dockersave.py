"""``docker save`` files become OCI archives, always the same ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from c2d_box.errors import UsageError
from sandbox.bundle.oci import archive_inspection, docker_save


def layer(text: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        header = tarfile.TarInfo("file")
        header.size = len(text)
        archive.addfile(header, io.BytesIO(text))
    return stream.getvalue()


LAYERS = [layer(b"one"), layer(b"two")]


def saved(path: Path, *, tags: list[str], config: dict[str, Any] | None = None, link: bool = False) -> Path:
    """What Docker up to 24 writes: a folder per layer, configuration by its hash."""
    document = config or {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["node"], "Env": ["A=b"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(x).hexdigest()}" for x in LAYERS]},
    }
    text = json.dumps(document).encode()
    config_name = hashlib.sha256(text).hexdigest() + ".json"
    names = [f"{number}/layer.tar" for number in range(len(LAYERS))]
    with tarfile.open(path, "w") as archive:

        def add(name: str, data: bytes) -> None:
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))

        add(config_name, text)
        for name, data in zip(names, LAYERS, strict=True):
            if link and name.startswith("1/"):
                header = tarfile.TarInfo(name)
                header.type, header.linkname = tarfile.SYMTYPE, "../real/layer.tar"
                archive.addfile(header)
                add("real/layer.tar", data)
            else:
                add(name, data)
        add(
            "manifest.json", json.dumps([{"Config": config_name, "RepoTags": tags, "Layers": names}]).encode()
        )
    return path


def converted(source: Path, folder: Path) -> tuple[Path, str]:
    scratch = folder / "scratch"
    scratch.mkdir(parents=True)
    target = folder / "image.tar"
    return target, docker_save.convert_to_oci(source, target, scratch, "amd64")


def test_a_saved_image_is_described_with_the_digest_it_will_get(tmp_path: Path) -> None:
    source = saved(tmp_path / "saved.tar", tags=["me/mine:1"])
    image = archive_inspection.inspect_archive(source, "amd64")
    assert image.docker_save
    assert image.name == "me/mine:1"
    assert image.config["Entrypoint"] == ["node"]
    target, digest = converted(source, tmp_path / "a")
    assert digest == image.digest
    after = archive_inspection.inspect_archive(target, "amd64")
    assert (after.digest, after.name, after.config, after.layers) == (
        digest,
        image.name,
        image.config,
        image.layers,
    )
    assert not after.docker_save


def test_converting_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    source = saved(tmp_path / "saved.tar", tags=["me/mine:1"])
    assert (
        converted(source, tmp_path / "a")[0].read_bytes() == converted(source, tmp_path / "b")[0].read_bytes()
    )


def test_the_name_does_not_change_the_digest(tmp_path: Path) -> None:
    one = saved(tmp_path / "one.tar", tags=["one:1"])
    none = saved(tmp_path / "none.tar", tags=[])
    assert (
        archive_inspection.inspect_archive(one, "amd64").digest
        == archive_inspection.inspect_archive(none, "amd64").digest
    )
    assert archive_inspection.inspect_archive(none, "amd64").name == ""


def test_layers_that_are_links_inside_the_archive_are_followed(tmp_path: Path) -> None:
    plain = archive_inspection.inspect_archive(saved(tmp_path / "plain.tar", tags=["x:1"]), "amd64")
    linked = saved(tmp_path / "linked.tar", tags=["x:1"], link=True)
    assert archive_inspection.inspect_archive(linked, "amd64").digest == plain.digest
    assert converted(linked, tmp_path / "a")[1] == plain.digest


def test_a_compressed_file_is_read_too(tmp_path: Path) -> None:
    source = saved(tmp_path / "saved.tar", tags=["x:1"])
    packed = tmp_path / "saved.tar.gz"
    packed.write_bytes(gzip.compress(source.read_bytes()))
    assert (
        archive_inspection.inspect_archive(packed, "amd64").digest
        == archive_inspection.inspect_archive(source, "amd64").digest
    )


def test_several_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="C2D-IMAGE-AMBIGUOUS"):
        archive_inspection.inspect_archive(saved(tmp_path / "saved.tar", tags=["a:1", "b:1"]), "amd64")


def test_a_layer_that_the_configuration_does_not_promise_is_refused(tmp_path: Path) -> None:
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64] * 2},
    }
    with pytest.raises(UsageError, match="C2D-IMAGE-ARCHIVE"):
        archive_inspection.inspect_archive(
            saved(tmp_path / "saved.tar", tags=["x:1"], config=config), "amd64"
        )


@pytest.mark.parametrize(
    "config", [{"architecture": "arm64", "os": "linux"}, {"os": "windows", "architecture": "amd64"}]
)
def test_an_image_that_cannot_run_here_is_refused(tmp_path: Path, config: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        archive_inspection.inspect_archive(
            saved(tmp_path / "saved.tar", tags=["x:1"], config=config), "amd64"
        )
