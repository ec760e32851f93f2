"""web3 as this package uses it, imported with the first chain that is opened.

Importing it takes a second of processor time; a service answers what needs no chain before that, and a
command that only looks at a record never pays it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import requests

from c2d_box.chain.coding import bounded_codec
from c2d_box.proxies import may_use_proxy
from c2d_box.recursion import kept_recursion_limit

with kept_recursion_limit():
    from web3 import HTTPProvider, Web3
    from web3.exceptions import TransactionNotFound, Web3RPCError
    from web3.middleware import ExtraDataToPOAMiddleware
    from web3.providers import BaseProvider
    from web3.types import TxReceipt

RpcAnswer = Mapping[str, Any]


def connected(rpc_url: str | BaseProvider, timeout: float, headers: Mapping[str, str]) -> Web3:
    """A client of the node at ``rpc_url``, or of a provider inside this process. Nothing is asked yet."""
    options = {"timeout": timeout, **({"headers": dict(headers)} if headers else {})}
    if isinstance(rpc_url, str):
        session = requests.Session()
        session.trust_env = may_use_proxy(rpc_url)
        provider: BaseProvider = HTTPProvider(rpc_url, request_kwargs=options, session=session)
    else:
        provider = rpc_url
    web3 = Web3(provider)
    web3.codec = bounded_codec(web3.codec)
    web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
    return web3


def call_many(web3: Web3, parameters: Sequence[list[Any]]) -> Sequence[RpcAnswer]:
    """Send one ``eth_call`` per entry of ``parameters`` and return the node's bare answers; a provider inside
    this process goes through web3's formatting."""
    provider = web3.provider
    requests = [(cast(Any, "eth_call"), each) for each in parameters]
    if not isinstance(provider, HTTPProvider):
        return [{"result": web3.eth.call(cast(Any, params[0])).to_0x_hex()} for _, params in requests]
    if len(requests) == 1:
        return [cast(RpcAnswer, provider.make_request(*requests[0]))]
    found: Any = provider.make_batch_request(requests) if requests else []
    if not isinstance(found, list):
        raise Web3RPCError(str(found), rpc_response=found)
    return found


def unwrap_result(answer: RpcAnswer) -> str:
    """Return what the node answered; raise Web3RPCError where it refused."""
    if "error" in answer:
        raise Web3RPCError(str(answer["error"]), rpc_response=cast(Any, answer))
    return str(answer.get("result", "0x"))


def find_receipt(web3: Web3, tx: str) -> TxReceipt | None:
    try:
        return web3.eth.get_transaction_receipt(cast(Any, tx))
    except TransactionNotFound:
        return None


def has_transaction(web3: Web3, tx: str) -> bool:
    try:
        return bool(web3.eth.get_transaction(cast(Any, tx)))
    except TransactionNotFound:
        return False
