"""Results that become an asset: the consumer's own, found by everybody, and good for others to order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from c2d_box.chain import nfts
from c2d_box.client import JobRequest
from c2d_box.errors import Refused
from sandbox.box import Box
from sandbox.keys import open_keys
from sandbox.verbs.accounts import signer
from sandbox.verbs.compute import jobs
from sandbox.verbs.sdk_connections import open_consumer, open_publisher

from .conftest import ComputePair, finish_verb, wait_until

COUNT = """
import json, os
(did,) = json.loads(os.environ["DIDS"])
lines = open(f"/data/inputs/{did}/0").read().splitlines()
json.dump({"lines": len(lines)}, open("/data/outputs/count.json", "w"))
"""


def test_results_become_an_asset_that_another_account_orders_and_downloads(
    box: Box, publish_pair: Callable[[str, str], ComputePair], tmp_path: Path
) -> None:
    pair = publish_pair("a\nb\nc\n", COUNT)
    wish = {"publish": {"name": "Number of lines", "tags": ["counted"], "free": True}}
    with pytest.raises(Refused, match="C2D-RESULTS-NOT-PUBLISHABLE"):
        finish_verb(jobs.start(box, "consumer", JobRequest(pair.dataset, pair.algorithm, output=wish)))
    with open_publisher(box, "publisher") as publisher:
        publisher.govern_results(pair.dataset, may_be_published=True)
    job = finish_verb(jobs.start(box, "consumer", JobRequest(pair.dataset, pair.algorithm, output=wish)))
    end = finish_verb(jobs.follow(box, "consumer", job.id, timeout=180))
    assert end.status == 70, end

    with open_consumer(box, "consumer2") as other:
        owner, cache = signer("consumer").address, other.connection.cache

        def owned() -> dict[str, Any] | None:
            found = cache.read_record(end.asset)
            return found if found["nft"]["owner"] == owner else None

        record = wait_until(owned, what="the asset in the cache, with its owner")
        assert record["metadata"]["name"] == "Number of lines"
        assert record["metadata"]["additionalInformation"]["c2d"]["job"] == job.id
        register = open_keys(box.home.keys_folder).key_address("register-key")
        token = record["datatokens"][0]["address"]
        assert not nfts.holds_roles(other.connection.chain, record["nftAddress"], token, register)
        (fetched,) = other.download(end.asset, tmp_path)
    assert json.loads(fetched.read_text()) == {"lines": 3}
