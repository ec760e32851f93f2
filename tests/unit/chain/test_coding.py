"""Answers of contracts nobody has to trust: what they stand for is no larger than they are."""

from __future__ import annotations

import time
from typing import Any

import pytest
from web3 import Web3
from web3.providers.base import JSONBaseProvider

from c2d_box.chain import client, coding


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def shared(count: int, levels: int) -> bytes:
    """A list of ``count`` lists, all of them the same one, in each of its ``levels``."""
    if not levels:
        return word(1) + word(1)
    return word(count) + word(count * 32) * count + shared(count, levels - 1)


BOMBS = {
    "lists of one list": ("uint8" + "[]" * 6, word(32) + shared(30, 5)),
    "many names of one text": (
        "bytes[]",
        word(32) + word(2_000) + word(64_000) * 2_000 + word(100_000) + b"x" * 100_000,
    ),
    "a list without an end": ("uint256[]", word(32) + word(2**40)),
    "more than an answer has": ("bytes", word(32) + word(coding.MOST_BYTES) + bytes(coding.MOST_BYTES)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_an_answer_that_unfolds_is_given_up_at_once(name: str) -> None:
    kind, data = BOMBS[name]
    began = time.monotonic()
    with pytest.raises(ValueError):
        coding.decode_values([kind], data)
    assert time.monotonic() - began < 3


class Silent(JSONBaseProvider):
    """No node: nothing is asked."""

    def make_request(self, method: Any, params: Any) -> Any:
        raise AssertionError(method)


def test_the_client_of_the_chain_reads_answers_the_same_way() -> None:
    from eth_abi.exceptions import DecodingError

    web3: Web3 = client.connected(Silent(), 1, {})
    kind, data = BOMBS["lists of one list"]
    with pytest.raises(DecodingError, match="too often"):
        web3.codec.decode([kind], data)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint8[][][]", (((1, 2), ()), ((3,),), ())),
        ("(string,bytes)[]", tuple(("name" * at, b"x" * at) for at in range(200))),
        ("string[][2]", (("a", "b" * 1_000), ("",))),
        ("uint256[]", tuple(range(5_000))),
        ("(uint8,(bytes,address[])[])", (1, ((b"", ()), (b"y" * 33, ("0x" + "11" * 20,) * 50)))),
    ],
)
def test_what_an_honest_contract_answers_is_read(kind: str, value: Any) -> None:
    assert coding.decode_values([kind], coding.encode_values([kind], [value])) == (value,)
