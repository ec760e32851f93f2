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

# A JSON-RPC response object, with either ``result`` or ``error``.
RpcAnswer = Mapping[str, Any]


def connected(rpc_url: str | BaseProvider, timeout: float, headers: Mapping[str, str]) -> Web3:
    """A client of the node at ``rpc_url``, or of a provider inside this process. Nothing is asked yet."""
    options = {"timeout": timeout, **({"headers": dict(headers)} if headers else {})}
    if isinstance(rpc_url, str):
        session = requests.Session()
        # requests would send calls to 127.0.0.1 through a proxy that the environment names.
        session.trust_env = may_use_proxy(rpc_url)
        provider: BaseProvider = HTTPProvider(rpc_url, request_kwargs=options, session=session)
    else:
        provider = rpc_url
    web3 = Web3(provider)
    # Contracts that web3 itself decodes are as untrusted as those of views.py.
    web3.codec = bounded_codec(web3.codec)
    # Clique and similar chains put more than 32 bytes into extraData, which web3 refuses without this.
    web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
    return web3


def call_many(web3: Web3, parameters: Sequence[list[Any]]) -> Sequence[RpcAnswer]:
    """Send one ``eth_call`` per entry of ``parameters`` and return the node's bare answers, in that order.

    web3's formatting of results is left out, since it costs more than the request. A provider inside this
    process goes through it all the same. Raises Web3RPCError where the batch as a whole is refused.
    """
    provider = web3.provider
    requests = [(cast(Any, "eth_call"), each) for each in parameters]
    # A provider inside the process (tests) has no batches, so it is asked one by one.
    if not isinstance(provider, HTTPProvider):
        return [{"result": web3.eth.call(cast(Any, params[0])).to_0x_hex()} for _, params in requests]
    # A plain request, so that single reads do not need a node that takes batches.
    if len(requests) == 1:
        return [cast(RpcAnswer, provider.make_request(*requests[0]))]
    found: Any = provider.make_batch_request(requests) if requests else []
    # A node that refuses a batch as a whole answers with one error object instead of a list.
    if not isinstance(found, list):
        raise Web3RPCError(str(found), rpc_response=found)
    return found


def unwrap_result(answer: RpcAnswer) -> str:
    """Return what the node answered; raise Web3RPCError where it refused."""
    if "error" in answer:
        raise Web3RPCError(str(answer["error"]), rpc_response=cast(Any, answer))
    return str(answer.get("result", "0x"))


def find_receipt(web3: Web3, tx: str) -> TxReceipt | None:
    """Return the receipt of a transaction, or None while it is in no block."""
    try:
        return web3.eth.get_transaction_receipt(cast(Any, tx))
    except TransactionNotFound:
        return None


def has_transaction(web3: Web3, tx: str) -> bool:
    """Return whether the node knows a transaction, in a block or in its pool."""
    try:
        return bool(web3.eth.get_transaction(cast(Any, tx)))
    except TransactionNotFound:
        return False
