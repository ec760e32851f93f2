"""Ocean's contracts: at the same addresses on every chain, with the code of the package, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from c2d_box.errors import EnvironmentProblem, StateProblem
from sandbox.testchain.accounts import derive_accounts
from sandbox.testchain.deployment.contract_plans import Create, current_steps, is_same_code, load_artifact
from sandbox.testchain.deployment.deploy import deploy_contracts
from sandbox.testchain.settings import BARGE_MNEMONIC
from tests.harness.pool_contracts import pool_contracts

ARTIFACTS = {
    "Ocean": "OceanToken",
    "MockDAI": "MockERC20Decimals",
    "MockUSDC": "MockERC20Decimals",
    "OPFCommunityFeeCollector": "OPFCommunityFeeCollector",
    "Router": "FactoryRouter",
    "FixedPrice": "FixedRateExchange",
    "Dispenser": "Dispenser",
    "ERC721Factory": "ERC721Factory",
    "AccessListFactory": "AccessListFactory",
}


@pytest.mark.parametrize("key", sorted(ARTIFACTS))
def test_deployed_code_is_the_packages(ocean: tuple[Any, dict[str, Any]], key: str) -> None:
    chain, addresses = ocean
    deployed = bytes.fromhex(chain.call("eth_getCode", addresses[key], "latest")[2:])
    assert is_same_code(deployed, ARTIFACTS[key])
    assert not is_same_code(deployed[:-1] + bytes([deployed[-1] ^ 1]), ARTIFACTS[key])


def test_addresses_are_always_the_same(ocean: tuple[Any, dict[str, Any]]) -> None:
    _, addresses = ocean
    assert addresses["Ocean"] == "0x2473f4F7bf40ed9310838edFCA6262C17A59DF64"
    assert addresses["ERC721Factory"] == "0x336EFb3c9E56F713dFdA4CDB3Dd0882F3226b6eE"
    assert (addresses["chainId"], addresses["startBlock"]) == (8996, 15)


def test_the_money_is_handed_out(ocean: tuple[Any, dict[str, Any]], encode_call: Callable[..., str]) -> None:
    chain, addresses = ocean
    for index, expected in ((1, 100_000), (9, 100_000), (10, 0)):
        data = encode_call("OceanToken", "balanceOf", chain.accounts[index])
        answer = chain.call("eth_call", {"to": addresses["Ocean"], "data": data}, "latest")
        assert int(answer, 16) == expected * 10**18


def test_the_factory_knows_its_templates(
    ocean: tuple[Any, dict[str, Any]], encode_call: Callable[..., str]
) -> None:
    chain, addresses = ocean
    for index, template in addresses["ERC20Template"].items():
        data = encode_call("ERC721Factory", "getTokenTemplate", int(index))
        answer = chain.call("eth_call", {"to": addresses["ERC721Factory"], "data": data}, "latest")
        assert answer[26:66] == template[2:].lower()


def test_the_router_knows_the_factory(
    ocean: tuple[Any, dict[str, Any]], encode_call: Callable[..., str]
) -> None:
    chain, addresses = ocean
    for function, key in (("isFixedRateContract", "FixedPrice"), ("isDispenserContract", "Dispenser")):
        data = encode_call("FactoryRouter", function, addresses[key])
        assert int(chain.call("eth_call", {"to": addresses["Router"], "data": data}, "latest"), 16) == 1


def test_again_does_nothing(ocean: tuple[Any, dict[str, Any]]) -> None:
    chain, addresses = ocean
    before = chain.call("eth_blockNumber")
    assert deploy_contracts(chain.rpc, BARGE_MNEMONIC)["development"] == addresses
    assert chain.call("eth_blockNumber") == before


class DiesAfter:
    """A node whose caller is killed after some transactions."""

    def __init__(self, rpc: Any, transactions: int) -> None:
        self._rpc, self._left = rpc, transactions

    def call(self, method: str, *params: object) -> Any:
        if method == "eth_sendRawTransaction":
            if not self._left:
                raise KeyboardInterrupt
            self._left -= 1
        return self._rpc.call(method, *params)


@pytest.mark.parametrize("transactions", [0, 1, 12, 20, 30])
def test_an_interrupted_deployment_goes_on_where_it_was(chain: Any, transactions: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        deploy_contracts(DiesAfter(chain.rpc, transactions), BARGE_MNEMONIC)
    addresses = deploy_contracts(chain.rpc, BARGE_MNEMONIC)
    steps = current_steps(derive_accounts(BARGE_MNEMONIC, 10))
    assert addresses["development"]["ERC721Factory"] == "0x336EFb3c9E56F713dFdA4CDB3Dd0882F3226b6eE"
    assert int(chain.call("eth_blockNumber"), 16) == len(steps)


POOLS_FACTORY = "0xc6eF91571a6d512985C885cb5EEB7aC8E6C47f4B"


@pytest.mark.parametrize("transactions", [38, 45])
def test_interrupted_pools_go_on_where_they_were(chain: Any, transactions: int) -> None:
    contracts = pool_contracts()
    with pytest.raises(KeyboardInterrupt):
        deploy_contracts(DiesAfter(chain.rpc, transactions), BARGE_MNEMONIC, pool_contracts=contracts)
    addresses = deploy_contracts(chain.rpc, BARGE_MNEMONIC, pool_contracts=contracts)
    assert addresses["development-pools"]["ERC721Factory"] == POOLS_FACTORY
    before = chain.call("eth_blockNumber")
    assert deploy_contracts(chain.rpc, BARGE_MNEMONIC, pool_contracts=contracts) == addresses
    assert chain.call("eth_blockNumber") == before


def test_a_chain_from_before_gets_its_pools_behind_its_history(chain: Any) -> None:
    before = deploy_contracts(chain.rpc, BARGE_MNEMONIC)
    chain.transfer()
    after = deploy_contracts(chain.rpc, BARGE_MNEMONIC, 0, pool_contracts())
    assert after["development"] == before["development"]
    assert after["development-pools"]["ERC721Factory"] not in (POOLS_FACTORY, None)


def test_contracts_that_are_not_there_are_named(chain: Any, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="C2D-CHAIN-ARTIFACTS"):
        deploy_contracts(chain.rpc, BARGE_MNEMONIC, pool_contracts=tmp_path)


def test_a_used_account_deploys_behind_its_history(chain: Any) -> None:
    chain.transfer()
    addresses = deploy_contracts(chain.rpc, BARGE_MNEMONIC)["development"]
    assert addresses["Ocean"] != "0x2473f4F7bf40ed9310838edFCA6262C17A59DF64"
    assert deploy_contracts(chain.rpc, BARGE_MNEMONIC, first_nonce=1)["development"] == addresses


def test_a_foreign_history_is_not_taken_for_ours(chain: Any) -> None:
    for _ in range(40):
        chain.transfer()
    with pytest.raises(StateProblem, match="C2D-CHAIN-FOREIGN"):
        deploy_contracts(chain.rpc, BARGE_MNEMONIC, first_nonce=0)


def test_no_contract_needs_linking() -> None:
    for step in current_steps(derive_accounts(BARGE_MNEMONIC, 10)):
        if isinstance(step, Create):
            artifact = load_artifact(step.artifact)
            assert not artifact["linkReferences"]
            assert len(artifact["deployedBytecode"]) // 2 - 1 <= 24_576


def test_the_shipped_address_file_has_no_local_chain() -> None:
    import importlib.resources
    import json

    shipped = json.loads(importlib.resources.files("addresses").joinpath("address.json").read_text())
    assert "development" not in shipped
