"""Checks JSON of unknown origin before a parser sees it.

``json.loads`` recurses on the C stack: where a library has raised the interpreter's recursion limit, 60 kB
of brackets end the process. It also accepts what nothing further on can hash, sign or store: lone
surrogates, NaN, integers of thousands of digits. So depth, size and the number of values are counted on the
bytes first, in time and memory linear in their number, and whatever parses is JSON that every part of the
product can carry.

Only the standard library is imported: pods and the text interface use this module too.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NoReturn

# Codes of refusals: clients and tests match on them, so none changes its meaning.
TOO_LARGE = "C2D-JSON-TOO-LARGE"
TOO_DEEP = "C2D-JSON-TOO-DEEP"
TOO_MANY_VALUES = "C2D-JSON-TOO-MANY-VALUES"
BAD_ENCODING = "C2D-JSON-ENCODING"
BAD_NUMBER = "C2D-JSON-NUMBER"
HAS_NUL = "C2D-JSON-NUL"
MALFORMED = "C2D-JSON-MALFORMED"


@dataclass(frozen=True, slots=True)
class JsonLimits:
    """Bounds of one kind of document. ``values`` counts objects, arrays and their members, because an empty
    list takes three bytes on the wire and sixty in memory."""

    size_bytes: int = 10 << 20
    depth: int = 64
    values: int = 200_000
    digits: int = 100
    allow_nul: bool = True


DEFAULT = JsonLimits()
#: Answers of a service that wraps strangers' documents in objects of its own.
WRAPPED = JsonLimits(size_bytes=64 << 20, depth=128, values=2_000_000)


class JsonRefused(ValueError):
    """The text is no JSON that this product accepts; ``code`` is stable, ``reason`` is a sentence."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


def parse_json(data: bytes | bytearray | str, limits: JsonLimits = DEFAULT) -> Any:
    """Return the value that ``data`` holds. Raise ``JsonRefused`` and nothing else. Limits are checked on
    the bytes, before the parser builds or recurses; a RecursionError is caught all the same, for a caller
    that is deep itself."""
    # First in characters, which are at most as many as bytes: nothing is encoded that is too large anyway.
    if len(data) > limits.size_bytes:
        raise JsonRefused(TOO_LARGE, f"The JSON has more than {limits.size_bytes} bytes.")
    raw, text = _both_forms(data)
    # Again in bytes: a character takes up to four.
    if len(raw) > limits.size_bytes:
        raise JsonRefused(TOO_LARGE, f"The JSON has more than {limits.size_bytes} bytes.")
    _check_structure(raw, limits)
    _check_escapes(raw, limits)
    try:
        return (_CAREFUL if _may_overflow(raw) else _QUICK).decode(text)
    except JsonRefused:
        raise
    except (ValueError, RecursionError) as error:
        raise JsonRefused(MALFORMED, f"It is not valid JSON: {str(error)[:200]}.") from None


def parse_object(data: bytes | bytearray | str, limits: JsonLimits = DEFAULT) -> dict[str, Any]:
    """Return the object that ``data`` holds. Raise ``JsonRefused`` for any other value too."""
    value = parse_json(data, limits)
    if not isinstance(value, dict):
        raise JsonRefused(MALFORMED, "It is not a JSON object.")
    return value


def check_tree(value: Any, limits: JsonLimits = DEFAULT) -> None:
    """Check a value that is already parsed (from YAML, by another parser) against all limits but the size.

    The walk keeps a stack of its own, so no depth of nesting can exhaust Python's. It counts values as
    :func:`parse_json` does: the members of arrays and objects, not the names. An object is counted each time
    it is reached, so aliases that repeat one object a million times are refused before they are written out.
    """
    count = 0
    pending = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        if isinstance(item, dict | list | tuple):
            if depth >= limits.depth:
                raise JsonRefused(TOO_DEEP, f"It is nested deeper than {limits.depth} levels.")
            count += len(item)
            if count > limits.values:
                raise JsonRefused(TOO_MANY_VALUES, f"It has more than {limits.values} values.")
            members = [*item, *item.values()] if isinstance(item, dict) else item
            pending.extend((member, depth + 1) for member in members)
        else:
            _check_scalar(item, limits)


_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|u(?P<lone>[dD][89a-fA-F][0-9a-fA-F]{2})|u(?P<nul>0000)|.)",
    re.DOTALL,
)
_RISKY_ESCAPE = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)")
# Openings become +1 and closings -1 as signed bytes; all else is deleted.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# Each digit as 0 and each exponent as e0…: long numbers and large exponents become plain substrings.
_FLAT = bytes.maketrans(b"123456789E", b"000000000e")


