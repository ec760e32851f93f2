"""Finds the values of a record at a dotted field, and compares query words with them."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import translate
from functools import lru_cache
from typing import Any

from c2d_box.metadata.search.errors import Unsupported

INDEX = "aquarius"
"""The index that every hit names: that of the original, which has only one."""
Record = dict[str, Any]
# Letters and digits of every script: names and descriptions are in any language.
_WORD = re.compile(r"\w+", re.UNICODE)
# By thread, because two searches run at the same time.
_search = threading.local()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Limit the time of the search that runs on this thread: each look at a value raises Unsupported once the
    time is over. Limits on clauses alone do not suffice: a search of few clauses takes long, too, where
    records are many or their texts long."""
    _search.ends = time.monotonic() + seconds
    try:
        yield
    finally:
        del _search.ends


def demand_time() -> None:
    """Raise Unsupported where the time of the search on this thread is over."""
    if time.monotonic() > getattr(_search, "ends", math.inf):
        raise Unsupported("query: it takes too long, ask for less at once")


def field_values(record: Any, field: str) -> Iterator[Any]:
    """Yield every leaf at ``field``. Lists are looked into; ``.keyword`` means the same field; ``_id`` and
    ``_index`` mean what hits show under these names."""
    demand_time()
    if field == "_id":
        yield from _walk_path(record, ["id"])
    elif field == "_index":
        yield INDEX
    yield from _walk_path(record, field.removesuffix(".keyword").split("."))


def demand_known(field: str) -> str:
    """Return the field's name. Raise Unsupported for one of Elasticsearch's own that has no meaning here: an
    empty answer would be taken for "there is nothing"."""
    if field.startswith("_") and field not in ("_id", "_index"):
        raise Unsupported(f"the field {field[:64]}")
    return field


def all_values(record: Any) -> Iterator[Any]:
    """Yield every leaf of the record, for a query word without a field."""
    if isinstance(record, dict):
        for entry in record.values():
            yield from all_values(entry)
    elif isinstance(record, list):
        for entry in record:
            yield from all_values(entry)
    elif record is not None:
        yield record


def _walk_path(node: Any, parts: list[str]) -> Iterator[Any]:
    """Yield the values at a path. Lists are transparent, as in Elasticsearch: a record matches if one
    entry does."""
    if isinstance(node, list):
        for entry in node:
            yield from _walk_path(entry, parts)
    elif not parts:
        if node is not None:
            yield node
    elif isinstance(node, dict):
        if parts[0] in node:
            yield from _walk_path(node[parts[0]], parts[1:])
        # A key may itself hold dots.
        rest = ".".join(parts)
        if len(parts) > 1 and rest in node:
            yield from _walk_path(node[rest], [])


def is_equal(value: Any, wanted: Any) -> bool:
    """Compare as Elasticsearch's keywords: text in any case, numbers and booleans by value, also where one
    side is text."""
    return keyword_text(value) == keyword_text(wanted)


def keyword_text(value: Any) -> str:
    """Return a value as the lower-case text by which values are compared: true, 5 and 5.0 as "true", "5"
    and "5"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).lower()


def words(value: Any) -> list[str]:
    """Return a value's words in lower case, in their order."""
    demand_time()
    return _WORD.findall(keyword_text(value))


def contains_phrase(value: Any, phrase: str) -> bool:
    """Return whether the phrase's words stand in the value next to one another, in this order."""
    wanted, there = words(phrase), words(value)
    # No word holds a space, and a search within a text takes time linear in both, whatever is in them.
    return bool(wanted) and f" {' '.join(wanted)} " in f" {' '.join(there)} "


def matches_pattern(value: Any, pattern: str) -> bool:
    """Return whether a pattern with ``*`` and ``?`` matches the whole value or one of its words."""
    # Whole value or one word, because the original's analysed fields hold words and its keyword fields
    # values.
    # Lower case on both sides, as for words.
    compiled = _compile_pattern(pattern.lower())
    return compiled.match(keyword_text(value)) is not None or any(
        compiled.match(word) for word in words(value)
    )


@lru_cache(maxsize=256)
def _compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the compiled pattern. ``fnmatch`` knows character classes, which the query language does not,
    so brackets are escaped."""
    return re.compile(translate(pattern.replace("[", "[[]")))


def numeric_value(value: Any) -> float | None:
    """Return a value as a number, None where it is none. Booleans are not numbers here, as in JSON."""
    try:
        return float(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError):
        return None
