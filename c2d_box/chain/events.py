"""Events of Ocean's contracts: their topics, and logs decoded to plain values.

A log proves nothing by its shape, only by the address that emitted it: code that decides on a log compares
``ContractEvent.address`` first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from c2d_box.assets.addresses import checksum_address, keccak256, same_hex
from c2d_box.chain import abis
from c2d_box.chain.coding import decode_values
from c2d_box.chain.node import Chain

METADATA = ("MetadataCreated", "MetadataUpdated", "MetadataState", "MetadataValidated", "TokenURIUpdate")
ORDERS = ("OrderStarted", "OrderReused", "ProviderFee", "OrderExecuted")
# The contract whose ABI has an event. ``Transfer721`` is our name for the NFT's Transfer: an ERC-20 Transfer
# has the same first topic and one topic less.
_HOME = {
    **dict.fromkeys(METADATA, abis.NFT),
    "Transfer721": abis.NFT,
    **dict.fromkeys(ORDERS, abis.DATATOKEN),
    "NFTCreated": abis.FACTORY,
    "TokenCreated": abis.FACTORY,
    "NewFixedRate": abis.FACTORY,
    "NewPool": abis.FACTORY,
    "DispenserCreated": abis.DISPENSER,
    "ExchangeCreated": abis.EXCHANGE,
    "ExchangeRateChanged": abis.EXCHANGE,
}


@dataclass(frozen=True)
class ContractEvent:
    """One decoded log. Addresses are checksummed, hashes 0x lower-case hex, bytes stay bytes."""

    name: str
    address: str
    arguments: Mapping[str, Any]
    block: int
    block_hash: str
    tx: str
    index: int

    def __getitem__(self, argument: str) -> Any:
        return self.arguments[argument]


@cache
def event_topic(name: str) -> str:
    """Return the first topic of an event: the keccak of its signature, as 0x hex."""
    # The ABI of these events has no tuples, so the types can be joined as they stand.
    entry = _event_abi(name)
    types = ",".join(_abi_type(i) for i in entry["inputs"])
    return "0x" + keccak256(f"{entry['name']}({types})".encode()).hex()


def decode_logs(logs: Iterable[Mapping[str, Any]], names: Sequence[str]) -> Iterator[ContractEvent]:
    """Yield the logs that are events called one of ``names``, in their order; all others are passed over.

    A log that claims to be such an event and cannot be decoded is passed over too
    (:func:`unreadable_logs` yields those).
    """
    # Two events with one signature cannot be told apart by topic; the later of ``names`` would win.
    wanted = {event_topic(name): name for name in names}
    for log in logs:
        topics = [_as_hex(t) for t in log["topics"]]
        name = wanted.get(topics[0]) if topics else None
        event = _decode_log(name, topics, log) if name else None
        if event:
            yield event


@dataclass(frozen=True)
class UnreadableLog:
    """A log with an event's first topic whose values cannot be decoded."""

    name: str
    address: str
    block: int
    tx: str
    index: int


def unreadable_logs(logs: Iterable[Mapping[str, Any]], names: Sequence[str]) -> Iterator[UnreadableLog]:
    """Yield the logs that :func:`decode_logs` passes over although they claim to be one of ``names``.

    The indexer records them as refused: an unreadable update of an asset is still an update.
    """
    wanted = {event_topic(name): name for name in names}
    for log in logs:
        topics = [_as_hex(t) for t in log["topics"]]
        name = wanted.get(topics[0]) if topics else None
        if name is not None and _decode_log(name, topics, log) is None:
            yield UnreadableLog(
                name,
                checksum_address(str(log["address"])),
                int(log["blockNumber"]),
                _as_hex(log["transactionHash"]),
                int(log["logIndex"]),
            )


def metadata_logs(chain: Chain, from_block: int, to_block: int | str = "latest") -> list[ContractEvent]:
    """Return all metadata events of these blocks, in chain order.

    The emitter may be any contract: the caller has to ask whether it is one of the factory's NFTs
    (:func:`c2d_box.chain.nfts.is_deployed_nft`).
    """
    logs = chain.get_logs([event_topic(name) for name in METADATA], from_block, to_block)
    # Indexers depend on chain order, so it does not rest on the node's.
    return sorted(decode_logs(logs, METADATA), key=lambda e: (e.block, e.index))


def metadata_of(chain: Chain, tx: str, nft: str) -> ContractEvent | None:
    """Return the first event by which a transaction wrote ``nft``'s metadata (created or updated),
    or None."""
    receipt = chain.find_receipt(tx)
    # METADATA[:2] are the two that carry a document; the other events carry none.
    written = decode_logs(receipt["logs"], METADATA[:2]) if receipt else ()
    return next((e for e in written if same_hex(e.address, nft)), None)


def order_logs(
    chain: Chain, from_block: int, to_block: int | str = "latest", datatoken: str | None = None
) -> list[ContractEvent]:
    """Return OrderStarted and OrderReused in these blocks, in chain order.

    Without ``datatoken`` the logs are those of every contract that emits this shape: compare the address.
    """
    names = ("OrderStarted", "OrderReused")
    logs = chain.get_logs([event_topic(name) for name in names], from_block, to_block, datatoken)
    return sorted(decode_logs(logs, names), key=lambda e: (e.block, e.index))


def _decode_log(name: str, topics: list[str], log: Mapping[str, Any]) -> ContractEvent | None:
    """Decode one log; None for one with the right first topic and anything else wrong: shapes can
    be forged."""
    inputs = _event_abi(name)["inputs"]
    indexed = [i for i in inputs if i["indexed"]]
    plain = [i for i in inputs if not i["indexed"]]
    # A contract of the attacker's may index other arguments under the same signature.
    if len(topics) != len(indexed) + 1:
        return None
    try:
        values = decode_values([_abi_type(i) for i in plain], _as_bytes(log["data"]))
        arguments = {i["name"]: _plain_value(i["type"], v) for i, v in zip(plain, values, strict=True)}
        # An indexed value is one 32-byte word. Dynamic types would be a hash; none of these events has one.
        for entry, word in zip(indexed, topics[1:], strict=True):
            (value,) = decode_values([_abi_type(entry)], bytes.fromhex(word[2:]))
            arguments[entry["name"]] = _plain_value(entry["type"], value)
    except ValueError:
        # One bad log must not stop an indexer, nor hide the good ones beside it.
        return None
    return ContractEvent(
        name,
        checksum_address(str(log["address"])),
        arguments,
        int(log["blockNumber"]),
        _as_hex(log["blockHash"]),
        _as_hex(log["transactionHash"]),
        int(log["logIndex"]),
    )


def _event_abi(name: str) -> dict[str, Any]:
    return abis.event_abi(_HOME[name], "Transfer" if name == "Transfer721" else name)


def _abi_type(entry: Mapping[str, Any]) -> str:
    return str(entry["type"])


def _plain_value(kind: str, value: Any) -> Any:
    if kind == "address":
        return checksum_address(value)
    # Hashes are compared as text all over the project; other bytes (documents) stay bytes.
    return "0x" + value.hex() if kind == "bytes32" else value


def _as_hex(value: Any) -> str:
    return value.lower() if isinstance(value, str) else "0x" + bytes(value).hex()


def _as_bytes(value: Any) -> bytes:
    return bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(value)
