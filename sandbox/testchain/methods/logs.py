"""Logs and the filters that poll for them."""

from __future__ import annotations

from typing import Any

from sandbox.testchain.encoding import as_address, as_hash, data
from sandbox.testchain.faults import invalid_params, refused
from sandbox.testchain.index import LogFilter, RawJson
from sandbox.testchain.methods.registry import method
from sandbox.testchain.node import Node

_NONE = LogFilter()
_EMPTY = RawJson("[]")
_MAX_TOPICS = 4


@method("eth_getLogs")
def get_logs(node: Node, request: object) -> RawJson:
    criteria = _criteria(request)
    wanted = _filter(criteria)
    if criteria.get("blockHash") is not None:
        if criteria.get("fromBlock") is not None or criteria.get("toBlock") is not None:
            raise invalid_params(
                "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other"
            )
        number = node.index.number_of(as_hash(criteria["blockHash"], "blockHash"))
        if number is None:
            raise refused("unknown block")
        return node.index.logs(wanted, number, number)
    low, high = _range(node, criteria)
    if low > high and high < node.ledger.head.number:
        raise invalid_params("invalid block range params")
    return node.index.logs(wanted, low, high)


@method("eth_newFilter")
def new_filter(node: Node, request: object) -> str:
    criteria = _criteria(request)
    head = node.ledger.head.number
    first = head + 1 if _is_open(criteria.get("fromBlock")) else _bound(node, criteria.get("fromBlock"))
    last = None if _is_open(criteria.get("toBlock")) else _bound(node, criteria.get("toBlock"))
    return node.filters.add("logs", head, _filter(criteria), first, last)


@method("eth_newBlockFilter")
def new_block_filter(node: Node) -> str:
    head = node.ledger.head.number
    return node.filters.add("blocks", head, _NONE, head + 1, None)


@method("eth_newPendingTransactionFilter")
def new_transaction_filter(node: Node) -> str:
    head = node.ledger.head.number
    return node.filters.add("transactions", head, _NONE, head + 1, None)


@method("eth_getFilterChanges")
def filter_changes(node: Node, name: object) -> Any:
    taken = node.filters.take(str(name), node.ledger.head.number)
    if taken is None:
        raise refused("filter not found")
    found, low, high = taken
    if low > high:
        return _EMPTY
    if found.kind == "logs":
        return node.index.logs(found.wanted, low, high)
    if found.kind == "blocks":
        return [data(block) for block in node.index.hashes_between(low, high)]
    return [data(tx) for tx in node.index.transaction_hashes_between(low, high)]


@method("eth_getFilterLogs")
def filter_logs(node: Node, name: object) -> RawJson:
    found = node.filters.get(str(name))
    if found is None or found.kind != "logs":
        raise refused("filter not found")
    head = node.ledger.head.number
    return node.index.logs(found.wanted, found.first, head if found.last is None else min(found.last, head))


@method("eth_uninstallFilter")
def uninstall(node: Node, name: object) -> bool:
    return node.filters.remove(str(name))


def _criteria(request: object) -> dict[str, object]:
    if not isinstance(request, dict):
        raise invalid_params("invalid argument 0: filter object expected")
    return request


def _range(node: Node, criteria: dict[str, object]) -> tuple[int, int]:
    head = node.ledger.head.number
    low = head if _is_open(criteria.get("fromBlock")) else _bound(node, criteria.get("fromBlock"))
    high = head if _is_open(criteria.get("toBlock")) else _bound(node, criteria.get("toBlock"))
    return low, min(high, head)


def _is_open(tag: object) -> bool:
    return tag is None or tag in ("latest", "pending", "safe", "finalized")


def _bound(node: Node, tag: object) -> int:
    """Return a block number, which need not exist yet."""
    number = node.block_number(tag)
    return int(str(tag), 16) if number is None else number


def _filter(criteria: dict[str, object]) -> LogFilter:
    address = criteria.get("address")
    addresses = [] if address is None else address if isinstance(address, list) else [address]
    topics = criteria.get("topics")
    if topics is not None and not isinstance(topics, list):
        raise invalid_params("invalid topics: array expected")
    if topics and len(topics) > _MAX_TOPICS:
        raise invalid_params("exceed max topics")
    return LogFilter(
        frozenset(as_address(entry) for entry in addresses), tuple(_topic(entry) for entry in topics or ())
    )


def _topic(entry: object) -> frozenset[bytes] | None:
    """Read one topic position: null or an empty list for anything, a topic, or a list of alternatives (null
    in it: anything)."""
    if entry is None or entry == []:
        return None
    options = entry if isinstance(entry, list) else [entry]
    if None in options:
        return None
    return frozenset(as_hash(option, "topic") for option in options)
