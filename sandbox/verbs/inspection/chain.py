"""``chain``: reads blocks and transactions from the node and decodes them; names accounts and contracts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from c2d_box.errors import Failed, UsageError
from c2d_box.strict_json import WRAPPED, parse_json
from sandbox.box import Box
from sandbox.verbs.accounts import account_names

PATIENCE = 25.0
"""Seconds that the node may hold a request that waits for the next block."""


@dataclass(frozen=True, slots=True)
class ChainBlock:
    """A block. ``at`` is Unix seconds; ``transactions`` are hashes."""

    number: int
    hash: str
    at: int
    gas: int
    transactions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContractEvent:
    """An event that a transaction emitted. ``contract`` is a name where one is known."""

    contract: str
    address: str
    name: str
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DecodedTransaction:
    """A transaction. ``function`` names the called function where the contract is one of Ocean's."""

    hash: str
    block: int
    at: int
    sender: str
    to: str
    function: str
    arguments: Mapping[str, str]
    succeeded: bool
    gas: int
    events: tuple[ContractEvent, ...]


def list_blocks(box: Box, count: int = 50, before: int | None = None) -> list[ChainBlock]:
    """Return the newest blocks, or those below ``before``; newest first. ``count`` is how many at most."""
    with _NodeClient(box) as node:
        head = node.head_number() if before is None else before - 1
        numbers = range(head, max(head - count, -1), -1)
        found = node.send_batch([("eth_getBlockByNumber", [hex(n), False]) for n in numbers])
        # A block may be missing if the chain was taken back between the two requests.
        return [_parse_block(each) for each in found if each]


def list_transactions(box: Box, count: int = 50) -> list[DecodedTransaction]:
    """Return the newest transactions with their decoded events; newest first.

    Blocks are read in steps of ``count`` until there are enough transactions or no more blocks: on a quiet
    chain most blocks are empty.
    """
    with _NodeClient(box) as node:
        head = node.head_number()
        found: list[tuple[dict[str, Any], dict[str, Any]]] = []
        while head >= 0 and len(found) < count:
            numbers = range(head, max(head - count, -1), -1)
            some = node.send_batch([("eth_getBlockByNumber", [hex(n), True]) for n in numbers])
            found += [(tx, block) for block in some if block for tx in reversed(block["transactions"])]
            head -= count
        chosen = found[:count]
        receipts = node.send_batch([("eth_getTransactionReceipt", [tx["hash"]]) for tx, _ in chosen])
    names = _known_names(box)
    return [
        _decode_transaction(tx, block, receipt, names)
        for (tx, block), receipt in zip(chosen, receipts, strict=True)
        # A transaction without a receipt was taken back meanwhile.
        if receipt
    ]


def read_transaction(box: Box, tx: str) -> DecodedTransaction:
    """Return one transaction; raise ``C2D-CHAIN-NO-TX`` where the chain has none of that hash."""
    with _NodeClient(box) as node:
        found, receipt = node.send_batch(
            [("eth_getTransactionByHash", [tx]), ("eth_getTransactionReceipt", [tx])]
        )
        if not found or not receipt:
            raise UsageError(
                "C2D-CHAIN-NO-TX", f"the chain has no transaction {tx}", box.command_line("chain")
            )
        (block,) = node.send_batch([("eth_getBlockByNumber", [found["blockNumber"], False])])
    return _decode_transaction(found, block, receipt, _known_names(box))


def watch_heads(box: Box) -> Iterator[int]:
    """Yield the number of the newest block, again whenever it changes; long-polls the node where it can."""
    number = -1
    with _NodeClient(box) as node:
        while True:
            number = node.await_head(number)
            yield number


