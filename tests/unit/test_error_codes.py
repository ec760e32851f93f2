"""docs/errors.yaml is the one table of stable error codes: it has each code of the code, and no other.

Scripts match on codes, so a code that vanishes from the code, and a new one without a row, both fail here.
A code that is not used any more moves to ``retired`` and is never given another meaning. ``--write-docs``
writes the page.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from c2d_box import errors
from c2d_box.client.services import http_errors
from c2d_box.errors import C2DError

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "errors.yaml"
PAGE = ROOT / "docs" / "errors.md"
PACKAGES = ("c2d_box", "sandbox", "tui")
CODE = re.compile(r"C2D-[A-Z0-9_]+(?:-[A-Z0-9_]+)*")
DOCTOR = "C2D-DOC-"
"""Findings, which are no errors: docs/doctor.md has them."""
NO_CODES = frozenset({"C2D-RESULT"})
"""The symbol of a result's datatoken."""
STATUSES = {
    name: kind.exit_status
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, C2DError)
}
REFUSERS = ("compute_refusal", "_no")
"""Functions of Provider and permissions whose second argument is a refusal's name on the wire."""


@dataclass(frozen=True)
class Row:
    """What the table says of one code."""

    code: str
    exit: tuple[int, ...]
    """Empty: it is never a command's own end, but stands in a service's answer or log."""
    means: str
    then: str


@cache
def table() -> dict[str, Any]:
    loaded = yaml.safe_load(TABLE.read_text())
    assert isinstance(loaded, dict)
    return loaded


def rows() -> list[Row]:
    return [
        Row(code, tuple(entry["exit"]), entry["means"], entry["then"])
        for code, entry in table()["codes"].items()
    ]


@dataclass
class CodeFindings:
    """What the packages say that is held against the table."""

    texts: set[str] = field(default_factory=set)
    """Texts that are values; docstrings are not."""
    exits: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Exit statuses by code, as far as a call of an error's class names both."""
    refusals: set[str] = field(default_factory=set)
    """Names of refusals that Provider and permission rules give."""

    @property
    def codes(self) -> set[str]:
        return {code_at_start(text) for text in self.texts} - {""}


@cache
def code_findings() -> CodeFindings:
    """Read each module and let its tree go: trees that are kept slow down every garbage collection."""
    found = CodeFindings()
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            collect_findings(ast.parse(file.read_text()), found)
    return found


def collect_findings(module: ast.Module, found: CodeFindings) -> None:
    nodes, named = list(ast.walk(module)), constants(module)
    prose = {node.value for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose:
            found.texts.add(node.value)
        if not (isinstance(node, ast.Call) and node.args):
            continue
        if (name := called(node)) in STATUSES:
            first = node.args[0]
            text = named.get(first.id, "") if isinstance(first, ast.Name) else getattr(first, "value", "")
            if code := code_at_start(str(text)):
                found.exits[code].add(STATUSES[name])
        if name in REFUSERS and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
            found.refusals.add(str(node.args[1].value))


def code_at_start(text: str) -> str:
    """The code that a text is, or begins with."""
    found = CODE.match(text)
    if found is None or f"{found[0]}-".startswith(DOCTOR) or found[0] in NO_CODES:
        return ""
    return found[0]


def called(node: ast.Call) -> str:
    return ast.unparse(node.func).rpartition(".")[2]


def constants(module: ast.Module) -> dict[str, str]:
    """Texts that a module names, by name."""
    return {
        target.id: str(node.value.value)
        for node in module.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def code_of(refusal: str) -> str:
    """As :mod:`c2d_box.client.services.http_errors` makes it."""
    return f"C2D-{refusal.upper().replace('_', '-')}"


def test_every_code_has_a_row_and_every_row_a_code() -> None:
    written = {row.code for row in rows()}
    assert {
        "without a row": code_findings().codes - written,
        "in no code": written - code_findings().codes,
    } == {
        "without a row": set(),
        "in no code": set(),
    }
    assert len(written) > 200


def test_the_rows_are_sorted_and_say_something() -> None:
    written = [row.code for row in rows()]
    assert written == sorted(written)
    assert [row.code for row in rows() if not (row.means.endswith(".") and row.then)] == []


def test_exit_statuses_are_those_of_the_code() -> None:
    known = code_findings().exits
    wrong = {
        row.code: (row.exit, known[row.code])
        for row in rows()
        if row.code in known and known[row.code] != set(row.exit)
    }
    assert wrong == {}
    assert len(known) > 150


def test_no_retired_code_is_used_again() -> None:
    retired = set(table()["retired"])
    assert retired & (code_findings().codes | {row.code for row in rows()}) == set()


def test_every_refusal_has_a_row_and_every_row_a_refusal() -> None:
    in_code = code_findings().refusals
    assert len(in_code) > 10
    assert in_code - table()["refusals"].keys() == set()
    assert table()["refusals"].keys() - code_findings().texts == set()


def test_refusals_that_the_client_explains_are_rows() -> None:
    assert http_errors.SENTENCES.keys() - table()["refusals"].keys() == set()


@pytest.mark.parametrize("text", ["C2D-X-Y", "C2D-X-Y: it failed"])
def test_a_code_is_found_in_a_text(text: str) -> None:
    assert code_at_start(text) == "C2D-X-Y"


@pytest.mark.parametrize("text", ["X-C2D-Nonce", "see C2D-X", "C2D-DOC-DISK", "C2D-", "C2D-RESULT"])
def test_what_is_no_code_is_not(text: str) -> None:
    assert code_at_start(text) == ""


def test_the_page_is_the_table(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--write-docs"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page(), "errors.md is old: write it again"


HEAD = """# Error codes

Written by `pytest tests/unit/test_error_codes.py --write-docs` from [errors.yaml](errors.yaml); do not edit.

Every problem has a code, a sentence and a next step: `C2D-…: what happened`, with `--json` as
`{"error": {code, message, next_step, cause, …}}`, in services as the `code` of an answer or of a log line.
A code keeps its meaning ([versioning.md](development/versioning.md)); messages may change, so match on
codes. `exit` is the exit status of a command that ends with it: 1 failed, 2 wrong use, 3 the machine lacks
something, 4 the box is in another state, 5 a rule said no. Where there is none the code stands in an answer
or a log. Findings of the doctor: [doctor.md](doctor.md).

| code | exit | means | what to do |
|---|---|---|---|
"""
MIDDLE = """
## Refusals of a Provider

A Provider answers `{"error": {resource: name}}` with the name of the rule that refused. The client makes a
code of it, with exit status 5.

| name on the wire | code | means |
|---|---|---|
"""


def page() -> str:
    lines = [f"| `{r.code}` | {', '.join(map(str, r.exit))} | {r.means} | {r.then} |" for r in rows()]
    refusals = [f"| `{name}` | `{code_of(name)}` | {means} |" for name, means in table()["refusals"].items()]
    return HEAD + "\n".join(lines) + "\n" + MIDDLE + "\n".join(refusals) + "\n"
