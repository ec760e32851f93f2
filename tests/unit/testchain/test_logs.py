"""Logs and polling filters: what matches is compared with a plain walk over all receipts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.testchain.json_rpc.rpc_errors import RpcFault

TOPICS = ["0x" + f"{n:064x}" for n in range(3)]
BLOCKS = 40


def emitter(topics: int) -> str:
    """Runtime code logging ``topics`` topics read from the call data, twice in one transaction."""
    push = "".join(f"60{32 * position:02x}35" for position in reversed(range(topics)))
    return (push + f"5f5fa{topics}") * 2 + "00"


@pytest.fixture(scope="module")
def emitting(
    tmp_path_factory: pytest.TempPathFactory, ocean: tuple[Any, Any]
) -> Iterator[tuple[Any, list[str]]]:
    """A chain of its own with emitters of 0..4 topics, and some blocks of their logs."""
    import random

    from sandbox.testchain.execution.chain_clock import ChainClock
    from sandbox.testchain.node import open_node
    from sandbox.testchain.settings import ChainNodeSettings

    shared = ocean[0]
    path: Path = tmp_path_factory.mktemp("logs") / "chain"
    node = open_node(ChainNodeSettings(data_dir=path), ChainClock(shared.wall))
    chain = type(shared)(node, shared.wall)
    addresses = [chain.install(emitter(topics)) for topics in range(5)]
    random_ = random.Random(8996)
    for _ in range(BLOCKS):
        picked = "".join(random_.choice(TOPICS)[2:] for _ in range(4))
        chain.send("0x" + picked, to=random_.choice(addresses))
    yield chain, addresses
    node.store.close()


def all_logs(chain: Any) -> list[dict[str, Any]]:
    head = int(chain.call("eth_blockNumber"), 16)
    return [
        log
        for number in range(head + 1)
        for receipt in chain.call("eth_getBlockReceipts", hex(number))
        for log in receipt["logs"]
    ]


def matches(log: dict[str, Any], criteria: dict[str, Any], head: int) -> bool:
    """eth_getLogs as the execution API describes it, one log at a time."""

    def bound(tag: Any) -> int:
        return head if tag in (None, "latest") else 0 if tag == "earliest" else int(tag, 16)

    address = criteria.get("address")
    allowed = [address] if isinstance(address, str) else address
    if allowed and log["address"] not in allowed:
        return False
    if not bound(criteria.get("fromBlock")) <= int(log["blockNumber"], 16) <= bound(criteria.get("toBlock")):
        return False
    wanted = criteria.get("topics") or []
    if len(wanted) > len(log["topics"]):
        return False
    pairs = zip(wanted, log["topics"], strict=False)
    return all(
        not want or topic == want or (isinstance(want, list) and topic in want) for want, topic in pairs
    )


topic = st.sampled_from(TOPICS)
position = st.one_of(st.none(), topic, st.lists(topic, max_size=3, unique=True))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_filters_find_what_a_walk_over_all_receipts_finds(emitting: tuple[Any, list[str]], data: Any) -> None:
    chain, addresses = emitting
    head = int(chain.call("eth_blockNumber"), 16)
    low = data.draw(st.integers(0, head))
    high = data.draw(st.integers(low, head))
    criteria = {
        "fromBlock": data.draw(st.sampled_from([hex(low), "earliest"])),
        "toBlock": data.draw(st.sampled_from([hex(high), "latest", None])),
        "topics": data.draw(st.one_of(st.none(), st.lists(position, max_size=4))),
    }
    address = st.sampled_from(addresses)
    criteria["address"] = data.draw(st.one_of(st.none(), address, st.lists(address, max_size=3, unique=True)))
    expected = [log for log in all_logs(chain) if matches(log, criteria, head)]
    assert chain.call("eth_getLogs", criteria) == expected


def test_one_block_by_hash(emitting: tuple[Any, list[str]]) -> None:
    chain, _ = emitting
    log = all_logs(chain)[-1]
    expected = [entry for entry in all_logs(chain) if entry["blockHash"] == log["blockHash"]]
    assert chain.call("eth_getLogs", {"blockHash": log["blockHash"]}) == expected
    assert [entry["logIndex"] for entry in expected] == ["0x0", "0x1"]


@pytest.mark.parametrize(
    ("criteria", "text"),
    [
        ({"blockHash": "0x" + "00" * 32}, "unknown block"),
        ({"blockHash": "0x" + "00" * 32, "fromBlock": "0x0"}, "cannot specify both"),
        ({"fromBlock": "0x5", "toBlock": "0x1"}, "invalid block range"),
        ({"topics": [None] * 5}, "exceed max topics"),
        ({"topics": ["0x01"]}, "invalid topic"),
        ({"address": "0x01"}, "invalid address"),
        ([], "filter object expected"),
    ],
)
def test_bad_criteria_are_refused(emitting: tuple[Any, list[str]], criteria: object, text: str) -> None:
    with pytest.raises(RpcFault, match=text):
        emitting[0].call("eth_getLogs", criteria)


def test_a_bound_above_the_head_may_be_any_form_of_number(chain: Any) -> None:
    """A plain integer is no hex without its prefix: 100 is not 256."""
    for bound in (100, "0x64", {"blockNumber": 100}, {"blockNumber": "0x64"}):
        assert chain.call("eth_getLogs", {"fromBlock": bound}) == []
    name = chain.call("eth_newFilter", {"fromBlock": 0, "toBlock": 12})
    address = chain.install("5f5fa000")
    for _ in range(16):
        chain.send(to=address)
    numbers = [int(log["blockNumber"], 16) for log in chain.call("eth_getFilterLogs", name)]
    assert numbers == list(range(2, 13))


@pytest.mark.parametrize("field", ["fromBlock", "toBlock"])
def test_a_bound_of_an_unknown_hash_is_refused(chain: Any, field: str) -> None:
    for method in ("eth_getLogs", "eth_newFilter"):
        with pytest.raises(RpcFault, match="unknown block"):
            chain.call(method, {field: {"blockHash": "0x" + "77" * 32}})


def test_a_log_filter_hands_out_each_log_once(chain: Any) -> None:
    address = chain.install(emitter(1))
    name = chain.call("eth_newFilter", {"address": address})
    assert chain.call("eth_getFilterChanges", name) == []
    receipt = chain.send(TOPICS[1], to=address)
    chain.transfer()
    assert chain.call("eth_getFilterChanges", name) == receipt["logs"]
    assert chain.call("eth_getFilterChanges", name) == []


def test_filter_logs_gives_the_whole_range(chain: Any) -> None:
    address = chain.install(emitter(0))
    first = chain.send(to=address)
    name = chain.call("eth_newFilter", {"address": address, "fromBlock": "0x0"})
    second = chain.send(to=address)
    assert chain.call("eth_getFilterLogs", name) == first["logs"] + second["logs"]
    assert chain.call("eth_getFilterChanges", name) == second["logs"]


def test_block_and_transaction_filters(chain: Any) -> None:
    blocks, transactions = chain.call("eth_newBlockFilter"), chain.call("eth_newPendingTransactionFilter")
    receipts = [chain.transfer(), chain.transfer()]
    assert chain.call("eth_getFilterChanges", blocks) == [receipt["blockHash"] for receipt in receipts]
    assert chain.call("eth_getFilterChanges", transactions) == [
        receipt["transactionHash"] for receipt in receipts
    ]


def test_removed_filters_are_gone(chain: Any) -> None:
    name = chain.call("eth_newBlockFilter")
    assert chain.call("eth_uninstallFilter", name) is True
    assert chain.call("eth_uninstallFilter", name) is False
    with pytest.raises(RpcFault, match="filter not found"):
        chain.call("eth_getFilterChanges", name)


def test_idle_filters_are_dropped() -> None:
    from sandbox.testchain.json_rpc.log_filters import IDLE_SECONDS, FilterRegistry
    from sandbox.testchain.storage.chain_index import LogFilter

    now = 0.0
    filters = FilterRegistry(lambda: now)
    name = filters.add_filter("blocks", 0, LogFilter(), 1, None)
    now = IDLE_SECONDS - 1
    assert filters.get_filter(name) is not None
    now += IDLE_SECONDS + 1
    assert filters.get_filter(name) is None
