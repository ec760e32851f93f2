"""What makes a DDO publishable, version by version."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.assets.did import did_for
from c2d_box.assets.documents.validation import VERSIONS, validate_ddo

NFT = "0x1234567890AbcdEF1234567890aBcdef12345678"


def document(version: str = "4.1.0") -> dict[str, Any]:
    parameter = {
        "name": "n",
        "type": "number",
        "label": "l",
        "required": True,
        "description": "d",
        "default": "1",
        "options": "[]",
    }
    return {
        "@context": ["https://w3id.org/did/v1"],
        "id": did_for(NFT, 8996),
        "version": version,
        "chainId": 8996,
        "nftAddress": NFT,
        "metadata": {
            "created": "2024-01-02T03:04:05Z",
            "updated": "2024-01-02T03:04:05.123",
            "name": "Name of it",
            "description": "What it is about",
            "type": "algorithm",
            "author": "a",
            "license": "l",
            "tags": ["t", "t"],
            "links": [],
            "algorithm": {
                "container": {"entrypoint": "python", "image": "i", "tag": "t", "checksum": "sha256:0"},
                "consumerParameters": [dict(parameter)],
            },
        },
        "services": [
            {
                "id": "1",
                "type": "compute",
                "datatokenAddress": NFT,
                "serviceEndpoint": "http://provider",
                "files": "0x00",
                "timeout": 0,
                "compute": {
                    "allowRawAlgorithm": False,
                    "allowNetworkAccess": False,
                    "publisherTrustedAlgorithms": [
                        {"did": "did:op:1", "filesChecksum": "", "containerSectionChecksum": ""}
                    ],
                    "publisherTrustedAlgorithmPublishers": ["0x0"],
                },
                "consumerParameters": [dict(parameter)],
            }
        ],
        "credentials": {"allow": [], "deny": [{"type": "address", "values": ["0x0"]}]},
        "anything": {"else": ["passes"]},
    }


def changed(path: str, value: Any, version: str = "4.1.0") -> dict[str, str]:
    """The errors once ``path`` holds ``value`` (``...`` removes it)."""
    whole = document(version)
    *parents, leaf = [int(p) if p.isdigit() else p for p in path.split(".")]
    node: Any = whole
    for part in parents:
        node = node[part]
    if value is ...:
        del node[leaf]
    else:
        node[leaf] = value
    return validate_ddo(whole)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_complete_ddo_is_valid_in_every_version(version: str) -> None:
    assert validate_ddo(document(version)) == {}


REQUIRED = [
    "metadata.name",
    "metadata.description",
    "metadata.type",
    "metadata.author",
    "metadata.license",
    "metadata.algorithm.container",
    "metadata.algorithm.container.entrypoint",
    "metadata.algorithm.container.image",
    "metadata.algorithm.container.tag",
    "metadata.algorithm.container.checksum",
    "services.0.id",
    "services.0.type",
    "services.0.datatokenAddress",
    "services.0.serviceEndpoint",
    "services.0.files",
    "services.0.timeout",
    "services.0.compute.allowRawAlgorithm",
    "services.0.compute.allowNetworkAccess",
    "services.0.compute.publisherTrustedAlgorithms.0.did",
    "services.0.compute.publisherTrustedAlgorithms.0.filesChecksum",
    "services.0.compute.publisherTrustedAlgorithms.0.containerSectionChecksum",
    "services.0.consumerParameters.0.default",
    "services.0.consumerParameters.0.required",
    "credentials.deny.0.values",
]


@pytest.mark.parametrize("path", REQUIRED)
@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_required_is_named_with_its_place(path: str, version: str) -> None:
    for absent in (..., None):
        errors = changed(path, absent, version)
        spelt = ".".join(f"{p}" for p in path.split("."))
        assert [e.replace("[", ".").replace("]", "") for e in errors] == [spelt]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("@context", "text", "Context is missing or invalid."),
        ("chainId", 0, "chainId is missing or invalid."),
        ("nftAddress", "0x12", "nftAddress is missing or invalid."),
        ("id", "did:op:" + "0" * 64, "did is not valid for chain Id and nft address"),
        ("metadata.created", "yesterday", "created is not an ISO 8601 date."),
        ("metadata.name", 5, "name has to be a text."),
        ("services", [], "services needs at least one item."),
        ("services.0.timeout", "60", "timeout has to be a whole number."),
        ("services.0.timeout", True, "timeout has to be a whole number."),
        ("services.0.compute.allowRawAlgorithm", "true", "allowRawAlgorithm has to be true or false."),
        (
            "services.0.compute.publisherTrustedAlgorithms",
            ["*"],
            "publisherTrustedAlgorithms has to be a list of objects.",
        ),
        ("services.0.consumerParameters.0.options", [{"a": "b"}], "options has to be a list of texts."),
        ("metadata.tags", ["a", 1], "tags has to be a list of texts."),
    ],
)
def test_what_is_wrong_is_said(path: str, value: Any, message: str) -> None:
    assert message in changed(path, value).values()


@pytest.mark.parametrize(
    ("path", "value", "refusing"),
    [
        ("metadata.name", "abc", {"4.5.0"}),
        ("metadata.name", "n" * 513, {"4.3.0", "4.5.0"}),
        ("metadata.description", "short", {"4.5.0"}),
        ("metadata.description", "d" * 7001, {"4.3.0", "4.5.0"}),
        ("metadata.algorithm.container.checksum", "sha256", {"4.3.0", "4.5.0"}),
        ("metadata.algorithm.container.tag", "", {"4.5.0"}),
        ("metadata.links", ["l"] * 65, {"4.3.0", "4.5.0"}),
        ("services.0.name", "abc", {"4.3.0", "4.5.0"}),
        ("services.0.files", "0" * 8193, {"4.3.0", "4.5.0"}),
        ("services.0.serviceEndpoint", "http://p", {"4.3.0", "4.5.0"}),
        ("services", [], {"4.0.0", "4.1.0", "4.3.0"}),
    ],
)
def test_limits_hold_from_the_version_that_brought_them(path: str, value: Any, refusing: set[str]) -> None:
    assert {v for v in VERSIONS if changed(path, value, v)} == refusing


@pytest.mark.parametrize("version", [None, "", "3.0.0", 4])
def test_an_unknown_version_is_the_only_complaint(version: Any) -> None:
    assert list(validate_ddo({"version": version})) == ["version"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(max_size=5), c, max_size=3),
        max_leaves=5,
    ),
    st.sampled_from(["metadata", "services", "credentials", "id", "chainId", "nftAddress", "@context"]),
    st.sampled_from(VERSIONS),
)
def test_any_json_gets_an_answer(value: Any, key: str, version: str) -> None:
    broken = copy.deepcopy(document(version))
    broken[key] = value
    errors = validate_ddo(broken)
    assert all(isinstance(p, str) and isinstance(m, str) for p, m in errors.items())
