"""Searches that would take minutes, or that look like numbers and are none, are refused at once."""

from __future__ import annotations

import time
from typing import Any

import pytest

from c2d_box.metadata.search import Unsupported, search

RECORDS = [
    {"id": f"did:op:{number}", "metadata": {"name": "a" * 3_000, "description": "a " * 10_000}}
    for number in range(30)
]
ALL: dict[str, Any] = {"match_all": {}}
REFUSED: dict[str, dict[str, Any]] = {
    "many clauses": {"query": {"bool": {"must": [ALL] * 50_000}}},
    "many clauses in levels": {"query": {"bool": {"should": [{"bool": {"must": [ALL] * 100}}] * 100}}},
    "many sorts": {"sort": [{"metadata.name": "asc"}] * 5_000},
    "many sorts in one": {"sort": {f"metadata.{number}": "asc" for number in range(500)}},
    "many sources": {"_source": [str(number) for number in range(50_000)]},
    "endless size": {"size": "9" * 5_000},
    "size that is no number": {"size": "²"},
    "endless from": {"from": 10**90},
    "open brackets": {"query": {"query_string": {"query": "(" * 5_000}}},
    "negations": {"query": {"query_string": {"query": "NOT " * 20_000 + "a"}}},
}
ANSWERED: dict[str, dict[str, Any]] = {
    "many wild cards": {"query": {"wildcard": {"metadata.name": {"value": "*a" * 30 + "b"}}}},
    "many wild cards in words": {"query": {"query_string": {"query": "*a" * 30 + "b"}}},
    "many terms": {"query": {"terms": {"metadata.name": ["x"] * 50_000}}},
    "a thousand clauses": {"query": {"bool": {"must": [ALL] * 1_000}}},
    "the sorts of a portal": {"sort": [{"nft.created": "desc"}, {"stats.orders": {"order": "asc"}}]},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_take_minutes_is_refused_at_once(name: str) -> None:
    began = time.monotonic()
    with pytest.raises(Unsupported):
        search(REFUSED[name], RECORDS)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("name", ANSWERED)
def test_what_looks_dear_and_is_not_is_answered(name: str) -> None:
    began = time.monotonic()
    search(ANSWERED[name], RECORDS)
    assert time.monotonic() - began < 10


WORDY: list[dict[str, Any]] = [
    {"id": f"did:op:{number}", "d": " ".join(f"w{at}" for at in range(500))} for number in range(400)
]
LONG: dict[str, dict[str, Any]] = {
    "clauses over all fields": {"bool": {"should": [{"multi_match": {"query": "zz"}}] * 1_000}},
    "one clause of many fields": {"multi_match": {"query": "zz", "fields": ["d"] * 150_000}},
    "words everywhere": {"query_string": {"query": "zz " * 500}},
}


@pytest.mark.parametrize("name", LONG)
def test_a_search_that_takes_long_ends_at_its_deadline(name: str) -> None:
    """One request of these held one of the two threads for searches, and the interpreter, for minutes."""
    began = time.monotonic()
    with pytest.raises(Unsupported, match="takes too long"):
        search({"query": LONG[name]}, WORDY, seconds=0.3)
    assert time.monotonic() - began < 3
    assert search({"query": {"match": {"d": "w7"}}}, WORDY)["hits"]["total"]["value"] == len(WORDY)


@pytest.mark.parametrize("count", [5_000, 50_000])
def test_a_long_phrase_is_looked_for_in_linear_time(count: int) -> None:
    record = {"id": "did:op:1", "d": "a " * 100_000}
    began = time.monotonic()
    missing = search({"query": {"match_phrase": {"d": "a " * count + "b"}}}, [record])
    found = search({"query": {"match_phrase": {"d": "a " * count}}}, [record])
    assert time.monotonic() - began < 3
    assert (missing["hits"]["total"]["value"], found["hits"]["total"]["value"]) == (0, 1)
