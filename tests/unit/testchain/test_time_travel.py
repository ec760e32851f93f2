"""Snapshots and the clock: state, index, filters and waiting transactions go back together."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from sandbox.testchain.execution.chain_clock import ChainClock
from sandbox.testchain.json_rpc.rpc_errors import RpcFault
from sandbox.testchain.node import open_node
from sandbox.testchain.settings import ChainNodeSettings

LOGGER = "5f5fa000"


def timestamp(chain: Any, tag: str = "latest") -> int:
    return int(chain.call("eth_getBlockByNumber", tag, False)["timestamp"], 16)


def test_revert_takes_back_state_and_index(chain: Any) -> None:
    address = chain.install(LOGGER)
    before = chain.call("eth_getBlockByNumber", "latest", True)
    snapshot = chain.call("evm_snapshot")
    undone = chain.send(to=address)
    chain.transfer(10**18)
    assert chain.call("evm_revert", snapshot) is True
    assert chain.call("eth_getBlockByNumber", "latest", True) == before
    assert chain.call("eth_getTransactionByHash", undone["transactionHash"]) is None
    assert chain.call("eth_getTransactionReceipt", undone["transactionHash"]) is None
    assert chain.call("eth_getLogs", {"fromBlock": "earliest"}) == []
    assert int(chain.call("eth_getBalance", chain.accounts[1], "latest"), 16) == 10**24
    assert chain.call("eth_getTransactionCount", chain.accounts[0], "latest") == "0x1"


def test_the_same_transaction_can_be_sent_again_after_a_revert(chain: Any) -> None:
    snapshot = chain.call("evm_snapshot")
    first = chain.transfer(7)
    chain.call("evm_revert", snapshot)
    assert chain.transfer(7)["transactionHash"] == first["transactionHash"]


def test_a_snapshot_is_used_up_with_all_later_ones(chain: Any) -> None:
    outer, inner = chain.call("evm_snapshot"), chain.call("evm_snapshot")
    assert chain.call("evm_revert", outer) is True
    assert chain.call("evm_revert", outer) is False
    assert chain.call("evm_revert", inner) is False
    assert int(chain.call("evm_snapshot"), 16) > int(inner, 16)


def test_filters_see_the_blocks_made_after_a_revert(chain: Any) -> None:
    name = chain.call("eth_newBlockFilter")
    snapshot = chain.call("evm_snapshot")
    chain.transfer()
    assert len(chain.call("eth_getFilterChanges", name)) == 1
    chain.call("evm_revert", snapshot)
    again = chain.transfer(2)
    assert chain.call("eth_getFilterChanges", name) == [again["blockHash"]]


def test_snapshots_survive_a_restart(tmp_path: Path, chain: Any) -> None:
    snapshot = chain.call("evm_snapshot")
    chain.transfer()
    chain.node.store.close()
    node = open_node(ChainNodeSettings(data_dir=tmp_path / "chain"), ChainClock(chain.wall))
    assert node.ledger.head.number == 1
    assert node.ledger.revert_to(int(snapshot, 16)) is True
    assert node.ledger.head.number == 0
    node.store.close()


def test_blocks_follow_the_wall_clock_and_never_go_back(chain: Any) -> None:
    chain.wall.now += 50
    chain.transfer()
    first = timestamp(chain)
    assert first == int(chain.wall.now)
    chain.wall.now -= 1_000
    chain.transfer()
    assert timestamp(chain) == first


def test_increase_time_adds_up(chain: Any) -> None:
    assert chain.call("evm_increaseTime", 100) == hex(100)
    assert chain.call("evm_increaseTime", "0x64") == hex(200)
    chain.call("evm_mine")
    assert timestamp(chain) == int(chain.wall.now) + 200


def test_the_next_timestamp_holds_once_and_time_goes_on_from_there(chain: Any) -> None:
    wanted = int(chain.wall.now) + 5_000
    chain.call("evm_setNextBlockTimestamp", wanted)
    assert timestamp(chain, "pending") == wanted
    chain.transfer()
    assert timestamp(chain) == wanted
    chain.wall.now += 3
    chain.transfer()
    assert timestamp(chain) == wanted + 3


def test_a_block_that_could_not_be_stored_uses_up_no_timestamp(chain: Any) -> None:
    wanted = int(chain.wall.now) + 5_000
    chain.call("evm_setNextBlockTimestamp", wanted)
    writer = chain.node.store._writer

    def deny_commit(action: int, what: str | None, *_: object) -> int:
        is_commit = action == sqlite3.SQLITE_TRANSACTION and what == "COMMIT"
        return sqlite3.SQLITE_DENY if is_commit else sqlite3.SQLITE_OK

    writer.set_authorizer(deny_commit)
    with pytest.raises(sqlite3.DatabaseError):
        chain.node.ledger.mine_block()
    writer.set_authorizer(None)
    assert not writer.in_transaction
    chain.transfer()
    assert timestamp(chain) == wanted


def test_a_timestamp_in_the_past_is_refused(chain: Any) -> None:
    with pytest.raises(RpcFault, match="lower than that of the newest block"):
        chain.call("evm_setNextBlockTimestamp", int(chain.wall.now) - 10)


@pytest.mark.parametrize("unit", [1, 1000])
def test_set_time_takes_seconds_and_milliseconds(chain: Any, unit: int) -> None:
    wanted = int(chain.wall.now) + 77
    chain.call("evm_setTime", wanted * unit)
    chain.call("evm_mine")
    assert timestamp(chain) == wanted


@pytest.mark.parametrize("unit", [1, 1000])
@pytest.mark.parametrize("method", ["evm_mine", "evm_setNextBlockTimestamp"])
def test_times_of_single_blocks_take_milliseconds_too(chain: Any, method: str, unit: int) -> None:
    wanted = int(chain.wall.now) + 77
    chain.call(method, {"timestamp": wanted * unit} if method == "evm_mine" else wanted * unit)
    if method != "evm_mine":
        chain.call("evm_mine")
    assert timestamp(chain) == wanted


TOO_LATE = 253_402_300_800 * 1000


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("evm_setTime", [TOO_LATE]),
        ("anvil_setTime", [hex(2**255)]),
        ("evm_setNextBlockTimestamp", [TOO_LATE]),
        ("evm_mine", [TOO_LATE]),
        ("evm_mine", [{"timestamp": hex(2**64)}]),
        ("evm_increaseTime", [1_796_083_309_313]),
        ("anvil_increaseTime", [hex(2**200)]),
        ("hardhat_mine", ["0x5", hex(2**40)]),
    ],
)
def test_a_time_that_no_calendar_has_is_refused(chain: Any, method: str, parameters: list[Any]) -> None:
    before = chain.call("eth_getBlockByNumber", "latest", False)
    with pytest.raises(RpcFault, match="after the year 9999") as refused:
        chain.call(method, *parameters)
    assert refused.value.code == -32602
    assert chain.call("eth_getBlockByNumber", "latest", False) == before
    chain.call("evm_mine")
    assert timestamp(chain) == int(chain.wall.now)


def test_time_ends_with_the_calendar(chain: Any) -> None:
    chain.call("evm_increaseTime", 253_402_300_799 - int(chain.wall.now))
    chain.wall.now += 60
    chain.call("evm_mine")
    assert timestamp(chain) == 253_402_300_799


def test_mining_many_blocks_with_an_interval(chain: Any) -> None:
    chain.call("hardhat_mine", "0x4", "0x3c")
    assert chain.call("eth_blockNumber") == "0x4"
    assert timestamp(chain, "0x4") - timestamp(chain, "0x1") == 180
    chain.call("evm_mine", {"blocks": 2})
    assert chain.call("eth_blockNumber") == "0x6"


def test_the_clock_survives_a_restart(tmp_path: Path, chain: Any) -> None:
    chain.call("evm_increaseTime", 1_000)
    clock = ChainClock(chain.wall)
    saved = chain.node.ledger.meta("clock")
    clock.restore_text(saved)
    assert clock.offset == 1_000


def test_balances_from_nothing(chain: Any) -> None:
    fresh = "0x" + "ab" * 20
    chain.call("hardhat_setBalance", fresh, "0x5")
    assert chain.call("eth_getBalance", fresh, "latest") == "0x5"
    assert chain.call("c2d_faucet", fresh, "0x3") == "0x8"
    assert int(chain.call("c2d_faucet", fresh), 16) == 8 + 100 * 10**18
    with pytest.raises(RpcFault, match="would not fit"):
        chain.call("c2d_faucet", fresh, hex(2**256 - 1))
