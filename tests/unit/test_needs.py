"""The table of markers names what exists, and gives them to what it means."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.needs import NEEDS, Need

TESTS = Path(__file__).parents[1]


@cache
def functions() -> frozenset[str]:
    """Names of all functions of the tests, fixtures among them."""
    files = (*TESTS.glob("unit/**/*.py"), *TESTS.glob("harness/*.py"))
    return frozenset(
        node.name
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_each_place_and_fixture_exists(name: str) -> None:
    need = NEEDS[name]
    places = [place.partition("::") for place in need.places]
    assert [path for path, _, _ in places if not (TESTS / path).exists()] == []
    named = {test for _, _, test in places if test} | need.fixtures
    assert named - functions() == set()


def test_a_place_is_a_folder_a_file_or_a_test() -> None:
    need = Need(frozenset({"world"}), ("unit/a", "unit/b/test_c.py", "unit/d/test_e.py::test_f"))
    inside = ("unit/a/test_x.py::test_y", "unit/b/test_c.py::test_y", "unit/d/test_e.py::test_f")
    outside = ("unit/ab/test_x.py::test_y", "unit/d/test_e.py::test_fg")
    assert [need.applies_to(place, []) for place in inside] == [True] * 3
    assert [need.applies_to(place, []) for place in outside] == [False] * 2
    assert need.applies_to(outside[0], ["tmp_path", "world"])


def test_this_test_is_quick(request: pytest.FixtureRequest) -> None:
    assert not {mark.name for mark in request.node.iter_markers()} & NEEDS.keys()
