"""What a recipe is: data that names a part and its inputs, and a function that makes it from nothing else.

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
from sandbox.bundle.cache import FORMAT, Entry, digest_of
from sandbox.bundle.commands import Commands

RECIPES = Path(__file__).parents[1] / "recipes"
"""Data that travels with the package: Go modules, locks, sources of small programs, scripts."""
SOURCE_DATE_EPOCH = 1767225600
"""2026-01-01 UTC. The time that stands on every file, image and build."""

Lane = Literal["compile", "assemble"]
"""Compilers use every core, so one runs at a time, beside one that mostly waits for network and disk."""

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_NOT_IN_KEY = {"seconds", "mib", "debian"}


def architecture() -> str:
    """This machine's architecture in the words of OCI, Go and Debian: ``amd64`` or ``arm64``."""
    machine = platform.machine().lower()
    if machine not in _ARCHITECTURES:
        raise EnvironmentProblem(
            "C2D-ARCHITECTURE",
            f"c2d-box builds for x86-64 and 64-bit ARM; this machine is {machine}.",
            "Use a machine of one of these two kinds.",
        )
    return _ARCHITECTURES[machine]


@dataclass(frozen=True)
class Bench:
    """What :meth:`Recipe.make` works with."""

    out: Path
    """Empty folder that becomes the entry."""
    scratch: Path
    """Empty folder that is thrown away."""
    commands: Commands
    needs: Mapping[str, Entry]
    """The finished parts this one is made from."""
    architecture: str
    go: Path = Path("go")
    """The Go toolchain to compile with."""


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC):
    """How one part is made."""

    name: str
    version: str
    seconds: float
    """Rough time it takes on two cores from nothing, until this machine has built it once."""
    mib: int
    """Rough room it needs, build included."""
    needs: tuple[str, ...] = ()
    debian: tuple[str, ...] = ()
    """What the machine must have, by its key in :mod:`sandbox.bundle.build_dependencies`."""
    lane: ClassVar[Lane] = "assemble"
    keep: ClassVar[int] = 2
    """How many of its entries stay in the cache."""

    def inputs(self) -> Iterator[tuple[str, Path]]:
        """Files whose content counts, with the name they count under."""
        yield from ()

    @abstractmethod
    def make(self, bench: Bench) -> dict[str, Any]:
        """Fill ``bench.out``; returns facts for the manifest."""

    def key(self, architecture: str, needs: Mapping[str, str]) -> str:
        """The content address: ``needs`` maps the names of the parts it is made from to their keys."""
        document = {
            "format": FORMAT,
            "kind": type(self).__name__,
            "architecture": architecture,
            "recipe": {
                field.name: getattr(self, field.name)
                for field in fields(self)
                if field.name not in _NOT_IN_KEY
            },
            "inputs": {name: digest_of(path) for name, path in self.inputs()},
            "needs": {name: needs[name] for name in self.needs},
        }
        text = json.dumps(document, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def files_below(folder: Path, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Every file of a source folder with its relative name, without caches of interpreters and editors."""
    for path in sorted(folder.rglob("*")):
        if (
            path.is_file()
            and "__pycache__" not in path.parts
            and not path.name.endswith((".pyc", "~", ".swp"))
        ):
            yield prefix + path.relative_to(folder).as_posix(), path
