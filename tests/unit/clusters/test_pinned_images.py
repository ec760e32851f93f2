"""Images that the kubelet never removes: there is nowhere to pull a box's images from again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from c2d_box.errors import Failed
from sandbox.clusters.archive_names import PINNED, ArchiveName, parse_image_list, unpinned_references
from sandbox.clusters.bundle_parts import BundleParts
from sandbox.clusters.driver_record import ClusterOptions
from sandbox.clusters.kind import driver
from sandbox.clusters.kind import node as kind_node
from sandbox.clusters.native.control_plane import configuration
from sandbox.clusters.native.control_plane.node_images import NodeImages
from sandbox.home import BoxHome
from sandbox.progress import run_verb
from tests.unit.clusters.test_configuration import LAYOUT, record

HEAD = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n"
MANAGED = "io.cri-containerd.image=managed"
LISTED = (
    HEAD
    + f"c2d.local/a:1 application/x sha256:1 5.0 MiB linux/amd64 {MANAGED}\n"
    + f"c2d.local/b:1 application/x sha256:2 5.0 MiB linux/amd64 {MANAGED},{PINNED}\n"
    + "mine.example/c:1 application/x sha256:3 5.0 MiB linux/amd64 -\n"
)


def test_what_is_not_pinned_is_found() -> None:
    assert unpinned_references(LISTED.splitlines()) == ["c2d.local/a:1", "mine.example/c:1"]
    assert unpinned_references(HEAD.splitlines()) == []
    assert [image.pinned for image in parse_image_list(LISTED.splitlines())] == [False, True, False]


@pytest.fixture
def ctr(tmp_path: Path) -> Path:
    """containerd's client as a script: lists what is above and writes down what it is asked."""
    (tmp_path / "listed").write_text(LISTED)
    script = tmp_path / "ctr"
    script.write_text(
        f'#!/bin/sh\nshift 5\n[ "$1" = list ] && exec cat {tmp_path}/listed\necho "$*" >> {tmp_path}/asked\n'
    )
    script.chmod(0o755)
    return script


def test_every_image_of_the_node_is_pinned_those_of_users_too(ctr: Path) -> None:
    NodeImages(str(ctr)).pin_images()
    asked = ctr.with_name("asked").read_text().splitlines()
    assert asked == [f"label c2d.local/a:1 {PINNED}", f"label mine.example/c:1 {PINNED}"]


class KindNode:
    """A node's container: answers its containerd's client and remembers labels, as containerd does."""

    def __init__(self, fails: str = "") -> None:
        self.lines, self.fails = LISTED.splitlines(), fails
        self.labelled: list[str] = []

    def exec_run(self, command: list[str]) -> tuple[int, bytes]:
        assert command[:4] == ["ctr", "--namespace", "k8s.io", "images"], "not the kubelet's images"
        verb, *words = command[4:]
        if verb == self.fails:
            return 1, b"ctr: no such image"
        if verb == "label":
            reference, label = words
            self.labelled.append(reference)
            self.lines = [
                f"{line},{label}" if line.startswith(f"{reference} ") else line for line in self.lines
            ]
        return 0, "\n".join(self.lines).encode()


def test_every_image_of_a_kind_node_is_pinned_once() -> None:
    container: Any = KindNode()
    kind_node.pin_images(container)
    assert container.labelled == ["c2d.local/a:1", "mine.example/c:1"]
    assert all(image.pinned for image in kind_node.list_images(container))
    kind_node.pin_images(container)
    assert len(container.labelled) == 2, "what is pinned is not asked for again"


def test_a_kind_node_that_cannot_pin_says_so() -> None:
    container: Any = KindNode(fails="label")
    with pytest.raises(Failed) as problem:
        kind_node.pin_images(container)
    assert problem.value.code == "C2D-NODE-COMMAND"


@pytest.mark.parametrize("there", [True, False])
def test_loading_an_image_pins_whatever_a_kind_node_has(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the image is there already: the box may be of a version that did not pin."""
    container: Any = KindNode()
    brought = ArchiveName("c2d.local/a:1", "sha256:1" if there else "sha256:9")
    loaded: list[Path] = []
    monkeypatch.setattr(driver, "read_archive", lambda archive: brought)
    monkeypatch.setattr("sandbox.docker_engine.connect_engine", lambda: None)
    cluster = driver.KindCluster(BoxHome(tmp_path), BundleParts(), "lab", {}, ClusterOptions())
    monkeypatch.setattr(cluster, "_record", lambda: None)
    monkeypatch.setattr(cluster, "_running", lambda client, record: container)
    monkeypatch.setattr(cluster, "_load", lambda record, found, archive: loaded.append(archive))
    run_verb(cluster.load_image(tmp_path / "a.tar"), lambda event: None)
    assert bool(loaded) is not there
    assert all(image.pinned for image in kind_node.list_images(container))


def test_a_node_whose_disk_has_room_again_takes_pods_soon() -> None:
    """Five minutes is the kubelet's own value; a box would stand that long for nothing."""
    kubelet = json.loads(configuration.kubelet_yaml(LAYOUT, record()))
    assert kubelet["evictionPressureTransitionPeriod"] == "20s"
    assert kubelet["imageGCHighThresholdPercent"] == 100
