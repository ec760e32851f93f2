"""Ocean's contracts on a chain: always in the same order from account 0, so that addresses never change.

Works over JSON-RPC with raw transactions signed here, so it serves our own node, anvil and any other alike.
It can be run again at any time: a step whose contract or effect is there is skipped, so a kill in the
middle costs nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import rlp  # type: ignore[import-untyped]
from eth_hash.auto import keccak

from c2d_box.errors import C2DError, Failed, StateProblem
from c2d_box.files import replace_file
from sandbox.testchain.accounts import ChainAccount, derive_accounts, sign_digest
from sandbox.testchain.deployment.contract_plans import (
    DeploymentPlan,
    current_steps,
    is_same_code,
    pool_plan,
    step_message,
)
from sandbox.testchain.json_rpc.encoding import checksum_address
from sandbox.testchain.json_rpc.rendering import created_address
from sandbox.testchain.json_rpc.rpc_errors import RpcFault
from sandbox.testchain.settings import BARGE_MNEMONIC

_GAS = 12_000_000
"""Enough for the largest contract; under the 2^24 gas that newer rules allow one transaction."""
_RECEIPT_SECONDS = 60.0


class RpcCaller(Protocol):
    """A JSON-RPC node. ``call`` returns the result or raises with the node's message."""

    # HttpRpc and LocalRpc have it, so one deployer serves any node.
    def call(self, method: str, *params: object) -> Any: ...


def deploy_contracts(
    rpc: RpcCaller, mnemonic: str, first_nonce: int | None = None, pool_contracts: Path | None = None
) -> dict[str, Any]:
    """Deploy what is missing and return the address file.

    ``first_nonce`` is account 0's nonce of the first step. Without it: 0 where our contracts stand there
    (or the account is unused), else the account's next nonce, on a chain that has another history.
    ``pool_contracts`` is the folder with the artifacts of release 1.1.14; without it there are no pools.
    """
    # Ten accounts get tokens, however many the node holds: the steps, and so the addresses, stay the same.
    accounts = derive_accounts(mnemonic, 10)
    owner, current = accounts[0], DeploymentPlan(current_steps(accounts))
    # 0 on our own node and on anvil; a foreign chain may have a history.
    base = _first_nonce(rpc, owner, current, 0) if first_nonce is None else first_nonce
    addresses = _deploy_plan(rpc, owner, current, base, {})
    document = {"development": _current_section(rpc, addresses)}
    if pool_contracts is not None:
        pools = pool_plan(pool_contracts)
        known = {"Ocean": addresses["Ocean"], "owner": owner.address}
        # Behind the current set, which is where its nonces end, unless the account was used since.
        place = _first_nonce(rpc, owner, pools, base + len(current.steps))
        document["development-pools"] = _pool_section(rpc, _deploy_plan(rpc, owner, pools, place, known))
    return document


