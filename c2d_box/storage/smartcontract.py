"""Reads files of type ``smartcontract``: the result of one view function, as JSON. Reading the chain is
the caller's port (``ContractReader``), so this package does not depend on the chain's client."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from c2d_box.assets.files import FileObjectError, SmartContractFile
from c2d_box.storage.errors import FileUnusable, SourceUnreachable, StorageError

ContractReader = Callable[[SmartContractFile, list[Any]], Awaitable[Any]]


async def read_contract(
    file: SmartContractFile, userdata: Mapping[str, Any] | None, reader: ContractReader | None
) -> bytes:
    """Return the result as JSON bytes. Raise FileUnusable for arguments that do not fit, SourceUnreachable
    where the contract refuses, ChainAway where the chain does not answer."""
    if reader is None:
        raise FileUnusable("this Provider reads no contracts")
    try:
        arguments = file.call_arguments(userdata)
    except FileObjectError as error:
        raise FileUnusable(str(error)) from None
    try:
        result = await reader(file, arguments)
    # ChainAway above all: an outage must not look like a fault of the contract.
    except StorageError:
        raise
    # The contract is a stranger's: whatever decoding its answer brings about is its fault. No text of the
    # exception goes on, because it can hold the node's address.
    except Exception:
        raise SourceUnreachable("the contract call failed") from None
    return json.dumps(_plain_value(result), separators=(",", ":")).encode()


def _plain_value(value: Any) -> Any:
    """Return a value of the ABI as JSON can hold it; bytes as 0x and hex, tuples as lists."""
    if isinstance(value, bytes | bytearray):
        return "0x" + bytes(value).hex()
    if isinstance(value, Mapping):
        return {str(key): _plain_value(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(entry) for entry in value]
    return value
