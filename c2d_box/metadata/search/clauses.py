"""Query clauses: match_all, query_string, term(s), match, match_phrase, exists, ids, prefix, wildcard,
range, bool.

Each builder turns one clause into a predicate over a record, before any record is looked at. So a query that
is not supported is refused whole, and never answered in part: a clause that was ignored would widen the
result without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from c2d_box.metadata.search import query_string
from c2d_box.metadata.search.errors import Unsupported
from c2d_box.metadata.search.query_string import Predicate
from c2d_box.metadata.search.values import (
    all_values,
    contains_phrase,
    demand_known,
    field_values,
    is_equal,
    keyword_text,
    matches_pattern,
    numeric_value,
    words,
)

_MAX_DEPTH = 30
"""Levels of nested clauses: the functions here recurse once or twice for each."""


def clause_predicate(query: Any, depth: int = 0) -> Predicate:
    """Return the predicate of one query object, which must have exactly one kind of clause."""
    if not isinstance(query, dict) or len(query) != 1 or depth > _MAX_DEPTH:
        raise Unsupported("query: an object with one kind of clause is expected")
    kind, body = next(iter(query.items()))
    if kind == "bool":
        return _bool_clause(body, depth + 1)
    # Both only wrap: scores are constant here, and fields of nested objects are found by their dotted name
    # anyway.
    if kind in ("constant_score", "nested"):
        inner = (
            body.get("filter" if kind == "constant_score" else "query") if isinstance(body, dict) else None
        )
        return clause_predicate(inner, depth + 1)
    builder = _CLAUSES.get(kind)
    if builder is None:
        raise Unsupported(f"query.{kind}")
    if not isinstance(body, dict):
        raise Unsupported(f"query.{kind}: an object is expected")
    return builder(body)


def _bool_clause(body: Any, depth: int) -> Predicate:
    """Return the predicate of a ``bool`` clause, with Elasticsearch's rule for ``should``: one must match,
    unless something else is required."""
    if not isinstance(body, dict):
        raise Unsupported("query.bool: an object is expected")
    # An option that is ignored would widen the result without a word.
    if unknown := set(body) - {"must", "filter", "should", "must_not", "minimum_should_match", "boost"}:
        raise Unsupported(f"query.bool.{sorted(unknown)[0]}")
    needed = [*_several_clauses(body.get("must"), depth), *_several_clauses(body.get("filter"), depth)]
    refused = _several_clauses(body.get("must_not"), depth)
    wished = _several_clauses(body.get("should"), depth)
    # Beside ``must`` or ``filter`` a wish only raises the score, and scores are constant here.
    least = body.get("minimum_should_match", 0 if needed or not wished else 1)
    if isinstance(least, bool) or not isinstance(least, int):
        raise Unsupported("query.bool.minimum_should_match: a whole number is expected")

    def test(record: dict[str, Any]) -> bool:
        """Return whether the record meets what is needed, nothing that is refused, and enough wishes."""
        if not all(part(record) for part in needed) or any(part(record) for part in refused):
            return False
        return not least or sum(part(record) for part in wished) >= least

    return test


def _several_clauses(body: Any, depth: int) -> list[Predicate]:
    """Return the predicates of a list of clauses, or of a single one without a list."""
    if body is None:
        return []
    return [clause_predicate(entry, depth) for entry in (body if isinstance(body, list) else [body])]


def _match_all(body: dict[str, Any]) -> Predicate:
    """Return the predicate that every record meets."""
    return lambda record: True


def _query_string(body: dict[str, Any]) -> Predicate:
    """Return the predicate of a ``query_string`` clause. Some options change nothing here and are
    accepted."""
    known = {"query", "fields", "default_field", "default_operator", "analyze_wildcard", "lenient", "boost"}
    if unknown := set(body) - known:
        raise Unsupported(f"query.query_string.{sorted(unknown)[0]}")
    if not isinstance(body.get("query"), str):
        raise Unsupported("query.query_string.query: text is expected")
    fields = body.get("fields") or ([body["default_field"]] if body.get("default_field") else [])
    if not isinstance(fields, list):
        raise Unsupported("query.query_string.fields: a list is expected")
    # A boost (``name^3``) only changes scores.
    names = [demand_known(str(field).split("^")[0]) for field in fields]
    return query_string.parse(body["query"], names, str(body.get("default_operator", "")).upper() == "AND")


def _term_clause(body: dict[str, Any]) -> Predicate:
    """Return the predicate for one exact value of a field."""
    field, wanted = _single_field(body, "term", "value")
    return lambda record: any(is_equal(value, wanted) for value in field_values(record, field))


def _terms_clause(body: dict[str, Any]) -> Predicate:
    """Return the predicate for any of several exact values."""
    field, wanted = _single_field(body, "terms", None)
    if not isinstance(wanted, list):
        raise Unsupported("query.terms: a list is expected")
    # A set: a client may ask for thousands of DIDs at once.
    accepted = {keyword_text(entry) for entry in wanted}
    return lambda record: any(keyword_text(value) in accepted for value in field_values(record, field))


def _match_clause(body: dict[str, Any]) -> Predicate:
    """Return the predicate for words of a field: any of them, or all with the operator "and"."""
    field, wanted = _single_field(body, "match", "query")
    options = body[field] if isinstance(body[field], dict) else {}
    # Cut into words as the values are, so that punctuation and case decide nothing.
    needed = words(wanted)
    all_of = str(options.get("operator", "or")).lower() == "and"

    def test(record: dict[str, Any]) -> bool:
        """Return whether the words of the field's values hold the wanted ones."""
        there = {word for value in field_values(record, field) for word in words(value)}
        found = [word in there for word in needed]
        # No words match nothing; ``all`` of an empty list would match everything.
        return bool(found) and (all(found) if all_of else any(found))

    return test