def _deploy_plan(
    rpc: RpcCaller, owner: ChainAccount, plan: DeploymentPlan, base: int, known: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Take all the plan's steps; return the addresses of its contracts and the ``known`` ones."""
    chain_id = int(rpc.call("eth_chainId"), 16)
    # The account's nonce counts the steps that were taken: the plan is its only user.
    done = _account_nonce(rpc, owner) - base
    # All addresses follow from owner and nonce, so every step can be made without waiting for the one before.
    made = {name: created_address(owner.address, base + place) for name, (place, _) in plan.creations.items()}
    addresses = {**known, **made}
    pending = [
        _send_step(rpc, owner, base + place, chain_id, *step_message(plan, step, addresses))
        for place, step in enumerate(plan.steps)
        if place >= done
    ]
    # Receipts only after all are sent: nodes with a block time would take one block per step otherwise.
    for tx_hash in pending:
        _await_receipt(rpc, tx_hash)
    # In every run, also when nothing was sent: the code proves that these are our contracts.
    _check_code(rpc, plan, addresses)
    return addresses


def _first_nonce(rpc: RpcCaller, owner: ChainAccount, plan: DeploymentPlan, usual: int) -> int:
    """Return the nonce at which the plan begins: the ``usual`` one if the plan stands there or can, else the
    next one."""
    used = _account_nonce(rpc, owner)
    place, artifact = next(iter(plan.creations.values()))
    # Code of the plan's first contract at its usual place means that the plan was begun there.
    there = _contract_code(rpc, created_address(owner.address, usual + place))
    return usual if used <= usual or is_same_code(there, artifact, plan.artifacts) else used


def recorded_nonce(rpc: RpcCaller, mnemonic: str, address_file: Path) -> int | None:
    """Return the nonce at which an earlier deployment began, by its address file; None if that is not of this
    account and chain."""
    try:
        section = json.loads(address_file.read_text())["development"]
        ocean, chain_id = section["Ocean"], section["chainId"]
    except (OSError, ValueError, KeyError):
        return None
    if chain_id != int(rpc.call("eth_chainId"), 16):
        return None
    owner = derive_accounts(mnemonic, 1)[0]
    # Searched, since the address file does not say the nonce; Ocean's is the first contract of the plan.
    nonces = range(_account_nonce(rpc, owner))
    return next((n for n in nonces if checksum_address(created_address(owner.address, n)) == ocean), None)


def _account_nonce(rpc: RpcCaller, account: ChainAccount) -> int:
    """Return the number of mined transactions of the account, which is its next nonce."""
    return int(rpc.call("eth_getTransactionCount", f"0x{account.address.hex()}", "latest"), 16)


def _contract_code(rpc: RpcCaller, address: bytes, tag: str = "latest") -> bytes:
    """Return the code at an address; empty where there is none."""
    return bytes.fromhex(rpc.call("eth_getCode", f"0x{address.hex()}", tag)[2:])


def _send_step(
    rpc: RpcCaller, owner: ChainAccount, nonce: int, chain_id: int, to: bytes, payload: bytes
) -> str:
    """Sign and send one step as account 0; return the transaction's hash.

    A legacy transaction, which every chain takes; the gas is fixed, since a step cannot be estimated
    before the steps it builds on are mined.
    """
    # Twice the present price: it may rise before the last step is mined.
    price = max(int(rpc.call("eth_gasPrice"), 16) * 2, 1)
    fields = [_integer_bytes(nonce), _integer_bytes(price), _integer_bytes(_GAS), to, b"", payload]
    # EIP-155: the chain id is signed, so the step cannot be replayed on another chain.
    digest = keccak(rlp.encode([*fields, _integer_bytes(chain_id), b"", b""]))
    recovery, r, s = sign_digest(owner, digest)
    raw = rlp.encode(
        [*fields, _integer_bytes(recovery + 35 + 2 * chain_id), _integer_bytes(r), _integer_bytes(s)]
    )
    try:
        return str(rpc.call("eth_sendRawTransaction", "0x" + raw.hex()))
    except RpcFault as fault:
        raise Failed(
            "C2D-CHAIN-DEPLOY",
            f"the node refused transaction {nonce} of {checksum_address(owner.address)}: {fault.message}",
            "Fund that account, or use an unused chain.",
        ) from fault


def _await_receipt(rpc: RpcCaller, tx_hash: str) -> None:
    """Wait until the transaction is mined; Failed C2D-CHAIN-DEPLOY where it fails or is not mined in time."""
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


def _check_code(rpc: RpcCaller, plan: DeploymentPlan, addresses: Mapping[str, bytes]) -> None:
    """Raise StateProblem C2D-CHAIN-FOREIGN where a planned address has other code.

    Without this check a used account would give an address file that names strangers' contracts.
    """
    for name, (_, artifact) in plan.creations.items():
        if not is_same_code(_contract_code(rpc, addresses[name]), artifact, plan.artifacts):
            raise StateProblem(
                "C2D-CHAIN-FOREIGN",
                f"{checksum_address(addresses[name])} is not {artifact}: account 0 was used otherwise",
                "Use an unused chain, or name the nonce at which Ocean's contracts begin.",
            )


def _current_section(rpc: RpcCaller, addresses: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the current set, under the key names that Ocean's clients look for."""
    of = {name: checksum_address(address) for name, address in addresses.items()}
    return {
        "chainId": int(rpc.call("eth_chainId"), 16),
        "Ocean": of["Ocean"],
        "MockDAI": of["MockDAI"],
        "MockUSDC": of["MockUSDC"],
        "OPFCommunityFeeCollector": of["OPFCommunityFeeCollector"],
        # The Router comes before everything that clients look for; scans for events begin there.
        "startBlock": _creation_block(rpc, addresses["Router"]),
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


def _pool_section(rpc: RpcCaller, addresses: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the set with pools, under the names of that release's own address file.

    It stands after the current set, and clients take a chain's first section.
    """
    names = ("Ocean", "OPFCommunityFeeCollector", "poolTemplate", "Router", "FixedPrice", "Staking")
    of = {name: checksum_address(address) for name, address in addresses.items()}
    return {
        "chainId": int(rpc.call("eth_chainId"), 16),
        **{name: of[name] for name in names},
        "startBlock": _creation_block(rpc, addresses["Router"]),
        "ERC20Template": {"1": of["ERC20Template"], "2": of["ERC20TemplateEnterprise"]},
        "ERC721Template": {"1": of["ERC721Template"]},
        "Dispenser": of["Dispenser"],
        "ERC721Factory": of["ERC721Factory"],
    }


def _creation_block(rpc: RpcCaller, address: bytes) -> int:
    """Return the block in which a contract appeared, by bisection."""
    # Code never disappears from these contracts, so bisection is valid. It needs past states.
    low, high = 0, int(rpc.call("eth_blockNumber"), 16)
    while low < high:
        middle = (low + high) // 2
        if _contract_code(rpc, address, hex(middle)):
            high = middle
        else:
            low = middle + 1
    return low


def _integer_bytes(value: int) -> bytes:
    """Return an integer as RLP wants it: big-endian, without leading zeros, empty for zero."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def main(arguments: list[str] | None = None) -> int:
    """Deploy to any node by its URL and write the address file; return the exit status."""
    from sandbox.testchain.json_rpc.callers import HttpRpc

    parser = argparse.ArgumentParser(
        prog="python -m sandbox.testchain.deployment.deploy", description=__doc__
    )
    parser.add_argument("--rpc", required=True, help="URL of the node")
    parser.add_argument("--output", type=Path, required=True, help="where the address file goes")
    parser.add_argument(
        "--mnemonic-file", type=Path, help="whose first account deploys (default: the public one)"
    )
    parser.add_argument("--first-nonce", type=int, help="where the contracts begin, on a used chain")
    parser.add_argument(
        "--pool-contracts", type=Path, help="folder `artifacts` of ocean-contracts 1.1.14: pools as well"
    )
    options = parser.parse_args(arguments)
    mnemonic = options.mnemonic_file.read_text().strip() if options.mnemonic_file else BARGE_MNEMONIC
    try:
        with HttpRpc(options.rpc) as rpc:
            first = options.first_nonce
            # A second run finds where the first one began, by the file that it wrote.
            if first is None:
                first = recorded_nonce(rpc, mnemonic, options.output)
            addresses = deploy_contracts(rpc, mnemonic, first, options.pool_contracts)
    except C2DError as error:
        print(json.dumps(error.as_dict()), file=sys.stderr)
        return error.exit_status
    replace_file(options.output, json.dumps(addresses, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
