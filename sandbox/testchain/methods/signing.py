"""Signatures by the accounts the node holds: ocean.js and tests sign through them."""

from __future__ import annotations

from eth_hash.auto import keccak

from c2d_box.recursion import kept_recursion_limit
from c2d_box.strict_json import JsonRefused, parse_json
from sandbox.testchain.accounts import Account, message_digest, sign_digest
from sandbox.testchain.drafting import account_of
from sandbox.testchain.encoding import as_bytes, data
from sandbox.testchain.faults import invalid_params
from sandbox.testchain.methods.registry import method
from sandbox.testchain.node import Node


@method("eth_accounts", "eth_requestAccounts", "personal_listAccounts")
def accounts(node: Node) -> list[str]:
    return [data(account.address) for account in node.keys.accounts]


@method("eth_sign")
def sign(node: Node, address: object, message: object) -> str:
    return _signature(account_of(node, address), message_digest(as_bytes(message, "message")))


@method("personal_sign")
def personal_sign(node: Node, message: object, address: object, password: object = None) -> str:
    """Sign a message. Accounts are never locked: a password is taken and not looked at."""
    return _signature(account_of(node, address), message_digest(as_bytes(message, "message")))


@method("personal_unlockAccount")
def unlock(node: Node, address: object, password: object = None, duration: object = None) -> bool:
    account_of(node, address)
    return True


@method("eth_signTypedData_v4", "eth_signTypedData")
def sign_typed_data(node: Node, address: object, typed: object) -> str:
    with kept_recursion_limit():
        from eth_account.messages import encode_typed_data

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
    digest = keccak(b"\x19" + signable.version + signable.header + signable.body)
    return _signature(account, digest)


def _signature(account: Account, digest: bytes) -> str:
    """Return r, s and v (27 or 28) as 65 bytes."""
    recovery, r, s = sign_digest(account, digest)
    return f"0x{r:064x}{s:064x}{recovery + 27:02x}"
