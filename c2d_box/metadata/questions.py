"""How parts of the indexer ask the chain: on its own threads, and once where answers never change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")

_KEPT = 20_000


class AskChain(Protocol):
    """Runs a question that blocks, and returns its answer. Raises what the question raises."""

    async def __call__(self, question: Callable[[], T]) -> T: ...


class LastingAnswers(Generic[T]):
    """Answers that never change, by what was asked about. Beyond 20,000 all are asked for anew."""

    def __init__(self, ask: AskChain) -> None:
        self._ask = ask
        self._known: dict[str, T] = {}

    async def about(self, subject: str, question: Callable[[], T]) -> T:
        """The answer to ``question``, which is asked where ``subject`` is unknown. Raises what it raises."""
        if subject not in self._known:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[subject] = await self._ask(question)
        return self._known[subject]
