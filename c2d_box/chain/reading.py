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
from c2d_box.chain.coding import decode_values

# The ERC-20 of the current release: it has the Transfer and Approval that most receipts contain.
OCEAN = "OceanToken"
CONTRACTS = (abis.FACTORY, abis.NFT, abis.DATATOKEN, abis.EXCHANGE, abis.DISPENSER, abis.ROUTER, OCEAN)
# One entry of an ABI, or one of its inputs: both have ``type`` and, for tuples, ``components``.
AbiEntry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DecodedEntry:
    """A call or an event: its name and arguments, in their order, as text."""

    name: str
    arguments: Mapping[str, str]


def decode_call(data: str) -> DecodedEntry | None:
    """Decode the call that a transaction's input makes; None for what is no call of a known contract."""
    # The first four bytes select the function, the rest are its arguments.
    payload = bytes.fromhex(data.removeprefix("0x"))
    entry = _functions_by_selector().get(payload[:4])
    if entry is None:
        return None
    values = _try_decode([_abi_type(i) for i in entry["inputs"]], payload[4:])
    return None if values is None else DecodedEntry(str(entry["name"]), _named_texts(entry["inputs"], values))


def decode_event(topics: Sequence[str], data: str) -> DecodedEntry | None:
    """Decode a log; None for a log of no known contract."""
    if not topics:
        return None
    # The number of topics is part of the key, see `_events_by_topic`.
    entry = _events_by_topic().get((topics[0].lower(), len(topics)))
    if entry is None:
        return None
    inside = [i for i in entry["inputs"] if not i["indexed"]]
    values = _try_decode([_abi_type(i) for i in inside], bytes.fromhex(data.removeprefix("0x")))
    if values is None:
        return None
    # Indexed values come from the topics, the others from the data; both keep the inputs' order.
    plain, words = iter(values), iter(topics[1:])
    found = [_topic_value(i, next(words)) if i["indexed"] else next(plain) for i in entry["inputs"]]
    return DecodedEntry(str(entry["name"]), _named_texts(entry["inputs"], found))


def _topic_value(entry: AbiEntry, topic: str) -> Any:
    kind = _abi_type(entry)
    # An indexed value of a dynamic type is stored as its hash, so the hash is all there is to show.
    if kind in ("string", "bytes") or kind.endswith("]") or kind.startswith("("):
        return topic
    values = _try_decode([kind], bytes.fromhex(topic.removeprefix("0x")))
    return topic if values is None else values[0]


def _try_decode(types: Sequence[str], data: bytes) -> Sequence[Any] | None:
    try:
        return decode_values(types, data)
    except ValueError:
        return None


def _named_texts(inputs: Sequence[AbiEntry], values: Iterable[Any]) -> dict[str, str]:
    pairs = zip(inputs, values, strict=True)
    # Unnamed arguments get their position; Solidity's leading underscore is dropped for readers.
    return {str(i["name"] or f"#{n}").lstrip("_"): _value_text(v) for n, (i, v) in enumerate(pairs)}


def _value_text(value: Any) -> str:
    if isinstance(value, bytes):
        # A document or bytecode would fill the screen; 32 bytes identify it.
        return "0x" + (value.hex() if len(value) <= 32 else f"{value[:32].hex()}… ({len(value)} bytes)")
    if isinstance(value, tuple | list):
        return f"({', '.join(_value_text(each) for each in value)})"
    return str(value)


@cache
def _functions_by_selector() -> Mapping[bytes, AbiEntry]:
    # Where two contracts share a selector the later one names the arguments, which is fine for reading.
    return {
        _signature_hash(entry)[:4]: entry for name in CONTRACTS for entry in _abi_entries(name, "function")
    }


@cache
def _events_by_topic() -> Mapping[tuple[str, int], AbiEntry]:
    """Return the events by first topic and number of topics: token standards share names and differ in what
    is indexed."""
    found = {}
    for name in CONTRACTS:
        for entry in _abi_entries(name, "event"):
            indexed = sum(bool(i["indexed"]) for i in entry["inputs"])
            found[("0x" + _signature_hash(entry).hex(), 1 + indexed)] = entry
    return found


def _abi_entries(contract: str, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in abis.contract_abi(contract) if entry["type"] == kind]


def _signature_hash(entry: AbiEntry) -> bytes:
    return keccak256(f"{entry['name']}({','.join(_abi_type(i) for i in entry['inputs'])})".encode())


def _abi_type(entry: AbiEntry) -> str:
    kind = str(entry["type"])
    # A signature spells a struct as its fields in parentheses, with any array suffix kept.
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_abi_type(part) for part in entry['components'])}){kind[5:]}"
