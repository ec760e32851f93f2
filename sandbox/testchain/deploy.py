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
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import rlp  # type: ignore[import-untyped]
from eth_hash.auto import keccak

from c2d_box.errors import C2DError, Failed, StateProblem
from sandbox.testchain.accounts import Account, derive, sign_digest
from sandbox.testchain.contracts import Create, Step, message, plan, same_code
from sandbox.testchain.encoding import checksummed
from sandbox.testchain.faults import RpcFault
from sandbox.testchain.rendering import created_address
from sandbox.testchain.settings import BARGE_MNEMONIC

_GAS = 12_000_000
"""Enough for the largest contract; under the 2^24 gas that newer rules allow one transaction."""
_RECEIPT_SECONDS = 60.0


class Rpc(Protocol):
    """A JSON-RPC node. ``call`` returns the result or raises with the node's message."""

    def call(self, method: str, *params: object) -> Any: ...


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


def recorded_nonce(rpc: Rpc, mnemonic: str, address_file: Path) -> int | None:
    """Where an earlier deployment began, by its address file; None if that is not of this account and
    chain.
    """
    try:
        section = json.loads(address_file.read_text())["development"]
        ocean, chain_id = section["Ocean"], section["chainId"]
    except (OSError, ValueError, KeyError):
        return None
    if chain_id != int(rpc.call("eth_chainId"), 16):
        return None
    owner = derive(mnemonic, 1)[0]
    nonces = range(_nonce(rpc, owner))
    return next((n for n in nonces if checksummed(created_address(owner.address, n)) == ocean), None)


def _nonce(rpc: Rpc, account: Account) -> int:
    return int(rpc.call("eth_getTransactionCount", f"0x{account.address.hex()}", "latest"), 16)


def _code(rpc: Rpc, address: bytes, tag: str = "latest") -> bytes:
    return bytes.fromhex(rpc.call("eth_getCode", f"0x{address.hex()}", tag)[2:])


def _send(
    rpc: Rpc, owner: Account, nonce: int, chain_id: int, step: Step, addresses: dict[str, bytes]
) -> str:
    to, payload = message(step, addresses)
    price = max(int(rpc.call("eth_gasPrice"), 16) * 2, 1)
    fields = [_integer(nonce), _integer(price), _integer(_GAS), to, b"", payload]
    digest = keccak(rlp.encode([*fields, _integer(chain_id), b"", b""]))
    recovery, r, s = sign_digest(owner, digest)
    raw = rlp.encode([*fields, _integer(recovery + 35 + 2 * chain_id), _integer(r), _integer(s)])
    try:
        return str(rpc.call("eth_sendRawTransaction", "0x" + raw.hex()))
    except RpcFault as fault:
        raise Failed(
            "C2D-CHAIN-DEPLOY",
            f"the node refused transaction {nonce} of {checksummed(owner.address)}: {fault.message}",
            "Fund that account, or use an unused chain.",
        ) from fault


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


def main(arguments: list[str] | None = None) -> int:
    from sandbox.testchain.rpc import HttpRpc
    from sandbox.testchain.server import write_atomically

    parser = argparse.ArgumentParser(prog="python -m sandbox.testchain.deploy", description=__doc__)
    parser.add_argument("--rpc", required=True, help="URL of the node")
    parser.add_argument("--output", type=Path, required=True, help="where the address file goes")
    parser.add_argument(
        "--mnemonic-file", type=Path, help="whose first account deploys (default: the public one)"
    )
    parser.add_argument("--first-nonce", type=int, help="where the contracts begin, on a used chain")
    options = parser.parse_args(arguments)
    mnemonic = options.mnemonic_file.read_text().strip() if options.mnemonic_file else BARGE_MNEMONIC
    try:
        with HttpRpc(options.rpc) as rpc:
            first = options.first_nonce
            if first is None:
                first = recorded_nonce(rpc, mnemonic, options.output)
            addresses = deploy(rpc, mnemonic, first)
    except C2DError as error:
        print(json.dumps(error.as_dict()), file=sys.stderr)
        return error.exit_status
    write_atomically(options.output, json.dumps(addresses, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
