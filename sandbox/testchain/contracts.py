"""Which of Ocean's contracts a chain gets, in which order, and their compiled code in the
``ocean-contracts`` package.

Pools (the 1.1.14 contract set) will be a plan of their own, deployed after this one.
"""

from __future__ import annotations

import importlib.resources
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_hash.auto import keccak

from sandbox.testchain.accounts import Account

ETHER = 10**18
_BURN = bytes.fromhex("000000000000000000000000000000000000dead")
_IMMUTABLE = re.compile(rb"\x7f\x00{32}")
_ARTIFACT_OF = {"Ocean": "OceanToken", "Router": "FactoryRouter", "ERC721Factory": "ERC721Factory"}


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


def message(step: Step, addresses: dict[str, bytes]) -> tuple[bytes, bytes]:
    arguments = tuple(addresses[item.name] if isinstance(item, Ref) else item for item in step.arguments)
    if isinstance(step, Create):
        artifact = load_artifact(step.artifact)
        kinds = _input_types(artifact, None)
        return b"", bytes.fromhex(artifact["bytecode"][2:]) + _encode(kinds, arguments)
    artifact = load_artifact(_ARTIFACT_OF[step.target])
    kinds = _input_types(artifact, step.function)
    selector = keccak(f"{step.function}({','.join(kinds)})".encode())[:4]
    return addresses[step.target], selector + _encode(kinds, arguments)


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
