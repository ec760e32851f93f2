"""Archives we write are well-formed and always the same; archives others wrote are read with suspicion."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from c2d_box.errors import UsageError
from sandbox.bundle.oci import archive_inspection, deterministic_tar, image_archives
from sandbox.bundle.oci.archive_reader import MAX_DOCUMENT

CREATED = "2026-01-01T00:00:00Z"
SETTINGS = image_archives.ImageSettings(
    user="65532:65532", entrypoint=("python3", "-m"), env=(("PATH", "/bin"),)
)


def layer(folder: Path, name: str, text: bytes) -> image_archives.Blob:
    path = folder / f"{name}.tar"
    deterministic_tar.write_layer(path, [deterministic_tar.TarNode(f"opt/{name}", text=text)])
    return image_archives.Blob.of_file(image_archives.LAYER, path)


def archive(
    folder: Path, name: str = "c2d.local/runtime:latest", architecture: str = "amd64"
) -> tuple[Path, str]:
    target = folder / "image.tar"
    layers = [layer(folder, "base", b"base"), layer(folder, "code", b"code")]
    digest = image_archives.write_image(
        target, name=name, architecture=architecture, layers=layers, settings=SETTINGS, created=CREATED
    )
    return target, digest


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as contents:
        found = {}
        for member in contents:
            stream = contents.extractfile(member)
            found[member.name] = stream.read() if stream else b""
    return found


def pack(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as target:
        for name, data in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            target.addfile(header, io.BytesIO(data))
    return path


def test_every_blob_is_there_under_its_hash_and_size(tmp_path: Path) -> None:
    path, digest = archive(tmp_path)
    files = members(path)
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (descriptor,) = json.loads(files["index.json"])["manifests"]
    assert descriptor["digest"] == digest
    assert descriptor["annotations"]["io.containerd.image.name"] == "c2d.local/runtime:latest"
    assert descriptor["annotations"]["org.opencontainers.image.ref.name"] == "latest"
    manifest = json.loads(files["blobs/sha256/" + digest[7:]])
    for blob in (descriptor, manifest["config"], *manifest["layers"]):
        data = files["blobs/sha256/" + blob["digest"][7:]]
        assert len(data) == blob["size"]
        assert hashlib.sha256(data).hexdigest() == blob["digest"][7:]
    config = json.loads(files["blobs/sha256/" + manifest["config"]["digest"][7:]])
    assert config["rootfs"]["diff_ids"] == [blob["digest"] for blob in manifest["layers"]]
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert config["config"]["User"] == "65532:65532"
    assert config["config"]["Entrypoint"] == ["python3", "-m"]
    assert len(config["history"]) == len(manifest["layers"])


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    first, digest = archive(one)
    second, again = archive(two)
    assert digest == again
    assert first.read_bytes() == second.read_bytes()


def test_a_layer_used_twice_is_stored_once(tmp_path: Path) -> None:
    same = layer(tmp_path, "same", b"same")
    target = tmp_path / "image.tar"
    image_archives.write_image(
        target, name="x:1", architecture="amd64", layers=[same, same], settings=SETTINGS, created=CREATED
    )
    assert len([name for name in members(target) if name.startswith("blobs/")]) == 3


def test_an_archive_is_read_back(tmp_path: Path) -> None:
    path, digest = archive(tmp_path)
    image = archive_inspection.inspect_archive(path, "amd64")
    assert (image.name, image.digest, image.architecture) == ("c2d.local/runtime:latest", digest, "amd64")
    assert image.config["Env"] == ["PATH=/bin"]
    assert len(image.layers) == 2
    assert not image.docker_save


def test_an_image_of_another_architecture_is_refused(tmp_path: Path) -> None:
    path, _ = archive(tmp_path, architecture="arm64")
    with pytest.raises(UsageError) as caught:
        archive_inspection.inspect_archive(path, "amd64")
    assert caught.value.code == "C2D-IMAGE-ARCHITECTURE"
    assert "linux/amd64" in caught.value.next_step


def several_architectures(folder: Path) -> Path:
    """An archive as buildx writes it: an index of two platforms and an attestation."""
    files: dict[str, bytes] = {}
    entries: list[dict[str, Any]] = []
    for architecture in ("amd64", "arm64"):
        part = folder / architecture
        part.mkdir()
        path, _ = archive(part, architecture=architecture)
        found = members(path)
        entries += json.loads(found["index.json"])["manifests"]
        files.update(found)
    attestation = {**entries[0], "platform": {"architecture": "unknown", "os": "unknown"}}
    inner = image_archives.Blob.of_document(
        image_archives.INDEX,
        {
            "schemaVersion": 2,
            "manifests": [
                {k: v for k, v in e.items() if k != "annotations"} for e in [*entries, attestation]
            ],
        },
    )
    files["blobs/sha256/" + inner.sha256] = inner.data or b""
    outer = {
        "schemaVersion": 2,
        "manifests": [inner.descriptor(annotations={image_archives.NAME: "docker.io/me/mine:1"})],
    }
    files["index.json"] = json.dumps(outer).encode()
    return pack(folder / "several.tar", files)


def test_of_several_architectures_this_machines_is_taken(tmp_path: Path) -> None:
    path = several_architectures(tmp_path)
    assert archive_inspection.inspect_archive(path, "arm64").architecture == "arm64"
    assert archive_inspection.inspect_archive(path, "amd64").name == "docker.io/me/mine:1"


def test_several_images_in_one_file_are_refused(tmp_path: Path) -> None:
    path, _ = archive(tmp_path)
    files = members(path)
    index = json.loads(files["index.json"])
    (entry,) = index["manifests"]
    index["manifests"] = [entry, {**entry, "annotations": {image_archives.NAME: "other:1"}}]
    files["index.json"] = json.dumps(index).encode()
    with pytest.raises(UsageError) as caught:
        archive_inspection.inspect_archive(pack(tmp_path / "two.tar", files), "amd64")
    assert caught.value.code == "C2D-IMAGE-AMBIGUOUS"


def test_a_blob_with_another_hash_is_refused(tmp_path: Path) -> None:
    path, _ = archive(tmp_path)
    files = members(path)
    for name, data in files.items():
        if name.startswith("blobs/"):
            forged = pack(tmp_path / "forged.tar", {**files, name: data[:-1] + bytes([data[-1] ^ 1])})
            with pytest.raises(UsageError) as caught:
                archive_inspection.inspect_archive(forged, "amd64")
            assert caught.value.code == "C2D-IMAGE-ARCHIVE"


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"index.json": b"not json"},
        {"index.json": b"[" * 100_000},
        {"index.json": b"[1]"},
        {"index.json": b'{"manifests": 7}'},
        {"index.json": b'{"manifests": []}'},
        {"index.json": b'{"manifests": ["x"]}'},
        {"index.json": b'{"manifests": [{"digest": "sha256:../../etc/passwd"}]}'},
        {"index.json": b'{"manifests": [{"digest": "sha256:' + b"0" * 64 + b'"}]}'},
        {"index.json": b" " * (MAX_DOCUMENT + 1)},
        {"manifest.json": b"{}"},
        {"manifest.json": b"[{}]"},
        {"manifest.json": b'[{"Config": "../x", "Layers": ["y"]}]'},
    ],
    ids=range(13),
)
def test_an_archive_that_is_no_image_is_refused_with_a_code(tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(UsageError) as caught:
        archive_inspection.inspect_archive(pack(tmp_path / "bad.tar", files), "amd64")
    assert caught.value.code == "C2D-IMAGE-ARCHIVE"


def test_what_is_no_tar_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UsageError, match="C2D-IMAGE-ARCHIVE"):
        archive_inspection.inspect_archive(tmp_path / "text", "amd64")
    with pytest.raises(UsageError, match="C2D-IMAGE-FILE"):
        archive_inspection.inspect_archive(tmp_path / "none", "amd64")
