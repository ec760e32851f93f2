"""``query_string``: words, "phrases", field:value, wildcards, ranges, AND, OR, NOT, parentheses, escapes.

Words side by side are joined by the default operator (OR, as in Elasticsearch).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from c2d_box.metadata.search.errors import Unsupported
from c2d_box.metadata.search.values import (
    Record,
    contains_phrase,
    demand_known,
    every,
    matches_pattern,
    number,
    text,
    values,
    words,
)

Predicate = Callable[[Record], bool]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<paren>[()])
      | (?P<and>AND\b|&&) | (?P<or>OR\b|\|\|) | (?P<not>NOT\b|!)
      | (?P<field>(?:\\.|[^\s\\:()"\[\]{}])+):
      | "(?P<phrase>(?:\\.|[^"\\])*)"
      | [\[{](?P<range>[^\]}]+)[\]}]
      | (?P<word>(?:\\.|[^\s\\()":\[\]{}])+)
    )""",
    re.VERBOSE,
)
_BOOSTS = re.compile(r"[\^~][\d.]*\Z")
_MAX_TERMS = 512


def parse(query: str, fields: list[str], default_and: bool = False) -> Predicate:
    """Return the predicate of a query. ``fields`` are those in which words without a field are looked for;
    empty means all of the record."""
    parser = _Parser(_tokens(query), fields, default_and)
    predicate = parser.disjunction()
    if parser.peek() is not None:
        raise Unsupported("query_string: unbalanced parentheses")
    return predicate


def _tokens(query: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at, query = 0, query.rstrip()
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None or match.end() == at:
            raise Unsupported(f"query_string: cannot read {query[at : at + 20]!r}")
        kind = match.lastgroup or ""
        found.append((kind, match[kind]))
        at = match.end()
        if len(found) > _MAX_TERMS:
            raise Unsupported("query_string: too many terms")
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], fields: list[str], default_and: bool) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._fields = fields
        self._default_and = default_and

    def peek(self) -> tuple[str, str] | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def disjunction(self) -> Predicate:
        parts = [self._conjunction()]
        while (token := self.peek()) is not None and token[0] == "or":
            self._at += 1
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else lambda record: any(part(record) for part in parts)

    def _conjunction(self) -> Predicate:
        """Read terms joined by AND. Terms side by side are joined by the default operator."""
        groups: list[list[Predicate]] = [[self._term()]]
        while (token := self.peek()) is not None and token != ("paren", ")") and token[0] != "or":
            if token[0] == "and":
                self._at += 1
                groups[-1].append(self._term())
            elif self._default_and:
                groups[-1].append(self._term())
            else:
                groups.append([self._term()])
        return lambda record: any(all(part(record) for part in group) for group in groups)

    def _term(self, fields: list[str] | None = None) -> Predicate:
        token = self.peek()
        if token is None:
            raise Unsupported("query_string: a term is missing")
        self._at += 1
        kind, content = token
        if kind == "not" or (kind == "word" and content == "-"):
            inner = self._term(fields)
            return lambda record: not inner(record)
        if token == ("paren", "("):
            return self._group(fields)
        if kind == "field":
            return self._term([_unescaped(content.lstrip("+"))])
        if kind in ("phrase", "range", "word"):
            return _leaf(kind, content, self._fields if fields is None else fields)
        raise Unsupported(f"query_string: unexpected {content!r}")

    def _group(self, fields: list[str] | None) -> Predicate:
        self._depth += 1
        if self._depth > 40:
            raise Unsupported("query_string: too many parentheses")
        outer, self._fields = self._fields, self._fields if fields is None else fields
        inner = self.disjunction()
        self._fields = outer
        if self.peek() != ("paren", ")"):
            raise Unsupported("query_string: unbalanced parentheses")
        self._at += 1
        self._depth -= 1
        return inner


def _leaf(kind: str, content: str, fields: list[str]) -> Predicate:
    if fields == ["_exists_"]:
        field = demand_known(_unescaped(content))
        return lambda record: next(values(record, field), None) is not None
    test = _test(kind, content)
    if not fields or fields == ["*"]:
        return lambda record: any(test(value) for value in every(record))
    named = [demand_known(field) for field in fields]
    return lambda record: any(test(value) for field in named for value in values(record, field))


def _test(kind: str, content: str) -> Callable[[Any], bool]:
    if kind == "range":
        return _range(content)
    if kind == "phrase":
        phrase = _unescaped(content)
        return lambda value: text(value) == phrase.lower() or contains_phrase(value, phrase)
    word = _BOOSTS.sub("", content.lstrip("+"))
    if re.search(r"(?<!\\)[*?]", word):
        return lambda value: matches_pattern(value, _unescaped(word))
    for sign in (">=", "<=", ">", "<"):
        if word.startswith(sign):
            return _compared(sign, _unescaped(word[len(sign) :]))
    plain = _unescaped(word)
    return lambda value: text(value) == plain.lower() or contains_phrase(value, plain)


def _range(content: str) -> Callable[[Any], bool]:
    low, to, high = content.partition(" TO ")
    if not to:
        raise Unsupported(f"query_string: range {content!r}")
    tests = [
        _compared(sign, _unescaped(bound.strip().strip('"')))
        for sign, bound in ((">=", low), ("<=", high))
        if bound.strip() != "*"
    ]
    return lambda value: all(test(value) for test in tests)


def _compared(sign: str, bound: str) -> Callable[[Any], bool]:
    limit = number(bound)

    def test(value: Any) -> bool:
        left: Any = number(value) if limit is not None else text(value)
        right: Any = limit if limit is not None else bound.lower()
        if left is None:
            return False
        return bool(
            left >= right
            if sign == ">="
            else left <= right
            if sign == "<="
            else left > right
            if sign == ">"
            else left < right
        )

    return test


def _unescaped(content: str) -> str:
    return re.sub(r"\\(.)", r"\1", content)


__all__ = ["Predicate", "parse", "words"]
