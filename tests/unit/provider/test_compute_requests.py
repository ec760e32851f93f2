"""Requests to start and to quote a job as values: a part of the wrong type never passes for a valid one."""

from __future__ import annotations

import time
from typing import Any

import pytest

from c2d_box.limits import JOB_DATASETS
from c2d_box.provider.errors import ProviderRefusal
from c2d_box.provider.requests.compute_requests import (
    InputReference,
    parse_container,
    parse_quote_request,
    parse_start_request,
)

DATASET = {"documentId": "did:op:1", "serviceId": 0, "transferTxId": "0x1", "userdata": '{"a": 1}'}


def start_data(**parts: Any) -> dict[str, Any]:
    return {"dataset": DATASET, "algorithm": {"meta": {"rawcode": "x"}}, **parts}


def quote_data(**compute: Any) -> dict[str, Any]:
    asked = {"env": "env", "validUntil": str(int(time.time()) + 60), **compute}
    return {"datasets": [DATASET], "algorithm": {}, "compute": asked, "consumerAddress": "0x2"}


def test_a_zero_names_a_service_and_an_absent_part_is_empty() -> None:
    request = parse_start_request(start_data(additionalDatasets=[{}, "no object"]))
    assert request.datasets == (
        InputReference("did:op:1", "0", "0x1", {"a": 1}),
        InputReference(),
        InputReference(),
    )
    assert (request.network_access, request.seconds, request.output) == (False, None, {})


@pytest.mark.parametrize("value", [True, "20", 1.5, [20]])
def test_seconds_that_are_no_whole_number_are_none_that_a_job_could_have(value: object) -> None:
    assert parse_start_request(start_data(seconds=value)).seconds == 0


@pytest.mark.parametrize("value", [1, 0, "true", "", {}])
def test_a_switch_that_is_neither_true_nor_false_asks_for_nothing(value: object) -> None:
    assert parse_start_request(start_data(networkAccess=value)).network_access is None
    assert parse_quote_request(quote_data(networkAccess=value)).network_access is None


def test_a_did_wins_over_raw_code_which_then_counts_for_nothing() -> None:
    named = {"documentId": "did:op:2", "meta": {"rawcode": "x" * 100, "container": {"image": "i"}}}
    algorithm = parse_start_request(start_data(algorithm=named)).algorithm
    assert (algorithm.asset.did, algorithm.raw) == ("did:op:2", None)
    assert algorithm.carried_bytes < 100


@pytest.mark.parametrize(("rawcode", "found"), [(None, ""), (0, ""), ("x", "x"), (5, None), (["x"], None)])
def test_code_is_text_or_refused_later(rawcode: object, found: str | None) -> None:
    raw = parse_start_request(start_data(algorithm={"meta": {"rawcode": rawcode}})).algorithm.raw
    assert raw is not None and raw.rawcode == found and raw.source is None


def test_a_container_holds_text_and_nothing_else_of_the_request() -> None:
    container = parse_container({"image": 5, "checksum": None, "entrypoint": "e", "more": 1})
    assert container.model_dump() == {"entrypoint": "e", "image": "5", "tag": "", "checksum": ""}


def test_too_many_datasets_are_refused_before_any_is_read() -> None:
    many = start_data(additionalDatasets=[DATASET] * JOB_DATASETS)
    with pytest.raises(ProviderRefusal) as refused:
        parse_start_request(many)
    assert refused.value.body["error"] == {"datasets": "too_many"}
    with pytest.raises(ProviderRefusal, match="400"):
        parse_quote_request({**quote_data(), "datasets": [DATASET] * (JOB_DATASETS + 1)})


def test_an_environment_is_found_by_its_own_name_only() -> None:
    assert parse_quote_request(quote_data(env=["env"])).environment == ""
