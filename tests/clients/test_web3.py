"""web3.py alone, with the published ABIs: contracts, events, filters, reverts, and its signatures at the
Provider. Nothing of c2d_box takes part on the client's side."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import httpx
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractLogicError
from web3.logs import DISCARD

from tests.harness.local_stack import LocalStack

ZERO = "0x" + "0" * 40


@pytest.fixture(scope="module")
def web3(world: LocalStack) -> Any:
    return Web3(HTTPProvider(world.chain_process.url))


def contract(web3: Any, name: str, address: str) -> Any:
    text = resources.files("artifacts").joinpath(f"{name}.json").read_text()
    return web3.eth.contract(address=web3.to_checksum_address(address), abi=json.loads(text)["abi"])


@pytest.fixture(scope="module")
def made(web3: Any, world: LocalStack) -> dict[str, Any]:
    """An NFT with a datatoken and a dispenser, created with an account that the node holds."""
    owner = web3.eth.accounts[3]
    addresses = world.chain_process.addresses
    factory = contract(web3, "ERC721Factory", addresses["ERC721Factory"])
    transaction = factory.functions.createNftWithErc20WithDispenser(
        ("An NFT", "NFT", 1, "", True, owner),
        (1, ["A datatoken", "DT"], [owner, ZERO, ZERO, ZERO], [web3.to_wei(1000, "ether"), 0], []),
        (addresses["Dispenser"], 10**18, 10**18, True, ZERO),
    ).transact({"from": owner})
    receipt = web3.eth.wait_for_transaction_receipt(transaction)
    (nft,) = factory.events.NFTCreated().process_receipt(receipt, errors=DISCARD)
    (datatoken,) = factory.events.TokenCreated().process_receipt(receipt, errors=DISCARD)
    return {
        "owner": owner,
        "nft": nft["args"]["newTokenAddress"],
        "datatoken": datatoken["args"]["newTokenAddress"],
        "receipt": receipt,
    }


def test_the_chain_is_the_one_of_barge(web3: Any) -> None:
    assert web3.is_connected() and web3.eth.chain_id == 8996
    assert len(web3.eth.accounts) >= 20
    assert web3.eth.accounts[3] == "0x02354A1F160A3fd7ac8b02ee91F04104440B28E7"


def test_contracts_answer_calls_and_events_are_found(
    web3: Any, world: LocalStack, made: dict[str, Any]
) -> None:
    datatoken = contract(web3, "ERC20Template", made["datatoken"])
    assert datatoken.functions.getERC721Address().call() == made["nft"]
    factory = contract(web3, "ERC721Factory", world.chain_process.addresses["ERC721Factory"])
    block = made["receipt"]["blockNumber"]
    found = factory.events.NFTCreated().get_logs(from_block=block, to_block=block)
    assert [entry["args"]["newTokenAddress"] for entry in found] == [made["nft"]]


def test_a_filter_reports_what_came_after_it(web3: Any, made: dict[str, Any]) -> None:
    datatoken = contract(web3, "ERC20Template", made["datatoken"])
    transfers = datatoken.events.Transfer().create_filter(from_block="latest")
    blocks = web3.eth.filter("latest")
    receiver = web3.eth.accounts[9]
    transaction = datatoken.functions.mint(receiver, 10**18).transact({"from": made["owner"]})
    receipt = web3.eth.wait_for_transaction_receipt(transaction)
    assert [entry["args"]["to"] for entry in transfers.get_new_entries()] == [receiver]
    assert receipt["blockHash"] in blocks.get_new_entries()
    assert transfers.get_new_entries() == []


def test_a_revert_carries_its_reason(web3: Any, made: dict[str, Any]) -> None:
    datatoken = contract(web3, "ERC20Template", made["datatoken"])
    with pytest.raises(ContractLogicError, match="NOT MINTER"):
        datatoken.functions.mint(made["owner"], 1).estimate_gas({"from": web3.eth.accounts[9]})


def test_a_wallet_sends_its_own_transactions(web3: Any) -> None:
    wallet = Account.create()
    gift = web3.eth.send_transaction({"from": web3.eth.accounts[0], "to": wallet.address, "value": 10**18})
    web3.eth.wait_for_transaction_receipt(gift)
    signed = wallet.sign_transaction(
        {
            "to": web3.eth.accounts[1],
            "value": 10**17,
            "nonce": web3.eth.get_transaction_count(wallet.address),
            "gas": 21_000,
            "maxFeePerGas": web3.eth.gas_price * 2,
            "maxPriorityFeePerGas": web3.eth.max_priority_fee,
            "chainId": web3.eth.chain_id,
        }
    )
    receipt = web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(signed.raw_transaction))
    assert receipt["status"] == 1 and receipt["from"] == wallet.address


@pytest.mark.parametrize("signed_by", ["the node", "a wallet"])
def test_an_order_of_web3_opens_a_download(web3: Any, world: LocalStack, signed_by: str) -> None:
    asset = world.publish(service="access", price=0)
    wallet = world.account(7)
    consumer = web3.to_checksum_address(wallet.address)
    provider = f"{world.provider_url}/api/services"
    about = {"documentId": asset.did, "serviceId": "0", "consumerAddress": consumer}
    with httpx.Client(trust_env=False, timeout=30) as client:
        fee = client.get(f"{provider}/initialize", params=about).json()["providerFee"]
        order = ordered(web3, world, asset.datatoken, consumer, fee)
        nonce = str(
            int(client.get(f"{provider}/nonce", params={"userAddress": consumer}).json()["nonce"]) + 1
        )
        digest = web3.keccak(text=asset.did + nonce)
        if signed_by == "the node":
            signature = web3.eth.sign(consumer, data=digest).to_0x_hex()
        else:
            key = Account.from_key(wallet.key)
            signature = key.sign_message(encode_defunct(primitive=digest)).signature.to_0x_hex()
        query = {**about, "transferTxId": order, "fileIndex": "0", "nonce": nonce, "signature": signature}
        answer = client.get(f"{provider}/download", params=query)
    assert (answer.status_code, answer.content) == (200, b"a,b\n1,2\n")


def ordered(web3: Any, world: LocalStack, datatoken: str, consumer: str, fee: dict[str, Any]) -> str:
    token = contract(web3, "ERC20Template", datatoken)
    publisher = web3.to_checksum_address(world.account(3).address)
    minted = token.functions.mint(consumer, 10**18).transact({"from": publisher})
    web3.eth.wait_for_transaction_receipt(minted)
    fees = (
        fee["providerFeeAddress"],
        fee["providerFeeToken"],
        int(fee["providerFeeAmount"]),
        fee["v"],
        fee["r"],
        fee["s"],
        fee["validUntil"],
        fee["providerData"],
    )
    sent = token.functions.startOrder(consumer, 0, fees, (ZERO, ZERO, 0)).transact({"from": consumer})
    receipt = web3.eth.wait_for_transaction_receipt(sent)
    assert receipt["status"] == 1
    return str(receipt["transactionHash"].to_0x_hex())
