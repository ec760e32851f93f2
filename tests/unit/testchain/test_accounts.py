"""Keys from the mnemonic and signatures made with them."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data

from sandbox.testchain.accounts import derive_accounts
from sandbox.testchain.json_rpc.encoding import checksum_address
from sandbox.testchain.json_rpc.rpc_errors import RpcFault
from sandbox.testchain.settings import BARGE_MNEMONIC

BARGE = {
    0: "0xe2DD09d719Da89e5a3D0F2549c7E24566e947260",
    1: "0xBE5449a6A97aD46c8558A3356267Ee5D2731ab5e",
    3: "0x02354A1F160A3fd7ac8b02ee91F04104440B28E7",
    7: "0x529043886F21D9bc1AE0feDb751e34265a246e47",
    8: "0xe08A1dAe983BC701D05E492DB80e0144f8f4b909",
}
TYPED = {
    "types": {
        "EIP712Domain": [{"name": "name", "type": "string"}, {"name": "chainId", "type": "uint256"}],
        "Order": [{"name": "datatoken", "type": "address"}, {"name": "amount", "type": "uint256"}],
    },
    "domain": {"name": "Ocean", "chainId": 8996},
    "primaryType": "Order",
    "message": {"datatoken": BARGE[0], "amount": 5},
}


@pytest.mark.parametrize("index", sorted(BARGE))
def test_the_mnemonic_gives_barges_accounts(index: int) -> None:
    assert checksum_address(derive_accounts(BARGE_MNEMONIC, 20)[index].address) == BARGE[index]


def test_derivation_agrees_with_eth_account() -> None:
    Account.enable_unaudited_hdwallet_features()
    theirs = Account.from_mnemonic(BARGE_MNEMONIC, account_path="m/44'/60'/0'/0/19")
    ours = derive_accounts(BARGE_MNEMONIC, 20)[19]
    assert (ours.key, checksum_address(ours.address)) == (bytes(theirs.key), theirs.address)


def test_keys_are_not_shown() -> None:
    account = derive_accounts(BARGE_MNEMONIC, 1)[0]
    assert account.key.hex() not in repr(account)


@pytest.mark.parametrize("method", ["personal_sign", "eth_sign"])
def test_signed_messages_recover_to_the_signer(chain: Any, method: str) -> None:
    message = b"c2d-box"
    parts = ["0x" + message.hex(), chain.accounts[1]]
    signature = chain.call(method, *(parts if method == "personal_sign" else parts[::-1]))
    assert Account.recover_message(encode_defunct(message), signature=signature) == BARGE[1]


@pytest.mark.parametrize("as_text", [True, False])
def test_typed_data_recovers_to_the_signer(chain: Any, as_text: bool) -> None:
    import json

    signature = chain.call("eth_signTypedData_v4", chain.accounts[1], json.dumps(TYPED) if as_text else TYPED)
    assert Account.recover_message(encode_typed_data(full_message=TYPED), signature=signature) == BARGE[1]


def test_only_held_accounts_sign(chain: Any) -> None:
    with pytest.raises(RpcFault, match="unknown account"):
        chain.call("personal_sign", "0x00", "0x" + "11" * 20)
