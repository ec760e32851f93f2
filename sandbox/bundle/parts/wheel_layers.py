"""Makes layers of Python packages from wheels whose hashes are locked, and the byte code they start from.

The packages are for the image's Python (3.11), not for the one that runs c2d-box, so nothing is compiled from
source and the byte code is made by the image's own interpreter, run from the unpacked layer through its own
loader: that works without root and whatever C library this machine has.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.bundle.build_dependencies import pip_command
from sandbox.bundle.commands import CommandRunner
from sandbox.bundle.oci import deterministic_tar
from sandbox.bundle.parts.recipe import RECIPES, SOURCE_DATE_EPOCH, BuildContext, Recipe

PYTHON = "3.11"
"""Python of Debian 12, which the images are made of."""
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""The kernel's name of each architecture, as wheels and library folders use it."""
_GLIBC_MINORS = (17, 24, 26, 27, 28, 31, 34, 35, 36)
"""Minor versions of glibc that a wheel may name: bookworm has 2.36; wheels name the oldest they accept."""


@dataclass(frozen=True, kw_only=True)
class WheelLayer(Recipe):
    """The recipe of the packages of one lock file under one folder of the image: ``layer.tar``."""

    lock: str
    """File in ``recipes/wheels``, with a hash for each wheel; :mod:`sandbox.bundle.relock` writes it."""
    inside: str
    """Folder in the image, without the leading slash."""
    base: str
    """The part whose layer holds the image's Python."""

    def input_files(self) -> Iterator[tuple[str, Path]]:
        yield self.lock, RECIPES / "wheels" / self.lock

    def make_part(self, bench: BuildContext) -> dict[str, Any]:
        target = bench.scratch / self.inside
        target.mkdir(parents=True)
        install_wheels(
            RECIPES / "wheels" / self.lock, target, bench.commands, bench.scratch, bench.architecture
        )
        # Console scripts name the interpreter of this machine in their first line; tests only take room; byte
        # code of this machine's Python is of no use to the image's.
        for unwanted in [
            target / "bin",
            *sorted(target.rglob("tests")),
            *sorted(target.rglob("__pycache__")),
        ]:
            if unwanted.is_dir():
                shutil.rmtree(unwanted)
        compile_all(bench.scratch, [self.inside], bench.needs[self.base].file_path("layer.tar"), bench)
        deterministic_tar.write_layer(
            bench.out / "layer.tar", deterministic_tar.nodes_below(target, self.inside)
        )
        return {"lock": self.lock}


def platform_options(architecture: str) -> list[str]:
    """Return the options that make pip choose wheels for the image's Python, not for its own; never a source
    archive.
    """
    # manylinux2014 is the older name of manylinux_2_17; some wheels carry only one of the two.
    names = ["manylinux2014", *(f"manylinux_2_{minor}" for minor in _GLIBC_MINORS)]
    return [
        # A source archive would be built by this machine's Python and compiler.
        *("--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"),
        *(word for abi in ("cp311", "abi3", "none") for word in ("--abi", abi)),
        *(word for name in names for word in ("--platform", f"{name}_{MACHINES[architecture]}")),
    ]


def install_wheels(
    lock: Path, target: Path, commands: CommandRunner, scratch: Path, architecture: str
) -> None:
    """Unpack the locked wheels for the image's Python below ``target``, checking each hash. Nothing of a
    package is executed: a wheel is only unpacked.
    """
    commands.run_command(
        [
            *pip_command(scratch, commands.run_command),
            # The lock is complete, so pip resolves nothing; a wheel without a locked hash is refused.
            *("install", "--quiet", "--no-deps", "--require-hashes", "--no-compile"),
            # --ignore-installed: what this machine's Python has must not count as already there.
            *("--no-warn-conflicts", "--ignore-installed", "--target", target, "--requirement", lock),
            *platform_options(architecture),
        ],
        env={"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"},
    )


def compile_all(root: Path, folders: list[str], base_layer: Path, bench: BuildContext) -> None:
    """Write byte code for ``folders`` below ``root`` with the Python of ``base_layer``.

    The byte code is "unchecked": its source cannot change in the image, so the interpreter does not compare
    the two at start.
    """
    # The image's interpreter runs through its own loader and libraries, so the C library of this machine may
    # be older, newer or another one.
    system = bench.scratch / "system"
    _unpack_python(base_layer, system, bench.architecture)
    libraries = f"{system}/usr/lib/{MACHINES[bench.architecture]}-linux-gnu"
    loader = next(Path(libraries).glob("ld-linux-*.so.*"))
    bench.commands.run_command(
        [
            *(loader, "--library-path", libraries, system / f"usr/bin/python{PYTHON}", "-s"),
            # -s and -p: tracebacks name paths of the image, not of the scratch folder.
            *("-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", root, "-p", "/"),
            *(root / folder for folder in folders),
        ],
        env={
            # No date, no path and no order of sets may depend on this run: the bytes must be the same.
            "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH),
            "PYTHONHOME": str(system / "usr"),
            "PYTHONPATH": "",
            "PYTHONHASHSEED": "0",
        },
    )
    shutil.rmtree(system)


def _unpack_python(layer: Path, target: Path, architecture: str) -> None:
    """Unpack the interpreter, its standard library and the shared libraries it loads, and nothing else."""
    libraries = f"./usr/lib/{MACHINES[architecture]}-linux-gnu/"
    python = (f"./usr/lib/python{PYTHON}/", f"./usr/bin/python{PYTHON}")

    def wanted(member: tarfile.TarInfo) -> bool:
        """Return whether a member belongs to the interpreter."""
        # An absolute link would lead out of the unpacked layer, to files of this machine.
        if not member.isreg() and member.linkname.startswith("/"):
            return False
        name = member.name
        flat_library = (
            name.startswith(libraries) and "/" not in name.removeprefix(libraries) and ".so" in name
        )
        return flat_library or (name.startswith(python) and "__pycache__" not in name)

    # Debian 12's own Python came before the filters.
    careful: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(layer) as contents:
        contents.extractall(target, [m for m in contents if wanted(m)], **careful)
