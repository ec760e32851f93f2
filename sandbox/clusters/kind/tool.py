"""Runs the real kind command: finds it, starts it, interprets its lines.

kind has no library for Python (docs/adr/0006-kind-and-k3d-commands.md). ``sandbox.clusters.k3d.tool`` shares
the helpers that are not about one command.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from c2d_box.errors import C2DError, EnvironmentProblem, Failed
from sandbox.clusters.child_process import dying_with_parent

PROGRAM = "kind"
NETWORK = "KIND_EXPERIMENTAL_DOCKER_NETWORK"
"""Variable that names kind's Docker network. kind calls it experimental; there is no option for it."""
OLDEST = (0, 27)
"""The first version with containerd 2 on its nodes, which job pods with user namespaces need."""
Failure = Callable[[str, list[str]], C2DError]
"""Makes the error to raise from a verb and the lines that the command printed."""
_STEP = re.compile(r"^\s*[•✓✗]\s+(?P<text>[^\U00010000-\U0010ffff\u2600-\u27bf.]+)")
"""A step in kind's output: a mark, a text, and an emoji or dots after it, which are left out."""


def installed_kind() -> Path | None:
    """Return a kind on the user's PATH that is new enough."""
    return find_program(PROGRAM, r"v(\d+)\.(\d+)", OLDEST)


def find_program(name: str, version: str, oldest: tuple[int, int]) -> Path | None:
    """Return a program on the user's PATH whose answer to ``version`` matches the pattern and is not older
    than ``oldest``.
    """
    found = shutil.which(name)
    if found is None:
        return None
    # What cannot be understood counts as too old: the bundle's own command is then used.
    answer = subprocess.run([found, "version"], capture_output=True, text=True, check=False)
    match = re.search(version, answer.stdout)
    if match is None or (int(match[1]), int(match[2])) < oldest:
        return None
    return Path(found)


class ClusterTool(Protocol):
    """A command that makes clusters in containers: kind's, or k3d's.

    The driver knows no more of a tool than this, so that both share one driver.
    """

    @property
    def name(self) -> str: ...

    @property
    def takes_images(self) -> str:
        """Return the beginning of the line that says that the node runs and takes images; empty: only when
        the command is done.
        """
        ...

    def create_cluster(self, configuration: Path, kubeconfig: Path, image: str | None) -> Iterator[str]: ...

    def load_archive(self, archive: Path) -> None: ...

    def read_kubeconfig(self) -> str: ...


def narrate_command(
    command: list[str], environment: Mapping[str, str], step: re.Pattern[str], failure: Failure
) -> Iterator[str]:
    """Run a command that reports its steps; yield each, raise ``failure`` of what it printed.

    Closing the generator kills the command.
    """
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A question that the command might ask fails at once instead of waiting unseen.
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment,
        # A killed c2d-box takes its tool along; what is half made is swept by the next command.
        preexec_fn=dying_with_parent(),
    )
    said: list[str] = []
    try:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                # All lines, not only steps: the cause of a failure stands between them.
                said.append(line.rstrip())
                if match := step.match(line):
                    yield match["text"].strip()
        status = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if status != 0:
        raise failure("create cluster", said)


def command_output(command: list[str], environment: Mapping[str, str], verb: str, failure: Failure) -> str:
    """Run a command to its end; return what it printed, raise ``failure`` of its error output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise failure(verb, done.stderr.splitlines())
    return done.stdout


class KindTool:
    """One kind command, working on one cluster in a Docker network of its own."""

    name = PROGRAM
    # By then the container runs and its containerd answers, while kubeadm has its longest step before it.
    takes_images = "Starting control-plane"

    def __init__(self, program: Path, cluster: str) -> None:
        self._program = program
        self._cluster = cluster

    def create_cluster(self, configuration: Path, kubeconfig: Path, image: str | None) -> Iterator[str]:
        """Make the cluster; yield each step as kind reports it. Does not wait for the node to be Ready."""
        words = ["create", "cluster", "--config", str(configuration), "--kubeconfig", str(kubeconfig)]
        words += ["--image", image] if image else []
        return narrate_command(self._kind_command(words), self._kind_environment(), _STEP, _kind_failure)

    def load_archive(self, archive: Path) -> None:
        """Import an image archive into the node."""
        self._run_kind("load", "image-archive", str(archive))

    def read_kubeconfig(self) -> str:
        """Return the kubeconfig, whose server is the port that kind published on 127.0.0.1."""
        return self._run_kind("get", "kubeconfig")

    def _run_kind(self, *words: str) -> str:
        return command_output(
            self._kind_command(list(words)), self._kind_environment(), " ".join(words[:2]), _kind_failure
        )

    def _kind_command(self, words: list[str]) -> list[str]:
        return [str(self._program), *words, "--name", self._cluster]

    def _kind_environment(self) -> dict[str, str]:
        """Return kind's environment. The provider is fixed: kind would also take podman or nerdctl, and
        everything else here speaks to Docker.
        """
        return {**os.environ, NETWORK: self._cluster, "KIND_EXPERIMENTAL_PROVIDER": "docker"}


def _kind_failure(verb: str, said: list[str]) -> C2DError:
    """Return the error for what kind printed: a cause that users can do something about, or its last line."""
    text = "\n".join(said)
    if re.search(r"failed to pull image|error pulling image|no such host", text):
        return EnvironmentProblem(
            "C2D-KIND-NODE-IMAGE",
            "kind's node image could not be pulled.",
            "Check the network, or assemble one from packages: sudo c2d-box bundle build --node-image",
            last_lines=said[-6:],
        )
    return port_taken(said) or Failed(
        "C2D-KIND",
        f"`kind {verb}` failed: {(said or ['it said nothing'])[-1]}",
        "Run `c2d-box up` again: it takes away what is half made first. `c2d-box doctor` looks for causes.",
        last_lines=said[-12:],
    )


def port_taken(said: list[str]) -> C2DError | None:
    """Return an error if Docker's complaint about a port is among the lines that a tool printed."""
    if not re.search(r"port is already allocated|address already in use", "\n".join(said)):
        return None
    return EnvironmentProblem(
        "C2D-PORT-TAKEN",
        "A port of this box is taken by another program.",
        "`c2d-box doctor` says by which; or use other ports: c2d-box up --port-offset 100",
        last_lines=said[-4:],
    )
