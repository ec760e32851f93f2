"""Signatures by the accounts the node holds: ocean.js and tests sign through them."""

from __future__ import annotations

from eth_hash.auto import keccak

from c2d_box.recursion import kept_recursion_limit
from c2d_box.strict_json import JsonRefused, parse_json
from sandbox.testchain.accounts import ChainAccount, message_digest, sign_digest
from sandbox.testchain.execution.tx_building import account_of
from sandbox.testchain.json_rpc.encoding import as_bytes, hex_data
from sandbox.testchain.json_rpc.rpc_errors import invalid_params
from sandbox.testchain.methods.registry import rpc_method
from sandbox.testchain.node import ChainNode


@rpc_method("eth_accounts", "eth_requestAccounts", "personal_listAccounts")
def list_accounts(node: ChainNode) -> list[str]:
    """Answer the addresses whose keys the node holds, in the mnemonic's order."""
    return [hex_data(account.address) for account in node.keys.accounts]


@rpc_method("eth_sign")
def sign_message(node: ChainNode, address: object, message: object) -> str:
    """Sign a message with the EIP-191 prefix; address first, in contrast to ``personal_sign``."""
    return _signature_hex(account_of(node, address), message_digest(as_bytes(message, "message")))


@rpc_method("personal_sign")
def personal_sign(node: ChainNode, message: object, address: object, password: object = None) -> str:
    """Sign a message. Accounts are never locked: a password is taken and not looked at."""
    return _signature_hex(account_of(node, address), message_digest(as_bytes(message, "message")))


@rpc_method("personal_unlockAccount")
def unlock_account(
    node: ChainNode, address: object, password: object = None, duration: object = None
) -> bool:
    """Answer True for an account that the node holds: none is ever locked."""
    account_of(node, address)
    return True


@rpc_method("eth_signTypedData_v4", "eth_signTypedData")
def sign_typed_data(node: ChainNode, address: object, typed: object) -> str:
    """Sign typed data (EIP-712), given as object or as JSON text, which ethers sends."""
    with kept_recursion_limit():
        from eth_account.messages import encode_typed_data

    # Before the data is parsed: for an unknown account its form does not matter.
    account = account_of(node, address)
    try:
        message = parse_json(typed) if isinstance(typed, str) else typed
    except JsonRefused as refused:
        raise invalid_params(f"invalid typed data: {refused.reason}") from None
    if not isinstance(message, dict):
        raise invalid_params("invalid typed data: object expected")
    try:
        signable = encode_typed_data(full_message=message)
    except Exception as error:  # the library raises another exception for each field
        raise invalid_params(f"invalid typed data: {error}") from error
    # EIP-191 version 1: domain separator and hash of the message.
    digest = keccak(b"\x19" + signable.version + signable.header + signable.body)
    return _signature_hex(account, digest)


def _signature_hex(account: ChainAccount, digest: bytes) -> str:
    """Return r, s and v (27 or 28) as 65 bytes."""
    # 27 is added for ecrecover and libraries, which expect the Bitcoin convention.
    recovery, r, s = sign_digest(account, digest)
    return f"0x{r:064x}{s:064x}{recovery + 27:02x}"
