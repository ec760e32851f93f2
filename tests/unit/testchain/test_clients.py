"""web3.py against the node, and eth-tester (what Python developers know) agreeing on results."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from web3 import Web3
from web3.exceptions import ContractLogicError, TransactionNotFound

from sandbox.testchain.accounts import derive_accounts
from sandbox.testchain.deployment.contract_plans import load_artifact
from sandbox.testchain.local_chain import LocalChain, running_chain
from sandbox.testchain.settings import BARGE_MNEMONIC


@pytest.fixture(scope="module")
def served() -> Iterator[LocalChain]:
    with running_chain() as chain:
        yield chain


@pytest.fixture(scope="module")
def web3(served: LocalChain) -> Any:
    return Web3(Web3.HTTPProvider(served.url))


def token(web3: Any, address: str) -> Any:
    return web3.eth.contract(web3.to_checksum_address(address), abi=load_artifact("OceanToken")["abi"])


def test_an_ocean_asset_is_created_and_found_again(web3: Any, served: LocalChain) -> None:
    publisher = web3.eth.accounts[3]
    factory: Any = web3.eth.contract(
        web3.to_checksum_address(served.addresses["ERC721Factory"]), abi=load_artifact("ERC721Factory")["abi"]
    )
    zero = "0x" + "00" * 20
    created = factory.functions.deployERC721Contract("Data", "D", 1, zero, zero, "", True, publisher)
    receipt = web3.eth.wait_for_transaction_receipt(created.transact({"from": publisher}))
    (event,) = factory.events.NFTCreated().process_receipt(receipt, errors=_discard())
    found = factory.events.NFTCreated().get_logs(from_block=served.addresses["startBlock"])
    assert event in found
    nft: Any = web3.eth.contract(event.args.newTokenAddress, abi=load_artifact("ERC721Template")["abi"])
    assert (nft.functions.name().call(), nft.functions.ownerOf(1).call()) == ("Data", publisher)


def _discard() -> Any:
    from web3.logs import DISCARD

    return DISCARD


def test_signed_transactions_with_chosen_fees(web3: Any) -> None:
    account = web3.eth.account.from_key(derive_accounts(BARGE_MNEMONIC, 5)[4].key)
    tx = {"to": web3.eth.accounts[0], "value": 1, "from": account.address, "nonce": 0, "chainId": 8996}
    filled = {
        **tx,
        "gas": web3.eth.estimate_gas(tx),
        "maxFeePerGas": 2,
        "maxPriorityFeePerGas": web3.eth.max_priority_fee,
    }
    sent = web3.eth.send_raw_transaction(account.sign_transaction(filled).raw_transaction)
    assert web3.eth.wait_for_transaction_receipt(sent)["status"] == 1
    assert web3.eth.get_transaction(sent)["type"] == 2


def test_reverts_become_contract_logic_errors(web3: Any, served: LocalChain) -> None:
    ocean = token(web3, served.addresses["Ocean"])
    with pytest.raises(ContractLogicError, match="caller is not the owner"):
        ocean.functions.mint(web3.eth.accounts[1], 1).call({"from": web3.eth.accounts[1]})
    with pytest.raises(ContractLogicError, match="transfer amount exceeds balance"):
        ocean.functions.transfer(web3.eth.accounts[1], 1).transact({"from": web3.eth.accounts[15]})


def test_unknown_things_raise_web3s_own_errors(web3: Any) -> None:
    with pytest.raises(TransactionNotFound):
        web3.eth.get_transaction("0x" + "00" * 32)


def test_filters_and_fee_history(web3: Any) -> None:
    blocks = web3.eth.filter("latest")
    web3.eth.send_transaction(
        {"from": web3.eth.accounts[5], "to": web3.eth.accounts[6], "value": web3.to_wei(1, "wei")}
    )
    assert blocks.get_new_entries() == [web3.eth.get_block("latest")["hash"]]
    assert web3.eth.fee_history(2, "latest", [50.0])["baseFeePerGas"] == [1, 1, 1]


def test_batches(web3: Any) -> None:
    with web3.batch_requests() as batch:
        batch.add(web3.eth.get_block("earliest"))
        batch.add(web3.eth.get_block("latest"))
        first, last = batch.execute()
    assert first["number"] == 0 < last["number"]


def test_eth_tester_agrees_on_gas_and_results(web3: Any) -> None:
    """The same creation and calls on eth-tester's py-evm: same gas, same runtime code, same answers."""
    reference = _eth_tester()
    artifact = load_artifact("OceanToken")
    outcomes = []
    for client in (web3, reference):
        owner = client.eth.accounts[0]
        creation: Any = client.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
        deployed = client.eth.wait_for_transaction_receipt(
            creation.constructor(owner).transact({"from": owner})
        )
        ocean = token(client, str(deployed["contractAddress"]))
        minted = ocean.functions.mint(client.eth.accounts[1], 5).transact({"from": owner, "gas": 200_000})
        receipt = client.eth.wait_for_transaction_receipt(minted)
        outcomes.append(
            (
                deployed["gasUsed"],
                receipt["gasUsed"],
                receipt["status"],
                [bytes(topic) for topic in receipt["logs"][0]["topics"][:2]],
                ocean.functions.balanceOf(client.eth.accounts[1]).call(),
            )
        )
    assert outcomes[0] == outcomes[1]


def _eth_tester() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from eth_tester import EthereumTester, PyEVMBackend
        from web3.providers.eth_tester import EthereumTesterProvider

        backend = PyEVMBackend.from_mnemonic(BARGE_MNEMONIC, hd_path="m/44'/60'/0'/0")
        return Web3(EthereumTesterProvider(EthereumTester(backend)))
