"""Boots the cluster and loads its images at the same time: a node takes images long before it is Ready."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from sandbox.box import Box
from sandbox.bundle import Image
from sandbox.parallel import together
from sandbox.progress import Event, Progress

TAKES_IMAGES = "cluster.containerd"
"""The step after whose end the node takes images; with a driver without such a step it takes them once
booted.
"""


def boot(box: Box, images: Sequence[Image]) -> Progress[None]:
    """Create or resume the cluster and bring ``images`` to its node."""
    taking = threading.Event()
    yield from together([_create(box, taking), _load_when(box, images, taking)])


def load(box: Box, images: Sequence[Image]) -> Progress[None]:
    """Bring to the node those of ``images`` that are not there yet."""
    present = {image.digest for image in box.cluster.images()}
    for image in images:
        name = f"image.{image.name}"
        if image.digest in present:
            yield Event(name, "skipped", f"image {image.name} is there")
            continue
        for event in box.cluster.load_image(image.archive):
            yield replace(event, step=name, text=f"image {image.name}")


def _create(box: Box, taking: threading.Event) -> Progress[None]:
    try:
        for event in box.cluster.create():
            if event.step == TAKES_IMAGES and event.state == "done":
                taking.set()
            yield event
    finally:
        taking.set()


def _load_when(box: Box, images: Sequence[Image], taking: threading.Event) -> Progress[None]:
    taking.wait()
    yield from load(box, images)
