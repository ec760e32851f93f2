"""What is in the runtime image follows from the imports, and everything they need is there."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from sandbox.bundle.parts import import_closure
from sandbox.bundle.parts.c_programs import SOURCES
from sandbox.bundle.parts.recipe import RECIPES


def tree(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)
    return root


def test_imports_are_followed_in_every_form(tmp_path: Path) -> None:
    sources = tree(
        tmp_path,
        sandbox__chain__server=(
            "import sandbox.a\nfrom sandbox import b\nfrom sandbox.c import Thing\nfrom . import near"
        ),
        sandbox__chain__near="def f():\n    from ..lazy.inner import x",
        sandbox__a="",
        sandbox__b="import sandbox.further",
        sandbox__c="",
        sandbox__further="import os, json",
        sandbox__lazy__inner="",
        sandbox__cli="import click",
    )
    found = import_closure.closure_files(("sandbox/chain",), sources)
    assert {name for name in found if not name.endswith("__init__.py")} == {
        "sandbox/chain/server.py",
        "sandbox/chain/near.py",
        "sandbox/a.py",
        "sandbox/b.py",
        "sandbox/c.py",
        "sandbox/further.py",
        "sandbox/lazy/inner.py",
    }
    assert "sandbox/__init__.py" in found
    assert "sandbox/lazy/__init__.py" in found


def test_caches_tests_and_sources_of_other_languages_stay_out(tmp_path: Path) -> None:
    sources = tree(tmp_path, c2d_box__a="")
    for name in ("__pycache__/a.pyc", "tests/test_a.py", "gate.c", ".hidden"):
        path = sources / "c2d_box" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    assert import_closure.closure_files(("c2d_box",), sources) == ["c2d_box/__init__.py", "c2d_box/a.py"]


def test_the_real_image_holds_the_services_and_not_the_sandbox_around_them() -> None:
    found = import_closure.closure_files()
    assert "c2d_box/errors.py" in found
    assert "sandbox/testchain/__init__.py" in found
    assert not [name for name in found if name.startswith(("tui/", "sandbox/cli/", "sandbox/bundle/"))]


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_every_package_that_the_image_imports_is_in_its_lock() -> None:
    lock = (RECIPES / "wheels" / "runtime.lock").read_text("utf-8")
    locked = set(re.findall(r"^([a-z0-9.-]+)==", lock, re.MULTILINE))
    distributions = packages_distributions()
    for name in import_closure.closure_files():
        if not name.endswith(".py"):
            continue
        for module in imported(SOURCES / name) - set(sys.stdlib_module_names) - set(import_closure.PACKAGES):
            names = {found.lower().replace("_", "-") for found in distributions.get(module, [module])}
            assert names & locked, f"{name} imports {module}, which the runtime image does not have"
