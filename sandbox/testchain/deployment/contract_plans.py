"""Plans of Ocean's contracts: which ones a chain gets, in which order, and where their compiled code is.

The current set comes from the installed ``ocean-contracts`` package. Pools ended with its release 1.1.14, the
last to carry the staking contract: that whole set is a plan of its own, from a folder with that release's
artifacts, deployed behind the current one and sharing its Ocean token.
"""

from __future__ import annotations

import importlib.resources
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

from eth_hash.auto import keccak

from c2d_box.errors import EnvironmentProblem
from c2d_box.units import ETHER
from sandbox.testchain.accounts import ChainAccount

# A placeholder where the Router wants a pool template: this release has no pools.
_BURN = bytes.fromhex("000000000000000000000000000000000000dead")
# PUSH32 of 32 zero bytes, which Solidity leaves for an immutable's value.
_IMMUTABLE = re.compile(rb"\x7f\x00{32}")
CURRENT: Traversable = importlib.resources.files("artifacts")


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
    """Stands for the address of an earlier contract in an argument."""

    name: str


Step = Create | Invoke


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """Transactions of account 0, in order, with the artifacts of the release that they come from."""

    steps: tuple[Step, ...]
    # Two releases have contracts of one name and different code.
    artifacts: Traversable = CURRENT

    @property
    def creations(self) -> dict[str, tuple[int, str]]:
        """Position and artifact of each contract, by its name.

        With the first nonce, the position gives the contract's address before anything is sent.
        """
        return {s.name: (at, s.artifact) for at, s in enumerate(self.steps) if isinstance(s, Create)}


_MARKET: tuple[Step, ...] = (
    Create("ERC20Template", "ERC20Template"),
    Create("ERC20TemplateEnterprise", "ERC20TemplateEnterprise"),
    Create("ERC721Template", "ERC721Template"),
    Create("Dispenser", "Dispenser", (Ref("Router"),)),
    Create("ERC721Factory", "ERC721Factory", (Ref("ERC721Template"), Ref("ERC20Template"), Ref("Router"))),
    Invoke("ERC721Factory", "addTokenTemplate", (Ref("ERC20TemplateEnterprise"),)),
    Invoke("Router", "addFactory", (Ref("ERC721Factory"),)),
    Invoke("Router", "addFixedRateContract", (Ref("FixedPrice"),)),
    Invoke("Router", "addDispenserContract", (Ref("Dispenser"),)),
)
"""Templates, dispenser and factory: the same steps in the same order in every release."""


def current_steps(accounts: Sequence[ChainAccount]) -> tuple[Step, ...]:
    """Return the current set. Appending moves the pools' addresses; any other change moves every later
    address."""
    owner = accounts[0].address
    ocean, router = Ref("Ocean"), Ref("Router")
    return (
        Create("Ocean", "OceanToken", (owner,)),
        # Accounts 0 to 9 can pay with tokens from the start.
        Invoke("Ocean", "mint", (owner, 1_000_000 * ETHER)),
        *(Invoke("Ocean", "mint", (account.address, 100_000 * ETHER)) for account in accounts[1:10]),
        Create("MockDAI", "MockERC20Decimals", ("DAI", "DAI", 18)),
        # Six decimals, as the real USDC has: for prices in a token that does not have 18.
        Create("MockUSDC", "MockERC20Decimals", ("USDC", "USDC", 6)),
        Create("OPFCommunityFeeCollector", "OPFCommunityFeeCollector", (owner, owner)),
        # The Router comes first: exchange, dispenser and factory take its address when they are made.
        Create("Router", "FactoryRouter", (owner, ocean, _BURN, Ref("OPFCommunityFeeCollector"), ())),
        Create("FixedPrice", "FixedRateExchange", (router,)),
        *_MARKET,
        Create("ERC20Template3", "ERC20Template3"),
        Create("ERC20Template4", "ERC20Template4"),
        Invoke("ERC721Factory", "addTokenTemplate", (Ref("ERC20Template3"),)),
        Invoke("ERC721Factory", "addTokenTemplate", (Ref("ERC20Template4"),)),
        Create("AccessList", "AccessList"),
        Create("AccessListFactory", "AccessListFactory", (Ref("AccessList"),)),
    )


