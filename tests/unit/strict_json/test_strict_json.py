"""The one guard before each JSON parser: what passes is what every part of the product can carry."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2d_box import strict_json
from c2d_box.strict_json import JsonLimits, JsonRefused, check_tree, parse_json, parse_object

SMALL = JsonLimits(size_bytes=1 << 16, depth=8, values=50, digits=20, allow_nul=False)

REFUSED = [
    (b"[" * 200_000, strict_json.TOO_DEEP),
    (b'{"a":' * 30_000, strict_json.TOO_DEEP),
    (b"[" * 65 + b"]" * 65, strict_json.TOO_DEEP),
    (b'{"k":"\\ud800"}', strict_json.BAD_ENCODING),
    (b'{"\\uDFFF":1}', strict_json.BAD_ENCODING),
    (b'["\\udc00\\ud800"]', strict_json.BAD_ENCODING),
    (b'["\xed\xa0\x80"]', strict_json.BAD_ENCODING),
    (b'["\xff"]', strict_json.BAD_ENCODING),
    ('["\ud800"]', strict_json.BAD_ENCODING),
    ('{"a": 1}'.encode("utf-16"), strict_json.BAD_ENCODING),
    (b"[NaN]", strict_json.BAD_NUMBER),
    (b'{"a": -Infinity}', strict_json.BAD_NUMBER),
    (b"1e400", strict_json.BAD_NUMBER),
    (b"[" + b"7" * 5000 + b"]", strict_json.BAD_NUMBER),
    (b"0." + b"3" * 101, strict_json.BAD_NUMBER),
    (b"[" + b"[]," * 200_000 + b"0]", strict_json.TOO_MANY_VALUES),
    (b"[" + b'"",' * 200_000 + b"0]", strict_json.TOO_MANY_VALUES),
    (b'"' + b"x" * (10 << 20) + b'"', strict_json.TOO_LARGE),
    (b"", strict_json.MALFORMED),
    (b"\xef\xbb\xbf{}", strict_json.MALFORMED),
    (b"]" * 100_000, strict_json.MALFORMED),
    (b'{"a": [', strict_json.MALFORMED),
    (b'"\\', strict_json.MALFORMED),
    (b'"' + b'\\"' * 500_000, strict_json.MALFORMED),
    (b'["a\x00b"]', strict_json.MALFORMED),
]


@pytest.mark.parametrize(("data", "code"), REFUSED, ids=lambda v: repr(v[:24]))
def test_hostile_text_is_refused_with_its_code(data: bytes | str, code: str) -> None:
    with pytest.raises(JsonRefused) as caught:
        parse_json(data)
    assert caught.value.code == code
    assert caught.value.reason.endswith(".")


def test_brackets_and_digits_inside_strings_are_text() -> None:
    text = json.dumps({"a": "[" * 500 + '"{' + "9" * 500, "\\": ["\\\\", '\\"[[[[']})
    assert parse_json(text, JsonLimits(depth=2)) == json.loads(text)


def test_a_pair_of_surrogates_and_an_escaped_backslash_are_characters() -> None:
    assert parse_json(b'["\\ud83d\\ude00", "\\\\ud800"]') == ["\U0001f600", "\\ud800"]


def test_nul_is_refused_where_the_limits_say_so() -> None:
    assert parse_json(b'["\\u0000", "\\\\u0000"]') == ["\0", "\\u0000"]
    with pytest.raises(JsonRefused) as caught:
        parse_json(b'["\\u0000"]', SMALL)
    assert caught.value.code == strict_json.HAS_NUL
    assert parse_json(b'["\\\\u0000"]', SMALL) == ["\\u0000"]


def test_only_an_object_is_an_object() -> None:
    assert parse_object(b'{"a": 1}') == {"a": 1}
    for other in (b"[]", b"null", b'"{}"'):
        with pytest.raises(JsonRefused):
            parse_object(other)


@pytest.mark.parametrize(
    "text",
    [
        b'"' + b'\\"' * 2_000_000,
        b"[}" * 2_000_000,
        b"]" * 4_000_000,
        b"[" + (b"1" * 100 + b",") * 40_000 + b"1]",
        b'["' + b"\\\\" * 2_000_000 + b'"]',
    ],
    ids=["open string", "mismatched", "closings", "long numbers", "backslashes"],
)
def test_time_is_linear_in_the_bytes(text: bytes) -> None:
    started = time.monotonic()
    with suppress(JsonRefused):
        parse_json(text)
    assert time.monotonic() - started < 10  # about 0.4 s; quadratic would be hours


def test_a_raised_recursion_limit_does_not_matter() -> None:
    """What ended Provider and cache by SIGSEGV, in a process of its own."""
    program = (
        "import sys; sys.setrecursionlimit(100000)\n"
        "from c2d_box.strict_json import parse_json, JsonRefused\n"
        "for text in ('[' * 200000, '{\"a\":' * 100000, '[' * 58234):\n"
        "    try: parse_json(text)\n"
        "    except JsonRefused as error: print(error.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, [strict_json.TOO_DEEP] * 3), done.stderr


def test_the_module_needs_the_standard_library_only() -> None:
    program = f"""
