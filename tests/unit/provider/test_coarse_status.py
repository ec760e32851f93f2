"""What anybody may know of a job, and what only its owner: names, sizes, reasons, exit codes, exact times."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.assets.crypto import signatures, status_proofs
from c2d_box.workflow import ocean_status

SECRET = "patient-4711"
JOB = "f" * 32
FULL = {
    "agreementId": "0x01",
    "jobId": JOB,
    "owner": "0x" + "a" * 40,
    "status": 77,
    "statusText": "Outputs refused",
    "dateCreated": "1700000000.123456",
    "dateFinished": "1700000009.654321",
    "results": [
        {"filename": f"{SECRET}.csv", "filesize": 4711, "type": "output", "index": 0},
        {"filename": "algorithm.log", "filesize": 4711, "type": "algorithmLog", "index": 1},
    ],
    "stopreq": 0,
    "removed": 0,
    "algoDID": "raw",
    "inputDID": ["did:op:0"],
    "orders": [],
    "environment": "env",
    "reason": f"1 of the outputs refused, the first: {SECRET}",
    "exitCode": 47,
    "evidence": {"head": SECRET},
    "asset": None,
    "times": {"exited": "1700000008.471100"},
}


def test_the_coarse_status_has_nothing_that_an_algorithm_chose() -> None:
    public = ocean_status.public_status(FULL)
    text = json.dumps(public)
    assert SECRET not in text and "4711" not in text and "47," not in text
    assert [(entry["type"], entry["index"]) for entry in public["results"]] == [
        ("output", 0),
        ("algorithmLog", 1),
    ]
    assert {"status", "statusText", "dateCreated", "dateFinished", "results", "stopreq"} <= set(public)
    assert float(public["dateFinished"]) == 1700000009.0
    assert ocean_status.public_status({**FULL, "results": "", "dateFinished": None})["results"] == ""


def test_a_stranger_gets_the_coarse_one_and_the_owner_all(world: Any) -> None:
    owner, stranger = world.account(7), world.account(8)
    world.operator.jobs[JOB] = {**FULL, "owner": owner.address}

    def asked(proof: dict[str, str], **headers: str) -> str:
        query = "&".join(f"{key}={value}" for key, value in {"jobId": JOB, **proof}.items())
        answer = world.services(f"compute?consumerAddress={owner.address}&{query}", headers=headers)
        assert answer.status_code == 200, answer.text
        (job,) = answer.json()
        assert job["jobId"] == JOB
        return str(answer.text)

    now = time.time()
    good = status_proofs.status_proof(owner.key, owner.address, JOB, now)
    assert SECRET in asked(good) and SECRET in asked(good)  # reading uses no nonce up
    assert SECRET not in asked({})
    for bad in (
        status_proofs.status_proof(stranger.key, owner.address, JOB, now),
        status_proofs.status_proof(owner.key, owner.address, "0" * 32, now),
        status_proofs.status_proof(owner.key, owner.address, JOB, now - 400),
        {**good, "nonce": "x"},
        {**good, "signature": "0x12"},
    ):
        assert SECRET not in asked(bad)
    token = world.services(
        "createAuthToken?" + "&".join(f"{key}={value}" for key, value in _token(world, owner).items())
    ).json()["token"]
    assert SECRET in asked({}, AuthToken=token)


def _token(world: Any, account: Any) -> dict[str, str]:
    nonce = world.nonce(account)
    return {
        "address": account.address,
        "expiration": str(int(time.time()) + 600),
        "nonce": nonce,
        "signature": signatures.sign_text(account.key, account.address + nonce),
    }


@given(st.text(max_size=50), st.text("0123456789", max_size=20))
def test_no_message_of_another_call_is_a_proof(subject: str, nonce: str) -> None:
    """Theirs all begin with the caller's address."""
    key = b"\x07" * 32
    owner = signatures.address_of(key)
    signature = signatures.sign_text(key, owner + subject + nonce)
    assert not status_proofs.is_owner(owner, subject or None, nonce, signature, int(nonce or 0) / 1000)


@pytest.mark.parametrize("nonce", [None, "", "-1", "1e9", "9" * 400, "１", {}, 1.5])
def test_whatever_stands_for_the_time_there_is_an_answer(nonce: object) -> None:
    assert not status_proofs.is_owner("0x" + "a" * 40, None, nonce, "0x" + "1" * 130, time.time())
