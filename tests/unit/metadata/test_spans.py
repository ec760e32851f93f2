"""Reading from nodes that answer for few blocks at once, and from chains that take blocks back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from c2d_box.chain import Chain, addresses
from c2d_box.chain.failures import REFUSED_BY_NODE
from c2d_box.chain.publishing import transfer_nft
from c2d_box.errors import Failed
from sandbox.testchain.local_chain import LocalChain, running_chain
from tests.harness.cache_world import PUBLISHER, CacheWorld

LIMIT = 7


class PickyChain(Chain):
    """A node that refuses wide questions and questions that list addresses, as public ones do."""

    refused = 0
    asked = 0

    def get_logs(
        self, topics: Any, from_block: int, to_block: Any = "latest", address: Any = None, rest: Any = ()
    ) -> Any:
        self.asked += 1
        if int(to_block) - from_block >= LIMIT:
            self.refused += 1
            raise Failed(REFUSED_BY_NODE, "query exceeds the range", "ask for less")
        assert address is None
        return super().get_logs(topics, from_block, to_block, address, rest)


@pytest.fixture(scope="module")
def process() -> Iterator[LocalChain]:
    with running_chain() as chain:
        yield chain


@pytest.fixture
async def cache(process: LocalChain) -> AsyncIterator[CacheWorld]:
    chain = PickyChain(process.url, addresses.load_addresses(process.address_file, 8996))
    made = CacheWorld(process, chain=chain)
    yield made
    await made.close_world()


async def test_spans_shrink_until_the_node_answers_and_grow_again(cache: CacheWorld) -> None:
    made = cache.publish_asset("Before")
    cache.call_rpc("hardhat_mine", hex(400))
    last = cache.publish_asset("After")
    await cache.read_chain()
    assert cache.read_record(made) and cache.read_record(last)
    assert cache.indexer.last_block == cache.chain.latest_block()
    chain = cache.chain
    assert isinstance(chain, PickyChain) and 0 < chain.refused < chain.asked / 2
    assert cache.indexer._span > 1


async def test_a_change_of_owner_is_seen_without_naming_every_nft(cache: CacheWorld) -> None:
    made = cache.publish_asset("Given away")
    await cache.read_chain()
    other = "0x00000000000000000000000000000000000000AA"
    transfer_nft(cache.chain, PUBLISHER, made.nft, other)
    await cache.read_chain()
    assert cache.read_record(made)["nft"]["owner"].lower() == other.lower()


async def test_unconfirmed_blocks_wait(process: LocalChain) -> None:
    cache = CacheWorld(process, confirmations=3)
    try:
        made = cache.publish_asset("Young")
        await cache.read_chain()
        assert cache.read_record(made) is None
        cache.call_rpc("hardhat_mine", hex(3))
        await cache.read_chain()
        assert cache.read_record(made) and cache.indexer.last_block == cache.chain.latest_block() - 3
    finally:
        await cache.close_world()
