"""Runs the real k3d command: finds it, starts it, interprets its lines.

Where a line's meaning is taken from k3d's source, the comment names the place; the version is that of the
bundle's recipe.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from c2d_box.errors import C2DError, EnvironmentProblem, Failed
from sandbox.clusters.kind.tool import command_output, find_program, narrate_command, port_taken

PROGRAM = "k3d"
OLDEST = (5, 8)
"""The first version whose config files may hold files for the node (config/v1alpha5, ``files``)."""
_STEP = re.compile(r"^\x1b\[\d+mINFO\x1b\[0m\[\d+\] (?P<text>.+)")
"""A step in k3d's output, whose words are coloured with a terminal and without."""
_COLOUR = re.compile(r"\x1b\[\d+m")
"""Escape sequences, taken out before a line is shown or compared."""
_ERROR = re.compile(r"^(ERRO|FATA)\[\d+\] ")
"""Mark before an error's text, without colours (logrus)."""


def installed() -> Path | None:
    """Return a k3d on the user's PATH that is new enough."""
    return find_program(PROGRAM, r"k3d version v(\d+)\.(\d+)", OLDEST)


class K3dTool:
    """One k3d command, working on one cluster."""

    name = PROGRAM
    # Empty: no line of k3d's says that containerd answers, so images come when the command is done.
    takes_images = ""

    def __init__(self, program: Path, cluster: str) -> None:
        self._program = program
        self._cluster = cluster

    def create_cluster(self, configuration: Path, kubeconfig: Path, image: str | None) -> Iterator[str]:
        """Make the cluster; yield each step as k3d reports it. k3d itself waits for the node, and rolls back
        a failure.
        """
        words = ["cluster", "create", "--config", str(configuration), *(["--image", image] if image else [])]
        return narrate_command([str(self._program), *words], _k3d_environment(), _STEP, _k3d_failure)

    def load_archive(self, archive: Path) -> None:
        """Import an archive into the node. "direct" streams it; the other way needs a helper image, to be
        pulled.
        """
        self._run_k3d("image", "import", "--cluster", self._cluster, "--mode", "direct", str(archive))

    def read_kubeconfig(self) -> str:
        """Return the kubeconfig. cmd/kubeconfig/kubeconfigGet.go: each document comes after a separator."""
        return self._run_k3d("kubeconfig", "get", self._cluster).removeprefix("---\n")

    def _run_k3d(self, *words: str) -> str:
        return command_output(
            [str(self._program), *words], _k3d_environment(), " ".join(words[:2]), _k3d_failure
        )


def _k3d_environment() -> dict[str, str]:
    """Return k3d's environment. pkg/types/env.go: mounts are to be shared, or no volume of ours would reach a
    pod.
    """
    return {**os.environ, "K3D_FIX_MOUNTS": "1"}


def _k3d_failure(verb: str, coloured: list[str]) -> C2DError:
    """Return the error for what k3d printed: a cause that users can do something about, or its first
    error.
    """
    said = [_COLOUR.sub("", line) for line in coloured]
    text = "\n".join(said)
    # The wordings of k3d, of the Docker engine, and of Go's resolver behind both.
    if re.search(r"failed to pull image|Failed to pull|no such host|error pulling image", text):
        return EnvironmentProblem(
            "C2D-K3D-IMAGE",
            "k3d's images (k3s, its tools) could not be pulled.",
            "Check the network, or use kind or the native cluster: c2d-box up --cluster kind",
            last_lines=said[-6:],
        )
    return port_taken(said) or Failed(
        "C2D-K3D",
        f"`k3d {verb}` failed: {_first_error(said)}",
        "Run `c2d-box up` again: it takes away what is half made first. `c2d-box doctor` looks for causes.",
        last_lines=said[-12:],
    )


def _first_error(said: list[str]) -> str:
    """Return the first of k3d's errors: the later ones come from rolling back."""
    errors = [_ERROR.sub("", line) for line in said if _ERROR.match(line)]
    return next(iter(errors or said[-1:]), "it said nothing")
