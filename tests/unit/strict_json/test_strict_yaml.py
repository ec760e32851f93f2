"""YAML of users: depth, aliases and size are bounded before a value is built."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from c2d_box import strict_json
from c2d_box.errors import UsageError
from c2d_box.strict_json import JsonRefused
from c2d_box.strict_yaml import parse_yaml
from sandbox.seeding.declaration import read_declaration

LAUGHS = "a0: &a0 [lol,lol]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
HOSTILE = [
    ("[" * 200_000, strict_json.MALFORMED),
    ("[" * 33 + "]" * 33, strict_json.TOO_DEEP),
    ("{a: " * 50_000, strict_json.TOO_DEEP),
    ("\n".join(" " * n + "a:" for n in range(500)), strict_json.TOO_DEEP),
    ("- " * 5_000 + "a", strict_json.TOO_DEEP),
    (LAUGHS, strict_json.TOO_MANY_VALUES),
    ("- a\n" * 100_001, strict_json.TOO_MANY_VALUES),
    ("a" * (5 << 20), strict_json.TOO_LARGE),
    ("a: *nothing", strict_json.MALFORMED),
    ("!!python/object/apply:os.system ['true']", strict_json.MALFORMED),
    ("a: 1\n---\nb: 2", strict_json.MALFORMED),
    ("{[a]: 1}", strict_json.MALFORMED),
    ("2001-99-99", strict_json.MALFORMED),
    (b"\xff\xfe\xff", strict_json.MALFORMED),
    ("a: \x00", strict_json.MALFORMED),
    ("a: [1, 2", strict_json.MALFORMED),
]


@pytest.mark.parametrize(("text", "code"), HOSTILE, ids=lambda v: repr(v[:20]))
def test_hostile_yaml_is_refused_at_once(text: str | bytes, code: str) -> None:
    started = time.monotonic()
    with pytest.raises(JsonRefused) as caught:
        parse_yaml(text)
    assert caught.value.code == code
    assert time.monotonic() - started < 10


def test_a_few_aliases_mean_what_they_name() -> None:
    assert parse_yaml("a: &x {b: [1, 2]}\nc: *x\n") == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}


@pytest.mark.parametrize(("text", "code"), HOSTILE[:7], ids=lambda v: repr(v[:20]))
def test_a_hostile_list_of_assets_is_told_as_unreadable(tmp_path: Path, text: str, code: str) -> None:
    path = tmp_path / "assets.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match="C2D-SEED-UNREADABLE") as caught:
        read_declaration(path)
    assert code in str(caught.value)
    assert "cannot be read" in str(caught.value)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="ascii", categories=["L"])),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner),
        max_leaves=10,
    )
)
def test_ordinary_yaml_is_read_as_before(value: object) -> None:
    text = yaml.safe_dump(value)
    assert parse_yaml(text) == yaml.safe_load(text)


@settings(deadline=None)
@given(st.text(st.sampled_from("[]{}:,-&*a! \n\t'\"|>?%@`#\x00"), max_size=60) | st.binary(max_size=40))
def test_nothing_but_a_refusal_comes_of_any_text(text: str | bytes) -> None:
    try:
        parse_yaml(text)
    except JsonRefused as refused:
        assert "\n" not in refused.reason
