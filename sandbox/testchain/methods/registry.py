"""The table of JSON-RPC methods: the function that answers each, and the thread it may run on."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sandbox.testchain.json_rpc.rpc_errors import invalid_params
from sandbox.testchain.node import ChainNode


class Lane(Enum):
    """The thread that a method may run on."""

    # An Enum and not a flag: the dispatcher has one executor per member.
    READ = "read"
    """Any thread, beside others: touches committed data only."""
    WRITE = "write"
    """The ledger's thread: makes blocks or moves the clock."""


@dataclass(frozen=True, slots=True)
class Method:
    """One JSON-RPC method, with the number of parameters that it takes."""

    name: str
    lane: Lane
    answer: Callable[..., Any]
    required: int
    most: int

    def __call__(self, node: ChainNode, params: Sequence[object]) -> Any:
        # geth's words, by position: parameters have no names on the wire.
        if len(params) < self.required:
            raise invalid_params(f"missing value for required argument {len(params)}")
        if len(params) > self.most:
            raise invalid_params(f"too many arguments, want at most {self.most}")
        return self.answer(node, *params)


# Filled by the modules of this package when they are imported, see its ``__init__``.
METHODS: dict[str, Method] = {}
_Answer = Callable[..., Any]


def rpc_method(*names: str, lane: Lane = Lane.READ) -> Callable[[_Answer], _Answer]:
    """Register a function ``(node, *params)`` under ``names``; its signature says how many params there
    are.
    """

    def register(answer: _Answer) -> _Answer:
        # Without the node, which the dispatcher puts in first.
        parameters = list(inspect.signature(answer).parameters.values())[1:]
        required = sum(1 for parameter in parameters if parameter.default is parameter.empty)
        for name in names:
            METHODS[name] = Method(name, lane, answer, required, len(parameters))
        return answer

    return register
