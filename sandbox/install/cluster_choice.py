"""Chooses the driver that carries a box: decided once, reported in one line, kept for the box's life.

``auto`` takes the one this home already has; else kind where a Docker engine answers (its command can always
be had), or k3d where its command is there, kind's is not, and a ``selftest`` has passed on it; else native on
Linux.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from c2d_box.errors import C2DError, EnvironmentProblem, UsageError
from sandbox.clusters.driver_registry import driver_of

if TYPE_CHECKING:
    from sandbox.box import Box

IMAGES = ("runtime", "postgres", "kubo", "s3", "algo-python", "algo-node")
"""Images that every box needs, whatever carries it; the bundle calls each part ``NAME-image``."""


@dataclass(frozen=True, slots=True)
class ClusterChoice:
    """The chosen driver, and why it was chosen."""

    driver: str
    text: str
    """One line for the user that says which driver and why."""


def choose_cluster(box: Box) -> ClusterChoice:
    """Return the driver for ``box``, whose settings hold what was asked for."""
    asked, had = box.settings.cluster or "auto", _previous_driver(box)
    # Two clusters in one home would share its record, its kubeconfig and its ports.
    if had and asked not in ("auto", had):
        raise UsageError(
            "C2D-CLUSTER-OTHER",
            f"This box is on a {had} cluster; its assets and jobs are there.",
            f"forget it first: {box.command_line('reset')}; or make another box: --name",
        )
    if had:
        return ClusterChoice(had, f"cluster: {had}, as this box has it already")
    if asked != "auto":
        return ClusterChoice(asked, f"cluster: {asked}, as asked for")
    # Asked even on Linux: with Docker no command needs root, and the native cluster does.
    why_not = _no_docker()
    if not why_not and _prefers_k3d():
        return ClusterChoice("k3d", "cluster: k3d, because its command is here and it has passed a selftest")
    if not why_not:
        return ClusterChoice("kind", "cluster: kind, because a Docker engine answers")
    if sys.platform == "linux":
        return ClusterChoice("native", f"cluster: native, because {why_not}")
    raise EnvironmentProblem(
        "C2D-NO-CLUSTER-POSSIBLE",
        f"This machine can carry no cluster: {why_not}, and the native one needs Linux.",
        "Start Docker (Docker Desktop will do), or name a cluster: c2d-box up --cluster existing",
    )


def _previous_driver(box: Box) -> str:
    """Return the driver that ``box.json`` records, for a box that got as far as having a cluster."""
    from sandbox.box import open_box

    # `box.json` alone is no cluster: an `up` that failed early may be repeated with another driver.
    if not (box.home.cluster_folder / "cluster.json").exists():
        return ""
    return open_box(box.home.path).settings.cluster or "native"


def _no_docker() -> str:
    """Return why kind cannot be used, as the rest of a sentence; empty where it can."""
    from sandbox import docker_engine

    try:
        docker_engine.require_new_enough(docker_engine.connect_engine(timeout=5))
    except C2DError as problem:
        return problem.message[0].lower() + problem.message[1:].rstrip(".")
    return ""


def _prefers_k3d() -> bool:
    """Return whether k3d is the better choice: it is what this user has, and isolation on it was seen to hold
    here.
    """
    from sandbox.clusters.k3d import tool as k3d
    from sandbox.clusters.k3d import trust
    from sandbox.clusters.kind import tool as kind

    return trust.is_verified() and k3d.installed() is not None and kind.installed_kind() is None


def parts_for(driver: str) -> tuple[str, ...] | None:
    """Return the parts of the bundle that a box on this driver needs; None: all the usual ones."""
    missing_parts = driver_of(driver).missing_parts
    if missing_parts is None:
        return None
    return (*(f"{name}-image" for name in IMAGES), "helm", *missing_parts())
