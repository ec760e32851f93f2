"""References in docstrings (``:class:`X```, ``:mod:`a.b```) name something that exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("c2d_box", "sandbox", "tui")
REFERENCE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):`~?([\w.]+)`")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@cache
def _names(path: Path) -> frozenset[str]:
    """Return the names that a module defines or imports; methods and fields count by themselves."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.arg):
            found.add(node.arg)
    return frozenset(found)


def _source(dotted: str) -> Path | None:
    base = ROOT / dotted.replace(".", "/")
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def _exists(target: str, path: Path) -> bool:
    parts = target.lstrip(".").split(".")
    if parts[0] in PACKAGES:
        for size in range(len(parts), 0, -1):
            if source := _source(".".join(parts[:size])):
                return set(parts[size:]) <= _names(source)
        return (ROOT / target.replace(".", "/")).is_dir()
    if set(parts) <= _names(path):
        return True
    if parts[0] in _names(path):  # a method of an imported class
        return True
    try:
        import_module(parts[0])
    except ImportError:
        return False
    return True


def _references(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for match in REFERENCE.finditer(line):
            yield number, match[1]


@pytest.mark.parametrize("package", PACKAGES)
def test_references_in_docstrings_name_what_exists(package: str) -> None:
    broken = [
        f"{path.relative_to(ROOT)}:{number} {target}"
        for path in MODULES
        if path.relative_to(ROOT).parts[0] == package
        for number, target in _references(path)
        if not _exists(target, path)
    ]
    assert "\n".join(broken) == ""
