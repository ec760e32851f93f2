"""Accounts, calls and estimates, now and at earlier blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.testchain.json_rpc.rpc_errors import RpcFault

COUNTER = "5f54600101805f555f5260205ff3"  # slot 0 += 1, return it
GASPRICE = "3a5f5260205ff3"
TIME_AND_NUMBER = "425f524360205260405ff3"
PANIC = "634e487b7160e01b5f5260116004526024" + "5ffd"
LOOP = "5b5f56"


def word(text: str, position: int = 0) -> int:
    return int(text[2 + 64 * position : 66 + 64 * position], 16)


def test_every_past_state_can_be_read(chain: Any) -> None:
    counter = chain.install(COUNTER)
    for _ in range(3):
        chain.send(to=counter)
    for block in range(1, 5):
        assert word(chain.call("eth_getStorageAt", counter, "0x0", hex(block))) == block - 1
        assert word(chain.call("eth_call", {"to": counter}, hex(block))) == block
        assert chain.call("eth_getTransactionCount", chain.accounts[0], hex(block)) == hex(block)
    assert chain.call("eth_getCode", counter, "earliest") == "0x"
    assert chain.call("eth_getCode", counter, "latest") == "0x" + COUNTER


def test_calls_leave_no_trace(chain: Any) -> None:
    counter = chain.install(COUNTER)
    for _ in range(2):
        assert word(chain.call("eth_call", {"to": counter}, "latest")) == 1
    assert chain.call("eth_blockNumber") == "0x1"


def test_blocks_can_be_named_by_hash_and_object(chain: Any) -> None:
    chain.transfer(5)
    block = chain.call("eth_getBlockByNumber", "0x0", False)
    for tag in ({"blockHash": block["hash"]}, {"blockNumber": "0x0"}, "0x0", "earliest"):
        assert int(chain.call("eth_getBalance", chain.accounts[1], tag), 16) == 10**24


@pytest.mark.parametrize("tag", ["0x99", {"blockHash": "0x" + "00" * 32}])
def test_calls_at_unknown_blocks_say_so(chain: Any, tag: object) -> None:
    with pytest.raises(RpcFault, match="header not found"):
        chain.call("eth_call", {"to": chain.accounts[0]}, tag)


def test_calls_see_the_time_of_their_block_and_pending_ones_the_next(chain: Any) -> None:
    clock = chain.install(TIME_AND_NUMBER)
    mined = int(chain.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
    chain.wall.now += 100
    latest = chain.call("eth_call", {"to": clock}, "latest")
    pending = chain.call("eth_call", {"to": clock}, "pending")
    assert (word(latest), word(latest, 1)) == (mined, 1)
    assert (word(pending), word(pending, 1)) == (mined + 100, 2)


def test_calls_see_the_randomness_of_their_block(chain: Any) -> None:
    """PREVRANDAO is what the block's header has, for the block's own transactions and for later calls."""
    stores = chain.install("445f5500")
    answers = chain.install("445f5260205ff3")
    chain.send(to=stores)
    for number in range(int(chain.call("eth_blockNumber"), 16) + 1):
        header = chain.call("eth_getBlockByNumber", hex(number), False)
        if number >= 2:
            assert chain.call("eth_call", {"to": answers}, hex(number)) == header["mixHash"]
    assert chain.call("eth_getStorageAt", stores, "0x0", "latest") == header["mixHash"]


def test_gas_price_shows_and_is_not_paid(chain: Any) -> None:
    address = chain.install(GASPRICE)
    assert word(chain.call("eth_call", {"to": address, "gasPrice": "0x9"}, "latest")) == 9
    assert word(chain.call("eth_call", {"to": address}, "latest")) == 0


def test_value_needs_funds(chain: Any) -> None:
    with pytest.raises(RpcFault, match="insufficient funds for gas \\* price \\+ value: address 0x1111"):
        chain.call("eth_call", {"from": "0x" + "11" * 20, "to": chain.accounts[0], "value": "0x1"}, "latest")


def test_panics_have_names(chain: Any) -> None:
    address = chain.install(PANIC)
    with pytest.raises(RpcFault) as caught:
        chain.call("eth_call", {"to": address}, "latest")
    assert caught.value.message == "execution reverted: arithmetic underflow or overflow"
    assert str(caught.value.data).startswith("0x4e487b71")


def test_revert_reasons_come_with_their_data(
    ocean: tuple[Any, dict[str, Any]], encode_call: Callable[..., str]
) -> None:
    chain, addresses = ocean
    request = {
        "from": chain.accounts[1],
        "to": addresses["Ocean"],
        "data": encode_call("OceanToken", "mint", chain.accounts[1], 1),
    }
    for method in ("eth_call", "eth_estimateGas"):
        with pytest.raises(RpcFault) as caught:
            chain.call(method, request)
        assert caught.value.code == 3
        assert caught.value.message == "execution reverted: Ownable: caller is not the owner"
        assert str(caught.value.data).startswith("0x08c379a0")


@pytest.mark.parametrize(
    ("code", "text"),
    [("fe", "invalid opcode"), ("60ff56", "invalid jump destination"), ("50", "stack underflow")],
)
def test_other_failures_have_geths_words(chain: Any, code: str, text: str) -> None:
    with pytest.raises(RpcFault, match=text) as caught:
        chain.call("eth_call", {"to": chain.install(code)}, "latest")
    assert caught.value.code == -32000


def test_endless_code_ends_with_its_gas(chain: Any) -> None:
    address = chain.install(LOOP)
    with pytest.raises(RpcFault, match="out of gas"):
        chain.call("eth_call", {"to": address, "gas": hex(100_000)}, "latest")
    with pytest.raises(RpcFault, match=r"gas required exceeds allowance \(100000\)"):
        chain.call("eth_estimateGas", {"to": address, "gas": hex(100_000)})


def test_deep_recursion_is_an_answer_not_a_crash(chain: Any) -> None:
    calls_itself = "5f5f5f5f5f305af1" + "00"
    receipt = chain.send(to=chain.install(calls_itself), gas=hex(60_000_000))
    assert receipt["status"] == "0x1"


def test_estimates_suffice_and_are_not_wasteful(chain: Any) -> None:
    counter = chain.install(COUNTER)
    assert chain.call("eth_estimateGas", {"from": chain.accounts[0], "to": chain.accounts[1]}) == "0x5208"
    estimate = int(chain.call("eth_estimateGas", {"from": chain.accounts[0], "to": counter}), 16)
    receipt = chain.send(to=counter, gas=hex(estimate))
    assert receipt["status"] == "0x1"
    assert estimate <= int(receipt["gasUsed"], 16) * 1.1


def test_estimates_of_creations_suffice(chain: Any) -> None:
    request = {"from": chain.accounts[0], "data": "0x61300080600a5f395ff3" + "5b" * 0x3000}
    estimate = chain.call("eth_estimateGas", request)
    assert chain.send(request["data"], gas=estimate)["status"] == "0x1"


def test_conflicting_data_and_input_are_refused(chain: Any) -> None:
    with pytest.raises(RpcFault, match="not equal"):
        chain.call("eth_call", {"to": chain.accounts[0], "data": "0x01", "input": "0x02"})


@pytest.mark.parametrize(
    "address", ["0x1", "0x" + "11" * 19, "e2DD09d719Da89e5a3D0F2549c7E24566e947260", 7, None, {}]
)
def test_bad_addresses_are_invalid_params(chain: Any, address: object) -> None:
    with pytest.raises(RpcFault) as caught:
        chain.call("eth_getBalance", address, "latest")
    assert caught.value.code == -32602
