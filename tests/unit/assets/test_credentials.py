"""Credential lists and NFT states: who may use an asset at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from c2d_box.assets import credentials
from c2d_box.assets.documents.ddo import DDO

ALICE, BOB, ENVIRONMENT = "0x" + "aA" * 20, "0x" + "bB" * 20, "0x" + "cC" * 20


def ddo(allow: Any = (), deny: Any = (), **changes: Any) -> DDO:
    def entries(values: Any) -> Any:
        return [{"type": "address", "values": list(values)}] if values else []

    fields: dict[str, Any] = {
        "id": "did:op:1",
        "chainId": 8996,
        "metadata": {"name": "n"},
        "nft": {"address": ALICE, "state": 0},
        "credentials": {"allow": entries(allow), "deny": entries(deny)},
    }
    return DDO.parse({**fields, **changes})


@pytest.mark.parametrize(
    ("allow", "deny", "code"),
    [
        ((), (), None),
        ((ALICE,), (), None),
        ((ALICE.lower(),), (), None),
        ((BOB,), (), "CREDENTIAL_NOT_IN_ALLOW_LIST"),
        ((), (ALICE.upper().replace("0X", "0x"),), "CREDENTIAL_IN_DENY_LIST"),
        ((), (BOB,), None),
        ((ALICE,), (ALICE,), None),
        ((BOB,), (ALICE,), "CREDENTIAL_NOT_IN_ALLOW_LIST"),
    ],
)
def test_an_allow_list_decides_alone_else_the_deny_list(allow: Any, deny: Any, code: str | None) -> None:
    assert credentials.check_credentials(ddo(allow, deny), ALICE) == code


def test_only_the_first_address_entry_of_a_list_counts() -> None:
    listed = [
        {"type": "role", "values": [BOB]},
        {"type": "address", "values": [ALICE]},
        {"type": "address", "values": [BOB]},
    ]
    assert credentials.check_credentials(ddo(credentials={"allow": listed}), ALICE) is None
    assert (
        credentials.check_credentials(ddo(credentials={"allow": listed}), BOB)
        == "CREDENTIAL_NOT_IN_ALLOW_LIST"
    )


def test_old_records_carry_the_lists_as_text() -> None:
    text = json.dumps({"deny": [{"type": "address", "values": [ALICE]}]})
    assert credentials.check_credentials(ddo(credentials=text), ALICE) == "CREDENTIAL_IN_DENY_LIST"


def test_unreadable_lists_let_nobody_in() -> None:
    assert credentials.check_credentials(ddo(credentials="{broken"), ALICE) == "CREDENTIAL_NOT_IN_ALLOW_LIST"
    assert credentials.check_credentials(ddo(credentials=[1]), ALICE) == "CREDENTIAL_NOT_IN_ALLOW_LIST"


@pytest.mark.parametrize("nothing", [None, "", {}, []])
def test_no_lists_let_everybody_in(nothing: Any) -> None:
    assert credentials.check_credentials(ddo(credentials=nothing), ALICE) is None


def test_environments_fetch_for_a_consumer_already_judged() -> None:
    assert credentials.check_credentials(ddo((ALICE,)), ENVIRONMENT.lower(), [ENVIRONMENT]) is None
    assert credentials.access_refusal(ddo((ALICE,)), ENVIRONMENT, 0, [ENVIRONMENT]) is None


@pytest.mark.parametrize(
    ("changes", "state", "text"),
    [
        ({}, 0, None),
        ({}, 5, None),
        ({}, 3, "Asset is not consumable."),
        ({}, 4, "Asset is not consumable."),
        ({}, None, "Asset is not consumable."),
        ({"nft": None}, 0, "Asset malformed or disabled."),
        ({"chainId": 0}, 0, "Asset malformed or disabled."),
        (
            {"nft": {"address": ALICE, "state": 2}},
            0,
            "Error: Access to asset did:op:1 was denied with code: ConsumableCodes.ASSET_DISABLED.",
        ),
    ],
)
def test_the_nfts_state_on_chain_and_in_the_cache(changes: Any, state: int | None, text: str | None) -> None:
    assert credentials.access_refusal(ddo(**changes), ALICE, state) == text


@pytest.mark.parametrize("told", [[], {}, ["a"], True, False, "0", None, 0.5])
def test_a_state_that_is_no_number_disables_the_asset(told: Any) -> None:
    """A cache may say anything; it used to end in a 503."""
    text = credentials.access_refusal(ddo(nft={"address": ALICE, "state": told}), ALICE, 0)
    assert text is not None and text.endswith("ASSET_DISABLED.")


def test_the_text_names_the_code() -> None:
    assert credentials.access_refusal(ddo((BOB,)), ALICE, 0) == (
        "Error: Access to asset did:op:1 was denied with code: ConsumableCodes.CREDENTIAL_NOT_IN_ALLOW_LIST."
    )
