"""The indexer against a real chain: what is published appears, what the chain takes back disappears."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest

from c2d_box.assets.did import did_for
from c2d_box.chain import Chain, addresses
from c2d_box.chain.accounts import from_mnemonic
from c2d_box.chain.failures import UNREACHABLE
from c2d_box.chain.publishing import (
    DispenserTerms,
    create_asset,
    set_metadata,
    set_price,
    set_state,
    transfer_nft,
)
from c2d_box.chain.views import ViewCall
from c2d_box.errors import C2DError
from c2d_box.metadata.documents import DocumentUnavailable, DocumentWithheld, DocumentWrong
from c2d_box.metadata.store import MetadataStore
from sandbox.testchain.local_chain import LocalChain, running_chain
from sandbox.testchain.settings import BARGE_MNEMONIC
from tests.harness.cache_world import PUBLISHER, CacheWorld, make_document

OTHER = from_mnemonic(BARGE_MNEMONIC, 5)


class OneBlock(Chain):
    """The chain as if all that is read at once had been mined in one block."""

    def get_logs(
        self, topics: Any, from_block: int, to_block: Any = "latest", address: Any = None, rest: Any = ()
    ) -> Any:
        found = super().get_logs(topics, from_block, to_block, address, rest)
        return [{**log, "blockNumber": to_block, "logIndex": at} for at, log in enumerate(found)]


@pytest.fixture(scope="module")
def process() -> Iterator[LocalChain]:
    with running_chain() as chain:
        yield chain


@pytest.fixture
async def cache(process: LocalChain) -> AsyncIterator[CacheWorld]:
    made = CacheWorld(process)
    yield made
    await made.close_world()


async def test_a_published_document_is_served_with_the_chains_facts(cache: CacheWorld) -> None:
    made = cache.publish_asset("Table", nft={"owner": "0xforged"}, stats={"orders": 99})
    await cache.read_chain()
    record = cache.read_record(made)
    assert record["metadata"]["name"] == "Table"
    assert record["nft"]["owner"] == PUBLISHER.address and record["nft"]["state"] == 0
    assert (
        record["datatokens"][0]["address"] == made.datatoken and record["datatokens"][0]["serviceId"] == "0"
    )
    assert record["event"]["tx"] == record["event"]["txid"] and record["event"]["contract"] == made.nft
    assert record["event"]["from"] == PUBLISHER.address
    price = record["stats"]["price"]
    assert (price["value"], price["tokenAddress"]) == (2, cache.chain.addresses.ocean)
    assert record["stats"]["orders"] == 0 and record["purgatory"] == {"state": False}


async def test_a_free_asset_costs_nothing(cache: CacheWorld) -> None:
    made = cache.publish_asset(price=DispenserTerms())
    await cache.read_chain()
    assert cache.read_record(made)["stats"]["price"] == {"value": 0}


async def test_updates_replace_and_states_hide(cache: CacheWorld) -> None:
    made = cache.publish_asset("First")
    tx = cache.write_document(made, "Second")
    await cache.read_chain()
    assert (cache.read_record(made)["metadata"]["name"], cache.read_record(made)["event"]["tx"]) == (
        "Second",
        tx,
    )
    for state, visible in ((4, True), (5, True), (1, True), (2, False), (3, False), (0, True)):
        set_state(cache.chain, PUBLISHER, made.nft, state)
        await cache.read_chain()
        record = cache.read_record(made)
        assert record["nft"]["state"] == state and ("metadata" in record) == visible
        if not visible:
            assert set(record) == {"id", "event", "nft", "datatokens", "stats"}


async def test_owner_and_price_follow_the_chain(cache: CacheWorld) -> None:
    made = cache.publish_asset()
    await cache.read_chain()
    set_price(cache.chain, PUBLISHER, made.exchange_id, 7 * 10**18)
    transfer_nft(cache.chain, PUBLISHER, made.nft, OTHER.address)
    await cache.read_chain()
    assert cache.read_record(made)["nft"]["owner"] == OTHER.address
    assert cache.read_record(made)["stats"]["price"]["value"] == 7


class PriceAway(Chain):
    """The chain as it is while its node goes away between a record's other facts and its price."""

    is_away = False

    def read_many(self, views: Sequence[ViewCall]) -> list[Any]:
        if self.is_away and any(view.function == "getFixedRates" for view in views):
            return Chain("http://127.0.0.1:1", self.addresses, timeout=1).read_many(views)
        return super().read_many(views)


async def test_no_price_is_forgotten_while_the_node_is_away(process: LocalChain) -> None:
    chain = PriceAway(process.url, addresses.load_addresses(process.address_file, 8996))
    cache = CacheWorld(process, chain=chain)
    known = cache.publish_asset()
    await cache.read_chain()
    chain.is_away = True
    set_price(cache.chain, PUBLISHER, known.exchange_id, 7 * 10**18)
    fresh = cache.publish_asset("Another")
    for _ in range(2):
        with pytest.raises(C2DError, match=UNREACHABLE):
            await cache.read_chain()
        assert cache.read_record(known)["stats"]["price"]["value"] == 2
        assert cache.read_record(fresh) is None, "no record is made that says nobody offers it"
    chain.is_away = False
    await cache.read_chain()
    assert cache.read_record(known)["stats"]["price"]["value"] == 7
    assert cache.read_record(fresh)["stats"]["price"]["value"] == 2
    await cache.close_world()


