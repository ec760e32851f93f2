"""Query clauses: match_all, query_string, term(s), match, match_phrase, exists, ids, prefix, wildcard,
range, bool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from c2d_box.metadata.search import query_string
from c2d_box.metadata.search.errors import Unsupported
from c2d_box.metadata.search.query_string import Predicate
from c2d_box.metadata.search.values import (
    contains_phrase,
    demand_known,
    equal,
    every,
    matches_pattern,
    number,
    text,
    values,
    words,
)

_MAX_DEPTH = 30


def clause(query: Any, depth: int = 0) -> Predicate:
    """Return the predicate of one query object, which must have exactly one kind of clause."""
    if not isinstance(query, dict) or len(query) != 1 or depth > _MAX_DEPTH:
        raise Unsupported("query: an object with one kind of clause is expected")
    kind, body = next(iter(query.items()))
    if kind == "bool":
        return _bool(body, depth + 1)
    if kind in ("constant_score", "nested"):
        inner = (
            body.get("filter" if kind == "constant_score" else "query") if isinstance(body, dict) else None
        )
        return clause(inner, depth + 1)
    builder = _CLAUSES.get(kind)
    if builder is None:
        raise Unsupported(f"query.{kind}")
    if not isinstance(body, dict):
        raise Unsupported(f"query.{kind}: an object is expected")
    return builder(body)


def _bool(body: Any, depth: int) -> Predicate:
    if not isinstance(body, dict):
        raise Unsupported("query.bool: an object is expected")
    if unknown := set(body) - {"must", "filter", "should", "must_not", "minimum_should_match", "boost"}:
        raise Unsupported(f"query.bool.{sorted(unknown)[0]}")
    needed = [*_several(body.get("must"), depth), *_several(body.get("filter"), depth)]
    refused = _several(body.get("must_not"), depth)
    wished = _several(body.get("should"), depth)
    least = body.get("minimum_should_match", 0 if needed or not wished else 1)
    if isinstance(least, bool) or not isinstance(least, int):
        raise Unsupported("query.bool.minimum_should_match: a whole number is expected")

    def test(record: dict[str, Any]) -> bool:
        if not all(part(record) for part in needed) or any(part(record) for part in refused):
            return False
        return not least or sum(part(record) for part in wished) >= least

    return test


def _several(body: Any, depth: int) -> list[Predicate]:
    if body is None:
        return []
    return [clause(entry, depth) for entry in (body if isinstance(body, list) else [body])]


def _match_all(body: dict[str, Any]) -> Predicate:
    return lambda record: True


def _query_string(body: dict[str, Any]) -> Predicate:
    known = {"query", "fields", "default_field", "default_operator", "analyze_wildcard", "lenient", "boost"}
    if unknown := set(body) - known:
        raise Unsupported(f"query.query_string.{sorted(unknown)[0]}")
    if not isinstance(body.get("query"), str):
        raise Unsupported("query.query_string.query: text is expected")
    fields = body.get("fields") or ([body["default_field"]] if body.get("default_field") else [])
    if not isinstance(fields, list):
        raise Unsupported("query.query_string.fields: a list is expected")
    names = [demand_known(str(field).split("^")[0]) for field in fields]
    return query_string.parse(body["query"], names, str(body.get("default_operator", "")).upper() == "AND")


def _term(body: dict[str, Any]) -> Predicate:
    field, wanted = _single(body, "term", "value")
    return lambda record: any(equal(value, wanted) for value in values(record, field))


def _terms(body: dict[str, Any]) -> Predicate:
    field, wanted = _single(body, "terms", None)
    if not isinstance(wanted, list):
        raise Unsupported("query.terms: a list is expected")
    accepted = {text(entry) for entry in wanted}
    return lambda record: any(text(value) in accepted for value in values(record, field))


def _match(body: dict[str, Any]) -> Predicate:
    field, wanted = _single(body, "match", "query")
    options = body[field] if isinstance(body[field], dict) else {}
    needed = words(wanted)
    all_of = str(options.get("operator", "or")).lower() == "and"

    def test(record: dict[str, Any]) -> bool:
        there = {word for value in values(record, field) for word in words(value)}
        found = [word in there for word in needed]
        return bool(found) and (all(found) if all_of else any(found))

    return test


def _match_phrase(body: dict[str, Any]) -> Predicate:
    field, wanted = _single(body, "match_phrase", "query")
    return lambda record: any(contains_phrase(value, str(wanted)) for value in values(record, field))


def _multi_match(body: dict[str, Any]) -> Predicate:
    fields, needed = (
        [demand_known(str(field).split("^")[0]) for field in body.get("fields") or []],
        words(body.get("query")),
    )

    def test(record: dict[str, Any]) -> bool:
        found = (value for field in fields for value in values(record, field)) if fields else every(record)
        there = {word for value in found for word in words(value)}
        return any(word in there for word in needed)

    return test


def _exists(body: dict[str, Any]) -> Predicate:
    field = demand_known(str(body.get("field", "")))
    return lambda record: next(values(record, field), None) is not None


def _ids(body: dict[str, Any]) -> Predicate:
    wanted = {str(entry) for entry in body.get("values") or []}
    return lambda record: record.get("id") in wanted


def _prefix(body: dict[str, Any]) -> Predicate:
    field, wanted = _single(body, "prefix", "value")
    return lambda record: any(text(value).startswith(text(wanted)) for value in values(record, field))


def _wildcard(body: dict[str, Any]) -> Predicate:
    field, wanted = _single(body, "wildcard", "value")
    return lambda record: any(matches_pattern(value, str(wanted)) for value in values(record, field))


def _range(body: dict[str, Any]) -> Predicate:
    field, bounds = _single(body, "range", None)
    if not isinstance(bounds, dict):
        raise Unsupported("query.range: an object is expected")
    if unknown := set(bounds) - {"gt", "gte", "lt", "lte", "format", "boost"}:
        raise Unsupported(f"query.range.{sorted(unknown)[0]}")

    def within(value: Any) -> bool:
        for sign, bound in bounds.items():
            if sign not in _COMPARE:
                continue
            limit = number(bound)
            left: Any = number(value) if limit is not None else text(value)
            if left is None or not _COMPARE[sign](left, limit if limit is not None else text(bound)):
                return False
        return True

    return lambda record: any(within(value) for value in values(record, field))


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda left, right: bool(left > right),
    "gte": lambda left, right: bool(left >= right),
    "lt": lambda left, right: bool(left < right),
    "lte": lambda left, right: bool(left <= right),
}

_CLAUSES: dict[str, Callable[[dict[str, Any]], Predicate]] = {
    "match_all": _match_all,
    "query_string": _query_string,
    "simple_query_string": _query_string,
    "term": _term,
    "terms": _terms,
    "match": _match,
    "match_phrase": _match_phrase,
    "multi_match": _multi_match,
    "exists": _exists,
    "ids": _ids,
    "prefix": _prefix,
    "wildcard": _wildcard,
    "range": _range,
}


def _single(body: dict[str, Any], kind: str, key: str | None) -> tuple[str, Any]:
    """Return the one field of a clause and its value, which is given plainly or under ``key``."""
    named = {field: value for field, value in body.items() if field != "boost"}
    if len(named) != 1:
        raise Unsupported(f"query.{kind}: exactly one field is expected")
    field, value = next(iter(named.items()))
    demand_known(field)
    if key is not None and isinstance(value, dict):
        if key not in value:
            raise Unsupported(f"query.{kind}.{field}: {key} is missing")
        value = value[key]
    return field, value
