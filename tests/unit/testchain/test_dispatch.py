"""The JSON-RPC envelope: ids, batches, notifications, and everything that is not a request."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sandbox.testchain.json_rpc.dispatch import RpcDispatcher

Ask = Callable[[object], Awaitable[Any]]


@pytest.fixture
def ask(chain: Any) -> Iterator[Ask]:
    with ThreadPoolExecutor(2) as readers, ThreadPoolExecutor(1) as writer:
        dispatcher = RpcDispatcher(chain.node, readers, writer)

        async def ask(message: object) -> Any:
            body = message if isinstance(message, bytes) else json.dumps(message).encode()
            answer = await dispatcher.answer_body(body)
            return json.loads(answer) if answer else None

        yield ask


def request(method: str, *params: object, **more: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params, **more}


@pytest.mark.parametrize("identity", [1, "a", 0, None, 1.5])
async def test_the_id_comes_back(ask: Ask, identity: object) -> None:
    answer = await ask(request("eth_chainId", id=identity))
    assert answer == {"jsonrpc": "2.0", "id": identity, "result": "0x2324"}


async def test_null_results_are_there(ask: Ask) -> None:
    assert (await ask(request("eth_getBlockByNumber", "0x99", False)))["result"] is None


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"{", -32700),
        (b"\xff", -32700),
        (b"[" * 100_000, -32700),
        (b"5", -32600),
        (b"[]", -32600),
        ({"id": 1}, -32600),
        ({"id": 1, "method": 5}, -32600),
        ({"id": {}, "method": "eth_chainId"}, -32600),
        ({"id": 1, "jsonrpc": "1.0", "method": "eth_chainId"}, -32600),
        (request("eth_getProof"), -32601),
        (request("eth_subscribe", "newHeads"), -32601),
        (request("eth_getBalance"), -32602),
        (request("eth_chainId", 1, 2, 3), -32602),
        ({"id": 1, "method": "eth_chainId", "params": {"a": 1}}, -32602),
        (request("eth_call", {"to": "0x" + "11" * 20}, "0x99"), -32000),
    ],
)
async def test_what_is_wrong_has_its_code(ask: Ask, message: object, code: int) -> None:
    answer = await ask(message)
    assert answer["error"]["code"] == code
    assert answer["error"]["message"]
    assert "result" not in answer


async def test_missing_method_reads_as_geths(ask: Ask) -> None:
    answer = await ask(request("eth_getProof", "0x0", [], "latest"))
    assert answer["error"]["message"] == "the method eth_getProof does not exist/is not available"


async def test_a_batch_keeps_its_order_across_reads_and_writes(ask: Ask, chain: Any) -> None:
    send = {"from": chain.accounts[0], "to": chain.accounts[1], "value": "0x1"}
    batch = [
        request("eth_blockNumber", id=1),
        request("eth_sendTransaction", send, id=2),
        request("eth_blockNumber", id=3),
        request("nothing", id=4),
        17,
        request("evm_mine", id=5),
        request("eth_blockNumber", id=6),
    ]
    answers = await ask(batch)
    assert [answer["id"] for answer in answers] == [1, 2, 3, 4, None, 5, 6]
    assert [answers[i].get("result") for i in (0, 2, 6)] == ["0x0", "0x1", "0x2"]
    assert [answers[i]["error"]["code"] for i in (3, 4)] == [-32601, -32600]


async def test_too_large_a_batch_is_refused_whole(ask: Ask, chain: Any) -> None:
    batch = [request("eth_chainId")] * (chain.node.settings.batch_limit + 1)
    assert (await ask(batch))["error"]["message"] == "batch too large"


async def test_notifications_get_no_answer(ask: Ask) -> None:
    silent = {"jsonrpc": "2.0", "method": "evm_mine"}
    assert await ask(silent) is None
    assert await ask([silent, silent]) is None
    (answer,) = await ask([silent, request("eth_blockNumber")])
    assert answer["result"] == "0x4"


async def test_trailing_nulls_are_absent_parameters(ask: Ask, chain: Any) -> None:
    answer = await ask(request("eth_getBalance", chain.accounts[0], None))
    assert int(answer["result"], 16) == 10**24


async def test_a_defect_is_an_internal_error_without_details(
    ask: Ask, chain: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(chain.node.index, "block", lambda *_: broken())
    answer = await ask(request("eth_getBlockByNumber", "latest", False))
    assert answer["error"] == {"code": -32603, "message": "internal error"}
    assert "secret" in caplog.text
