"""The indexer against a real chain: what is published appears, what the chain takes back disappears."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import httpx
import pytest

from c2d_box.assets.did import did_for
from c2d_box.chain import Chain, addresses
from c2d_box.chain.accounts import from_mnemonic
from c2d_box.chain.publishing import (
    Fixed,
    Free,
    create_asset,
    set_metadata,
    set_price,
    set_state,
    transfer_nft,
)
from c2d_box.metadata.documents import DocumentUnavailable, DocumentWithheld, DocumentWrong
from c2d_box.metadata.heads import Heads
from c2d_box.metadata.indexer import Indexer
from c2d_box.metadata.settings import Settings
from c2d_box.metadata.store import Store
from sandbox.testchain.local import LocalChain, running
from sandbox.testchain.settings import BARGE_MNEMONIC

PUBLISHER = from_mnemonic(BARGE_MNEMONIC, 3)
OTHER = from_mnemonic(BARGE_MNEMONIC, 5)


class Decryptor:
    """Gives documents by their hash; ``problem`` is raised instead when it is set."""

    documents: ClassVar[dict[str, bytes]] = {}

    def __init__(self) -> None:
        self.problem: Exception | None = None

    async def document(self, decryptor_url: str, nft: str, tx: str, expected_hash: str) -> bytes:
        if self.problem is not None:
            raise self.problem
        return self.documents[expected_hash]


class Cache:
    def __init__(self, process: LocalChain) -> None:
        self.chain = Chain(process.url, addresses.load(process.address_file, 8996))
        self.url = process.url
        self.store = Store(":memory:")
        self.decryptor = Decryptor()
        self.client = httpx.AsyncClient(trust_env=False)
        settings = Settings.model_validate(
            {"chain": {"id": 8996, "rpcUrl": process.url, "addressFile": "x"}, "pollSeconds": 0.05}
        )
        number = self.chain.latest_block()  # what other tests published is none of this one's business
        self.store.checkpoint(number, str(self.rpc("eth_getBlockByNumber", hex(number), False)["hash"]))
        heads = Heads(self.client, self.chain, process.url, 0.05)
        self.indexer = Indexer(self.chain, self.store, self.decryptor, heads, settings)  # type: ignore[arg-type]

    async def read(self) -> None:
        await self.indexer.catch_up(self.chain.latest_block())

    def rpc(self, method: str, *params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        return httpx.post(self.url, json=body, trust_env=False).json()["result"]

    def publish(self, name: str = "A name", price: Any = None, **changes: Any) -> Any:
        made = create_asset(self.chain, PUBLISHER, "NFT", "N", price or Fixed(2 * 10**18))
        self.write(made, name, **changes)
        return made

    def write(self, made: Any, name: str, state: int = 0, **changes: Any) -> str:
        text = json.dumps(document(made, name, **changes)).encode()
        digest = hashlib.sha256(text).hexdigest()
        self.decryptor.documents["0x" + digest] = text
        return set_metadata(self.chain, PUBLISHER, made.nft, state, "http://p", 0, text, digest)

    def record(self, made: Any) -> Any:
        return self.store.records.get(did_for(made.nft, 8996))


class OneBlock(Chain):
    """The chain as if all that is read at once had been mined in one block."""

    def logs(self, topics: Any, from_block: int, to_block: Any = "latest", address: Any = None) -> Any:
        found = super().logs(topics, from_block, to_block, address)
        return [{**log, "blockNumber": to_block, "logIndex": at} for at, log in enumerate(found)]


def document(made: Any, name: str, **changes: Any) -> dict[str, Any]:
    service = {
        "id": "0",
        "type": "access",
        "datatokenAddress": made.datatoken,
        "files": "0x00",
        "timeout": 0,
        "serviceEndpoint": "http://127.0.0.1:8030",
    }
    metadata = {"name": name, "description": "Words", "type": "dataset", "author": "A", "license": "MIT"}
    return {
        "@context": ["https://w3id.org/did/v1"],
        "id": did_for(made.nft, 8996),
        "version": "4.1.0",
        "chainId": 8996,
        "nftAddress": made.nft,
        "metadata": metadata,
        "services": [service],
        **changes,
    }


@pytest.fixture(scope="module")
def process() -> Iterator[LocalChain]:
    with running() as chain:
        yield chain


@pytest.fixture
async def cache(process: LocalChain) -> AsyncIterator[Cache]:
    made = Cache(process)
    yield made
    await made.client.aclose()
    made.store.close()


async def test_a_published_document_is_served_with_the_chains_facts(cache: Cache) -> None:
    made = cache.publish("Table", nft={"owner": "0xforged"}, stats={"orders": 99})
    await cache.read()
    record = cache.record(made)
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


async def test_a_free_asset_costs_nothing(cache: Cache) -> None:
    made = cache.publish(price=Free())
    await cache.read()
    assert cache.record(made)["stats"]["price"] == {"value": 0}


async def test_updates_replace_and_states_hide(cache: Cache) -> None:
    made = cache.publish("First")
    tx = cache.write(made, "Second")
    await cache.read()
    assert (cache.record(made)["metadata"]["name"], cache.record(made)["event"]["tx"]) == ("Second", tx)
    for state, visible in ((4, True), (5, True), (1, True), (2, False), (3, False), (0, True)):
        set_state(cache.chain, PUBLISHER, made.nft, state)
        await cache.read()
        record = cache.record(made)
        assert record["nft"]["state"] == state and ("metadata" in record) == visible
        if not visible:
            assert set(record) == {"id", "event", "nft", "datatokens", "stats"}


async def test_owner_and_price_follow_the_chain(cache: Cache) -> None:
    made = cache.publish()
    await cache.read()
    set_price(cache.chain, PUBLISHER, made.exchange_id, 7 * 10**18)
    transfer_nft(cache.chain, PUBLISHER, made.nft, OTHER.address)
    await cache.read()
    assert cache.record(made)["nft"]["owner"] == OTHER.address
    assert cache.record(made)["stats"]["price"]["value"] == 7


async def test_several_assets_and_updates_of_one_block_are_all_indexed_in_their_order(cache: Cache) -> None:
    made = [cache.publish(f"Number {at}") for at in range(3)]
    last = [cache.write(each, f"Number {at}, changed") for at, each in enumerate(made)]
    cache.indexer._chain = OneBlock(cache.url, cache.chain.addresses)
    await cache.read()
    found = [cache.record(each) for each in made]
    assert [record["metadata"]["name"] for record in found] == [f"Number {at}, changed" for at in range(3)]
    assert [record["event"]["tx"] for record in found] == last
    assert len({record["event"]["block"] for record in found}) == 1


async def test_what_the_chain_takes_back_is_forgotten(cache: Cache) -> None:
    kept = cache.publish("Kept")
    await cache.read()
    snapshot = cache.rpc("evm_snapshot")
    gone, tx = cache.publish("Gone"), cache.write(kept, "Changed")
    await cache.read()
    assert cache.record(gone) and cache.record(kept)["event"]["tx"] == tx
    cache.rpc("evm_revert", snapshot)
    await cache.read()
    assert cache.record(gone) is None and cache.record(kept)["metadata"]["name"] == "Kept"


async def test_another_branch_of_the_same_height_is_noticed(cache: Cache) -> None:
    snapshot = cache.rpc("evm_snapshot")
    gone = cache.publish("Gone")
    await cache.read()
    cache.rpc("evm_revert", snapshot)
    here = cache.publish("Here, another branch")
    assert cache.chain.latest_block() == cache.indexer.last_block
    await cache.read()
    assert cache.record(here)["metadata"]["name"] == "Here, another branch"
    assert gone.nft == here.nft or cache.record(gone) is None


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
    cache: Cache, problem: Exception | None, changes: Any, words: str
) -> None:
    cache.decryptor.problem = problem
    made = cache.publish(**changes)
    await cache.read()
    assert cache.record(made) is None
    rows = cache.store.rows("SELECT valid, error FROM outcomes WHERE nft = ?", made.nft)
    assert rows[0][0] == 0 and words in rows[0][1]
    assert cache.store.rows("SELECT * FROM retries WHERE nft = ?", made.nft) == []


async def test_a_document_of_another_nft_is_refused(cache: Cache) -> None:
    mine, other = cache.publish("Mine"), create_asset(cache.chain, PUBLISHER, "N", "N", Free())
    text = json.dumps(document(mine, "Stolen")).encode()
    digest = hashlib.sha256(text).hexdigest()
    cache.decryptor.documents["0x" + digest] = text
    set_metadata(cache.chain, PUBLISHER, other.nft, 0, "http://p", 0, text, digest)
    await cache.read()
    assert cache.record(mine)["metadata"]["name"] == "Mine" and cache.record(other) is None


async def test_an_unreachable_decryptor_is_asked_again(cache: Cache) -> None:
    cache.decryptor.problem = DocumentUnavailable("the decryptor did not answer in time")
    made = cache.publish("Late")
    await cache.read()
    assert cache.record(made) is None
    assert cache.store.rows("SELECT attempts FROM retries WHERE nft = ?", made.nft) == [(1,)]
    cache.decryptor.problem = None
    task = asyncio.create_task(cache.indexer.run())
    try:
        await appeared(cache, made, 6)
    finally:
        task.cancel()
    assert cache.record(made)["metadata"]["name"] == "Late"
    assert cache.store.rows("SELECT * FROM retries WHERE nft = ?", made.nft) == []


async def appeared(cache: Cache, made: Any, limit: float) -> float:
    """Seconds until the record is there."""
    began = time.monotonic()
    for _ in range(int(limit / 0.005)):
        if cache.record(made) is not None:
            break
        await asyncio.sleep(0.005)
    return time.monotonic() - began


async def test_it_is_there_soon_after_its_event(cache: Cache) -> None:
    """Clients poll for it; the aim is 300 ms on a quiet machine, the limit here leaves room for a busy
    one."""
    task = asyncio.create_task(cache.indexer.run())
    try:
        await asyncio.wait_for(cache.indexer.caught_up.wait(), 10)
        took = []
        for at in range(5):
            made = await asyncio.to_thread(cache.publish, f"Number {at}")
            took.append(await appeared(cache, made, 3))
        print("indexed after", [round(value, 3) for value in took])
    finally:
        task.cancel()


async def test_a_restart_goes_on_where_it_stopped(process: LocalChain, tmp_path: Any) -> None:
    first = Cache(process)
    first.store = first.indexer._store = Store(tmp_path / "cache.sqlite")
    made = first.publish("Lasting")
    await first.read()
    first.store.close()
    again = Store(tmp_path / "cache.sqlite")
    assert again.records[did_for(made.nft, 8996)]["metadata"]["name"] == "Lasting"
    assert again.last_block() is not None
    again.close()
    await first.client.aclose()
