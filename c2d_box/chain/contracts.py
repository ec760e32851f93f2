"""Free calls of any function of any contract: the ``smartcontract`` file objects of publishers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from c2d_box.assets.addresses import checksum_address
from c2d_box.chain.failures import revert_error, wrapped
from c2d_box.chain.node import Chain
from c2d_box.recursion import kept_recursion_limit


def call_function(
    chain: Chain, address: str, function: Mapping[str, Any], arguments: Sequence[Any] = ()
) -> Any:
    """Call the view or pure ``function`` (its ABI entry) and return its result: bytes as 0x hex, tuples as
    lists.

    Raises Refused (C2D-CHAIN-REVERTED) also where no such contract or function is, and Failed (C2D-CHAIN-…).
    """
    with kept_recursion_limit():
        from web3.exceptions import Web3Exception

    name = str(function["name"])
    # Outside the try: a node of another chain is a StateProblem, not a refusal by the contract.
    web3 = chain.web3
    with wrapped(f"calling {name}"):
        try:
            # No cache of contracts: ABI and address are a publisher's, so there is no end to them.
            contract = web3.eth.contract(
                address=cast(Any, checksum_address(address)), abi=[cast(Any, dict(function))]
            )
            return _plain_value(contract.functions[name](*arguments).call())
        except (Web3Exception, ValueError, TypeError) as error:
            # web3 raises the same kinds for arguments that do not fit, an empty answer and a revert.
            raise revert_error(f"calling {name}", str(error)) from error


def _plain_value(value: Any) -> Any:
    # The result goes into JSON, which has neither bytes nor tuples.
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return [_plain_value(v) for v in value] if isinstance(value, list | tuple) else value
