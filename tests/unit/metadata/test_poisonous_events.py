"""No event, whatever it publishes, keeps the cache from the chain's head or from other assets."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c2d_box.assets.did import did_for
from c2d_box.chain import Chain, events
from c2d_box.chain.publishing import set_price, set_state
from c2d_box.metadata import decorations, indexer
from c2d_box.metadata.documents import DocumentUnavailable
from c2d_box.metadata.fetching import MAX_ATTEMPTS
from c2d_box.metadata.publications import DocumentRejected, checked_document
from c2d_box.metadata.store import AssetVersion, MetadataStore, OutcomeState, Publication
from sandbox.testchain.local_chain import LocalChain, running_chain
from tests.harness.cache_world import PUBLISHER, CacheWorld, make_document


@pytest.fixture(scope="module")
def process() -> Iterator[LocalChain]:
    with running_chain() as chain:
        yield chain


@pytest.fixture
async def cache(process: LocalChain) -> AsyncIterator[CacheWorld]:
    made = CacheWorld(process)
    yield made
    await made.close_world()


POISON: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "lone surrogate in a value": (lambda text: text.replace(b'"Words"', b'"\\ud800"'), "C2D-JSON-ENCODING"),
    "lone surrogate in an unknown key": (lambda text: text[:-1] + b',"\\udfff":1}', "C2D-JSON-ENCODING"),
    "raw surrogate": (lambda text: text.replace(b"Words", b"\xed\xa0\x80"), "C2D-JSON-ENCODING"),
    "deep lists": (lambda text: text[:-1] + b',"x":' + b"[" * 60_000 + b"]" * 60_000 + b"}", "TOO-DEEP"),
    "a number of 5,000 digits": (lambda text: text[:-1] + b',"x":' + b"7" * 5000 + b"}", "C2D-JSON-NUMBER"),
    "infinity": (lambda text: text[:-1] + b',"x":1e999}', "C2D-JSON-NUMBER"),
    "NaN": (lambda text: text[:-1] + b',"x":NaN}', "C2D-JSON-NUMBER"),
    "not an object": (lambda text: b"[" + text + b"]", "not a JSON object"),
    "nothing": (lambda text: b"", "C2D-JSON-MALFORMED"),
    "services are a number": (
        lambda text: text.replace(b'"services": [', b'"services": 7, "was": ['),
        "services",
    ),
}


async def test_poisonous_documents_are_refused_by_name_and_hold_up_nobody(cache: CacheWorld) -> None:
    bad = cache.publish_asset("Before")
    sent = {}
    for kind, (spoil, _) in POISON.items():
        sent[kind] = cache.write_raw(bad, spoil(json.dumps(make_document(bad, "Spoiled")).encode()))
    last = cache.publish_asset("Last")
    await cache.read_chain()
    assert cache.indexer.last_block == cache.chain.latest_block()
    assert cache.read_record(last) and cache.read_record(bad)["metadata"]["name"] == "Before"
    for kind, (_, reason) in POISON.items():
        outcome = cache.store.find_outcome(None, None, sent[kind])
        assert outcome is not None and outcome.state == "refused" and reason in outcome.error, kind


@pytest.mark.parametrize(
    "changes",
    [
        {
            "metadata": {
                "name": "N\0ul",
                "description": "D\0",
                "type": "dataset",
                "author": "A",
                "license": "M",
            }
        },
        {"more": "\U0001f600 \u202e"},
        {"more": {"$ref": "#", "__proto__": {}, "constructor": None}},
        {"metadata": {"name": "n" * 300_000, "description": "D", "type": "t", "author": "A", "license": "M"}},
    ],
)
async def test_odd_but_honest_documents_are_served(cache: CacheWorld, changes: Any) -> None:
    made = cache.publish_asset(**changes)
    await cache.read_chain()
    assert cache.read_outcome(made) == ("served", "")
    assert json.loads(cache.store.texts[did_for(made.nft, 8996)])["id"] == did_for(made.nft, 8996)


async def test_a_block_may_have_any_time(cache: CacheWorld) -> None:
    made = cache.publish_asset("A name")
    text, did = json.dumps(make_document(made, "A name")), did_for(made.nft, 8996)
    for position, timestamp in enumerate((1796083309313, 2**256 - 1, 0)):
        cache.store.add_version(
            AssetVersion(did, 10**6, position, made.nft, "0xtx", PUBLISHER.address, 0, timestamp, text)
        )
        await cache.indexer._refresh_records({did})
        assert not cache.store.stale_reason(did)
        assert cache.read_record(made)["event"]["datetime"] in ("9999-12-31T23:59:59", "1970-01-01T00:00:00")


async def test_an_event_that_cannot_be_processed_is_set_aside(
    cache: CacheWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any exception whatever while one event is noted is that event's outcome."""
    bad, good = cache.publish_asset("Bad"), cache.publish_asset("Good")
    await cache.read_chain()
    note_state = cache.indexer._note_state

    def fails(event: Any) -> bool:
        if event.address == bad.nft:
            raise ZeroDivisionError("whatever")
        return note_state(event)

    monkeypatch.setattr(cache.indexer, "_note_state", fails)
    for made in (bad, good):
        set_state(cache.chain, PUBLISHER, made.nft, 4)
    await cache.read_chain()
    assert cache.indexer.last_block == cache.chain.latest_block()
    assert cache.read_record(good)["nft"]["state"] == 4
    assert cache.read_outcome(bad) == (
        "failed",
        "the event MetadataState cannot be processed (ZeroDivisionError)",
    )


