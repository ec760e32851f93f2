"""The schema that others check with says what our own validation does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.assets.documents.json_schema import ddo_schema
from c2d_box.assets.documents.validation import VERSIONS, rule_breaches

PARAMETER = {
    "name": "n",
    "type": "text",
    "label": "l",
    "required": True,
    "description": "d",
    "default": "x",
    "options": ["a"],
}
DOCUMENT: dict[str, Any] = {
    "@context": ["https://w3id.org/did/v1"],
    "id": "did:op:" + "ab" * 32,
    "chainId": 8996,
    "nftAddress": "0x" + "ab" * 20,
    "metadata": {
        "name": "A name",
        "description": "Long enough to pass",
        "type": "algorithm",
        "author": "a",
        "license": "l",
        "links": ["https://example.com"],
        "tags": ["t"],
        "algorithm": {
            "container": {"entrypoint": "run", "image": "i", "tag": "t", "checksum": "sha256:ab"},
            "consumerParameters": [PARAMETER],
        },
    },
    "services": [
        {
            "id": "0",
            "type": "compute",
            "name": "name",
            "description": "Long enough to pass",
            "datatokenAddress": "0x" + "ab" * 20,
            "serviceEndpoint": "http://127.0.0.1",
            "files": "0x",
            "timeout": 0,
            "compute": {
                "allowRawAlgorithm": True,
                "allowNetworkAccess": False,
                "publisherTrustedAlgorithmPublishers": ["0x0"],
                "publisherTrustedAlgorithms": [
                    {"did": "d", "filesChecksum": "f", "containerSectionChecksum": "c"}
                ],
            },
        }
    ],
    "credentials": {"allow": [{"type": "address", "values": ["0x0"]}], "deny": []},
}
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "x", "ab", "did:op:x", "y" * 71, "y" * 300, "y" * 9000]),
    st.lists(st.text(max_size=3) | st.integers(), max_size=3),
    st.lists(st.just("x"), min_size=63, max_size=66),
    st.just({}),
)
PLACES = st.integers(0, 10_000)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in inner:
        yield (*path, key)
        yield from places(entry, (*path, key))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_good_document_passes_both(version: str) -> None:
    document = {**DOCUMENT, "version": version}
    assert list(rule_breaches(document, version)) == []
    assert jsonschema_rs.validator_for(ddo_schema(version)).is_valid(document)


@given(st.sampled_from(VERSIONS), st.lists(st.tuples(PLACES, VALUES), min_size=1, max_size=3))
def test_schema_and_validation_agree(version: str, changes: list[tuple[int, Any]]) -> None:
    document = json.loads(json.dumps({**DOCUMENT, "version": version}))
    known = list(places(document))
    for at, value in changes:
        *path, last = known[at % len(known)]
        target = document
        try:
            for step in path:
                target = target[step]
            target[last] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took this place away
    found = list(rule_breaches(document, version))
    assert jsonschema_rs.validator_for(ddo_schema(version)).is_valid(document) == (not found), found
