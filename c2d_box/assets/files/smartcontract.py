"""Type ``smartcontract``: the result of one view or pure function, as JSON. ``c2d_box.storage.smartcontract``
calls it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from c2d_box.assets.addresses import is_address
from c2d_box.assets.files.file_object import FileObject, FileObjectError, UserData

_ABI_VALUES, _ABI_TYPE, _ABI_DIMENSIONS = 64, 64, 4
"""Limits of a contract's function: values with their components, characters of a type, and its brackets."""


@dataclass(frozen=True)
class SmartContractFile(FileObject):
    """The result of one view or pure function; user data gives its arguments by name."""

    type: ClassVar[str] = "smartcontract"
    properties: ClassVar[Mapping[str, Any]] = {
        "address": {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"},
        "chainId": {"type": "integer"},
        "abi": {"type": "object"},
    }

    address: str = field(repr=False)
    chain_id: int = field(repr=False)
    abi: Mapping[str, Any] = field(repr=False)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Parse a contract's address and one function of its ABI. Only view and pure functions: reading a
        file must not send a transaction."""
        address, abi, chain_id = value.get("address"), value.get("abi"), value.get("chainId", 0)
        if not isinstance(address, str) or not is_address(address):
            raise FileObjectError("malformed smartcontract type, missing contract address")
        inputs = abi.get("inputs", []) if isinstance(abi, dict) else None
        if not isinstance(inputs, list) or not all(isinstance(i, dict) for i in inputs):
            raise FileObjectError("invalid abi")
        # For the type checker: ``inputs`` is None otherwise.
        assert isinstance(abi, dict)
        # Before any library sees the types.
        if not _is_small(abi):
            raise FileObjectError("invalid abi")
        if abi.get("type", "function") != "function" or abi.get("stateMutability") not in ("view", "pure"):
            raise FileObjectError("only view or pure functions are allowed")
        if not isinstance(abi.get("name"), str) or not abi["name"]:
            raise FileObjectError("missing name")
        # JSON's true is an int to Python.
        if isinstance(chain_id, bool) or not isinstance(chain_id, int):
            raise FileObjectError("malformed file object.")
        return cls(address, chain_id, abi)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON; the ABI is passed on as it was given."""
        return {
            "type": "smartcontract",
            "address": self.address,
            "chainId": self.chain_id,
            "abi": dict(self.abi),
        }

    def sends_more_than_get(self, userdata: UserData) -> bool:
        """Return whether user data is sent, which a contract gets as arguments."""
        return bool(userdata)

    def call_arguments(self, userdata: Mapping[str, Any] | None) -> list[Any]:
        """Return the call's arguments in ABI order, taken from ``userdata``. Raise FileObjectError for
        missing ones."""
        names = [str(i.get("name", "")) for i in self.abi.get("inputs", [])]
        if names and not userdata:
            raise FileObjectError("Missing parameters")
        missing = [name for name in names if name not in (userdata or {})]
        if missing:
            raise FileObjectError(f"Missing userparams: {','.join(missing)}")
        return [(userdata or {})[name] for name in names]


def _is_small(abi: Mapping[str, Any]) -> bool:
    """Return whether the function has few values, of types that are quickly read: a library's parser takes
    minutes for a type of a few kilobytes, in each of its dimensions."""
    count, pending = 0, [*_list_entries(abi, "inputs"), *_list_entries(abi, "outputs")]
    while pending:
        entry, count = pending.pop(), count + 1
        kind = entry.get("type", "") if isinstance(entry, dict) else None
        if not isinstance(kind, str) or count > _ABI_VALUES:
            return False
        if len(kind) > _ABI_TYPE or kind.count("[") > _ABI_DIMENSIONS:
            return False
        # Tuples nest; the walk keeps its own stack, so depth costs no recursion.
        pending += _list_entries(entry, "components")
    return True


def _list_entries(entry: Mapping[str, Any], key: str) -> list[Any]:
    """Return the list at ``key``; in place of anything else one entry that is refused."""
    found = entry.get(key) or []
    return found if isinstance(found, list) else [None]