def pool_plan(artifacts: Traversable) -> DeploymentPlan:
    """Return the set of release 1.1.14: its own router, factory and templates, and what a pool is made of."""
    router, ocean = Ref("Router"), Ref("Ocean")
    collector, template = Ref("OPFCommunityFeeCollector"), Ref("poolTemplate")
    steps: tuple[Step, ...] = (
        # ``owner`` and ``Ocean`` are no steps of this plan: the deployer hands their addresses in.
        Create("OPFCommunityFeeCollector", "OPFCommunityFeeCollector", (Ref("owner"), Ref("owner"))),
        Create("poolTemplate", "BPool"),
        Create("Router", "FactoryRouter", (Ref("owner"), ocean, template, collector, ())),
        Create("FixedPrice", "FixedRateExchange", (router,)),
        Create("Staking", "SideStaking", (router,)),
        *_MARKET,
        Invoke("Router", "addSSContract", (Ref("Staking"),)),
    )
    return DeploymentPlan(steps, artifacts)


def step_message(plan: DeploymentPlan, step: Step, addresses: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    """Return recipient and data of the step's transaction; ``addresses`` has every name a
    :class:`Ref` uses."""
    arguments = tuple(addresses[item.name] if isinstance(item, Ref) else item for item in step.arguments)
    # A creation has no recipient; its data is the bytecode with the constructor's arguments.
    if isinstance(step, Create):
        artifact = load_artifact(step.artifact, plan.artifacts)
        kinds = _input_types(artifact, None)
        return b"", bytes.fromhex(artifact["bytecode"][2:]) + _encode_arguments(kinds, arguments)
    artifact = load_artifact(plan.creations[step.target][1], plan.artifacts)
    kinds = _input_types(artifact, step.function)
    selector = keccak(f"{step.function}({','.join(kinds)})".encode())[:4]
    return addresses[step.target], selector + _encode_arguments(kinds, arguments)


def _encode_arguments(kinds: list[str], arguments: tuple[object, ...]) -> bytes:
    """Return the ABI encoding of a step's arguments.

    eth_abi is imported here: a start that deploys nothing need not pay for it.
    """
    from eth_abi.abi import encode

    return bytes(encode(kinds, arguments))


def _input_types(artifact: dict[str, Any], function: str | None) -> list[str]:
    """Return the parameter types of a function, or of the constructor for None; none where it has no
    entry."""
    for entry in artifact["abi"]:
        if (
            entry["type"] == ("constructor" if function is None else "function")
            and entry.get("name") == function
        ):
            return [argument["type"] for argument in entry["inputs"]]
    return []


def load_artifact(name: str, artifacts: Traversable = CURRENT) -> dict[str, Any]:
    """Return Hardhat's compiled artifact of a contract."""
    try:
        text = artifacts.joinpath(f"{name}.json").read_text("utf-8")
    except OSError as error:
        # A wrong folder of the pools' release is a mistake of the settings, so it is named as such.
        raise EnvironmentProblem(
            "C2D-CHAIN-ARTIFACTS",
            f"the compiled contract {name} is not in {artifacts}",
            "Name the folder `artifacts` of that release of ocean-contracts.",
        ) from error
    artifact: dict[str, Any] = json.loads(text)
    return artifact


def is_same_code(deployed: bytes, artifact: str, artifacts: Traversable = CURRENT) -> bool:
    """Return whether ``deployed`` is the artifact's runtime code, but for immutables.

    Those stand in the artifact as ``PUSH32`` of zero and get their value when the contract is made.
    """
    expected = bytes.fromhex(load_artifact(artifact, artifacts)["deployedBytecode"][2:])
    # Immutables change no lengths.
    if len(deployed) != len(expected):
        return False
    masked = bytearray(deployed)
    # The byte of PUSH32 itself stays and has to agree.
    for hole in _IMMUTABLE.finditer(expected):
        masked[hole.start() + 1 : hole.end()] = bytes(32)
    return masked == expected
