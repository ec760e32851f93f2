"""View functions called at the price of a JSON-RPC request.

web3's contract objects cost several milliseconds of processor time per call and more per new contract,
many times what the node takes; services ask dozens of questions per request. Here a call is encoded by
the ABI entry alone, and many calls travel as one batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from c2d_box.assets.addresses import checksum_address, keccak256
from c2d_box.chain import abis
from c2d_box.chain.coding import decode_values, encode_values


@dataclass(frozen=True)
class ViewCall:
    """One call of a view function: ``function`` of the contract ``name`` (Solidity name) at ``address``."""

    name: str
    address: str
    function: str
    arguments: tuple[Any, ...] = ()

    def call_parameters(self) -> list[Any]:
        """Return the parameters of ``eth_call``; raise ValueError when the arguments do not fit."""
        entry = _function_abi(self.name, self.function, len(self.arguments))
        # The types come from the ABI, never from the values, so a wrong value cannot select another overload.
        try:
            encoded = encode_values([_abi_type(item) for item in entry["inputs"]], self.arguments)
        except ValueError as error:
            raise ValueError(f"the arguments of {self.function} do not fit") from error
        data = _function_selector(self.name, self.function, len(self.arguments)) + encoded
        # "latest", not "pending": what is decided on has to be in a block.
        return [{"to": checksum_address(self.address), "data": "0x" + data.hex()}, "latest"]

    def decode_result(self, result: str) -> Any:
        """Decode the answer: addresses checksummed, one output plain, several as a list."""
        outputs = _function_abi(self.name, self.function, len(self.arguments))["outputs"]
        # An address without code answers "0x", which no output type can be decoded from.
        raw = bytes.fromhex(result.removeprefix("0x"))
        try:
            values = decode_values([_abi_type(item) for item in outputs], raw)
        except ValueError as error:
            raise ValueError(f"{self.address} is no {self.name}") from error
        # Nested structs become tuples, so one shape reaches all callers.
        plain = [_plain_value(item, value) for item, value in zip(outputs, values, strict=True)]
        return plain[0] if len(plain) == 1 else plain


@cache
def _function_abi(name: str, function: str, count: int) -> Mapping[str, Any]:
    # Overloads are told apart by the number of arguments, which suffices for Ocean's contracts.
    return next(
        entry
        for entry in abis.contract_abi(name)
        if entry["type"] == "function" and entry["name"] == function and len(entry["inputs"]) == count
    )


@cache
def _function_selector(name: str, function: str, count: int) -> bytes:
    types = ",".join(_abi_type(item) for item in _function_abi(name, function, count)["inputs"])
    return keccak256(f"{function}({types})".encode())[:4]


def _abi_type(item: Mapping[str, Any]) -> str:
    kind = str(item["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_abi_type(part) for part in item['components'])}){kind[5:]}"


def _plain_value(item: Mapping[str, Any], value: Any) -> Any:
    kind = str(item["type"])
    # An array of addresses has to be checksummed element by element.
    if kind.endswith("]"):
        inner = {**item, "type": kind[: kind.rindex("[")]}
        return [_plain_value(inner, entry) for entry in value]
    if kind == "tuple":
        return tuple(_plain_value(part, entry) for part, entry in zip(item["components"], value, strict=True))
    return checksum_address(value) if kind == "address" else value


def decode_answers(views: Sequence[ViewCall], responses: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return each view's value, or None where the contract reverted or is no such contract."""
    found: list[Any] = []
    # None is an answer here: whether a contract of that kind stands there is part of the question.
    for view, response in zip(views, responses, strict=True):
        result = response.get("result")
        try:
            found.append(view.decode_result(result) if isinstance(result, str) else None)
        except ValueError:
            found.append(None)
    return found
