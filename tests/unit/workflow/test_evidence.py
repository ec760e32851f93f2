"""The evidence record: sound as it is made; one flipped byte is found, wherever it is."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2d_box.assets.crypto import signatures
from c2d_box.workflow import evidence, resource

KEY, OTHER = "0x" + "11" * 32, "0x" + "22" * 32
FILES = [
    {"filename": "metrics.json", "type": "output", "size": 3, "sha256": "a" * 64},
    {"filename": "algorithm.log", "type": "algorithmLog", "size": 0, "sha256": "b" * 64},
]


def made() -> dict[str, Any]:
    spec = {
        "owner": "0x" + "3" * 40,
        "agreementId": "0xorder",
        "environment": "e",
        "stages": [
            {
                "input": [{"id": "did:op:" + "a" * 64, "remote": {"txId": "0x1", "serviceId": "s"}}],
                "algorithm": {"rawcode": "print(1)", "container": {"entrypoint": "x", "image": "i"}},
            }
        ],
    }
    workflow = resource.parse_workflow(resource.build_workflow("0" * 32, spec, 1.0))
    return evidence.evidence_record(workflow, FILES, {"seconds": 60}, KEY)


def test_a_record_is_sound_and_the_same_when_asked_for_again() -> None:
    assert evidence.evidence_problems(made()) == []
    assert made() == made()
    assert made()["signer"] == signatures.address_of(KEY)
    assert evidence.evidence_facts(made(), "order")["inputs"][0]["txId"] == "0x1"
    assert "print" not in json.dumps(made())


@settings(deadline=None, max_examples=150)
@given(position=st.integers(0, 10_000), bit=st.integers(0, 6))
def test_one_flipped_bit_is_found(position: int, bit: int) -> None:
    text = bytearray(json.dumps(made()).encode())
    text[position % len(text)] ^= 1 << bit
    try:
        altered = json.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return
    if altered == made():
        return
    assert not isinstance(altered, dict) or evidence.evidence_problems(altered)


@pytest.mark.parametrize("kind", ["order", "run", "isolation", "outputs"])
def test_a_record_altered_with_all_hashes_made_new_is_not_the_signers(kind: str) -> None:
    altered = copy.deepcopy(made())
    entry = next(entry for entry in altered["entries"] if entry["kind"] == kind)
    entry["facts"]["extra"] = "smuggled"
    previous = altered["entries"][0]["previous"]
    for entry in altered["entries"]:
        entry["previous"] = previous
        entry["hash"] = previous = evidence._digest(previous, entry["kind"], entry["facts"])
    altered["head"] = previous
    assert evidence.evidence_problems(altered) == ["the signature is not the signer's"]
    text = f"c2d-evidence v1\n{altered['job']}\n{altered['head']}"
    altered["signature"] = signatures.sign_text(OTHER, text)
    altered["signer"] = signatures.address_of(OTHER)
    assert (
        evidence.evidence_problems(altered) == []
    )  # sound in itself: who the signer must be, the chain says
    assert altered["signer"] != made()["signer"]


@pytest.mark.parametrize("rubbish", [{}, {"entries": 1}, {"entries": [1]}, {"entries": [{}], "head": 1}])
def test_what_is_no_record_is_told_so(rubbish: dict[str, Any]) -> None:
    assert evidence.evidence_problems({**made(), **rubbish} if rubbish else {}) != []
