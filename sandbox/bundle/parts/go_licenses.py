"""Collects the licence texts of the Go modules that the bundle's programs link: their licences ask for it.

This is a part of its own, so that the keys of the compiled programs do not depend on it: they are not made
anew because of a text. It is made after them, when the toolchain has the sources of all modules at hand.
"""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.bundle.parts.go_programs import GoPrograms, go_environment
from sandbox.bundle.parts.recipe import RECIPES, BuildContext, Recipe

TEXTS = "go-licenses.txt"
_LISTED = "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}\t{{$.Dir}}{{end}}{{end}}"
"""Template for ``go list``: module and version, the module's folder, the package's folder. Packages of the
standard library and of our own module give an empty line.
"""
_LICENSE = re.compile(
    r"(^|[-_.])(licen[cs]e|copying|notice|patents|unlicense)([-_.](?!go$).*)?$", re.IGNORECASE
)
"""Names of licence files. A Go file named license.go is code, so the suffix ``go`` does not match."""
_RULE = "=" * 100


@dataclass(frozen=True, order=True)
class LinkedPackage:
    """A package that a program links."""

    module: str
    """Path and version."""
    module_folder: Path
    folder: Path


@dataclass(frozen=True)
class LinkedProgram:
    """A program's packages and build settings. The settings choose which files are compiled, and so which
    modules are linked.
    """

    module: str
    packages: tuple[str, ...]
    tags: str
    cgo: bool


def linked_programs(recipes: Iterable[GoPrograms]) -> tuple[LinkedProgram, ...]:
    """Return what :class:`GoLicenses` must know of each recipe: fields that enter its key, no functions."""
    return tuple(
        LinkedProgram(each.name, tuple(package for _, package in each.programs), each.tags, each.cgo)
        for each in recipes
    )


@dataclass(frozen=True, kw_only=True)
class GoLicenses(Recipe):
    """The recipe of one file with every licence text. The keys of the programs are in its own."""

    programs: tuple[LinkedProgram, ...]

    def make_part(self, bench: BuildContext) -> dict[str, Any]:
        packages = {package for program in self.programs for package in _linked(bench, program)}
        (bench.out / TEXTS).write_text(licenses_text(packages), "utf-8")
        return {"modules": len({package.module for package in packages})}


def _linked(bench: BuildContext, program: LinkedProgram) -> Iterator[LinkedPackage]:
    """Yield the packages of other modules that a program links."""
    module, listing = bench.scratch / program.module, bench.scratch / f"{program.module}.list"
    shutil.copytree(RECIPES / "go" / program.module, module)
    # -deps lists what is linked. go.mod names many more modules, which no program contains.
    options = ("-mod=readonly", "-deps", "-tags", program.tags, "-f", _LISTED)
    bench.commands.run_command(
        # The output goes to a file of its own: the runner sends everything to the part's log.
        ["sh", "-c", 'exec "$@" >"$LISTING"', "sh", bench.go, "list", *options, *program.packages],
        cwd=module,
        env={**go_environment(bench, program.cgo), "LISTING": str(listing)},
    )
    for line in filter(None, listing.read_text("utf-8").splitlines()):
        name, module_folder, folder = line.split("\t")
        yield LinkedPackage(name, Path(module_folder), Path(folder))


def licenses_text(packages: Iterable[LinkedPackage]) -> str:
    """Return each text once, below the modules that have it, and the modules that have none."""
    users: defaultdict[str, set[str]] = defaultdict(set)
    without = set()
    for module, folders in _folders(packages).items():
        files = [file for folder in folders for file in sorted(folder.iterdir()) if _is_license(file)]
        for file in files:
            # Many modules have the same text; the modules that share one are named above it.
            users[file.read_text("utf-8", "replace").strip()].add(f"{module} ({file.name})")
        # Listed by name, because a missing licence must be seen by whoever passes the bundle on.
        if not files:
            without.add(module)
    blocks = [("\n".join(sorted(names)), text) for text, names in users.items()]
    head = "Licence texts of the Go modules that the programs of this bundle link.\n"
    if without:
        head += "\nThe sources of these have no file of a licence:\n" + "\n".join(sorted(without)) + "\n"
    return head + "".join(f"\n{_RULE}\n{names}\n{_RULE}\n\n{text}\n" for names, text in sorted(blocks))


def _folders(packages: Iterable[LinkedPackage]) -> dict[str, set[Path]]:
    """Return the folders of each module from its packages up to its own: some hold works of others."""
    found: defaultdict[str, set[Path]] = defaultdict(set)
    for package in packages:
        found[package.module].add(package.module_folder)
        found[package.module] |= {
            folder
            # A vendored or copied work inside a module has its licence beside it, not at the top.
            for folder in (package.folder, *package.folder.parents)
            if folder.is_relative_to(package.module_folder)
        }
    return found


def _is_license(file: Path) -> bool:
    """Return whether a file's name is one of those that licences and notices have."""
    return file.is_file() and _LICENSE.search(file.name) is not None
