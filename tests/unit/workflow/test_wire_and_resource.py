"""The wire's oddities, a WorkFlow's moments, the log gate."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box import timestamps
from c2d_box.workflow import jobtable, names, ocean_status, resource, states
from c2d_box.workflow.environments import Environment
from c2d_box.workflow.loggate import LogGate


def workflow(**status: object) -> resource.WorkFlow:
    body = resource.build_workflow(
        "j",
        {
            "environment": "e",
            "owner": "0xA",
            "stages": [
                {"input": [{"id": "did:op:a"}], "algorithm": {"container": {"entrypoint": "x", "image": "i"}}}
            ],
        },
        1_700_000_000.25,
    )
    body["metadata"]["creationTimestamp"] = timestamps.rfc3339_text(1_700_000_000)
    return resource.parse_workflow({**body, "status": status})


def test_a_new_job_warms_up_with_a_fraction_of_a_second() -> None:
    status = ocean_status.owner_status(workflow())
    assert (status["status"], status["statusText"], status["dateCreated"]) == (
        1,
        "Warming up",
        "1700000000.250000",
    )
    assert (status["results"], status["dateFinished"], status["algoDID"]) == ("", None, "raw")


def test_no_results_are_an_empty_text_and_never_an_empty_list() -> None:
    assert ocean_status.owner_status(workflow(results=[]))["results"] == ""


def test_an_incredible_time_of_acceptance_is_not_believed() -> None:
    body = resource.build_workflow(
        "j",
        {"environment": "e", "stages": [{"algorithm": {"container": {"entrypoint": "x", "image": "i"}}}]},
        5.0,
    )
    body["metadata"]["creationTimestamp"] = timestamps.rfc3339_text(1_700_000_000)
    assert resource.parse_workflow(body).at("accepted") == 1_700_000_000


def test_running_has_its_blank_and_only_failed_provisioning_has_31_and_32() -> None:
    assert states.state_text(40) == "Running algorithm "
    assert states.state_text(12345) == "Unknown status"
    assert all(code > 60 or code in (31, 32) for code in states.FINAL)
    assert all(code in states.TEXTS for code in states.State)


def test_an_image_goes_by_digest_where_there_is_one() -> None:
    given_digest = resource.AlgorithmContainer(entrypoint="x", image="i", tag="t", checksum="sha256:1")
    assert given_digest.reference == "i@sha256:1"
    assert resource.AlgorithmContainer(entrypoint="x", image="i", tag="t").reference == "i:t"


@given(st.floats(0, 4e9))
def test_moments_survive_their_text(seconds: float) -> None:
    assert timestamps.rfc3339_seconds(timestamps.rfc3339_text(seconds)) == pytest.approx(seconds, abs=1e-5)


def test_an_environments_numbers_are_numbers() -> None:
    announced = Environment(id="e", price_min=0, ramGB=1.5).announced(current_jobs=2, last_seen=1.5)
    assert announced["priceMin"] == 0
    assert isinstance(announced["priceMin"], int)
    assert (announced["ramGB"], announced["currentJobs"], announced["lastSeen"]) == (1.5, 2, "1.500000")
    assert "allowedChainId" not in announced


def test_the_row_of_a_job_holds_what_its_owner_called_things() -> None:
    row = jobtable.job_row(workflow(results=[{"filename": "結果.csv", "filesize": 1, "type": "output"}]))
    assert "結果.csv" in row["outputs"]
    assert row["created"].tzinfo is None


@given(st.lists(st.binary(max_size=50)), st.integers(1, 500))
def test_the_log_gate_lets_nothing_hidden_through_and_keeps_its_budget(
    chunks: list[bytes], budget: int
) -> None:
    gate = LogGate(budget)
    passed = b"".join(gate.filter_bytes(chunk) for chunk in chunks)
    end = gate.finish_log()
    assert len(passed) <= budget
    text = (passed + end).decode()
    assert all(char in "\n\t" or char.isprintable() or unicodedata.category(char) == "Zs" for char in text)


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=200), st.integers(1, 7))
def test_ordinary_text_in_any_script_passes_unchanged(text: str, size: int) -> None:
    gate, raw = LogGate(10_000), text.replace("\xa0", " ").encode()
    passed = (
        b"".join(gate.filter_bytes(raw[at : at + size]) for at in range(0, len(raw), size))
        + gate.finish_log()
    )
    expected = "".join(char for char in raw.decode())
    if expected.isprintable():
        assert passed.decode() == expected


def test_names_of_a_jobs_objects_fit() -> None:
    job = "f" * 40
    longest = max(len(names.pod_name(job, component, 99)) for component in names.COMPONENTS)
    assert longest <= 63
    assert names.pod_name(job, "algorithm") == f"{job}-algorithm"
    assert names.bare_did("did:op:ab") == "ab"