async def test_an_update_whose_values_cannot_be_decoded_is_named(cache: CacheWorld) -> None:
    made, other = cache.publish_asset("Known"), cache.publish_asset("Other")
    await cache.read_chain()
    cache.indexer._chain = Garbled(cache.url, cache.chain.addresses)
    cache.write_document(made, "Garbled")
    cache.write_document(other, "Other, changed")
    await cache.read_chain()
    state, error = cache.read_outcome(made)
    assert state == "refused" and "cannot be decoded" in error
    assert cache.indexer.last_block == cache.chain.latest_block()


class Garbled(Chain):
    """The chain as a contract could make it that writes what is no text into an event."""

    def get_logs(self, *arguments: Any, **options: Any) -> Any:
        return [
            {**log, "data": b"\xff" * len(bytes(log["data"]))}
            for log in super().get_logs(*arguments, **options)
        ]


async def test_a_record_that_cannot_be_made_waits_alone(
    cache: CacheWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = cache.publish_asset("Bad")
    await cache.read_chain()
    made_record = decorations.record

    def fails(facts: Any, versions: Any, orders: int) -> Any:
        if versions[-1].nft == bad.nft:
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        return made_record(facts, versions, orders)

    monkeypatch.setattr(indexer, "record", fails)
    cache.write_document(bad, "Bad, changed")
    good = cache.publish_asset("Good")
    await cache.read_chain()
    did = did_for(bad.nft, 8996)
    assert cache.read_record(good) and cache.indexer.last_block == cache.chain.latest_block()
    assert cache.store.stale_reason(did) == "the record cannot be made (UnicodeEncodeError)"
    monkeypatch.setattr(indexer, "record", made_record)
    cache.store.select_rows("UPDATE stale SET next = 0")
    await cache.indexer._retry_stale()
    assert cache.read_record(bad)["metadata"]["name"] == "Bad, changed" and not cache.store.stale_reason(did)


async def test_a_full_disk_is_nobodys_poison(cache: CacheWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be stored the block is read again, not its events set aside."""
    made = cache.publish_asset("Kept")
    queue = cache.store.queue

    def full(*arguments: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(cache.store, "queue", full)
    with pytest.raises(sqlite3.OperationalError):
        await cache.read_chain()
    monkeypatch.setattr(cache.store, "queue", queue)
    await cache.read_chain()
    assert cache.read_record(made)


async def test_retries_end_and_can_be_asked_for_again(cache: CacheWorld) -> None:
    cache.decryptor.problem = DocumentUnavailable("the decryptor answered with status 500")
    made = cache.publish_asset("Late")
    await cache.read_chain()
    queue = cache.indexer.documents
    for _ in range(MAX_ATTEMPTS):
        for waiting in cache.store.waiting_publications():
            assert waiting.next > 0
            queue._enqueue_publication(_due_now(waiting))
        await queue.settle_due()
    state, error = cache.read_outcome(made)
    assert state == "failed" and f"given up after {MAX_ATTEMPTS} attempts" in error
    assert queue.waiting_count == 0 and cache.store.waiting_publications() == []
    cache.decryptor.problem = None
    tx = cache.store.last_outcome(did_for(made.nft, 8996)).tx  # type: ignore[union-attr]
    assert await cache.indexer.trigger_transaction(tx)
    await queue.settle_due()
    assert cache.read_record(made)["metadata"]["name"] == "Late"


def _due_now(publication: Publication) -> Publication:
    return replace(publication, next=0.0)


async def test_blocks_taken_back_take_their_outcomes_along(cache: CacheWorld) -> None:
    cache.decryptor.problem = DocumentUnavailable("not now")
    snapshot = cache.call_rpc("evm_snapshot")
    made = cache.publish_asset("Gone")
    await cache.read_chain()
    assert cache.indexer.documents.waiting_count == 1
    cache.call_rpc("evm_revert", snapshot)
    await cache.read_chain()
    assert cache.indexer.documents.waiting_count == 0 and cache.read_outcome(made) == ("", "")


async def test_only_oceans_exchange_says_that_a_price_changed(cache: CacheWorld) -> None:
    made = [cache.publish_asset(f"Number {at}") for at in range(3)]
    await cache.read_chain()
    event = next(iter(_rate_change(cache, made[0])))
    assert await cache.indexer._sales.tokens_of(event) == {made[0].datatoken.lower()}
    assert await cache.indexer._sales.tokens_of(replace(event, address=made[1].nft)) == set()


def _rate_change(cache: CacheWorld, made: Any) -> Any:
    block = cache.chain.latest_block() + 1
    set_price(cache.chain, PUBLISHER, made.exchange_id, 3 * 10**18)
    logs = cache.chain.get_logs([events.event_topic("ExchangeRateChanged")], block)
    return events.decode_logs(logs, ("ExchangeRateChanged",))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)
FIELDS = (
    "@context",
    "id",
    "version",
    "chainId",
    "nftAddress",
    "metadata",
    "services",
    "credentials",
    "nft",
    "event",
)


@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_document_or_refused(text: bytes) -> None:
    with contextlib.suppress(DocumentRejected):
        checked_document(text, "0x" + "11" * 20, 8996)


async def test_any_document_leaves_the_indexer_at_the_head(cache: CacheWorld) -> None:
    """Generated documents, valid but for what is changed in them, published one after another."""
    made = cache.publish_asset("Base")
    chosen: list[Any] = []

    @settings(
        deadline=None,
        max_examples=60,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(FIELDS), JSON)
    def collect(field: str, value: Any) -> None:
        chosen.append({field: value})

    collect()
    for number, changes in enumerate(chosen):
        text = json.dumps({**make_document(made, f"Number {number}"), **changes}).encode()
        digest = hashlib.sha256(text).hexdigest()
        cache.decryptor.documents["0x" + digest] = text
        base = Publication(
            "", made.nft, f"0x{number:064x}", number, 10**7, "", 0, 0, "http://p", "0x" + digest
        )
        cache.indexer.documents.add_publication(replace(base, did=did_for(made.nft, 8996)))
    last = cache.publish_asset("Last")
    await cache.read_chain()
    await asyncio.wait_for(cache.indexer.documents.settle_due(), 60)
    assert cache.indexer.last_block == cache.chain.latest_block()
    assert cache.read_record(last)["metadata"]["name"] == "Last"
    states = {row[0] for row in cache.store.select_rows("SELECT state FROM outcomes WHERE block = ?", 10**7)}
    assert states <= {"served", "refused"} and "refused" in states


def test_a_file_of_the_former_schema_is_read_anew(tmp_path: Any) -> None:
    path = tmp_path / "cache.sqlite"
    old = sqlite3.connect(path)
    old.execute("CREATE TABLE outcomes (nft TEXT, did TEXT, tx TEXT, valid INTEGER, error TEXT, at REAL)")
    old.execute("CREATE TABLE blocks (number INTEGER PRIMARY KEY, hash TEXT NOT NULL)")
    old.execute("INSERT INTO blocks VALUES (7, '0xaa')")
    old.commit()
    old.close()
    store = MetadataStore(path)
    assert store.last_block() is None
    store.put_outcome(
        Publication("did", "0xn", "0xt", 0, 1, "", 0, 0, "", ""), OutcomeState.REFUSED, "\ud800\0"
    )
    assert store.last_outcome("did").error == "\\ud800\\x00"  # type: ignore[union-attr]
    store.close()
