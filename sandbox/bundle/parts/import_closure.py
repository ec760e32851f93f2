"""Finds which of our modules run inside the cluster by following imports, so that no list can be forgotten.

The runtime image holds these modules only. A change to the command line or the terminal interface leaves the
image, and with it every running service, alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sandbox.bundle.parts.c_programs import SOURCES

PACKAGES = ("c2d_box", "sandbox", "tui")
ROOTS = ("c2d_box", "sandbox/testchain")
"""Everything below these runs in the cluster; of the other packages, only what these import."""
SELF_CONTAINED = "c2d_box/"
"""This package imports neither sandbox nor tui (import contracts hold that) and is shipped whole: not worth
parsing.
"""
# Tests and the sources of other languages do not run in the image; without them an edit there does not
# rebuild the runtime layer.
_NOT_SHIPPED = ("__pycache__", "tests")
_NOT_SHIPPED_SUFFIXES = (".pyc", ".c", ".h", ".md")


def closure_files(roots: tuple[str, ...] = ROOTS, sources: Path = SOURCES) -> list[str]:
    """Return the paths of the modules that run in the cluster, relative to ``sources``, sorted.

    ``tests/unit/bundle/test_closure.py`` holds that the result has the services and not the sandbox around
    them.
    """
    found: set[str] = set()
    waiting = [path for root in roots for path in _shipped_files(sources / root)]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(sources).as_posix()
        if name in found:
            continue
        found.add(name)
        # Everything of c2d_box is among the roots already: following its imports would find nothing new.
        if path.suffix == ".py" and not name.startswith(SELF_CONTAINED):
            waiting.extend(_imported_modules(path, sources))
    return sorted(found)


def _shipped_files(root: Path) -> Iterator[Path]:
    """Yield the files below ``root`` that belong into the image, data files included."""
    for path in root.rglob("*"):
        # Only the part below the root counts: the checkout itself may lie in a folder with a leading dot.
        hidden = any(part in _NOT_SHIPPED or part.startswith(".") for part in path.parts[len(root.parts) :])
        if path.is_file() and not hidden and path.suffix not in _NOT_SHIPPED_SUFFIXES:
            yield path


def _imported_modules(path: Path, sources: Path) -> Iterator[Path]:
    """Yield our own modules that a module names in its imports, with the packages that contain them."""
    for name in _imported_names(path.read_text("utf-8"), _package_of(path, sources)):
        words = name.split(".")
        if words[0] not in PACKAGES:
            continue
        # Importing a.b.c runs the __init__ modules of a and a.b too.
        for count in range(1, len(words) + 1):
            base = sources.joinpath(*words[:count])
            yield from (file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file())


def _package_of(path: Path, sources: Path) -> str:
    """Return the dotted name of the package that a module belongs to."""
    return ".".join(path.relative_to(sources).parent.parts)


@cache
def _imported_names(source: str, package: str) -> tuple[str, ...]:
    """Return the full dotted names that a module's imports mention. It is cached by source text, because the
    same listing is made for the key and for the layer.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        # The interpreter names the broken module when the layer's byte code is made.
        return ()
    found: list[str] = []
    # All nodes, not the top level only: many imports are made inside functions, for a quick start.
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # Each dot after the first of a relative import leads one package up.
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            # `from a import b` may name a module or a value of a; names that are no file are dropped later.
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(found)
