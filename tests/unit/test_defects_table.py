"""docs/defects.md names, for each defect of the original, tests that prove its absence: they must exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "defects.md"
FOLDERS = {
    "service": "tests/unit/operator_service",
    "engine": "tests/unit/operator_engine",
    "pods": "tests/unit/pods",
    "chart": "tests/unit/chart",
    "provider": "tests/unit/provider",
    "cluster": "tests/cluster",
    "contract": "tests/contract",
    "unit": "tests/unit",
}
ROW = re.compile(r"^\| ([DE]\d+) \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)


def rows() -> dict[str, list[str]]:
    """Tests by defect."""
    return {found[1]: re.findall(r"`([^`]+)`", found[4]) for found in ROW.finditer(TABLE.read_text())}


@cache
def functions_in(file: Path) -> frozenset[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.parse(file.read_text()).body if isinstance(node, functions))


def test_every_defect_of_the_list_is_there() -> None:
    numbered = [name for name in rows() if name.startswith("D")]
    assert numbered == [f"D{number}" for number in range(1, 41)]
    assert all(rows().values())


def test_every_test_that_is_named_exists() -> None:
    missing = []
    for defect, names in rows().items():
        for name in names:
            path, _, test = name.partition("::")
            short, _, rest = path.partition("/")
            file = ROOT / FOLDERS[short] / rest
            if not file.exists() or test not in functions_in(file):
                missing.append(f"{defect}: {name}")
    assert missing == []
