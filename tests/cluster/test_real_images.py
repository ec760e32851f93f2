"""A user's own algorithm image: brought in by digest, and refused by name while it is not there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from sandbox.box import Box
from sandbox.bundle import Bundle
from sandbox.demo.story import SCRIPT

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def test_an_imported_archive_shows_the_digest_that_belongs_in_the_ddo(cli: Cli) -> None:
    image = Bundle.open_cached().image("algo-node")
    (printed,) = json.loads(cli("images", "import", str(image.archive), "--json").stdout)
    assert printed["checksum"] == image.digest
    assert f"{printed['image']}:{printed['tag']}" == image.reference
    listed = json.loads(cli("images", "list", "--json").stdout)
    assert image.digest in [entry["checksum"] for entry in listed]


def test_every_image_is_kept_when_the_disk_is_full(cli: Cli, box: Box) -> None:
    """Those of the box, and one that a user brought in."""
    cli("images", "import", str(Bundle.open_cached().image("algo-node").archive))
    images = box.cluster.list_images()
    assert len(images) > 5
    assert [image.reference for image in images if not image.pinned] == []


def test_the_boxs_own_parts_are_not_offered_to_algorithms(cli: Cli) -> None:
    listed = json.loads(cli("images", "list", "--json").stdout)
    assert {entry["image"] for entry in listed} == {"c2d.local/algo-python", "c2d.local/algo-node"}


def test_an_unknown_image_is_refused_before_anything_is_published(cli: Cli, box: Box) -> None:
    before = cli("assets", "--json").stdout
    done = cli("publish", "algorithm", str(SCRIPT), "--image", "example.org/none", "--json", check=False)
    assert done.returncode == 5
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert error["code"] == "C2D-IMAGE-UNKNOWN"
    assert "images import" in error["next_step"]
    assert cli("assets", "--json").stdout == before


def test_a_file_that_is_no_image_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "not.tar").write_text("no")
    done = cli("images", "import", str(tmp_path / "not.tar"), "--json", check=False)
    assert done.returncode == 2
    assert json.loads(done.stderr.splitlines()[-1])["error"]["code"].startswith("C2D-")
