"""Asking a chain whose head does not change, from many threads."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from c2d_box.chain import Chain, atblock
from c2d_box.chain.atblock import BlockPinnedChain


class Answering(Chain):
    """A chain that answers each question about a block with its number."""

    def __init__(self) -> None:
        self.asked = 0

    def block_header(self, number: int | str) -> Any:
        self.asked += 1
        return {"number": number}


class Forgetful(dict[Any, Any]):
    """The memory of a chain, emptied by another thread between any two looks at it."""

    def __contains__(self, key: object) -> bool:
        found = super().__contains__(key)
        self.clear()
        return found


class Asked(BlockPinnedChain, Answering):
    pass


def test_an_answer_that_is_forgotten_while_it_is_read_is_asked_for_again() -> None:
    chain = Asked(Answering())
    chain._answers = Forgetful()
    assert [chain.block_header(1)["number"] for _ in range(3)] == [1, 1, 1]


def test_many_threads_read_while_everything_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atblock, "_KEPT", 2)
    chain, wrong = Asked(Answering()), list[Any]()

    def ask(first: int) -> None:
        for at in range(3_000):
            number = (first + at) % 5
            try:
                if chain.block_header(number)["number"] != number:
                    wrong.append(number)
            except KeyError as error:
                wrong.append(error)

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
