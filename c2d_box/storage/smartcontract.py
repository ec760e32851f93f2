"""Type ``smartcontract``: the result of one view function, as JSON. Reading the chain is the caller's
port."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from c2d_box.assets.files import FileObjectError, SmartContractFile
from c2d_box.storage.errors import StorageError, Unreachable, Unusable

ContractReader = Callable[[SmartContractFile, list[Any]], Awaitable[Any]]


async def read(
    file: SmartContractFile, userdata: Mapping[str, Any] | None, reader: ContractReader | None
) -> bytes:
    if reader is None:
        raise Unusable("this Provider reads no contracts")
    try:
        arguments = file.arguments(userdata)
    except FileObjectError as error:
        raise Unusable(str(error)) from None
    try:
        result = await reader(file, arguments)
    except StorageError:
        raise
    except Exception:
        raise Unreachable("the contract call failed") from None
    return json.dumps(_plain(result), separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return "0x" + bytes(value).hex()
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
