"""Who may ask: our header signatures, the original's forms where they are allowed, and no request twice."""

from __future__ import annotations

import time
from typing import Any

import pytest

from c2d_box.assets.crypto import signatures

KEY, STRANGER = "0x" + "11" * 32, "0x" + "22" * 32
OWNER = "0xE2DD09d719Da89e5a3D0F2549c7E24566e947260"
PATH = "/api/v1/operator/compute"


async def test_a_signed_request_is_answered(front: Any) -> None:
    assert (await front.call("GET", "/compute", owner=OWNER)).json() == []


async def test_a_request_is_good_once(front: Any) -> None:
    target = f"{PATH}?owner={OWNER}"
    headers = front.signed("GET", target)
    assert (await front.client.get(target, headers=headers)).status_code == 200
    again = await front.client.get(target, headers=headers)
    assert again.status_code == 400
    assert "used before" in again.json()["error"]


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("PUT", f"{PATH}?owner={OWNER}", b""),
        ("GET", f"{PATH}?owner=0xother", b""),
        ("GET", f"{PATH}?owner={OWNER}", b"x"),
    ],
)
async def test_a_signature_is_for_one_request_only(front: Any, method: str, target: str, body: bytes) -> None:
    headers = front.signed("GET", f"{PATH}?owner={OWNER}")
    answer = await front.client.request(method, target, content=body, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"].startswith("Invalid signature ")
    assert answer.json()["error"].endswith(" is not authorized to use this service.")


async def test_a_stranger_is_refused(front: Any) -> None:
    assert (await front.call("GET", "/compute", key=STRANGER, owner=OWNER)).status_code == 401


async def test_rubbish_is_no_signature(front: Any) -> None:
    answer = await front.client.get(
        f"{PATH}?owner={OWNER}", headers={"X-C2D-Signature": "0x12", "X-C2D-Nonce": "1"}
    )
    assert (answer.status_code, answer.json()) == (400, {"error": "Failed to recover address"})


@pytest.mark.parametrize("nonce", ["", "abc", "nan", "-1", "1e999"])
async def test_a_nonce_is_a_number(front: Any, nonce: str) -> None:
    target = f"{PATH}?owner={OWNER}"
    text = f"GET\n{target}\n{'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'}\n{nonce}"
    headers = {"X-C2D-Signature": signatures.sign_text(KEY, text), "X-C2D-Nonce": nonce}
    answer = await front.client.get(target, headers=headers)
    assert (answer.status_code, answer.json()) == (400, {"error": "Nonce is not a number."})


async def test_the_originals_signature_is_refused_by_default(front: Any) -> None:
    nonce = str(time.time_ns())
    query = {"owner": OWNER, "nonce": nonce, "providerSignature": signatures.sign_text(KEY, OWNER + nonce)}
    assert (await front.client.get(PATH, params=query)).status_code == 401


@pytest.mark.parametrize("with_nonce", [True, False])
async def test_the_originals_signatures_are_taken_where_they_are_allowed(
    bare_front: Any, with_nonce: bool
) -> None:
    nonce = str(time.time_ns())
    text = OWNER + "job" + (nonce if with_nonce else "")
    query = {
        "owner": OWNER,
        "jobId": "job",
        "nonce": nonce,
        "providerSignature": signatures.sign_text(KEY, text),
    }
    assert (await bare_front.client.get(PATH, params=query)).json() == []
    assert (await bare_front.client.get(PATH, params=query)).status_code == 400
