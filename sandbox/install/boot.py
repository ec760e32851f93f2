"""Boots the cluster and loads its images at the same time: a node takes images long before it is Ready.

Unpacking images needs nothing but containerd, and would otherwise come on top of the boot.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from sandbox.box import Box
from sandbox.bundle import BundleImage
from sandbox.clusters.port import TAKES_IMAGES
from sandbox.parallel import run_together
from sandbox.progress import Progress, ProgressEvent


def boot_cluster(box: Box, images: Sequence[BundleImage]) -> Progress[None]:
    """Create or resume the cluster and bring ``images`` to its node."""
    taking = threading.Event()
    yield from run_together([_create_cluster(box, taking), _load_when(box, images, taking)])


def load_images(box: Box, images: Sequence[BundleImage]) -> Progress[None]:
    """Bring to the node those of ``images`` that are not there yet."""
    # By digest: a rebuilt image has the old name, and must be loaded again.
    present = {image.digest for image in box.cluster.list_images()}
    for image in images:
        name = f"image.{image.name}"
        if image.digest in present:
            yield ProgressEvent(name, "skipped", f"image {image.name} is there")
            continue
        for event in box.cluster.load_image(image.archive):
            yield replace(event, step=name, text=f"image {image.name}")


def _create_cluster(box: Box, taking: threading.Event) -> Progress[None]:
    """Create the cluster; tell the loader when the node takes images."""
    try:
        for event in box.cluster.create():
            if event.step == TAKES_IMAGES and event.state == "done":
                taking.set()
            yield event
    # Also where creating failed: the loader would wait for ever, and with it the whole verb.
    finally:
        taking.set()


def _load_when(box: Box, images: Sequence[BundleImage], taking: threading.Event) -> Progress[None]:
    """Load the images once the node takes them."""
    taking.wait()
    yield from load_images(box, images)