import sys
sys.path[:0] = {sys.path!r}
import c2d_box.strict_json
roots = {{name.partition(".")[0] for name in sys.modules}}
print(sorted(roots - sys.stdlib_module_names - {{"c2d_box", "__main__"}}))
"""
    command = [sys.executable, "-I", "-S", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(values, st.booleans())
def test_ordinary_json_means_what_it_always_meant(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse_json(text) == parse_json(text.encode()) == json.loads(text)
    check_tree(value)


@settings(deadline=None)
@given(
    st.text(st.sampled_from('[]{}",:\\ud8D0cF1eE.-+ntrf"\ud800'), max_size=60)
    | st.binary(max_size=60)
    | st.builds(json.dumps, values)
)
def test_whatever_passes_can_be_written_hashed_and_read_again(data: bytes | str) -> None:
    try:
        value = parse_json(data, SMALL)
    except JsonRefused:
        return
    check_tree(value, SMALL)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    assert json.loads(text) == value
    assert _depth(value) <= SMALL.depth


@pytest.mark.parametrize("count", [SMALL.values, SMALL.values + 1])
@pytest.mark.parametrize("kind", ["array", "object", "objects"])
def test_text_and_tree_have_the_same_number_of_values(kind: str, count: int) -> None:
    """Names are no values: an object was let in by one of the two and refused by the other."""
    document: Any = {
        "array": [None] * count,
        "object": {f"k{number}": number for number in range(count)},
        "objects": [{"a": 1}] * (count // 2) + [None] * (count % 2),
    }[kind]
    if count <= SMALL.values:
        check_tree(parse_json(json.dumps(document), SMALL), SMALL)
        return
    with pytest.raises(JsonRefused, match=strict_json.TOO_MANY_VALUES):
        parse_json(json.dumps(document), SMALL)
    with pytest.raises(JsonRefused, match=strict_json.TOO_MANY_VALUES):
        check_tree(document, SMALL)


@settings(deadline=None)
@given(st.integers(1, 12), st.sampled_from(["[]", "{}", '"["']))
def test_depth_is_refused_exactly_beyond_the_limit(levels: int, leaf: str) -> None:
    text = "[" * (levels - 1) + leaf + "]" * (levels - 1)
    depth = levels - (leaf == '"["')
    if depth <= SMALL.depth:
        parse_json(text, SMALL)
    else:
        with pytest.raises(JsonRefused, match=strict_json.TOO_DEEP):
            parse_json(text, SMALL)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"a": "\ud800"}, strict_json.BAD_ENCODING),
        ({"\ud800": 1}, strict_json.BAD_ENCODING),
        ([math.inf], strict_json.BAD_NUMBER),
        ([math.nan], strict_json.BAD_NUMBER),
        ([10**5000], strict_json.BAD_NUMBER),
        (["a\0"], strict_json.HAS_NUL),
        ([0] * 51, strict_json.TOO_MANY_VALUES),
        ([[0] * 20] * 20, strict_json.TOO_MANY_VALUES),
    ],
)
def test_a_parsed_tree_meets_the_same_limits(value: Any, code: str) -> None:
    with pytest.raises(JsonRefused) as caught:
        check_tree(value, SMALL)
    assert caught.value.code == code


def test_a_tree_that_holds_itself_or_repeats_itself_is_refused_at_once() -> None:
    loop: list[Any] = []
    loop.append(loop)
    bomb: Any = "lol"
    for _ in range(40):
        bomb = [bomb] * 10
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for value in (loop, bomb, deep):
        with pytest.raises(JsonRefused):
            check_tree(value)
    while deep:
        deep = deep[0]  # freed level by level


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


@settings(deadline=None)
@given(
    st.text(st.sampled_from('[]{}",:\\ a0'), max_size=40)
    | st.builds(json.dumps, values)
    | st.lists(st.sampled_from(['"', "\\", '\\"', "[", "]", "{", "}", "u", "n", ","])).map("".join)
)
def test_depth_is_what_the_parser_meets(text: str) -> None:
    """Against a parser that goes character by character: no text that parses is deeper than was counted."""
    limits = JsonLimits(depth=3)
    try:
        value = json.loads(text)
    except ValueError:
        return
    if _depth(value) > limits.depth:
        with pytest.raises(JsonRefused, match=strict_json.TOO_DEEP):
            parse_json(text, limits)
    else:
        assert parse_json(text, limits) == value


@pytest.mark.parametrize("text", ["1e309", "-1E+400", "[1e00309]", '{"e0": 2e+309}', "1.5e999999999"])
def test_a_number_too_large_for_a_double_is_refused(text: str) -> None:
    with pytest.raises(JsonRefused, match=strict_json.BAD_NUMBER):
        parse_json(text)
    assert parse_json('["1e309", 1e30, 1e-309, 1e+99]')[1:] == [1e30, 1e-309, 1e99]
