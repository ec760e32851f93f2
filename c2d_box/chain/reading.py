"""Any transaction and log of Ocean's contracts as text: for people to read, never for decisions.

A log or call is decoded by its shape alone, whatever contract emitted it; deciding on one is the business of
:mod:`c2d_box.chain.events`, which compares addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from c2d_box.assets.addresses import keccak256
from c2d_box.chain import abis
from c2d_box.chain.coding import decode

OCEAN = "OceanToken"
CONTRACTS = (abis.FACTORY, abis.NFT, abis.DATATOKEN, abis.EXCHANGE, abis.DISPENSER, abis.ROUTER, OCEAN)
Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A call or an event: its name and arguments, in their order, as text."""

    name: str
    arguments: Mapping[str, str]


def call(data: str) -> Decoded | None:
    """Decode the call that a transaction's input makes; None for what is no call of a known contract."""
    payload = bytes.fromhex(data.removeprefix("0x"))
    entry = _functions().get(payload[:4])
    if entry is None:
        return None
    values = _decoded([_type(i) for i in entry["inputs"]], payload[4:])
    return None if values is None else Decoded(str(entry["name"]), _named(entry["inputs"], values))


def event(topics: Sequence[str], data: str) -> Decoded | None:
    """Decode a log; None for a log of no known contract."""
    if not topics:
        return None
    entry = _events().get((topics[0].lower(), len(topics)))
    if entry is None:
        return None
    inside = [i for i in entry["inputs"] if not i["indexed"]]
    values = _decoded([_type(i) for i in inside], bytes.fromhex(data.removeprefix("0x")))
    if values is None:
        return None
    plain, words = iter(values), iter(topics[1:])
    found = [_word(i, next(words)) if i["indexed"] else next(plain) for i in entry["inputs"]]
    return Decoded(str(entry["name"]), _named(entry["inputs"], found))


def _word(entry: Entry, topic: str) -> Any:
    kind = _type(entry)
    if kind in ("string", "bytes") or kind.endswith("]") or kind.startswith("("):
        return topic
    values = _decoded([kind], bytes.fromhex(topic.removeprefix("0x")))
    return topic if values is None else values[0]


def _decoded(types: Sequence[str], data: bytes) -> Sequence[Any] | None:
    try:
        return decode(types, data)
    except ValueError:
        return None


def _named(inputs: Sequence[Entry], values: Iterable[Any]) -> dict[str, str]:
    pairs = zip(inputs, values, strict=True)
    return {str(i["name"] or f"#{n}").lstrip("_"): _text(v) for n, (i, v) in enumerate(pairs)}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return "0x" + (value.hex() if len(value) <= 32 else f"{value[:32].hex()}… ({len(value)} bytes)")
    if isinstance(value, tuple | list):
        return f"({', '.join(_text(each) for each in value)})"
    return str(value)


@cache
def _functions() -> Mapping[bytes, Entry]:
    return {_hash(entry)[:4]: entry for name in CONTRACTS for entry in _entries(name, "function")}


@cache
def _events() -> Mapping[tuple[str, int], Entry]:
    """Return the events by first topic and number of topics: token standards share names and differ in what
    is indexed."""
    found = {}
    for name in CONTRACTS:
        for entry in _entries(name, "event"):
            indexed = sum(bool(i["indexed"]) for i in entry["inputs"])
            found[("0x" + _hash(entry).hex(), 1 + indexed)] = entry
    return found


def _entries(contract: str, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in abis.abi(contract) if entry["type"] == kind]


def _hash(entry: Entry) -> bytes:
    return keccak256(f"{entry['name']}({','.join(_type(i) for i in entry['inputs'])})".encode())


def _type(entry: Entry) -> str:
    kind = str(entry["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type(part) for part in entry['components'])}){kind[5:]}"
