"""Reads a JSON document piece by piece: its shape is reported, nothing of it is kept.

The standard library's parser builds the whole document, some thirty times its size. Here a stack of the open
arrays and objects is all that is held, its depth bounded and each text too.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import BinaryIO, Protocol

CHUNK = 1 << 16
"""Bytes decoded at a time."""
DEPTH = 64
"""Open arrays and objects at most, as in ``strict_json``; they are all that the walk holds."""
TOKEN = 1 << 20
"""Characters of the longest text."""
# Possessive quantifiers (``*+``): the expression cannot backtrack, however hostile the document.
_TOKEN = re.compile(
    r"[ \t\n\r]*+(?:"
    r"([{}\[\],:])"
    r'|("(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")'
    r"|(-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?(?=[ \t\n\r,\]}]))"
    r"|(true|false|null)"
    r")"
)
_MARK, _TEXT, _NUMBER = 1, 2, 3
"""Groups of the expression; the fourth are words."""
_WORDS = {"true": True, "false": False, "null": None}
_VALUE, _VALUE_OR_END, _NAME, _NAME_OR_END, _COLON, _COMMA_OR_END, _OVER = range(7)
"""States of the walk: each says what may come next."""
Scalar = str | int | float | bool | None


class NotJson(Exception):
    """The content is no JSON, or deeper or longer in one text than is read."""


class JsonHandler(Protocol):
    """Receives what the walk meets, in the order of the document."""

    def open_container(self, kind: str) -> None:
        """An array or object begins; ``kind`` is ``{`` or ``[``."""

    def take_name(self, name: str) -> None: ...

    def take_value(self, found: Scalar) -> None: ...

    def close_container(self) -> None: ...


def walk_json(file: BinaryIO, shape: JsonHandler, *, many: bool = False) -> None:
    """Report the shape of the document in ``file``; raise NotJson. ``many``: any number of documents one
    after the other, as in NDJSON."""
    stack: list[str] = []
    expected, documents = _VALUE, 0
    for kind, text in _read_tokens(file):
        # Documents are told apart by their ends; NDJSON's line ends are blanks like any other.
        if expected == _OVER and many:
            expected = _VALUE
        if kind == _MARK:
            if text == ",":
                _demand_syntax(expected == _COMMA_OR_END)
                expected = _NAME if stack[-1] == "{" else _VALUE
                continue
            if text == ":":
                _demand_syntax(expected == _COLON)
                expected = _VALUE
                continue
            if text in "{[":
                _demand_syntax(expected in (_VALUE, _VALUE_OR_END) and len(stack) < DEPTH)
                stack.append(text)
                shape.open_container(text)
                expected = _NAME_OR_END if text == "{" else _VALUE_OR_END
                continue
            # A closing mark may follow a value or the opening, but not a comma: JSON has no trailing ones.
            empty = _NAME_OR_END if text == "}" else _VALUE_OR_END
            _demand_syntax(expected in (_COMMA_OR_END, empty) and stack.pop() == _OPENED_BY[text])
            shape.close_container()
        elif expected in (_NAME, _NAME_OR_END):
            _demand_syntax(kind == _TEXT)
            shape.take_name(_text_value(text))
            expected = _COLON
            continue
        else:
            _demand_syntax(expected in (_VALUE, _VALUE_OR_END))
            if kind == _TEXT:
                shape.take_value(_text_value(text))
            else:
                shape.take_value(_number_value(text) if kind == _NUMBER else _WORDS[text])
        expected = _COMMA_OR_END if stack else _OVER
        documents += not stack
    # Of many documents there may be none: an empty file is valid NDJSON.
    _demand_syntax(not stack and (expected == _OVER or (many and not documents)))


_OPENED_BY = {"}": "{", "]": "["}
"""The opening of each closing mark."""


def _demand_syntax(right: bool) -> None:
    """Raise NotJson where the document is not right."""
    if not right:
        raise NotJson


def _read_tokens(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Yield each token with its kind. A match that ends where the buffer does may be half of a token, so it
    waits for the next piece."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    held, final = "", False
    while not final:
        data = file.read(CHUNK)
        final = not data
        try:
            held += decoder.decode(data, final)
        except UnicodeDecodeError as problem:
            raise NotJson from problem
        if final:
            held += "\n"  # a number is whole once something follows it
        at, size = 0, len(held)
        while (found := _TOKEN.match(held, at)) is not None and found.end() < size:
            at = found.end()
            kind = found.lastindex or 0
            yield kind, found.group(kind)
        held = held[at:]
        # Without this bound a file of one string would be in memory as a whole.
        if len(held) > TOKEN:
            raise NotJson
    if held.strip(" \t\n\r"):
        raise NotJson


def _text_value(token: str) -> str:
    """Return the text of a token; only one with escapes needs the parser."""
    if "\\" not in token:
        return token[1:-1]
    found: str = json.loads(token)
    return found


def _number_value(token: str) -> int | float:
    """Return the number. Python converts long digits in quadratic time, so a hundred characters are the
    most."""
    if len(token) > 100:
        raise NotJson
    if token.isdecimal():
        return int(token)
    return float(token) if any(mark in token for mark in ".eE") else int(token)
