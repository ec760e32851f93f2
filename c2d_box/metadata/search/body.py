"""A whole search body: query, sort, from, size, _source; the answer in Elasticsearch's shape.

Anything beyond the supported subset is refused with its name, because an answer that silently ignores a
part would be taken for the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from c2d_box.metadata.search.clauses import clause_predicate
from c2d_box.metadata.search.errors import Unsupported
from c2d_box.metadata.search.query_string import Predicate
from c2d_box.metadata.search.values import (
    INDEX,
    demand_known,
    demand_time,
    field_values,
    keyword_text,
    numeric_value,
    time_limit,
)

_KNOWN = {"query", "sort", "from", "size", "_source", "track_total_hits", "explain"}
_MAX_WINDOW = 10_000
"""Elasticsearch's own limit (``index.max_result_window``), which clients know."""
_MAX_OBJECTS, _MAX_SORTS, _MAX_FIELDS = 3_000, 32, 1_000
"""Limits of one query: each of its clauses is an object or two, and is tested against each record."""
SECONDS = 5.0
"""The time of one search. There are two threads for all searches."""


def search(
    body: dict[str, Any], records: Iterable[dict[str, Any]], seconds: float = SECONDS
) -> dict[str, Any]:
    """Return the answer to a search. Raise Unsupported, which names the part, for anything outside the
    subset, and for a search that takes longer than ``seconds``."""
    with time_limit(seconds):
        return _run_search(body, records)


def _run_search(body: dict[str, Any], records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Run one search under the time limit of its caller."""
    # An unknown key with an empty value asks for nothing, so it is no reason to refuse.
    if unknown := sorted(key for key in body if key not in _KNOWN and body[key]):
        raise Unsupported(unknown[0])
    start, size = _natural_number(body, "from", 0), _natural_number(body, "size", 10)
    if start + size > _MAX_WINDOW:
        raise Unsupported(f"from + size: at most {_MAX_WINDOW}")
    # Before any predicate is built.
    _demand_few(body)
    predicate = clause_predicate(body["query"]) if body.get("query") else lambda record: True
    # By id first: sorts are stable, so pages stay disjoint where sort keys are equal.
    found = sorted(_chosen_records(predicate, records), key=lambda record: str(record.get("id")))
    # The most important key last, again because sorts are stable.
    for key, descending in reversed(_sort_order(body.get("sort"))):
        found = _sorted_records(found, key, descending)
    hits = [_search_hit(record, body.get("_source")) for record in found[start : start + size]]
    return {
        # Elasticsearch's envelope, whose fields clients read. There is one shard and no ranking, so scores
        # are 1.
        "took": 1,
        "timed_out": False,
        "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
        "hits": {
            "total": {"value": len(found), "relation": "eq"},
            "max_score": 1.0 if found else None,
            "hits": hits,
        },
    }


def _chosen_records(predicate: Predicate, records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the records that match, until the time of the search is over."""
    for record in records:
        demand_time()
        if predicate(record):
            yield record


def _demand_few(body: dict[str, Any]) -> None:
    """Refuse a body with too many parts: some thousand clauses or sort keys over all records would be minutes
    of work for one request."""
    # A stack and not a recursion: the body's depth is its sender's choice.
    count, pending = 0, [body.get("query")]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            count += 1
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        if count > _MAX_OBJECTS:
            raise Unsupported(f"query: more than {_MAX_OBJECTS} objects")
    for name, most in (("sort", _MAX_SORTS), ("_source", _MAX_FIELDS)):
        given = body.get(name)
        if isinstance(given, dict | list) and len(given) > most:
            raise Unsupported(f"{name}: more than {most} entries")


def _natural_number(body: dict[str, Any], key: str, default: int) -> int:
    """Return a whole number of the body. Raise Unsupported for anything else."""
    value = body.get(key, default)
    # Clients send numbers as text too. The length is bounded before ``int`` sees it.
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    # ``True`` is an int to Python, and no number in JSON.
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Unsupported(f"{key}: a whole number is expected")
    return value


def _sort_order(sort: Any) -> list[tuple[str, bool]]:
    """Return the sort keys as (field, descending), in order of importance."""
    if not sort:
        return []
    order: list[tuple[str, bool]] = []
    for entry in sort if isinstance(sort, list) else [sort]:
        if isinstance(entry, str):
            # Only the score sorts downwards by default.
            order.append((entry, entry == "_score"))
        elif isinstance(entry, dict):
            for field, how in entry.items():
                direction = how.get("order", "asc") if isinstance(how, dict) else how
                order.append((field, str(direction).lower() == "desc"))
        else:
            raise Unsupported("sort")
    if len(order) > _MAX_SORTS:
        raise Unsupported(f"sort: more than {_MAX_SORTS} keys")
    # All scores are equal and there is no order of storage, so these two sort nothing.
    ranks = ("_score", "_doc")
    return [(demand_known(field), descending) for field, descending in order if field not in ranks]


def _sorted_records(records: list[dict[str, Any]], field: str, descending: bool) -> list[dict[str, Any]]:
    """Return the records sorted by one field; those without the field come last in either direction."""
    # A record may have several values at a field; the first one ranks it.
    keyed = [(next(field_values(record, field), None), record) for record in records]
    there = [(value, record) for value, record in keyed if value is not None]
    missing = [record for value, record in keyed if value is None]
    there.sort(key=lambda pair: _sort_rank(pair[0]), reverse=descending)
    return [record for _, record in there] + missing


def _sort_rank(value: Any) -> tuple[int, float, str]:
    """Return a key by which values of different types can be compared: numbers before texts."""
    amount = numeric_value(value) if not isinstance(value, str) else None
    return (0, amount, "") if amount is not None else (1, 0.0, keyword_text(value))


def _search_hit(record: dict[str, Any], wanted: Any) -> dict[str, Any]:
    """Return one hit. ``_source`` chooses top-level keys only; of a dotted name the first part counts."""
    source = record
    if isinstance(wanted, list):
        # In the record's own order, whatever the order of the wishes.
        source = {key: record[key] for key in record if any(key == str(w).split(".")[0] for w in wanted)}
    return {
        "_index": INDEX,
        "_type": "_doc",
        "_id": record.get("id"),
        "_score": 1.0,
        **({} if wanted is False else {"_source": source}),
    }
