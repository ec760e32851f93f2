"""Each command in docs must select at least one test, or name a program, a target or a verb that exists.

A command that selects nothing proves nothing, and pytest says so only to whoever runs it. The tests are
collected once, in a process of their own with ``--full``, and each command is held against that list.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from _pytest.mark.expression import Expression

from sandbox.cli.command_table import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "docs/*.md", "docs/adr/*.md", "docs/development/*.md")
OPTIONS_WITH_VALUE = ("-k", "-n", "-p", "--durations")


def quoted_commands(program: str) -> list[str]:
    """Commands in backticks of README and docs that begin with ``program``, after variables and ``sudo``."""
    wanted = re.compile(rf"`((?:[A-Z0-9_]+=\S+ |sudo |time )*{re.escape(program)} [^`]+)`")
    pages = [page for pattern in PAGES for page in sorted(ROOT.glob(pattern))]
    found = {command for page in pages for command in wanted.findall(page.read_text())}
    return sorted(found)


@cache
def collected() -> tuple[str, ...]:
    """Ids of all tests, as ``pytest --full`` collects them."""
    listing = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "--full", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "PYTEST_ADDOPTS": ""},  # -v would print a tree instead of ids
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    ids = tuple(line for line in listing.stdout.splitlines() if "::" in line)
    assert ids, listing.stdout[-2000:] + listing.stderr[-2000:]
    return ids


def names_of(node_id: str) -> list[str]:
    """What ``-k`` compares: folders below ``tests``, the file, classes, the function with parameters."""
    path, *inner = node_id.split("::")
    return [*path.split("/")[1:], *inner]


def split_arguments(words: list[str]) -> tuple[list[str], str]:
    """Paths and the ``-k`` expression of a pytest command's arguments."""
    paths, expression = [], ""
    rest: Iterator[str] = iter(words)
    for word in rest:
        if word in OPTIONS_WITH_VALUE:
            value = next(rest)
            expression = value if word == "-k" else expression
        elif not word.startswith("-"):
            paths.append(word)
    return paths, expression


def selected_tests(command: str) -> list[str]:
    """Ids of the tests that a ``pytest`` command selects."""
    words = shlex.split(command)
    paths, expression = split_arguments(words[words.index("pytest") + 1 :])
    within = [
        node_id
        for node_id in collected()
        if not paths or any(re.match(rf"{re.escape(path)}(/|::|\[|$)", node_id) for path in paths)
    ]
    if not expression:
        return within
    compiled = Expression.compile(expression)

    def matches(node_id: str) -> bool:
        names = [name.lower() for name in names_of(node_id)]
        return compiled.evaluate(lambda word, /, **_: any(word.lower() in name for name in names))

    return [node_id for node_id in within if matches(node_id)]


def test_there_are_commands() -> None:
    assert len(quoted_commands("pytest")) > 100


def test_each_pytest_command_selects_a_test() -> None:
    empty = [command for command in quoted_commands("pytest") if not selected_tests(command)]
    assert empty == []


def test_a_command_that_selects_nothing_is_noticed() -> None:
    assert selected_tests("pytest tests/unit/assets -k 'no_test_of_assets_is_called_so'") == []
    assert selected_tests("pytest tests/unit/nowhere") == []


def test_each_module_that_is_run_exists() -> None:
    modules = run_modules()
    assert len(modules) > 10
    assert [name for name in modules if not find_spec(name)] == []


def run_modules() -> list[str]:
    """Modules that the pages run by ``python -m MODULE``, whatever stands before it."""
    text = "\n".join(page.read_text() for pattern in PAGES for page in ROOT.glob(pattern))
    return sorted(set(re.findall(r"python3? -m ([a-z_0-9.]*[a-z_0-9])\b", text)))


def test_each_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {command.split("make ", 1)[1].split()[0] for command in quoted_commands("make")}
    assert {name for name in named if re.fullmatch("[a-z]+", name)} - targets == set()


def test_each_verb_of_the_command_line_exists() -> None:
    verbs = {command.split("c2d-box ", 1)[1].split()[0] for command in quoted_commands("c2d-box")}
    known = set(COMMANDS)
    assert {verb for verb in verbs if re.fullmatch("[a-z]+", verb)} - known == set()