def _both_forms(data: bytes | bytearray | str) -> tuple[bytes, str]:
    """Return the text as bytes and as ``str``. UTF-8 has no form for a surrogate, half of a character, so the
    strict codec refuses raw ones in either form."""
    try:
        if isinstance(data, str):
            return data.encode(), data
        return bytes(data), data.decode()
    except UnicodeError:
        raise JsonRefused(BAD_ENCODING, "The text is not valid UTF-8.") from None


def _check_structure(raw: bytes, limits: JsonLimits) -> None:
    """Bound depth, number of values and length of numbers. The first test is a quick one on the whole text,
    strings included: most documents pass it and need no second look."""
    openings = raw.count(b"[") + raw.count(b"{")
    long_number = b"0" * (limits.digits + 1)
    has_long = long_number in raw.translate(_FLAT)
    if openings <= limits.depth and raw.count(b",") + openings <= limits.values and not has_long:
        return
    # Each string has a delimiter that no backslash precedes, so this bounds the pieces the next step makes.
    if raw.count(b'"') - raw.count(b'\\"') > 4 * limits.values:
        raise JsonRefused(TOO_MANY_VALUES, f"It has more than {limits.values} values.")
    outside = _outside_strings(raw)
    if outside.count(b",") + outside.count(b"[") + outside.count(b"{") > limits.values:
        raise JsonRefused(TOO_MANY_VALUES, f"It has more than {limits.values} values.")
    # Until the first error the sum below is the parser's own depth, so it never recurses further than this.
    steps = memoryview(outside.translate(_STEPS, _NO_BRACKETS)).cast("b")
    if next(filter(limits.depth.__lt__, accumulate(steps)), None) is not None:
        raise JsonRefused(TOO_DEEP, f"It is nested deeper than {limits.depth} levels.")
    if has_long and long_number in outside.translate(_FLAT):
        raise JsonRefused(BAD_NUMBER, f"A number has more than {limits.digits} digits.")


def _outside_strings(raw: bytes) -> bytes:
    """Return the text without the content of its strings.

    In valid JSON backslashes stand in strings only, and a run of them pairs up from its left. So once the
    pairs are removed, a backslash before a quote escapes that quote. Behind the first syntax error the result
    may be wrong, which does no harm: the parser stops there.
    """
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b'"'.join(raw.split(b'"')[::2])


def _may_overflow(raw: bytes) -> bool:
    """Return whether a number may be too large for a double, which takes an exponent of three digits."""
    return b"e000" in raw.translate(_FLAT, b"+")


def _check_escapes(raw: bytes, limits: JsonLimits) -> None:
    """Refuse an escaped surrogate that is not one half of a pair, since alone it is no character; refuse an
    escaped NUL too where the limits do not allow it."""
    if b"\\u" not in raw or not _RISKY_ESCAPE.search(raw):
        return
    for escape in _ESCAPE.finditer(raw):
        if escape["lone"]:
            raise JsonRefused(BAD_ENCODING, "A string holds half of a surrogate pair.")
        if escape["nul"] and not limits.allow_nul:
            raise JsonRefused(HAS_NUL, "A string holds the character NUL.")


def _check_scalar(value: Any, limits: JsonLimits) -> None:
    """Refuse a plain value that JSON cannot carry: half of a surrogate pair, a number that is not finite or
    far too long."""
    match value:
        case str():
            try:
                value.encode()
            except UnicodeError:
                raise JsonRefused(BAD_ENCODING, "A string holds half of a surrogate pair.") from None
            if not limits.allow_nul and "\0" in value:
                raise JsonRefused(HAS_NUL, "A string holds the character NUL.")
        case float() if not math.isfinite(value):
            raise JsonRefused(BAD_NUMBER, "A number is not finite.")
        # By bits, ten for three digits: writing a number out in decimal takes quadratic time.
        case int() if value.bit_length() > limits.digits * 10 // 3 + 1:
            raise JsonRefused(BAD_NUMBER, f"A number has more than {limits.digits} digits.")


def _refuse_constant(text: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's parser takes for numbers and no other JSON parser reads."""
    raise JsonRefused(BAD_NUMBER, f"{text} is not a number of JSON.")


def _finite_float(text: str) -> float:
    """Return the number; ``1e999`` would become infinity, and could not be written as JSON again."""
    number = float(text)
    if not math.isfinite(number):
        raise JsonRefused(BAD_NUMBER, "A number is too large for a double.")
    return number


# A call back into Python for each float costs as much as parsing, so only texts with large exponents get it.
_QUICK = json.JSONDecoder(parse_constant=_refuse_constant)
_CAREFUL = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite_float)
