"""Methods that only a test chain can have: snapshots, time travel, empty blocks, money from nothing.

Names and answers follow ganache and hardhat, since test-suites call those. ``c2d_faucet`` is ours.
"""

from __future__ import annotations

from sandbox.testchain.execution.chain_clock import LAST_SECOND
from sandbox.testchain.json_rpc.encoding import as_address, as_quantity, hex_quantity
from sandbox.testchain.json_rpc.rpc_errors import invalid_params
from sandbox.testchain.methods.registry import Lane, rpc_method
from sandbox.testchain.node import ChainNode

# Blocks are made one by one on the ledger's thread: more would hold up all writers.
_MAX_BLOCKS = 10_000
_FIRST_MILLISECONDS = 10**11
"""From this number on a time means milliseconds, as JavaScript's callers count: in seconds it is the year
5138."""


@rpc_method("evm_snapshot", "anvil_snapshot", lane=Lane.WRITE)
def take_snapshot(node: ChainNode) -> str:
    """Answer the number of a new snapshot; ``ChainLedger.revert_to`` goes back to it."""
    return hex_quantity(node.ledger.take_snapshot())


@rpc_method("evm_revert", "anvil_revert", lane=Lane.WRITE)
def revert_snapshot(node: ChainNode, name: object) -> bool:
    """Go back to a snapshot, which is used up by it; answer whether it was there."""
    return node.ledger.revert_to(as_quantity(name, "snapshot"))


@rpc_method("evm_mine", lane=Lane.WRITE)
def mine_blocks(node: ChainNode, options: object = None) -> str:
    """Mine one block; with a number or ``{"timestamp": t}`` at that time, with ``{"blocks": n}`` n
    of them."""
    # ganache takes options, older callers a bare time.
    blocks, timestamp = 1, options
    if isinstance(options, dict):
        blocks = as_quantity(options.get("blocks", 1), "blocks")
        timestamp = options.get("timestamp")
    if timestamp is not None:
        _fix_timestamp(node, timestamp)
    _mine_series(node, blocks, 0)
    return "0x0"


@rpc_method("hardhat_mine", "anvil_mine", lane=Lane.WRITE)
def mine_at_interval(node: ChainNode, blocks: object = 1, interval: object = 0) -> bool:
    """Mine blocks, each ``interval`` seconds after the one before."""
    _mine_series(node, as_quantity(blocks, "blocks"), as_quantity(interval, "interval"))
    return True


@rpc_method("evm_increaseTime", "anvil_increaseTime", lane=Lane.WRITE)
def increase_time(node: ChainNode, seconds: object) -> str:
    """Move the clock forward; answers the whole offset in seconds."""
    # Only forward, so no block can get a time before the newest one's.
    clock = node.ledger.clock
    added = as_quantity(seconds, "seconds")
    _demand_calendar(clock.wall_seconds() + clock.offset + added)
    clock.offset += added
    node.ledger.save_clock()
    return hex_quantity(max(clock.offset, 0))


@rpc_method("evm_setNextBlockTimestamp", "anvil_setNextBlockTimestamp", lane=Lane.WRITE)
def set_next_timestamp(node: ChainNode, timestamp: object) -> str:
    """Set the time of the next block; time goes on from there."""
    wanted = _fix_timestamp(node, timestamp)
    node.ledger.save_clock()
    return hex_quantity(wanted)


@rpc_method("evm_setTime", "anvil_setTime", lane=Lane.WRITE)
def set_time(node: ChainNode, timestamp: object) -> str:
    """Set the clock, seconds since 1970 (milliseconds, as ganache's callers send them, are recognised)."""
    offset = node.ledger.clock.set_time(_timestamp_seconds(timestamp))
    node.ledger.save_clock()
    return hex_quantity(max(offset, 0))


@rpc_method("hardhat_setBalance", "anvil_setBalance", "evm_setAccountBalance", lane=Lane.WRITE)
def set_balance(node: ChainNode, address: object, balance: object) -> bool:
    """Set a balance, in a block of its own (other nodes change the state of the newest block)."""
    node.ledger.set_balance(as_address(address), as_quantity(balance, "balance"))
    return True


@rpc_method("c2d_faucet", lane=Lane.WRITE)
def fund_address(node: ChainNode, address: object, amount: object = hex_quantity(10**20)) -> str:
    """Add ``amount`` wei (100 ETH by default) to ``address``; answers the new balance."""
    # Read and written on the ledger's thread, so no transaction comes between.
    place = as_address(address)
    state = node.ledger.state_at(node.ledger.head)
    balance = state.get_balance(place) + as_quantity(amount, "amount")
    # Balances have 256 bits; py-evm would fail later and without a reason.
    if balance >= 2**256:
        raise invalid_params("invalid amount: the balance would not fit")
    node.ledger.set_balance(place, balance)
    return hex_quantity(balance)


def _timestamp_seconds(timestamp: object) -> int:
    """Return seconds since 1970; a number that can only be milliseconds is taken as such."""
    wanted = as_quantity(timestamp, "timestamp")
    seconds = wanted // 1000 if wanted >= _FIRST_MILLISECONDS else wanted
    _demand_calendar(seconds)
    return seconds


def _demand_calendar(seconds: int) -> None:
    """Refuse a time after the year 9999. Clients turn a block's time into a date: one that no calendar has
    would stop them for good."""
    if seconds > LAST_SECOND:
        raise invalid_params(f"time {seconds} is after the year 9999; seconds since 1970 are expected")


def _fix_timestamp(node: ChainNode, timestamp: object) -> int:
    """Set the time of the next block; a time before the newest block is refused. Returns it in seconds."""
    wanted = _timestamp_seconds(timestamp)
    newest = node.ledger.head.timestamp
    if wanted < newest:
        raise invalid_params(f"timestamp {wanted} is lower than that of the newest block, {newest}")
    node.ledger.clock.fixed = wanted
    return wanted


def _mine_series(node: ChainNode, blocks: int, interval: int) -> None:
    """Mine ``blocks`` blocks, ``interval`` seconds apart; 0: at the time of the clock."""
    if not 1 <= blocks <= _MAX_BLOCKS:
        raise invalid_params(f"invalid blocks: 1 to {_MAX_BLOCKS} expected")
    # The last block's time is looked at first, so that a refused request makes no block at all.
    _demand_calendar(node.ledger.head.timestamp + interval * (blocks - 1))
    for number in range(blocks):
        # The first block keeps the time of the clock, as in hardhat.
        if interval and number:
            node.ledger.clock.fixed = node.ledger.head.timestamp + interval
        node.ledger.mine_block()
