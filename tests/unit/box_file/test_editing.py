"""Setting one value leaves every other character of the file where it is."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest
import yaml

from c2d_box.errors import UsageError
from sandbox.box_file.editing import text_with_value
from sandbox.box_file.reading import parse_box_file
from sandbox.box_file.rendering import render_box_file
from sandbox.box_file.schema import BoxFile


@pytest.mark.parametrize(
    ("text", "key", "value", "edited"),
    [
        ("", "ports.s3", 1, "ports:\n  s3: 1\n"),
        ("# a\n", "barge_keys", True, "# a\nbarge_keys: true\n"),
        ("a: 1  # one\nb: 2\n", "a", 5, "a: 5  # one\nb: 2\n"),
        ("a:  # none yet\n", "a", "x", "a: x  # none yet\n"),
        ("a: x  # one\n", "a", None, "a: null  # one\n"),
        ("a: 'x'\nb: \"y\"\n", "b", "z: #", "a: 'x'\nb: 'z: #'\n"),
        ("# ü\na: 'ä'\nb: 2\n", "b", "é", "# ü\na: 'ä'\nb: é\n"),
        (
            "ports:\n  s3: 1 # x\n# end\nb: 1\n",
            "ports.chain",
            9,
            "ports:\n  s3: 1 # x\n  chain: 9\n# end\nb: 1\n",
        ),
        ("ports:\n    s3: 1", "ports.chain", 9, "ports:\n    s3: 1\n    chain: 9\n"),
        ("ports:\n  # later\nb: 1\n", "ports.s3", 9, "ports:\n  s3: 9\n  # later\nb: 1\n"),
        ("chain: null  # own\nb: 1\n", "chain.rpc", "x", "chain:  # own\n  rpc: x\nb: 1\n"),
        ("ports: {}  # c\n", "ports.s3", 9, "ports: {s3: 9}  # c\n"),
        ("ports: {s3: 1}  # c\n", "ports.chain", 9, "ports: {s3: 1, chain: 9}  # c\n"),
        ("values: {a: {b: 1}}\n", "values.a.c", [1], "values: {a: {b: 1, c: [1]}}\n"),
        ("a: 1\n", "values.x.y", 2, "a: 1\nvalues:\n  x:\n    y: 2\n"),
        ("a: []  # c\nb: 1\n", "a", ["x"], "a: [x]  # c\nb: 1\n"),
        ("a:  # c\n- x\n- y\n# d\nb: 1\n", "a", ["z"], "a: [z]  # c\n# d\nb: 1\n"),
        ("a:\n  - x\nb: 1\n", "a", [], "a: []\nb: 1\n"),
        ("---\na: 1\n...\n", "b", 2, "---\na: 1\nb: 2\n...\n"),
        ("a: 1\r\nb: 2\r\n", "a", 3, "a: 3\r\nb: 2\r\n"),
        ("a: |\n  text\n  more\nb: 1\n", "b", 2, "a: |\n  text\n  more\nb: 2\n"),
    ],
)
def test_one_value_is_replaced(text: str, key: str, value: Any, edited: str) -> None:
    assert text_with_value(text, tuple(key.split(".")), value) == edited


@pytest.mark.parametrize(
    ("text", "key"),
    [("a: &x 1\nb: *x\n", "a"), ("a: |\n  text\n", "a.b"), ("- a\n", "b"), ("a: 1\na: 2\n", "a")],
)
def test_what_cannot_be_set_alone_is_refused(text: str, key: str) -> None:
    with pytest.raises(UsageError, match="C2D-BOXFILE-EDIT"):
        text_with_value(text, tuple(key.split(".")), 5)


def test_each_key_of_the_printed_file_can_be_set_on_one_line() -> None:
    text = render_box_file(BoxFile())
    keys = _leaf_keys(yaml.safe_load(text))
    assert len(keys) > 30
    for key in keys:
        edited = text_with_value(text, key, 7)
        changed = [line for line in difflib.ndiff(text.splitlines(), edited.splitlines()) if line[0] in "+-"]
        assert len(changed) == 2, key


def _leaf_keys(document: dict[str, Any]) -> list[tuple[str, ...]]:
    keys: list[tuple[str, ...]] = []
    for name, value in document.items():
        inner = _leaf_keys(value) if isinstance(value, dict) and value else [()]
        keys += [(name, *rest) for rest in inner]
    return keys


def test_what_is_set_is_read() -> None:
    text = text_with_value(render_box_file(BoxFile()), ("ports", "provider"), 18030)
    assert parse_box_file(text, Path("b")).ports.provider == 18030
    assert "# Ports on 127.0.0.1." in text
