"""A chain inside the test process with Ocean's real contracts on it, and accounts that own something."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed
from eth_utils.exceptions import ValidationError
from hypothesis import HealthCheck, settings
from web3 import EthereumTesterProvider, Web3

from c2d_box.chain import Chain, Signer, accounts, addresses
from c2d_box.chain.transactions import send

MNEMONIC = "taxi music thumb unique chat sand crew more leg another off lamp"
OCEANS = 10**18
settings.register_profile("c2d", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("c2d")
ZERO = "0x" + "0" * 40
DEAD = "0x000000000000000000000000000000000000dEaD"


class WireNode(EthereumTesterProvider):
    """Answers as nodes on the wire do: one request at a time, refusals as JSON-RPC errors."""

    def __init__(self, tester: EthereumTester) -> None:
        super().__init__(tester)
        self._lock = threading.Lock()

    def make_request(self, method: Any, params: Any) -> Any:
        with self._lock:
            try:
                return super().make_request(method, params)
            except TransactionFailed as error:
                return _rpc_refusal(3, str(error.args[0]))
            except ValidationError as error:
                return _rpc_refusal(-32000, str(error))


def _rpc_refusal(code: int, message: str) -> Any:
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}}


class GanacheChain:
    """The contracts deployed by account 0 in the published order."""

    def __init__(self) -> None:
        backend = PyEVMBackend.from_mnemonic(MNEMONIC, num_accounts=10, hd_path="m/44'/60'/0'/0")
        self.tester = EthereumTester(backend)
        self.provider = WireNode(self.tester)
        self.web3 = Web3(self.provider)
        self.deployer = self.web3.eth.accounts[0]
        self.chain = Chain(
            self.provider,
            addresses.parse_addresses({"development": self._deploy_all()}, self.web3.eth.chain_id),
        )

    def deploy(self, artifact: str, *arguments: Any) -> str:
        text = json.loads(resources.files("artifacts").joinpath(f"{artifact}.json").read_text())
        return self.install(text["abi"], text["bytecode"], *arguments)

    def install(self, abi: list[Any], bytecode: str, *arguments: Any) -> str:
        contract = self.web3.eth.contract(abi=abi, bytecode=bytecode)
        tx = contract.constructor(*arguments).transact({"from": self.deployer, "gas": 25_000_000})
        return str(self.web3.eth.wait_for_transaction_receipt(tx)["contractAddress"])

    def travel(self, seconds: int) -> int:
        """Let chain time pass; the new block's timestamp."""
        now = int(self.web3.eth.get_block("latest")["timestamp"]) + seconds
        self.tester.time_travel(now)
        self.tester.mine_block()
        return int(self.web3.eth.get_block("latest")["timestamp"])

    def now(self) -> int:
        return int(self.web3.eth.get_block("latest")["timestamp"])

    def _deploy_all(self) -> dict[str, Any]:
        owner = self.deployer
        ocean = self.deploy("MockERC20Decimals", "Ocean", "OCEAN", 18)
        collector = self.deploy("OPFCommunityFeeCollector", owner, owner)
        router = self.deploy("FactoryRouter", owner, ocean, DEAD, collector, [])
        exchange = self.deploy("FixedRateExchange", router)
        token, enterprise = self.deploy("ERC20Template"), self.deploy("ERC20TemplateEnterprise")
        nft, dispenser = self.deploy("ERC721Template"), self.deploy("Dispenser", router)
        factory = self.deploy("ERC721Factory", nft, token, router)
        self._call_contract("ERC721Factory", factory, "addTokenTemplate", enterprise)
        self._call_contract("FactoryRouter", router, "addFactory", factory)
        self._call_contract("FactoryRouter", router, "addFixedRateContract", exchange)
        self._call_contract("FactoryRouter", router, "addDispenserContract", dispenser)
        return {
            "chainId": self.web3.eth.chain_id,
            "Ocean": ocean,
            "ERC721Factory": factory,
            "Router": router,
            "FixedPrice": exchange,
            "Dispenser": dispenser,
        }

    def _call_contract(self, artifact: str, address: str, function: str, *arguments: Any) -> None:
        abi = json.loads(resources.files("artifacts").joinpath(f"{artifact}.json").read_text())["abi"]
        call = self.web3.eth.contract(address=Web3.to_checksum_address(address), abi=abi)
        call.functions[function](*arguments).transact({"from": self.deployer, "gas": 10_000_000})


@pytest.fixture(scope="session")
def ganache() -> Iterator[GanacheChain]:
    yield GanacheChain()


@pytest.fixture(scope="session")
def chain(ganache: GanacheChain) -> Chain:
    return ganache.chain


@pytest.fixture(scope="session")
def publisher() -> Signer:
    return accounts.from_mnemonic(MNEMONIC, 3)


@pytest.fixture(scope="session")
def provider() -> Signer:
    return accounts.from_mnemonic(MNEMONIC, 8)


@pytest.fixture(scope="session")
def consumer(chain: Chain) -> Signer:
    """Account 7 with a thousand Oceans."""
    signer = accounts.from_mnemonic(MNEMONIC, 7)
    deployer = accounts.from_mnemonic(MNEMONIC, 0)
    send(
        chain, deployer, "MockERC20Decimals", chain.addresses.ocean, "transfer", signer.address, 1000 * OCEANS
    )
    return signer
