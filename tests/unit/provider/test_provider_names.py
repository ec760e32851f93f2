"""One Provider under several names: each is indexed, and one that can never be is refused in time."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import closing

import httpx
import pytest

from c2d_box.assets.endpoints import origin_spellings
from c2d_box.chain.publishing import set_metadata
from c2d_box.client.connection import Connection
from c2d_box.client.publisher import Publisher
from c2d_box.client.services.cache import MetadataCache
from c2d_box.errors import Refused
from tests.harness.fake_services import StaticCache
from tests.harness.local_stack import LocalStack, spawned_service


def other_name(world: LocalStack) -> str:
    return world.provider_url.replace("127.0.0.1", "localhost")


def test_a_provider_the_cache_can_never_use_is_refused_before_the_nft_is_made(world: LocalStack) -> None:
    place = (other_name(world), world.cache_url, world.chain_process.url, world.chain_process.address_file)
    before = world.chain.latest_block()
    with Connection(*place) as connection, pytest.raises(Refused) as refused:
        Publisher(connection, world.account(3)).publish_dataset(
            "A table", [{"type": "url", "url": f"{world.files.url}/data.csv", "method": "GET"}]
        )
    assert refused.value.code == "C2D-PROVIDER-NOT-FOR-CACHE" and "public" in refused.value.message
    assert world.chain.latest_block() == before


@pytest.mark.parametrize("url", ["http://10.0.0.1:8030", "http://provider", "ftp://x", "", "http://[::1"])
def test_the_cache_says_whom_it_never_asks(world: LocalStack, url: str) -> None:
    answer = httpx.get(f"{world.cache_url}/api/c2d/decryptor", params={"url": url}, trust_env=False)
    assert answer.status_code == 200
    assert answer.json()["usable"] is False and answer.json()["reason"]


def test_a_cache_that_knows_no_such_question_is_asked_nothing_more() -> None:
    with StaticCache() as original, closing(MetadataCache(original.url)) as cache:
        cache.demand_decryptor("http://localhost:8030")


def test_each_name_of_the_machine_is_indexed(world: LocalStack) -> None:
    names = dict.fromkeys(origin_spellings(world.provider_url), world.provider_url)
    changes = {"endpointAliases": names, "database": str(world.folder / "names.sqlite")}
    asset = world.publish(price=0)
    text = json.dumps(asset.document).encode()
    with spawned_service(world, "metadata", changes) as url, closing(MetadataCache(url)) as cache:
        cache.demand_decryptor(other_name(world))
        tx = set_metadata(
            world.chain,
            world.account(3),
            asset.nft,
            0,
            other_name(world),
            2,
            bytes.fromhex(world.encrypt(text)[2:]),
            hashlib.sha256(text).hexdigest(),
        )
        deadline, path = time.monotonic() + 30, f"{url}/api/aquarius/assets/ddo/{asset.did}"
        while httpx.get(path, trust_env=False).json().get("event", {}).get("tx") != tx:
            assert time.monotonic() < deadline
            time.sleep(0.05)
