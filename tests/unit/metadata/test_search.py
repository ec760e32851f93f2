"""The part of the search language that clients use; everything else is refused by name."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from c2d_box.metadata.search import Unsupported, search

PATIENT = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

RECORDS: list[dict[str, Any]] = [
    {
        "id": "did:op:aa",
        "chainId": 8996,
        "metadata": {"name": "Breast cancer table", "type": "dataset", "tags": ["health", "csv"]},
        "nft": {"owner": "0xAbC0000000000000000000000000000000000001", "state": 0},
        "services": [{"type": "compute", "timeout": 3600}],
        "stats": {"orders": 3, "price": {"value": 5}},
    },
    {
        "id": "did:op:bb",
        "chainId": 8996,
        "metadata": {"name": "Cancer classifier", "type": "algorithm", "tags": ["health"]},
        "nft": {"owner": "0xAbC0000000000000000000000000000000000002", "state": 0},
        "services": [{"type": "access", "timeout": 0}],
        "stats": {"orders": 1, "price": {"value": 0}},
    },
    {
        "id": "did:op:cc",
        "chainId": 1,
        "metadata": {"name": "Weather", "type": "dataset", "description": "rain & sun: daily"},
        "nft": {"owner": "0xAbC0000000000000000000000000000000000001", "state": 5},
        "services": [{"type": "access"}, {"type": "compute"}],
        "stats": {"orders": -1, "price": {}},
    },
]


def found(query: Any, **body: Any) -> str:
    hits = search({"query": query, **body}, RECORDS)["hits"]["hits"]
    return "".join(hit["_id"][-1] for hit in hits)


def q(text: str, **options: Any) -> str:
    return found({"query_string": {"query": text, **options}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cancer", "ab"),
        ("CANCER", "ab"),
        ("cancer AND table", "a"),
        ("table OR weather", "ac"),
        ("table weather", "ac"),
        ("cancer AND NOT table", "b"),
        ("NOT cancer", "c"),
        ("metadata.type:dataset", "ac"),
        ("metadata.type:dataset AND chainId:8996", "a"),
        ("metadata.type:(dataset OR algorithm) AND nft.state:0", "ab"),
        ('metadata.name:"cancer table"', "a"),
        ('metadata.name:"table cancer"', ""),
        ("metadata.name:canc*", "ab"),
        ("metadata.name:w?ather", "c"),
        ("did\\:op\\:bb", "b"),
        ('"did:op:bb"', "b"),
        ("id:did\\:op\\:aa", "a"),
        ("nft.owner:0xabc0000000000000000000000000000000000001", "ac"),
        ("services.type:compute", "ac"),
        ("services.timeout:[1 TO 4000]", "a"),
        ("services.timeout:[0 TO 3600]", "ab"),
        ("services.timeout:{0 TO 3600]", "a"),
        ("services.timeout:[0 TO 3600}", "b"),
        ("services.timeout:{0 TO 3600}", ""),
        ("stats.orders:{1 TO *}", "a"),
        ("table +classifier", "b"),
        ("weather cancer +metadata.tags:csv", "a"),
        ("+cancer -table", "b"),
        ("+cancer AND table", "a"),
        ("cancer -table", "b"),
        ("cancer NOT table", "b"),
        ('cancer weather -"cancer table"', "bc"),
        ("cancer weather -(table OR classifier)", "c"),
        ("-metadata.type:dataset", "b"),
        ("-table -weather", "b"),
        ("table OR NOT cancer", "ac"),
        ("+cancer AND -table weather", "b"),
        ("metadata.name:(cancer -table)", "b"),
        ("stats.orders:>=1", "ab"),
        ("_exists_:metadata.tags", "ab"),
        ("metadata.tags:health", "ab"),
        ("(cancer OR weather) AND metadata.type:dataset", "ac"),
        ("*", "abc"),
        ("*:*", "abc"),
        ("nothing", ""),
    ],
)
def test_query_strings(text: str, expected: str) -> None:
    assert q(text) == expected


def test_query_string_options() -> None:
    assert q("cancer table", default_operator="AND") == "a"
    assert q("cancer", fields=["metadata.tags"]) == ""
    assert q("health", fields=["metadata.tags^3"]) == "ab"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"match_all": {}}, "abc"),
        ({"term": {"metadata.type": "dataset"}}, "ac"),
        ({"term": {"metadata.type.keyword": {"value": "algorithm"}}}, "b"),
        ({"terms": {"id": ["did:op:aa", "did:op:cc"]}}, "ac"),
        ({"match": {"metadata.name": "cancer weather"}}, "abc"),
        ({"match": {"metadata.name": {"query": "cancer table", "operator": "and"}}}, "a"),
        ({"match_phrase": {"metadata.name": "cancer table"}}, "a"),
        ({"multi_match": {"query": "rain", "fields": ["metadata.description"]}}, "c"),
        ({"exists": {"field": "services.timeout"}}, "ab"),
        ({"ids": {"values": ["did:op:bb"]}}, "b"),
        ({"prefix": {"metadata.name": "breast"}}, "a"),
        ({"wildcard": {"metadata.name": "*classifier"}}, "b"),
        ({"range": {"stats.orders": {"gte": 1, "lt": 3}}}, "b"),
        ({"bool": {"must": [{"term": {"chainId": 8996}}], "must_not": [{"term": {"nft.state": 5}}]}}, "ab"),
        ({"bool": {"should": [{"term": {"id": "did:op:aa"}}, {"term": {"id": "did:op:cc"}}]}}, "ac"),
        ({"bool": {"filter": {"term": {"chainId": 1}}, "should": [{"match_all": {}}]}}, "c"),
        ({"bool": {}}, "abc"),
        ({"constant_score": {"filter": {"term": {"chainId": 1}}}}, "c"),
    ],
)
def test_clauses(query: Any, expected: str) -> None:
    assert found(query) == expected


def test_sort_and_page() -> None:
    everything: dict[str, Any] = {"match_all": {}}
    assert found(everything, sort={"stats.orders": "desc"}) == "abc"
    assert found(everything, sort=[{"metadata.name.keyword": {"order": "asc"}}]) == "abc"
    assert found(everything, sort=[{"stats.price.value": {"order": "asc"}}]) == "bac"
    assert found(everything, sort={"stats.orders": "desc"}, **{"from": 1, "size": 1}) == "b"
    body = search({"query": everything, "size": 0}, RECORDS)
    assert body["hits"]["total"] == {"value": 3, "relation": "eq"} and body["hits"]["hits"] == []


def test_the_answer_has_elasticsearchs_shape() -> None:
    hit = search({"query": {"term": {"id": "did:op:aa"}}, "_source": ["id", "metadata.name"]}, RECORDS)[
        "hits"
    ]
    assert set(hit["hits"][0]["_source"]) == {"id", "metadata"} and hit["hits"][0]["_id"] == "did:op:aa"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"aggs": {"x": {"terms": {"field": "y"}}}}, "aggs"),
        ({"query": {"fuzzy": {"a": "b"}}}, "query.fuzzy"),
        ({"query": {"bool": {"sometimes": []}}}, "query.bool.sometimes"),
        ({"query": {"query_string": {"query": "a", "fuzziness": 2}}}, "query.query_string.fuzziness"),
        ({"query": {"query_string": {"query": "(a"}}}, "unbalanced"),
        ({"query": {"query_string": {"query": 'a "b'}}}, "cannot read"),
        ({"query": {"query_string": {"query": "a OR +b"}}}, "beside OR"),
        ({"query": {"query_string": {"query": "NOT +b"}}}, "two signs"),
        ({"query": {"query_string": {"query": 'a:-"b"'}}}, "unexpected '-'"),
        ({"query": {"query_string": {"query": "a +"}}}, "a term is missing"),
        ({"query": {"match_all": {}, "term": {}}}, "one kind"),
        ({"from": -1}, "from"),
        ({"size": "many"}, "size"),
        ({"from": 9999, "size": 2}, "10000"),
        ({"suggest": {"x": 1}}, "suggest"),
    ],
)
def test_what_is_not_understood_is_named(body: Any, named: str) -> None:
    with pytest.raises(Unsupported, match=named):
        search(body, RECORDS)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"term": {"_id": "did:op:aa"}}, "a"),
        ({"terms": {"_id": ["did:op:aa", "did:op:cc"]}}, "ac"),
        ({"term": {"_index": "aquarius"}}, "abc"),
        ({"terms": {"_index": ["v510", "aquarius"]}}, "abc"),
        ({"terms": {"_index": ["op_ddo_v4.1.0"]}}, ""),
        ({"bool": {"filter": [{"terms": {"_index": ["aquarius"]}}, {"term": {"chainId": 1}}]}}, "c"),
        ({"exists": {"field": "_id"}}, "abc"),
        ({"query_string": {"query": "_id:did\\:op\\:bb"}}, "b"),
    ],
)
def test_what_hits_name_can_be_asked_for(query: Any, expected: str) -> None:
    assert found(query) == expected
    hit = search({"query": {"ids": {"values": ["did:op:aa"]}}}, RECORDS)["hits"]["hits"][0]
    assert (hit["_id"], hit["_index"]) == ("did:op:aa", "aquarius")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"sort": [{"_script": {}}]}, "_script"),
        ({"sort": "_geo_distance"}, "_geo_distance"),
        ({"query": {"term": {"_type": "_doc"}}}, "_type"),
        ({"query": {"terms": {"_routing": ["x"]}}}, "_routing"),
        ({"query": {"range": {"_seq_no": {"gte": 1}}}}, "_seq_no"),
        ({"query": {"prefix": {"_ignored": "x"}}}, "_ignored"),
        ({"query": {"exists": {"field": "_field_names"}}}, "_field_names"),
        ({"query": {"multi_match": {"query": "x", "fields": ["_all"]}}}, "_all"),
        ({"query": {"query_string": {"query": "x", "fields": ["_all"]}}}, "_all"),
        ({"query": {"query_string": {"query": "_source:x"}}}, "_source"),
        ({"query": {"query_string": {"query": "_exists_:_size"}}}, "_size"),
    ],
)
def test_fields_of_elasticsearch_itself_are_refused_by_name(body: Any, named: str) -> None:
    """An empty answer would mean that there is nothing."""
    with pytest.raises(Unsupported, match=named):
        search(body, RECORDS)


def test_sorting_by_rank_or_place_changes_nothing() -> None:
    assert found({"match_all": {}}, sort=["_score", {"_doc": "asc"}]) == "abc"


def test_nesting_ends() -> None:
    query: Any = {"match_all": {}}
    for _ in range(200):
        query = {"bool": {"must": [query]}}
    with pytest.raises(Unsupported):
        search({"query": query}, RECORDS)
    with pytest.raises(Unsupported):
        q("(" * 300 + "a" + ")" * 300)


@PATIENT
@given(st.text(max_size=60))
def test_any_text_is_answered_or_refused(text: str) -> None:
    with contextlib.suppress(Unsupported):
        q(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
KINDS = ["bool", "term", "terms", "match", "range", "ids", "exists", "prefix", "query_string", "multi_match"]


@PATIENT
@given(
    st.sampled_from(KINDS), JSON, st.dictionaries(st.sampled_from(["from", "size", "sort", "_source"]), JSON)
)
def test_any_body_is_answered_or_refused(kind: str, clause: Any, rest: Any) -> None:
    with contextlib.suppress(Unsupported):
        search({"query": {kind: clause}, **rest}, RECORDS)