def _match_phrase(body: dict[str, Any]) -> Predicate:
    """Return the predicate for words next to one another."""
    field, wanted = _single_field(body, "match_phrase", "query")
    return lambda record: any(contains_phrase(value, str(wanted)) for value in field_values(record, field))


def _multi_match(body: dict[str, Any]) -> Predicate:
    """Return the predicate for any of the words in any of the fields, or in the whole record without
    fields."""
    fields, needed = (
        [demand_known(str(field).split("^")[0]) for field in body.get("fields") or []],
        words(body.get("query")),
    )

    def test(record: dict[str, Any]) -> bool:
        """Return whether any wanted word stands in any of the fields."""
        # Words of several fields count together: each of them may hold one of the words.
        found = (
            (value for field in fields for value in field_values(record, field))
            if fields
            else all_values(record)
        )
        there = {word for value in found for word in words(value)}
        return any(word in there for word in needed)

    return test


def _exists_clause(body: dict[str, Any]) -> Predicate:
    """Return the predicate for records that have a value at a field."""
    field = demand_known(str(body.get("field", "")))
    return lambda record: next(field_values(record, field), None) is not None


def _ids_clause(body: dict[str, Any]) -> Predicate:
    """Return the predicate for records with one of these ids."""
    wanted = {str(entry) for entry in body.get("values") or []}
    return lambda record: record.get("id") in wanted


def _prefix_clause(body: dict[str, Any]) -> Predicate:
    """Return the predicate for values that begin with a text."""
    field, wanted = _single_field(body, "prefix", "value")
    return lambda record: any(
        keyword_text(value).startswith(keyword_text(wanted)) for value in field_values(record, field)
    )


def _wildcard_clause(body: dict[str, Any]) -> Predicate:
    """Return the predicate for a pattern with ``*`` and ``?``."""
    field, wanted = _single_field(body, "wildcard", "value")
    return lambda record: any(matches_pattern(value, str(wanted)) for value in field_values(record, field))


def _range_clause(body: dict[str, Any]) -> Predicate:
    """Return the predicate for values between bounds: numbers where the bound is one, else texts in their
    order, which suits ISO dates."""
    field, bounds = _single_field(body, "range", None)
    if not isinstance(bounds, dict):
        raise Unsupported("query.range: an object is expected")
    if unknown := set(bounds) - {"gt", "gte", "lt", "lte", "format", "boost"}:
        raise Unsupported(f"query.range.{sorted(unknown)[0]}")

    def within(value: Any) -> bool:
        """Return whether one value lies within all bounds."""
        for sign, bound in bounds.items():
            # ``format`` and ``boost``, which change nothing here.
            if sign not in _COMPARE:
                continue
            limit = numeric_value(bound)
            left: Any = numeric_value(value) if limit is not None else keyword_text(value)
            # A text value is no number and does not lie within numeric bounds.
            if left is None or not _COMPARE[sign](left, limit if limit is not None else keyword_text(bound)):
                return False
        return True

    return lambda record: any(within(value) for value in field_values(record, field))


# The operators of ``range``. The values compared are two numbers or two texts, never one of each.
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda left, right: bool(left > right),
    "gte": lambda left, right: bool(left >= right),
    "lt": lambda left, right: bool(left < right),
    "lte": lambda left, right: bool(left <= right),
}

# Builders by the names that Elasticsearch gives to clauses; what is not here is refused by its name.
_CLAUSES: dict[str, Callable[[dict[str, Any]], Predicate]] = {
    "match_all": _match_all,
    "query_string": _query_string,
    "simple_query_string": _query_string,
    "term": _term_clause,
    "terms": _terms_clause,
    "match": _match_clause,
    "match_phrase": _match_phrase,
    "multi_match": _multi_match,
    "exists": _exists_clause,
    "ids": _ids_clause,
    "prefix": _prefix_clause,
    "wildcard": _wildcard_clause,
    "range": _range_clause,
}


def _single_field(body: dict[str, Any], kind: str, key: str | None) -> tuple[str, Any]:
    """Return the one field of a clause and its value, which is given plainly or under ``key``."""
    # A boost stands beside the field in some clauses, and only changes scores.
    named = {field: value for field, value in body.items() if field != "boost"}
    if len(named) != 1:
        raise Unsupported(f"query.{kind}: exactly one field is expected")
    field, value = next(iter(named.items()))
    demand_known(field)
    if key is not None and isinstance(value, dict):
        # An object without the key would be compared as a text, and match nothing without a reason.
        if key not in value:
            raise Unsupported(f"query.{kind}.{field}: {key} is missing")
        value = value[key]
    return field, value