class _NodeClient:
    """Sends JSON-RPC in batches: importing a chain client would take a second for a screen of blocks."""

    def __init__(self, box: Box) -> None:
        self._box, self._url = box, box.service_urls["chain"]
        # ``trust_env`` off: a proxy of the user's environment cannot reach a chain on this machine.
        self._http = httpx.Client(timeout=10.0, trust_env=False)

    def __enter__(self) -> _NodeClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.close()

    def head_number(self) -> int:
        """Return the number of the newest block."""
        (number,) = self.send_batch([("eth_blockNumber", [])])
        return int(number, 16)

    def await_head(self, number: int) -> int:
        """Return the head once it is not ``number``, or after a while even if it still is."""
        try:
            # The long poll of the box's own chain; other nodes do not have it and are polled.
            answer = self._http.get(
                f"{self._url}/c2d/head", params={"after": number, "timeout": PATIENCE}, timeout=PATIENCE + 10
            )
            if answer.is_success:
                head = parse_json(answer.content)["number"]
                return int(head, 16) if isinstance(head, str) else int(head)
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return self._poll_head(number)
        return self._poll_head(number)

    def _poll_head(self, number: int) -> int:
        """Return the head after a second; at once if no head is known yet. Raises where the node does not
        answer.
        """
        time.sleep(0 if number < 0 else 1.0)
        return self.head_number()

    def send_batch(self, calls: list[tuple[str, list[Any]]]) -> list[Any]:
        """Return the results in the order of the calls."""
        if not calls:
            return []
        batch = [{"jsonrpc": "2.0", "id": n, "method": m, "params": p} for n, (m, p) in enumerate(calls)]
        try:
            answers = parse_json(self._http.post(self._url, json=batch).content, WRAPPED)
        except (httpx.HTTPError, ValueError) as cause:
            raise Failed(
                "C2D-SERVICE-UNREACHABLE",
                f"the chain at {self._url} does not answer",
                f"see whether it runs: {self._box.command_line('status')}",
            ) from cause
        if not isinstance(answers, list):
            raise Failed("C2D-SERVICE-FAILED", f"the chain refused the question: {answers}", "see its log")
        # JSON-RPC 2.0 lets a server answer a batch in any order; an error has no result and counts as
        # missing.
        by_id = {answer.get("id"): answer.get("result") for answer in answers}
        return [by_id.get(n) for n in range(len(calls))]


def _parse_block(value: Mapping[str, Any]) -> ChainBlock:
    """Return a block of the wire, where all numbers are hexadecimal text."""
    return ChainBlock(
        int(value["number"], 16),
        str(value["hash"]),
        int(value["timestamp"], 16),
        int(value["gasUsed"], 16),
        tuple(value["transactions"]),
    )


def _decode_transaction(
    tx: Mapping[str, Any], block: Mapping[str, Any], receipt: Mapping[str, Any], names: Mapping[str, str]
) -> DecodedTransaction:
    """Return a transaction with its function and events by name. Unknown contracts keep their addresses."""
    from c2d_box.chain import reading

    data, to = str(tx.get("input") or "0x"), str(tx.get("to") or "")
    # A call begins with a selector of four bytes: ``0x`` and eight digits.
    called = reading.decode_call(data) if to and len(data) >= 10 else None
    if called is not None:
        function = called.name
    else:
        function = "transfer of ETH" if to and len(data) <= 2 else "call" if to else "creates a contract"
    return DecodedTransaction(
        str(tx["hash"]),
        int(tx["blockNumber"], 16),
        int(block["timestamp"], 16),
        _name_or_address(str(tx["from"]), names),
        _name_or_address(to or str(receipt.get("contractAddress") or ""), names),
        function,
        {} if called is None else {k: _name_or_address(v, names) for k, v in called.arguments.items()},
        int(receipt["status"], 16) == 1,
        int(receipt["gasUsed"], 16),
        tuple(_decode_log(log, names) for log in receipt["logs"]),
    )


def _decode_log(log: Mapping[str, Any], names: Mapping[str, str]) -> ContractEvent:
    """Return an event by its name; one that no contract of Ocean's declares is ``unknown event``."""
    from c2d_box.chain import reading

    address = str(log["address"])
    said = reading.decode_event(log["topics"], str(log["data"]))
    if said is None:
        return ContractEvent(_name_or_address(address, names), address, "unknown event", {})
    arguments = {name: _name_or_address(value, names) for name, value in said.arguments.items()}
    return ContractEvent(_name_or_address(address, names), address, said.name, arguments)


def _name_or_address(value: str, names: Mapping[str, str]) -> str:
    return names.get(value.lower(), value)


def _known_names(box: Box) -> Mapping[str, str]:
    """Return names by lower-case address: accounts by role, contracts by name."""
    from c2d_box.chain import addresses

    if not box.home.address_file.exists():
        return account_names()
    known = addresses.load_addresses(box.home.address_file, box.settings.chain.chain_id)
    contracts = {
        known.ocean: "OCEAN",
        known.factory: "NFT factory",
        known.router: "router",
        known.fixed_price: "fixed-price exchange",
        known.dispenser: "dispenser",
    }
    return {**{address.lower(): name for address, name in contracts.items()}, **account_names()}
