"""Logs and the filters that poll for them."""

from __future__ import annotations

from typing import Any

from sandbox.testchain.json_rpc.encoding import as_address, as_hash, as_quantity, hex_data
from sandbox.testchain.json_rpc.rpc_errors import invalid_params, refusal_fault
from sandbox.testchain.methods.registry import rpc_method
from sandbox.testchain.node import ChainNode
from sandbox.testchain.storage.chain_index import LogFilter, RawJson

# For filters that watch blocks or transactions and look at no log.
_NONE = LogFilter()
_EMPTY = RawJson("[]")
# The EVM has LOG0 to LOG4.
_MAX_TOPICS = 4


@rpc_method("eth_getLogs")
def get_logs(node: ChainNode, request: object) -> RawJson:
    """Answer the logs of a range of blocks, or of one block by its hash, in chain order."""
    criteria = _read_criteria(request)
    wanted = _log_filter(criteria)
    if criteria.get("blockHash") is not None:
        # The specification forbids both: which one was meant cannot be known.
        if criteria.get("fromBlock") is not None or criteria.get("toBlock") is not None:
            raise invalid_params(
                "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other"
            )
        number = node.index.number_of(as_hash(criteria["blockHash"], "blockHash"))
        if number is None:
            raise refusal_fault("unknown block")
        return node.index.find_logs(wanted, number, number)
    low, high = _block_range(node, criteria)
    # A range that begins above the head is empty and not wrong: clients poll ahead.
    if low > high and high < node.ledger.head.number:
        raise invalid_params("invalid block range params")
    return node.index.find_logs(wanted, low, high)


@rpc_method("eth_newFilter")
def new_filter(node: ChainNode, request: object) -> str:
    """Keep a log filter for polling; answer its name. Blocks up to the head are old to it."""
    criteria = _read_criteria(request)
    head = node.ledger.head.number
    first = head + 1 if _is_open(criteria.get("fromBlock")) else _block_bound(node, criteria.get("fromBlock"))
    last = None if _is_open(criteria.get("toBlock")) else _block_bound(node, criteria.get("toBlock"))
    return node.filters.add_filter("logs", head, _log_filter(criteria), first, last)


@rpc_method("eth_newBlockFilter")
def new_block_filter(node: ChainNode) -> str:
    """Keep a filter for the hashes of new blocks; answer its name."""
    head = node.ledger.head.number
    return node.filters.add_filter("blocks", head, _NONE, head + 1, None)


@rpc_method("eth_newPendingTransactionFilter")
def new_transaction_filter(node: ChainNode) -> str:
    """Keep a filter for new transactions; they are reported once mined, as nothing is pending for long."""
    head = node.ledger.head.number
    return node.filters.add_filter("transactions", head, _NONE, head + 1, None)


@rpc_method("eth_getFilterChanges")
def filter_changes(node: ChainNode, name: object) -> Any:
    """Answer what is new since the last poll: logs, or hashes of blocks or transactions."""
    taken = node.filters.take_range(str(name), node.ledger.head.number)
    if taken is None:
        raise refusal_fault("filter not found")
    found, low, high = taken
    if low > high:
        return _EMPTY
    if found.kind == "logs":
        return node.index.find_logs(found.wanted, low, high)
    if found.kind == "blocks":
        return [hex_data(block) for block in node.index.hashes_between(low, high)]
    return [hex_data(tx) for tx in node.index.transaction_hashes_between(low, high)]


@rpc_method("eth_getFilterLogs")
def filter_logs(node: ChainNode, name: object) -> RawJson:
    """Answer all logs of a filter's range, whatever was polled before."""
    found = node.filters.get_filter(str(name))
    if found is None or found.kind != "logs":
        raise refusal_fault("filter not found")
    head = node.ledger.head.number
    return node.index.find_logs(
        found.wanted, found.first, head if found.last is None else min(found.last, head)
    )


@rpc_method("eth_uninstallFilter")
def uninstall_filter(node: ChainNode, name: object) -> bool:
    """Drop a filter; answer whether it was there."""
    return node.filters.remove_filter(str(name))


def _read_criteria(request: object) -> dict[str, object]:
    """Return the filter object; anything else is a fault."""
    if not isinstance(request, dict):
        raise invalid_params("invalid argument 0: filter object expected")
    return request


def _block_range(node: ChainNode, criteria: dict[str, object]) -> tuple[int, int]:
    """Return the first and last block of the request, the last one capped at the head."""
    head = node.ledger.head.number
    low = head if _is_open(criteria.get("fromBlock")) else _block_bound(node, criteria.get("fromBlock"))
    high = head if _is_open(criteria.get("toBlock")) else _block_bound(node, criteria.get("toBlock"))
    return low, min(high, head)


def _is_open(tag: object) -> bool:
    """Return whether a bound is left to the head: absent, or one of the tags that mean it here."""
    return tag is None or tag in ("latest", "pending", "safe", "finalized")


def _block_bound(node: ChainNode, tag: object) -> int:
    """Return a block number, which need not exist yet."""
    number = node.block_number(tag)
    if number is not None:
        return number
    if isinstance(tag, dict):
        if tag.get("blockHash") is not None:
            raise refusal_fault("unknown block")
        tag = tag["blockNumber"]
    # The block is above the head: then the number itself is the bound.
    return as_quantity(tag, "block number")


def _log_filter(criteria: dict[str, object]) -> LogFilter:
    """Read addresses and topics; a single address counts as a list of one."""
    address = criteria.get("address")
    addresses = [] if address is None else address if isinstance(address, list) else [address]
    topics = criteria.get("topics")
    if topics is not None and not isinstance(topics, list):
        raise invalid_params("invalid topics: array expected")
    if topics and len(topics) > _MAX_TOPICS:
        raise invalid_params("exceed max topics")
    return LogFilter(
        frozenset(as_address(entry) for entry in addresses),
        tuple(_topic_options(entry) for entry in topics or ()),
    )


def _topic_options(entry: object) -> frozenset[bytes] | None:
    """Read one topic position: null or an empty list for anything, a topic, or a list of alternatives (null
    in it: anything)."""
    if entry is None or entry == []:
        return None
    options = entry if isinstance(entry, list) else [entry]
    if None in options:
        return None
    return frozenset(as_hash(option, "topic") for option in options)
