"""``query_string``: words, "phrases", field:value, wildcards, ranges, AND, OR, NOT, +, -, groups, escapes.

Words side by side are joined by the default operator (OR, as in Elasticsearch).

Where a reading would be a guess, as for ``+`` beside OR, the query is refused: a wrong answer looks like a
right one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from c2d_box.metadata.search.errors import Unsupported
from c2d_box.metadata.search.values import (
    Record,
    all_values,
    contains_phrase,
    demand_known,
    field_values,
    keyword_text,
    matches_pattern,
    numeric_value,
    words,
)

Predicate = Callable[[Record], bool]
SignedTerm = tuple[str, Predicate]
"""A sign (``+``, ``-`` or none) and the predicate of the term behind it."""

# The order of the alternatives counts: operators before words, a field with its colon before a word.
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<paren>[()])
      | (?P<and>AND\b|&&) | (?P<or>OR\b|\|\|) | (?P<not>NOT\b|!)
      | (?P<field>(?:\\.|[^\s\\:()"\[\]{}])+):
      | "(?P<phrase>(?:\\.|[^"\\])*)"
      | (?P<range>[\[{][^\]}]+[\]}])
      | (?P<word>(?:\\.|[^\s\\()":\[\]{}])+)
    )""",
    re.VERBOSE,
)
# Boosts and fuzziness (``word^2``, ``word~1``) change scores and spelling; they are cut off.
_BOOSTS = re.compile(r"[\^~][\d.]*\Z")
_MAX_TERMS = 512
"""Terms of one query. Each is tested against every record."""


def parse(query: str, fields: list[str], default_and: bool = False) -> Predicate:
    """Return the predicate of a query. ``fields`` are those in which words without a field are looked for;
    empty means all of the record."""
    parser = _QueryParser(_split_tokens(query), fields, default_and)
    predicate = parser.parse_disjunction()
    # The outermost row ends early only at a parenthesis that was never opened.
    if parser.peek_token() is not None:
        raise Unsupported("query_string: unbalanced parentheses")
    return predicate


def _split_tokens(query: str) -> list[tuple[str, str]]:
    """Return the tokens of a query as (kind, text). Raise Unsupported for what cannot be read."""
    found: list[tuple[str, str]] = []
    at, query = 0, query.rstrip()
    while at < len(query):
        match = _TOKEN.match(query, at)
        # A match of nothing would repeat for ever.
        if match is None or match.end() == at:
            raise Unsupported(f"query_string: cannot read {query[at : at + 20]!r}")
        kind = match.lastgroup or ""
        found.append((kind, match[kind]))
        at = match.end()
        if len(found) > _MAX_TERMS:
            raise Unsupported("query_string: too many terms")
    return found


