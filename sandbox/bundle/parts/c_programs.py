"""Compiles small static C programs: the pause program of a sandbox, the gate of an algorithm's container.

They are linked against musl: static, tens of kilobytes, running in any image, even one without a C library.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sandbox.bundle.parts.recipe import BuildContext, Lane, Recipe


@dataclass(frozen=True, kw_only=True)
class CProgram(Recipe):
    """The recipe of one static program from one source file. musl-gcc comes from Debian's musl-tools; it
    builds for the machine's own architecture only.
    """

    source: str
    """Path of the C file, relative to :data:`SOURCES`."""
    flags: tuple[str, ...] = ("-Os", "-static", "-s", "-Wall", "-Wextra", "-Werror")
    """No flag depends on the machine's processor, so the program runs on every machine of its architecture.
    """
    debian: tuple[str, ...] = ("musl-gcc",)
    lane: ClassVar[Lane] = "compile"

    @property
    def source_path(self) -> Path:
        """Return the absolute path of the C file."""
        return SOURCES / self.source

    def input_files(self) -> Iterator[tuple[str, Path]]:
        yield self.source, self.source_path

    def make_part(self, bench: BuildContext) -> dict[str, Any]:
        bench.commands.run_command(["musl-gcc", *self.flags, "-o", bench.out / self.name, self.source_path])
        return {}


SOURCES = Path(__file__).parents[3]
"""The folder that holds the packages ``sandbox`` and ``c2d_box``: a checkout or site-packages."""