async def test_assets_and_updates_of_one_block_are_all_indexed_in_their_order(
    cache: CacheWorld,
) -> None:
    made = [cache.publish_asset(f"Number {at}") for at in range(3)]
    last = [cache.write_document(each, f"Number {at}, changed") for at, each in enumerate(made)]
    cache.indexer._chain = OneBlock(cache.url, cache.chain.addresses)
    await cache.read_chain()
    found = [cache.read_record(each) for each in made]
    assert [record["metadata"]["name"] for record in found] == [f"Number {at}, changed" for at in range(3)]
    assert [record["event"]["tx"] for record in found] == last
    assert len({record["event"]["block"] for record in found}) == 1


async def test_what_the_chain_takes_back_is_forgotten(cache: CacheWorld) -> None:
    kept = cache.publish_asset("Kept")
    await cache.read_chain()
    snapshot = cache.call_rpc("evm_snapshot")
    gone, tx = cache.publish_asset("Gone"), cache.write_document(kept, "Changed")
    await cache.read_chain()
    assert cache.read_record(gone) and cache.read_record(kept)["event"]["tx"] == tx
    cache.call_rpc("evm_revert", snapshot)
    await cache.read_chain()
    assert cache.read_record(gone) is None and cache.read_record(kept)["metadata"]["name"] == "Kept"


async def test_another_branch_of_the_same_height_is_noticed(cache: CacheWorld) -> None:
    snapshot = cache.call_rpc("evm_snapshot")
    gone = cache.publish_asset("Gone")
    await cache.read_chain()
    cache.call_rpc("evm_revert", snapshot)
    here = cache.publish_asset("Here, another branch")
    assert cache.chain.latest_block() == cache.indexer.last_block
    await cache.read_chain()
    assert cache.read_record(here)["metadata"]["name"] == "Here, another branch"
    assert gone.nft == here.nft or cache.read_record(gone) is None


@pytest.mark.parametrize(
    ("problem", "changes", "words"),
    [
        (DocumentWithheld("the decryptor refuses this cache"), {}, "refuses"),
        (DocumentWrong("the document does not match the hash on the chain"), {}, "hash"),
        (None, {"chainId": 1}, "did"),
        (None, {"services": []}, "services"),
        (None, {"metadata": {"name": "x"}}, "metadata"),
    ],
)
async def test_what_is_refused_says_why(
    cache: CacheWorld, problem: Exception | None, changes: Any, words: str
) -> None:
    cache.decryptor.problem = problem
    made = cache.publish_asset(**changes)
    await cache.read_chain()
    assert cache.read_record(made) is None
    rows = cache.store.select_rows("SELECT state, error FROM outcomes WHERE nft = ?", made.nft)
    assert rows[0][0] == "refused" and words in rows[0][1]
    assert cache.store.select_rows("SELECT * FROM retries WHERE nft = ?", made.nft) == []


async def test_a_document_of_another_nft_is_refused(cache: CacheWorld) -> None:
    mine, other = (
        cache.publish_asset("Mine"),
        create_asset(cache.chain, PUBLISHER, "N", "N", DispenserTerms()),
    )
    text = json.dumps(make_document(mine, "Stolen")).encode()
    digest = hashlib.sha256(text).hexdigest()
    cache.decryptor.documents["0x" + digest] = text
    set_metadata(cache.chain, PUBLISHER, other.nft, 0, "http://p", 0, text, digest)
    await cache.read_chain()
    assert cache.read_record(mine)["metadata"]["name"] == "Mine" and cache.read_record(other) is None


async def test_an_unreachable_decryptor_is_asked_again(cache: CacheWorld) -> None:
    cache.decryptor.problem = DocumentUnavailable("the decryptor did not answer in time")
    made = cache.publish_asset("Late")
    await cache.read_chain()
    assert cache.read_record(made) is None
    assert cache.store.select_rows("SELECT attempts FROM retries WHERE nft = ?", made.nft) == [(1,)]
    cache.decryptor.problem = None
    task = asyncio.create_task(cache.indexer.run())
    try:
        await appeared(cache, made, 6)
    finally:
        task.cancel()
    assert cache.read_record(made)["metadata"]["name"] == "Late"
    assert cache.store.select_rows("SELECT * FROM retries WHERE nft = ?", made.nft) == []


async def appeared(cache: CacheWorld, made: Any, limit: float) -> float:
    """Seconds until the record is there."""
    began = time.monotonic()
    for _ in range(int(limit / 0.005)):
        if cache.read_record(made) is not None:
            break
        await asyncio.sleep(0.005)
    return time.monotonic() - began


async def test_it_is_there_soon_after_its_event(cache: CacheWorld) -> None:
    """Clients poll for it; the aim is 300 ms on a quiet machine, the limit here leaves room for a busy
    one."""
    task = asyncio.create_task(cache.indexer.run())
    try:
        await asyncio.wait_for(cache.indexer.caught_up.wait(), 10)
        took = []
        for at in range(5):
            made = await asyncio.to_thread(cache.publish_asset, f"Number {at}")
            took.append(await appeared(cache, made, 3))
        print("indexed after", [round(value, 3) for value in took])
    finally:
        task.cancel()


async def test_a_restart_goes_on_where_it_stopped(process: LocalChain, tmp_path: Any) -> None:
    first = CacheWorld(process, MetadataStore(tmp_path / "cache.sqlite"))
    made = first.publish_asset("Lasting")
    await first.read_chain()
    await first.close_world()
    again = MetadataStore(tmp_path / "cache.sqlite")
    assert again.records[did_for(made.nft, 8996)]["metadata"]["name"] == "Lasting"
    assert again.last_block() is not None
    again.close()