class _QueryParser:
    """Recursive descent over the tokens: OR binds weakest, then AND, then NOT and field names."""

    def __init__(self, tokens: list[tuple[str, str]], fields: list[str], default_and: bool) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._fields = fields
        self._default_and = default_and

    def peek_token(self) -> tuple[str, str] | None:
        """Return the next token without taking it, None at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def parse_disjunction(self) -> Predicate:
        """Read terms joined by OR, as far as the end or a closing parenthesis."""
        # OR binds weakest, so a row is everything up to the next OR.
        rows = [self._parse_conjunction()]
        while (token := self.peek_token()) is not None and token[0] == "or":
            self._at += 1
            rows.append(self._parse_conjunction())
        parts = [part for part, _ in rows]
        if len(parts) == 1:
            return parts[0]
        # In Elasticsearch such a term decides alone, in spite of the OR beside it.
        if any(has_plus for _, has_plus in rows):
            raise Unsupported("query_string: + beside OR")
        return lambda record: any(part(record) for part in parts)

    def _parse_conjunction(self) -> tuple[Predicate, bool]:
        """Read terms joined by AND; return their predicate and whether one has a plus. Terms side by side are
        joined by the default operator. Where that is OR, a sign makes a term a condition of the whole row:
        ``a -b`` means a without b, and ``a +b`` means b, since a only raises the score."""
        groups = [[self._parse_signed()]]
        while (token := self.peek_token()) is not None and token != ("paren", ")") and token[0] != "or":
            if token[0] == "and":
                self._at += 1
                groups[-1].append(self._parse_signed())
            # ``a b`` without an operator.
            elif self._default_and:
                groups[-1].append(self._parse_signed())
            else:
                groups.append([self._parse_signed()])
        conditions = [group for group in groups if any(sign for sign, _ in group)]
        choices = [group for group in groups if group not in conditions]
        # Conditions that are all negative leave the choice between the others to be made.
        if any(sign != "-" for group in conditions for sign, _ in group):
            choices = []
        has_plus = any(sign == "+" for group in groups for sign, _ in group)
        return lambda record: _meets_row(record, conditions, choices), has_plus

    def _parse_signed(self) -> SignedTerm:
        """Read a term with its sign; the predicate of a forbidden one is negated."""
        sign, term = self._take_sign(), self._parse_term()
        return sign, (lambda record: not term(record)) if sign == "-" else term

    def _take_sign(self) -> str:
        """Take what demands or forbids the next term; return ``+``, ``-`` (also for NOT) or an empty text."""
        kind, content = self.peek_token() or ("", "")
        sign = "-" if kind == "not" else content[:1]
        if kind != "not" and (kind not in ("word", "field") or sign not in ("+", "-")):
            return ""
        # A sign is read as a part of the word or field that it stands before, else as a word of its own.
        if kind == "not" or len(content) == 1:
            self._at += 1
        else:
            self._tokens[self._at] = kind, content[1:]
        if self._take_sign():
            raise Unsupported("query_string: two signs before a term")
        return sign

    def _parse_term(self, fields: list[str] | None = None) -> Predicate:
        """Read one term: a leaf, a group, or a field with its term. ``fields`` are those that apply
        inside."""
        token = self.peek_token()
        if token is None:
            raise Unsupported("query_string: a term is missing")
        self._at += 1
        kind, content = token
        if token == ("paren", "("):
            return self._parse_group(fields)
        # A field takes exactly one term: ``name:a b`` looks for b in the default fields.
        if kind == "field":
            return self._parse_term([_unescape_text(content)])
        # Behind a field's colon a sign of its own says nothing.
        if kind in ("phrase", "range", "word") and (kind, content) not in (("word", "+"), ("word", "-")):
            return _leaf_predicate(kind, content, self._fields if fields is None else fields)
        raise Unsupported(f"query_string: unexpected {content!r}")

    def _parse_group(self, fields: list[str] | None) -> Predicate:
        """Read up to the closing parenthesis. A field before the group applies to each term in it."""
        self._depth += 1
        # Parentheses recurse here and again when the predicate is called.
        if self._depth > 40:
            raise Unsupported("query_string: too many parentheses")
        # The fields of the group end with it.
        outer, self._fields = self._fields, self._fields if fields is None else fields
        inner = self.parse_disjunction()
        self._fields = outer
        if self.peek_token() != ("paren", ")"):
            raise Unsupported("query_string: unbalanced parentheses")
        self._at += 1
        self._depth -= 1
        return inner


def _meets_row(record: Record, conditions: list[list[SignedTerm]], choices: list[list[SignedTerm]]) -> bool:
    """Return whether the record meets all ``conditions`` and, where there are any, one of the ``choices``."""
    if not all(term(record) for group in conditions for _, term in group):
        return False
    return not choices or any(all(term(record) for _, term in group) for group in choices)


def _leaf_predicate(kind: str, content: str, fields: list[str]) -> Predicate:
    """Return the predicate of a word, phrase or range in the given fields."""
    # Elasticsearch's spelling of "has a value": ``_exists_:field``.
    if fields == ["_exists_"]:
        field = demand_known(_unescape_text(content))
        return lambda record: next(field_values(record, field), None) is not None
    test = _value_test(kind, content)
    if not fields or fields == ["*"]:
        return lambda record: any(test(value) for value in all_values(record))
    named = [demand_known(field) for field in fields]
    return lambda record: any(test(value) for field in named for value in field_values(record, field))


def _value_test(kind: str, content: str) -> Callable[[Any], bool]:
    """Return the test of a single value."""
    if kind == "range":
        return _range_test(content)
    if kind == "phrase":
        phrase = _unescape_text(content)
        return lambda value: keyword_text(value) == phrase.lower() or contains_phrase(value, phrase)
    # After phrases and ranges, in which these characters mean themselves.
    word = _BOOSTS.sub("", content)
    # Only unescaped ones: ``\*`` means the character.
    if re.search(r"(?<!\\)[*?]", word):
        return lambda value: matches_pattern(value, _unescape_text(word))
    # The longer signs first, or ``>=5`` would be read as more than "=5".
    for sign in (">=", "<=", ">", "<"):
        if word.startswith(sign):
            return _comparison_test(sign, _unescape_text(word[len(sign) :]))
    plain = _unescape_text(word)
    return lambda value: keyword_text(value) == plain.lower() or contains_phrase(value, plain)


def _range_test(content: str) -> Callable[[Any], bool]:
    """Return the test of ``[low TO high]``. A curly bracket leaves its bound out; ``*`` leaves a side
    open."""
    low, to, high = content[1:-1].partition(" TO ")
    if not to:
        raise Unsupported(f"query_string: range {content!r}")
    tests = [
        _comparison_test(sign, _unescape_text(bound.strip().strip('"')))
        for sign, bound in (
            (">" if content[0] == "{" else ">=", low),
            ("<" if content[-1] == "}" else "<=", high),
        )
        if bound.strip() != "*"
    ]
    return lambda value: all(test(value) for test in tests)


def _comparison_test(sign: str, bound: str) -> Callable[[Any], bool]:
    """Return the test of one bound: by number where the bound is one, else by text."""
    # Decided by the query and not by the value, so that one query compares in one way.
    limit = numeric_value(bound)

    def test(value: Any) -> bool:
        """Return whether the value lies on the right side of the bound; a text is on no side of a number."""
        left: Any = numeric_value(value) if limit is not None else keyword_text(value)
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


def _unescape_text(content: str) -> str:
    """Return the text without its backslashes."""
    return re.sub(r"\\(.)", r"\1", content)


__all__ = ["Predicate", "parse", "words"]
