"""Starts the one program that needs root, through sudo for other users; raises what it reports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from c2d_box.errors import C2DError, EnvironmentProblem
from sandbox.clusters.native.supervision import control_socket
from sandbox.home import BoxHome

ROOT_REASON = "The cluster's processes need root (containers, network); everything else runs as you."


def as_root(home: BoxHome, *arguments: str, held: int | None = None) -> None:
    """Run the supervisor's program, through sudo where needed, and raise the error it reports.

    ``held``: file descriptor of a lock that the program keeps open until it has taken over. It returns once
    the box's socket answers; the anchor lives on in the background.
    """
    command = [
        sys.executable,
        # -P: root must not import from the current folder, in which anybody may have put a `json.py`.
        "-P",
        "-m",
        "sandbox.clusters.native.supervisor",
        "--home",
        str(home.path),
    ]
    environment = None
    if os.geteuid() != 0:
        command = [*_sudo_command(), *command]
    else:
        # sudo drops such variables; there the package has to be found by the interpreter's own paths.
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    answer = subprocess.run(
        [*command, *arguments],
        # Standard error stays the terminal's: sudo writes its question there.
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env=environment,
        # As standard input, which nobody reads: sudo closes every descriptor from 3 on.
        stdin=held,
    )
    try:
        # The last line: a login banner or a sitecustomize may print before it.
        value = json.loads(answer.stdout.splitlines()[-1])
    except (IndexError, ValueError) as cause:
        raise _not_started(answer.returncode) from cause
    if "error" in value:
        control_socket.raise_error(value["error"])


def _not_started(status: int) -> C2DError:
    """Return the error for a program that reported nothing: sudo refused, or the interpreter did not
    start.
    """
    return EnvironmentProblem(
        "C2D-NOT-ROOT",
        f"The supervisor could not be started (status {status}). {ROOT_REASON}",
        "Run the command as root, or as a user whom sudo lets run it.",
    )


def invoking_user() -> tuple[int, int]:
    """Return user and group id of the person, also under sudo: the box's files are theirs."""
    if os.geteuid() == 0 and "SUDO_UID" in os.environ:
        return int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
    return os.getuid(), os.getgid()


def require_root() -> None:
    """Check that this process is root, or that there is a sudo to become root with."""
    if os.geteuid() != 0:
        _sudo_command()


def _sudo_command() -> list[str]:
    """Return the command line of sudo. Its question is the only one a user is asked; its prompt says why."""
    sudo = shutil.which("sudo")
    if sudo is None:
        raise EnvironmentProblem(
            "C2D-NOT-ROOT",
            f"You are not root, and there is no sudo. {ROOT_REASON}",
            "Run the command as root.",
        )
    prompt = f"[sudo] c2d-box: {ROOT_REASON} Password for %u: "
    # Without a terminal nobody can type a password: -n fails at once instead of hanging.
    return [sudo, "-n", "--"] if not sys.stdin.isatty() else [sudo, "-p", prompt, "--"]
