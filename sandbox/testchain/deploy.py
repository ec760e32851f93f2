"""Ocean's contracts on a chain: always in the same order from account 0, so that addresses never change.

Works over JSON-RPC with raw transactions signed here, so it serves our own node, anvil and any other alike.
It can be run again at any time: a step whose contract or effect is there is skipped, so a kill in the
middle costs nothing.
"""

from __future__ import annotations

import importlib.resources
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import rlp  # type: ignore[import-untyped]
from eth_hash.auto import keccak

from c2d_box.errors import Failed, StateProblem
from sandbox.testchain.accounts import Account, derive, sign_digest
from sandbox.testchain.encoding import checksummed
from sandbox.testchain.rendering import created_address

ETHER = 10**18
_GAS = 12_000_000
"""Enough for the largest contract; under the 2^24 gas that newer rules allow one transaction."""
_BURN = bytes.fromhex("000000000000000000000000000000000000dead")
_RECEIPT_SECONDS = 60.0
_IMMUTABLE = re.compile(rb"\x7f\x00{32}")


class Rpc(Protocol):
    """A JSON-RPC node. ``call`` returns the result or raises with the node's message."""

    def call(self, method: str, *params: object) -> Any: ...


@dataclass(frozen=True, slots=True)
class Create:
    """A contract creation; an argument that is a :class:`Ref` stands for an earlier contract's address."""

    name: str
    artifact: str
    arguments: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Invoke:
    """A function call on the contract made by step ``target``."""

    target: str
    function: str
    arguments: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Ref:
    name: str


Step = Create | Invoke


def plan(accounts: Sequence[Account]) -> tuple[Step, ...]:
    """Every transaction of account 0, in order. Appending is allowed; a change moves every later address."""
    owner = accounts[0].address
    ocean, router, factory = Ref("Ocean"), Ref("Router"), Ref("ERC721Factory")
    return (
        Create("Ocean", "OceanToken", (owner,)),
        Invoke("Ocean", "mint", (owner, 1_000_000 * ETHER)),
        *(Invoke("Ocean", "mint", (account.address, 100_000 * ETHER)) for account in accounts[1:10]),
        Create("MockDAI", "MockERC20Decimals", ("DAI", "DAI", 18)),
        Create("MockUSDC", "MockERC20Decimals", ("USDC", "USDC", 6)),
        Create("OPFCommunityFeeCollector", "OPFCommunityFeeCollector", (owner, owner)),
        Create("Router", "FactoryRouter", (owner, ocean, _BURN, Ref("OPFCommunityFeeCollector"), ())),
        Create("FixedPrice", "FixedRateExchange", (router,)),
        Create("ERC20Template", "ERC20Template"),
        Create("ERC20TemplateEnterprise", "ERC20TemplateEnterprise"),
        Create("ERC721Template", "ERC721Template"),
        Create("Dispenser", "Dispenser", (router,)),
        Create("ERC721Factory", "ERC721Factory", (Ref("ERC721Template"), Ref("ERC20Template"), router)),
        Invoke("ERC721Factory", "addTokenTemplate", (Ref("ERC20TemplateEnterprise"),)),
        Invoke("Router", "addFactory", (factory,)),
        Invoke("Router", "addFixedRateContract", (Ref("FixedPrice"),)),
        Invoke("Router", "addDispenserContract", (Ref("Dispenser"),)),
        Create("ERC20Template3", "ERC20Template3"),
        Create("ERC20Template4", "ERC20Template4"),
        Invoke("ERC721Factory", "addTokenTemplate", (Ref("ERC20Template3"),)),
        Invoke("ERC721Factory", "addTokenTemplate", (Ref("ERC20Template4"),)),
        Create("AccessList", "AccessList"),
        Create("AccessListFactory", "AccessListFactory", (Ref("AccessList"),)),
    )


def deploy(rpc: Rpc, mnemonic: str, first_nonce: int | None = None) -> dict[str, Any]:
    """Deploy what is missing and return the address file.

    ``first_nonce`` is account 0's nonce of the first step. Without it: 0 where our contracts stand there
    (or the account is unused), else the account's next nonce, on a chain that has another history.
    """
    accounts = derive(mnemonic, 10)
    steps = plan(accounts)
    chain_id = int(rpc.call("eth_chainId"), 16)
    base = _first_nonce(rpc, accounts[0]) if first_nonce is None else first_nonce
    done = _nonce(rpc, accounts[0]) - base
    addresses = {
        step.name: created_address(accounts[0].address, base + place)
        for place, step in enumerate(steps)
        if isinstance(step, Create)
    }
    pending = [
        _send(rpc, accounts[0], base + place, chain_id, step, addresses)
        for place, step in enumerate(steps)
        if place >= done
    ]
    for tx_hash in pending:
        _confirm(rpc, tx_hash)
    _check_code(rpc, steps, addresses)
    return _address_file(rpc, chain_id, addresses)


def _first_nonce(rpc: Rpc, owner: Account) -> int:
    used = _nonce(rpc, owner)
    ours = same_code(_code(rpc, created_address(owner.address, 0)), "OceanToken")
    return 0 if ours or used == 0 else used


def _nonce(rpc: Rpc, account: Account) -> int:
    return int(rpc.call("eth_getTransactionCount", f"0x{account.address.hex()}", "latest"), 16)


def _code(rpc: Rpc, address: bytes, tag: str = "latest") -> bytes:
    return bytes.fromhex(rpc.call("eth_getCode", f"0x{address.hex()}", tag)[2:])


