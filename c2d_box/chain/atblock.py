"""A chain whose head does not change while questions are asked: each has one answer, so it is asked once.

Services ask the same few things again and again (an NFT's state, an order's receipt) and the chain's answers
only change with its head. A caller that holds the head's hash may keep what was asked under it; another hash,
be it a new block or another branch, starts anew.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from c2d_box.chain.node import Chain

if TYPE_CHECKING:
    from web3.types import TxReceipt

T = TypeVar("T")

# Answers per head: enough for the assets and orders of many requests, small beside a service's memory.
_KEPT = 4096


class BlockPinnedChain(Chain):
    """A copy of ``chain`` that caches answers. Only answers are kept: what is not there, or failed, is asked
    for again."""

    def __init__(self, chain: Chain) -> None:
        vars(self).update(vars(chain))  # the same connection, contracts and checks
        # A copy per head: when the head moves, the caller drops this object and all its answers at once.
        self._answers: dict[Hashable, Any] = {}

    def read_view(self, name: str, address: str, function: str, *arguments: Any) -> Any:
        """Return what a view function answered under this head."""
        key = ("read", name, address, function, arguments)
        return self._ask_once(
            key, lambda: super(BlockPinnedChain, self).read_view(name, address, function, *arguments)
        )

    def find_receipt(self, tx: str) -> TxReceipt | None:
        """Return the receipt of a mined transaction. None is not kept: a later question may find it in a
        block."""
        return self._ask_once(("receipt", tx), lambda: super(BlockPinnedChain, self).find_receipt(tx))

    def block_header(self, number: int | str) -> Mapping[str, Any]:
        """Return a block's header, as it was first read under this head."""
        return self._ask_once(("block", number), lambda: super(BlockPinnedChain, self).block_header(number))

    def _ask_once(self, key: Hashable, ask: Callable[[], T]) -> T:
        try:
            found: T | None = self._answers.get(key)  # one look: another thread may forget all at any time
        except TypeError:  # an argument that cannot be a key
            return ask()
        if found is not None:
            return found
        # No lock: two threads may ask the same question once each, which costs a request and no correctness.
        answer = ask()
        if answer is not None:
            # Forgetting everything is simpler than an order of use, and the head soon moves anyway.
            if len(self._answers) >= _KEPT:
                self._answers.clear()
            self._answers[key] = answer
        return answer
