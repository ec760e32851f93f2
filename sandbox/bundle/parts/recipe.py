"""Defines a recipe: data that names a part and its inputs, and a function that makes it from nothing else.

Everything that can change the result is in the key: the recipe's own fields, the bytes of its input files,
the keys of the parts it is made from, and the machine's architecture. Estimates are not: they may be wrong.
"""

from __future__ import annotations

import hashlib
import json
import platform
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

from c2d_box.errors import EnvironmentProblem
from sandbox.bundle.cache import FORMAT, CachedPart, digest_of
from sandbox.bundle.commands import CommandRunner

RECIPES = Path(__file__).parents[1] / "recipes"
"""Folder of the data that is installed with the package: Go modules, locks, sources of small programs,
scripts.
"""
SOURCE_DATE_EPOCH = 1767225600
"""2026-01-01 UTC, the time stamp of every file, image and build."""

Lane = Literal["compile", "assemble"]
"""Compilers use every core, so one runs at a time, beside one task that mostly waits for network and disk."""

# The kernel's names (uname) on the left; macOS calls 64-bit ARM arm64.
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
# Estimates, and the tools that must be installed, do not change the result: a correction of them must not
# make every machine build the part again.
_NOT_IN_KEY = {"seconds", "mib", "debian"}
"""Fields that do not enter the content key."""


def machine_architecture() -> str:
    """Return this machine's architecture by the name that OCI, Go and Debian use: ``amd64`` or ``arm64``."""
    machine = platform.machine().lower()
    if machine not in _ARCHITECTURES:
        raise EnvironmentProblem(
            "C2D-ARCHITECTURE",
            f"c2d-box builds for x86-64 and 64-bit ARM; this machine is {machine}.",
            "Use a machine of one of these two kinds.",
        )
    return _ARCHITECTURES[machine]


@dataclass(frozen=True)
class BuildContext:
    """The folders, tools and finished parts that :meth:`Recipe.make_part` works with. A recipe reads nothing
    else, or its key would not cover what it read.
    """

    out: Path
    """Empty folder that becomes the entry."""
    scratch: Path
    """Empty folder that is thrown away."""
    commands: CommandRunner
    needs: Mapping[str, CachedPart]
    """The finished parts this one is made from."""
    architecture: str
    go: Path = Path("go")
    """The Go toolchain to compile with."""


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC):
    """The recipe of one part: its inputs and how it is made.

    Subclasses are frozen dataclasses: their fields are the recipe, and all but the estimates and the
    machine's tools enter the key.
    """

    name: str
    version: str
    seconds: float
    """Rough seconds it takes on two cores from nothing; used until this machine has built it once."""
    mib: int
    """Rough MiB of disk it needs, build included."""
    needs: tuple[str, ...] = ()
    debian: tuple[str, ...] = ()
    """Keys in :mod:`sandbox.bundle.build_dependencies` of what the machine must have."""
    lane: ClassVar[Lane] = "assemble"
    keep: ClassVar[int] = 2
    """Number of its entries that stay in the cache."""

    def input_files(self) -> Iterator[tuple[str, Path]]:
        """Yield the files whose content enters the key, with the name they have there. :meth:`make_part` must
        read no other file of the package: its change would go unnoticed.
        """
        yield from ()

    @abstractmethod
    def make_part(self, bench: BuildContext) -> dict[str, Any]:
        """Fill ``bench.out``; return facts for the manifest."""

    def content_key(self, architecture: str, needs: Mapping[str, str]) -> str:
        """Return the content address. ``needs`` maps the names of the parts it is made from to their keys."""
        document = {
            "format": FORMAT,
            # The class stands for the code of make_part, which is not hashed. A change there that alters the
            # result needs another version of the recipes that use it; a new class name gives new keys.
            "kind": type(self).__name__,
            "architecture": architecture,
            # Fields of subclasses are included, so a new field with an effect is in the key by itself.
            "recipe": {
                field.name: getattr(self, field.name)
                for field in fields(self)
                if field.name not in _NOT_IN_KEY
            },
            "inputs": {name: digest_of(path) for name, path in self.input_files()},
            # Keys, not hashes of contents: whether a part is current can be told before anything is built.
            "needs": {name: needs[name] for name in self.needs},
        }
        # default=str: paths, and the layers and settings of an image (dataclasses), enter as text.
        text = json.dumps(document, sort_keys=True, default=str)
        # 128 bits: enough against accidents, and short enough for folder names.
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def files_below(folder: Path, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Yield a source folder's files with their relative names, except caches of interpreters and editors."""
    for path in sorted(folder.rglob("*")):
        if (
            path.is_file()
            and "__pycache__" not in path.parts
            and not path.name.endswith((".pyc", "~", ".swp"))
        ):
            yield prefix + path.relative_to(folder).as_posix(), path
