"""No library loosens the interpreter's recursion limit, in any process of the product."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from c2d_box.recursion import kept_recursion_limit, raised_recursion_limit

ROOT = Path(__file__).parents[3]
_LOOSENING = {"web3", "eth_account", "eth", "py_ecc", "eth_tester", "ens", "eth_portal", "trie"}
_EVERYTHING = """
import importlib, pkgutil, sys
usual = sys.getrecursionlimit()
assert usual == 1000
package = importlib.import_module(sys.argv[1])
for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if found.name.endswith("__main__") or ".template" in found.name or ".recipes" in found.name:
        continue
    try:
        importlib.import_module(found.name)
    except ImportError:
        continue  # a program of an image of its own
    assert sys.getrecursionlimit() == usual, found.name
"""
_LAZY = """
import sys
from c2d_box.chain import accounts, failures
accounts.from_mnemonic("taxi music thumb unique chat sand crew more leg another off lamp", 0)
assert sys.getrecursionlimit() == 1000, "accounts"
try:
    with failures.wrapped("testing"):
        raise ConnectionError
except Exception:
    pass
assert "web3" in sys.modules
assert sys.getrecursionlimit() == 1000, "failures"
from c2d_box.chain import client
client.connected("http://127.0.0.1:9", 1, {})
assert sys.getrecursionlimit() == 1000, "client"
"""


def run(program: str, *arguments: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-800:]


@pytest.mark.parametrize(
    "package",
    [
        "c2d_box.provider",
        "c2d_box.metadata",
        "c2d_box.operator_service",
        "c2d_box.operator_engine",
        "c2d_box.volumes",
        "c2d_box.pods",
        "c2d_box.chain",
        "c2d_box.client",
        "sandbox",
        "tui",
    ],
)
def test_importing_all_of_a_service_leaves_the_limit(package: str) -> None:
    run(_EVERYTHING, package)


def test_what_is_imported_with_the_first_use_leaves_the_limit() -> None:
    run(_LAZY)


def test_each_import_of_a_loosening_library_is_guarded() -> None:
    """The static half: also what no test happens to import."""
    bare = []
    for package in ("c2d_box", "sandbox", "tui"):
        for path in (ROOT / package).rglob("*.py"):
            for line in _bare_imports(ast.parse(path.read_text())):
                bare.append(f"{path.relative_to(ROOT)}:{line}")
    assert bare == []


def test_a_computation_that_needs_depth_gives_it_back() -> None:
    usual = sys.getrecursionlimit()
    inside, go = threading.Event(), threading.Event()

    def longer() -> None:
        with raised_recursion_limit(usual + 500):
            inside.set()
            go.wait(10)

    thread = threading.Thread(target=longer)
    with raised_recursion_limit(usual + 500):
        thread.start()
        assert inside.wait(10)
    assert sys.getrecursionlimit() == usual + 500, "another computation still needs it"
    go.set()
    thread.join()
    assert sys.getrecursionlimit() == usual


def test_two_threads_that_import_leave_the_limit() -> None:
    usual = sys.getrecursionlimit()
    inside = threading.Event()

    def other() -> None:
        inside.set()
        with kept_recursion_limit():
            sys.setrecursionlimit(usual + 900)

    with kept_recursion_limit():
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(10)
        sys.setrecursionlimit(usual + 700)
    thread.join()
    assert sys.getrecursionlimit() == usual


def _bare_imports(tree: ast.AST) -> list[int]:
    found: list[int] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.With) and "kept_recursion_limit" in ast.unparse(node.items[0]):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        if any(name.partition(".")[0] in _LOOSENING for name in names):
            found.append(int(getattr(node, "lineno", 0)))
        found += _bare_imports(node)
    return found
