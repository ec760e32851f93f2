"""Lets parts of the indexer ask the chain: on the indexer's threads, and once where answers never change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")

_KEPT = 20_000
"""Answers that are kept; publishers choose how many subjects there are."""


class AskChain(Protocol):
    """Runs a question that blocks, and returns its answer. Raises what the question raises."""

    async def __call__(self, question: Callable[[], T]) -> T: ...


class LastingAnswers(Generic[T]):
    """A cache of answers that never change, by their subject. Beyond 20,000 answers it is emptied."""

    def __init__(self, ask: AskChain) -> None:
        self._ask = ask
        self._known: dict[str, T] = {}

    async def answer_about(self, subject: str, question: Callable[[], T]) -> T:
        """Return the answer to ``question``, which is asked only where ``subject`` is unknown. Raise what it
        raises."""
        if subject not in self._known:
            # Emptied as a whole: to lose an answer costs one question, so an order of use is not worth
            # keeping.
            if len(self._known) >= _KEPT:
                self._known.clear()
            # A question that raises leaves no answer, so the next one asks again.
            self._known[subject] = await self._ask(question)
        return self._known[subject]
