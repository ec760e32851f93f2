"""The parts of py-evm that the chain uses. Only this module imports py-evm, which raises the interpreter's
recursion limit for the whole process; here the limit stays, and computations raise it while they run.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from c2d_box.recursion import kept_recursion_limit, raised_recursion_limit

with kept_recursion_limit():
    from eth.abc import AtomicWriteBatchAPI
    from eth.constants import EMPTY_SHA256
    from eth.db.atomic import AtomicDBWriteBatch
    from eth.db.backends.base import BaseAtomicDB
    from eth.db.trie import make_trie_root_and_nodes
    from eth.exceptions import OutOfGas, Revert
    from eth.vm.execution_context import ExecutionContext
    from eth.vm.forks.prague import PragueVM
    from eth.vm.forks.prague.blocks import PragueBlockHeader
    from eth.vm.forks.prague.state import PragueState
    from eth.vm.forks.prague.transactions import PragueTransactionBuilder
    from eth.vm.spoof import SpoofTransaction

__all__ = [
    "EMPTY_SHA256",
    "AtomicDBWriteBatch",
    "AtomicWriteBatchAPI",
    "BaseAtomicDB",
    "ExecutionContext",
    "OutOfGas",
    "PragueBlockHeader",
    "PragueState",
    "PragueTransactionBuilder",
    "PragueVM",
    "Revert",
    "SpoofTransaction",
    "computing",
    "make_trie_root_and_nodes",
]
_DEPTH = 102_400
"""Frames that 1,024 nested EVM calls need, as py-evm reckons."""


def computing() -> AbstractContextManager[None]:
    """Return the context that raises the recursion limit. It has to stand around each run of EVM code and
    around reading its outcome, a tree of nested calls."""
    return raised_recursion_limit(_DEPTH)