def _send(
    rpc: Rpc, owner: Account, nonce: int, chain_id: int, step: Step, addresses: dict[str, bytes]
) -> str:
    to, payload = _message(step, addresses)
    price = max(int(rpc.call("eth_gasPrice"), 16) * 2, 1)
    fields = [_integer(nonce), _integer(price), _integer(_GAS), to, b"", payload]
    digest = keccak(rlp.encode([*fields, _integer(chain_id), b"", b""]))
    recovery, r, s = sign_digest(owner, digest)
    raw = rlp.encode([*fields, _integer(recovery + 35 + 2 * chain_id), _integer(r), _integer(s)])
    return str(rpc.call("eth_sendRawTransaction", "0x" + raw.hex()))


def _message(step: Step, addresses: dict[str, bytes]) -> tuple[bytes, bytes]:
    arguments = tuple(addresses[item.name] if isinstance(item, Ref) else item for item in step.arguments)
    if isinstance(step, Create):
        artifact = load_artifact(step.artifact)
        kinds = _input_types(artifact, None)
        return b"", bytes.fromhex(artifact["bytecode"][2:]) + _encode(kinds, arguments)
    artifact = load_artifact(_ARTIFACT_OF[step.target])
    kinds = _input_types(artifact, step.function)
    selector = keccak(f"{step.function}({','.join(kinds)})".encode())[:4]
    return addresses[step.target], selector + _encode(kinds, arguments)


_ARTIFACT_OF = {"Ocean": "OceanToken", "Router": "FactoryRouter", "ERC721Factory": "ERC721Factory"}


def _encode(kinds: list[str], arguments: tuple[object, ...]) -> bytes:
    from eth_abi.abi import encode

    return bytes(encode(kinds, arguments))


def _input_types(artifact: dict[str, Any], function: str | None) -> list[str]:
    for entry in artifact["abi"]:
        if (
            entry["type"] == ("constructor" if function is None else "function")
            and entry.get("name") == function
        ):
            return [argument["type"] for argument in entry["inputs"]]
    return []


def load_artifact(name: str) -> dict[str, Any]:
    """Hardhat's compiled artifact of a contract, out of the installed ``ocean-contracts`` package."""
    text = importlib.resources.files("artifacts").joinpath(f"{name}.json").read_text("utf-8")
    artifact: dict[str, Any] = json.loads(text)
    return artifact


def same_code(deployed: bytes, artifact: str) -> bool:
    """Is ``deployed`` the artifact's runtime code, but for immutables?

    Those stand in the artifact as ``PUSH32`` of zero and get their value when the contract is made.
    """
    expected = bytes.fromhex(load_artifact(artifact)["deployedBytecode"][2:])
    if len(deployed) != len(expected):
        return False
    masked = bytearray(deployed)
    for hole in _IMMUTABLE.finditer(expected):
        masked[hole.start() + 1 : hole.end()] = bytes(32)
    return masked == expected


def _confirm(rpc: Rpc, tx_hash: str) -> None:
    deadline = time.monotonic() + _RECEIPT_SECONDS
    while (receipt := rpc.call("eth_getTransactionReceipt", tx_hash)) is None:
        if time.monotonic() > deadline:
            raise Failed(
                "C2D-CHAIN-DEPLOY",
                f"transaction {tx_hash} was not mined",
                "Look at the node; then run it again.",
            )
        time.sleep(0.05)
    if receipt["status"] != "0x1":
        raise Failed(
            "C2D-CHAIN-DEPLOY",
            f"transaction {tx_hash} failed on the chain",
            "Begin again on an unused chain.",
        )


def _check_code(rpc: Rpc, steps: Sequence[Step], addresses: dict[str, bytes]) -> None:
    for step in steps:
        if isinstance(step, Create) and not same_code(_code(rpc, addresses[step.name]), step.artifact):
            raise StateProblem(
                "C2D-CHAIN-FOREIGN",
                f"{checksummed(addresses[step.name])} is not {step.artifact}: account 0 was used otherwise",
                "Use an unused chain, or name the nonce at which Ocean's contracts begin.",
            )


def _address_file(rpc: Rpc, chain_id: int, addresses: dict[str, bytes]) -> dict[str, Any]:
    """Section ``development`` with the key names that Ocean's clients look for."""
    of = {name: checksummed(address) for name, address in addresses.items()}
    section = {
        "chainId": chain_id,
        "Ocean": of["Ocean"],
        "MockDAI": of["MockDAI"],
        "MockUSDC": of["MockUSDC"],
        "OPFCommunityFeeCollector": of["OPFCommunityFeeCollector"],
        "startBlock": _created_in(rpc, addresses["Router"]),
        "Router": of["Router"],
        "FixedPrice": of["FixedPrice"],
        "ERC20Template": {
            "1": of["ERC20Template"],
            "2": of["ERC20TemplateEnterprise"],
            "3": of["ERC20Template3"],
            "4": of["ERC20Template4"],
        },
        "ERC721Template": {"1": of["ERC721Template"]},
        "Dispenser": of["Dispenser"],
        "ERC721Factory": of["ERC721Factory"],
        "AccessListFactory": of["AccessListFactory"],
    }
    return {"development": section}


def _created_in(rpc: Rpc, address: bytes) -> int:
    """The block in which a contract appeared, by bisection."""
    low, high = 0, int(rpc.call("eth_blockNumber"), 16)
    while low < high:
        middle = (low + high) // 2
        if _code(rpc, address, hex(middle)):
            high = middle
        else:
            low = middle + 1
    return low


def _integer(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
