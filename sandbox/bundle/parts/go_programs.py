"""Compiles programs from Go modules: each part is a module of ours whose go.mod and go.sum pin what it uses.

The toolchain verifies every module against go.sum and may not change either file (``-mod=readonly``); build
paths are trimmed, so the same inputs give the same bytes. The user's own proxy, cache and flags are left as
they are.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sandbox.bundle.parts.recipe import RECIPES, SOURCE_DATE_EPOCH, BuildContext, Lane, Recipe, files_below


@dataclass(frozen=True, kw_only=True)
class GoPrograms(Recipe):
    """The recipe of one module with one or more programs."""

    programs: tuple[tuple[str, str], ...]
    """(file in the entry, Go package) of each program."""
    tags: str = ""
    """Build tags, separated by spaces."""
    ldflags: str = ""
    """Options of the linker, mostly the version that a program reports."""
    cgo: bool = False
    """True for a program with parts in C; the others are static and run on any C library."""
    links: tuple[tuple[str, str], ...] = ()
    """(name, target) of each symbolic link beside the programs."""
    lane: ClassVar[Lane] = "compile"
    keep: ClassVar[int] = 5
    """More entries than usual stay: boxes made with earlier versions run these programs from the cache."""

    @property
    def module_folder(self) -> Path:
        """Return the folder of the module's go.mod and go.sum, which bears the part's name."""
        return RECIPES / "go" / self.name

    def input_files(self) -> Iterator[tuple[str, Path]]:
        yield from files_below(self.module_folder)

    def make_part(self, bench: BuildContext) -> dict[str, Any]:
        # Built from a copy: the installed one may lie where a toolchain finds other modules, or be read-only.
        module = bench.scratch / self.name
        shutil.copytree(self.module_folder, module)
        for name, package in self.programs:
            self._compile_program(bench, module, name, package)
        for name, target in self.links:
            (bench.out / name).symlink_to(target)
        return {"go": _version_text(bench.go)}

    def _compile_program(self, bench: BuildContext, module: Path, name: str, package: str) -> None:
        """Compile one program of the module, without symbol table and debugging data (``-s -w``)."""
        target = bench.out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        bench.commands.run_command(
            [
                # -trimpath and -buildvcs=false: no path and no commit of this machine ends up in the program.
                # -v writes each package into the log as it is compiled.
                *(bench.go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-v"),
                *("-tags", self.tags, "-ldflags", f"-s -w {self.ldflags}".strip(), "-o", target, package),
            ],
            cwd=module,
            env=go_environment(bench, self.cgo),
        )


def go_environment(bench: BuildContext, cgo: bool) -> dict[str, str]:
    """Return the variables that make builds alike on every machine. They are added to the user's own, whose
    proxy and caches stay in use.
    """
    return {
        "CGO_ENABLED": "1" if cgo else "0",
        "GOOS": "linux",
        "GOARCH": bench.architecture,
        # A workspace file in a folder above would replace modules that go.sum pins.
        "GOWORK": "off",
        "GO111MODULE": "on",
        # Without it Go fetches the toolchain that go.mod names, without asking.
        "GOTOOLCHAIN": "local",
        "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH),
        # Go refuses to build without a place for its build cache.
        "HOME": os.environ.get("HOME", str(Path.home())),
    }


def _version_text(go: Path) -> str:
    """Return the release of the toolchain, for the manifest; ``unknown`` where it has no VERSION file."""
    # The machine's own Go is a bare name, which is looked for in PATH.
    version = Path(shutil.which(go) or go).resolve().parent.parent / "VERSION"
    try:
        return version.read_text("utf-8").split()[0]
    except OSError:
        return "unknown"


def least_go() -> tuple[int, ...]:
    """Return the oldest Go release that compiles every module, read from their go.mod files. Reading them
    keeps the check of the machine's Go right when a module is updated.
    """
    found = [(1, 0)]
    for module in sorted((RECIPES / "go").glob("*/go.mod")):
        if match := re.search(r"^go (\d+(?:\.\d+)*)$", module.read_text("utf-8"), re.MULTILINE):
            found.append(tuple(int(part) for part in match[1].split(".")))  # type: ignore[arg-type]
    return max(found)
