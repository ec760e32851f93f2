"""Parameter rules: which texts come, in which order, and where validation ends."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from c2d_box.provider.requests import fields
from c2d_box.provider.settings import FetchSection

PATIENT = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def texts(rules: tuple[fields.RequestField, ...], data: dict[str, Any]) -> dict[str, Any]:
    return fields.check_fields(data, rules).errors


def test_a_start_of_nothing_reports_only_its_first_field() -> None:
    checked = fields.check_fields({}, fields.START)
    assert checked.bailed
    assert checked.errors == {"dataset.documentId": ["The dataset.documentId field is required."]}


def test_an_empty_text_is_missing_and_zero_is_present() -> None:
    empty = {"dataset": {"documentId": "", "serviceId": 0}}
    assert texts(fields.START, empty) == {"dataset.documentId": ["The dataset.documentId field is required."]}
    result = {"jobId": "j", "index": 0, "consumerAddress": "0x1", "nonce": 1}
    assert texts(fields.RESULT, result) == {}
    assert texts(fields.RESULT, {**result, "index": "0"}) == {}


def test_errors_before_a_bail_are_reported_with_it() -> None:
    data = {"dataset": {"documentId": "did:op:x", "serviceId": "0"}}
    assert texts(fields.START, data) == {
        "dataset.transferTxId": ["The dataset.transferTxId field is required."],
        "algorithm.documentId": [
            "The algorithm.documentId field is required when algorithm.meta is not present."
        ],
        "algorithm.meta": ["The algorithm.meta field is required when algorithm.documentId is not present."],
        "consumerAddress": ["The consumerAddress field is required."],
    }


@pytest.mark.parametrize(
    ("rules", "data", "field", "text"),
    [
        (fields.NONCE, {}, "userAddress", "The userAddress field is required."),
        (fields.STOP, {"consumerAddress": "0x", "nonce": "x"}, "nonce", "The nonce must be a number."),
        (fields.STOP, {"consumerAddress": "0x", "nonce": "NaN"}, "nonce", "The nonce must be a number."),
        (fields.STOP, {"consumerAddress": "0x", "nonce": True}, "nonce", "The nonce must be a number."),
        (
            fields.STOP,
            {"consumerAddress": "0x", "nonce": 2**60},
            "nonce",
            "The nonce must be at most 9007199254740991.",
        ),
        (fields.STOP, {"consumerAddress": "0x"}, "nonce", "The nonce field is required."),
        (fields.STATUS, {}, "consumerAddress", "The consumerAddress field is required."),
        (fields.INITIALIZE, {"fileIndex": "a"}, "consumerAddress", "The consumerAddress field is required."),
        (
            fields.INITIALIZE,
            {"documentId": "d", "serviceId": "0", "consumerAddress": "0x", "fileIndex": "a"},
            "fileIndex",
            "The fileIndex must be an integer.",
        ),
        (
            fields.INITIALIZE,
            {"documentId": "d", "serviceId": "0", "consumerAddress": "0x", "fileIndex": "-1"},
            "fileIndex",
            "The fileIndex must be at least 0.",
        ),
        (fields.FILEINFO, {}, "type", "The type field is required when did is not present."),
        (fields.FILEINFO, {"type": "ftp"}, "type", "The selected type is invalid."),
        (fields.FILEINFO, {"did": "x", "serviceId": "0"}, "did", "The did format is invalid."),
        (fields.FILEINFO, {"type": "url"}, "url", "The url field is required."),
        (
            fields.FILEINFO,
            {"did": "did:op:a"},
            "serviceId",
            "The serviceId field is required when type is not present.",
        ),
        (
            fields.INITIALIZE_COMPUTE,
            {"compute": {"validUntil": "soon"}},
            "compute.validUntil",
            "The compute.validUntil must be an integer.",
        ),
        (fields.INITIALIZE_COMPUTE, {}, "compute.env", "The compute.env field is required."),
        (
            fields.CREATE_TOKEN,
            {"address": "0x", "expiration": 1},
            "expiration",
            "Invalid timestamp provided.",
        ),
    ],
)
def test_texts(rules: tuple[fields.RequestField, ...], data: dict[str, Any], field: str, text: str) -> None:
    assert texts(rules, data)[field] == [text]


def test_a_missing_token_signature_is_a_missing_field_too() -> None:
    data = {"address": "0x", "expiration": int(time.time()) + 60, "nonce": 1}
    assert texts(fields.CREATE_TOKEN, data) == {"signature": ["The signature field is required."]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
ALL = (
    fields.NONCE,
    fields.DECRYPT,
    fields.FILEINFO,
    fields.INITIALIZE,
    fields.INITIALIZE_COMPUTE,
    fields.DOWNLOAD,
    fields.START,
    fields.STOP,
    fields.RESULT,
    fields.CREATE_TOKEN,
    fields.DELETE_TOKEN,
)


@PATIENT
@given(
    st.sampled_from(ALL),
    st.dictionaries(
        st.sampled_from(["nonce", "dataset", "algorithm", "compute", "fileIndex", "type", "did"]), JSON
    ),
)
def test_any_data_is_judged(rules: tuple[fields.RequestField, ...], data: dict[str, Any]) -> None:
    fields.check_fields(data, rules)


def test_each_type_behind_a_gateway_has_a_setting() -> None:
    assert FetchSection(ipfs_gateway="http://i").gateways == {"ipfs": "http://i", "arweave": None}
