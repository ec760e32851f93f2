"""A whole search body: query, sort, from, size, _source; the answer in Elasticsearch's shape."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from c2d_box.metadata.search.clauses import clause
from c2d_box.metadata.search.errors import Unsupported
from c2d_box.metadata.search.values import number, text, values

_KNOWN = {"query", "sort", "from", "size", "_source", "track_total_hits", "explain"}
_MAX_WINDOW = 10_000


def search(body: dict[str, Any], records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Raises Unsupported, naming the part, for anything outside the subset."""
    if unknown := sorted(key for key in body if key not in _KNOWN and body[key]):
        raise Unsupported(unknown[0])
    start, size = _natural(body, "from", 0), _natural(body, "size", 10)
    if start + size > _MAX_WINDOW:
        raise Unsupported(f"from + size: at most {_MAX_WINDOW}")
    predicate = clause(body["query"]) if body.get("query") else lambda record: True
    found = sorted(
        (record for record in records if predicate(record)), key=lambda record: str(record.get("id"))
    )
    for key, descending in reversed(_order(body.get("sort"))):
        found = _sorted(found, key, descending)
    hits = [_hit(record, body.get("_source")) for record in found[start : start + size]]
    return {
        "took": 1,
        "timed_out": False,
        "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
        "hits": {
            "total": {"value": len(found), "relation": "eq"},
            "max_score": 1.0 if found else None,
            "hits": hits,
        },
    }


def _natural(body: dict[str, Any], key: str, default: int) -> int:
    value = body.get(key, default)
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Unsupported(f"{key}: a whole number is expected")
    return value


def _order(sort: Any) -> list[tuple[str, bool]]:
    """(field, descending) in order of importance."""
    if not sort:
        return []
    order: list[tuple[str, bool]] = []
    for entry in sort if isinstance(sort, list) else [sort]:
        if isinstance(entry, str):
            order.append((entry, entry == "_score"))
        elif isinstance(entry, dict):
            for field, how in entry.items():
                direction = how.get("order", "asc") if isinstance(how, dict) else how
                order.append((field, str(direction).lower() == "desc"))
        else:
            raise Unsupported("sort")
    return [(field, descending) for field, descending in order if field not in ("_score", "_doc")]


def _sorted(records: list[dict[str, Any]], field: str, descending: bool) -> list[dict[str, Any]]:
    """Records without the field stand last either way."""
    keyed = [(next(values(record, field), None), record) for record in records]
    there = [(value, record) for value, record in keyed if value is not None]
    missing = [record for value, record in keyed if value is None]
    there.sort(key=lambda pair: _rank(pair[0]), reverse=descending)
    return [record for _, record in there] + missing


def _rank(value: Any) -> tuple[int, float, str]:
    amount = number(value) if not isinstance(value, str) else None
    return (0, amount, "") if amount is not None else (1, 0.0, text(value))


def _hit(record: dict[str, Any], wanted: Any) -> dict[str, Any]:
    source = record
    if isinstance(wanted, list):
        source = {key: record[key] for key in record if any(key == str(w).split(".")[0] for w in wanted)}
    return {
        "_index": "aquarius",
        "_type": "_doc",
        "_id": record.get("id"),
        "_score": 1.0,
        **({} if wanted is False else {"_source": source}),
    }
