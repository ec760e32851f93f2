"""Every type of file through the Provider: what the source is asked, what the consumer gets, and that nothing
of the one reaches the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from c2d_box.assets.crypto import signatures
from tests.harness.fake_services import PROVIDER_KEY
from tests.harness.local_stack import LocalStack, spawned_service

HIDDEN = "hidden-credential"
CONTENT = b"one,two\n3,4\n"
CID = "Qm" + "a" * 44


@pytest.fixture(scope="module")
def provider(world: LocalStack) -> Iterator[str]:
    """With gateways, which are the same source of files."""
    fetch = {"allow": [world.files.url], "ipfsGateway": world.files.url, "arweaveGateway": world.files.url}
    database = str(world.folder / "types.sqlite")
    with spawned_service(world, "provider", {"fetch": fetch, "database": database}) as url:
        yield url


def files(world: LocalStack) -> list[dict[str, Any]]:
    source = world.files.url
    named = source.replace("://", f"://user:{HIDDEN}@")
    return [
        {"type": "url", "url": f"{source}/posted.csv", "method": "POST", "headers": {"X-Key": HIDDEN}},
        {"type": "url", "url": f"{named}/named.csv?token={HIDDEN}", "method": "GET"},
        {"type": "ipfs", "hash": CID},
        {"type": "arweave", "transactionId": "arweave-transaction"},
        {
            "type": "graphql",
            "url": f"{source}/graphql",
            "query": "query q { x }",
            "headers": {"Authorization": HIDDEN},
        },
        {
            "type": "s3",
            "s3Access": {
                "endpoint": source,
                "region": "us-east-1",
                "bucket": "bucket",
                "objectKey": "folder/object.csv",
                "accessKeyId": "access-" + HIDDEN,
                "secretAccessKey": "secret-" + HIDDEN,
            },
        },
        {
            "type": "smartcontract",
            "address": world.chain.addresses.ocean,
            "chainId": 8996,
            "abi": {
                "name": "balanceOf",
                "type": "function",
                "stateMutability": "view",
                "inputs": [{"name": "account", "type": "address"}],
                "outputs": [{"name": "", "type": "uint256"}],
            },
        },
        {"type": "url", "url": f"{source}/elsewhere?to={source}/named.csv", "method": "GET"},
        {"type": "url", "url": f"{source}/elsewhere?to=http://127.0.0.1:1/metadata", "method": "GET"},
        {"type": "url", "url": f"{source}/{HIDDEN}-gone.csv", "method": "GET"},
    ]


NAMES = [
    "posted.csv",
    "named.csv",
    f"ipfs/{CID}",
    "arweave-transaction",
    "graphql",
    "bucket/folder/object.csv",
]


class Shop:
    """An ordered asset with a file of every type."""

    def __init__(self, world: LocalStack, url: str) -> None:
        self.world, self.url = world, url
        world.files.content.update(dict.fromkeys(NAMES, CONTENT))
        self.asset = world.publish(files=files(world), service="access", price=0)
        consumer = world.account(7).address
        query = {"documentId": self.asset.did, "serviceId": "0", "consumerAddress": consumer}
        fee = world.services("initialize", params=query).json()["providerFee"]
        self.tx = world.order(self.asset, fee, consumer)

    def download(self, index: int, userdata: Any = None, **headers: str) -> httpx.Response:
        signer = self.world.account(7)
        asked = httpx.get(
            f"{self.url}/api/services/nonce", params={"userAddress": signer.address}, trust_env=False
        )
        nonce = str(int(asked.json()["nonce"]) + 1)
        query = {
            "documentId": self.asset.did,
            "serviceId": "0",
            "consumerAddress": signer.address,
            "transferTxId": self.tx,
            "fileIndex": str(index),
            "nonce": nonce,
            "signature": signatures.sign_text(signer.key, self.asset.did + nonce),
            **({"userdata": json.dumps(userdata)} if userdata else {}),
        }
        url = f"{self.url}/api/services/download"
        return httpx.get(url, params=query, headers=headers, trust_env=False, timeout=30)

    def last(self) -> tuple[str, str, dict[str, str], bytes]:
        return (*self.world.files.requests[-1], self.world.files.bodies[-1])


@pytest.fixture(scope="module")
def shop(world: LocalStack, provider: str) -> Shop:
    return Shop(world, provider)


@pytest.mark.parametrize(
    ("index", "name"),
    [
        (0, "posted.csv"),
        (1, "named.csv"),
        (2, "file.txt"),
        (3, "file.txt"),
        (4, "file.txt"),
        (5, "object.csv"),
    ],
)
def test_the_bytes_come_with_a_name_and_nothing_of_their_source(shop: Shop, index: int, name: str) -> None:
    answer = shop.download(index)
    assert (answer.status_code, answer.content) == (200, CONTENT), answer.text
    assert answer.headers["content-disposition"] == f"attachment;filename={name}"
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["content-length"] == str(len(CONTENT))
    shown = str(answer.headers) + answer.text
    assert HIDDEN not in shown and shop.world.files.url not in shown and CID not in shown


@pytest.mark.parametrize("index", [1, 2, 3, 5])
def test_a_range_of_every_type_that_has_ranges(shop: Shop, index: int) -> None:
    answer = shop.download(index, Range="bytes=4-6")
    assert (answer.status_code, answer.content) == (206, CONTENT[4:7])
    assert answer.headers["content-range"] == f"bytes 4-6/{len(CONTENT)}"
    assert answer.headers["content-disposition"].startswith("attachment;filename=")


def test_method_headers_and_user_data_reach_the_source(shop: Shop) -> None:
    shop.download(0, {"year": 2026})
    method, name, headers, body = shop.last()
    assert (method, name, json.loads(body)) == ("POST", "posted.csv", {"year": 2026})
    assert headers["x-key"] == HIDDEN
    shop.download(1, {"year": 2026})
    method, name, headers, body = shop.last()
    assert (method, name) == ("GET", "named.csv") and headers["authorization"].startswith("Basic ")
    shop.download(4, {"year": 2026})
    _, _, headers, body = shop.last()
    assert json.loads(body) == {"query": "query q { x }", "variables": {"year": 2026}}
    assert headers["authorization"] == HIDDEN and headers["content-type"] == "application/json"
    shop.download(5)
    assert shop.last()[2]["authorization"].startswith(f"AWS4-HMAC-SHA256 Credential=access-{HIDDEN}/")


def test_a_consumers_own_headers_do_not_reach_the_source(shop: Shop) -> None:
    shop.download(2, Cookie="mine", Authorization="mine", **{"X-Forwarded-For": "10.0.0.1", "X-Key": "mine"})
    assert not {"cookie", "authorization", "x-forwarded-for", "x-key"} & set(shop.last()[2])


def test_a_contract_is_called_with_the_users_arguments(shop: Shop) -> None:
    owner = shop.world.account(0).address
    answer = shop.download(6, {"account": owner})
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    assert answer.json() == shop.world.chain.balance_of(owner, shop.world.chain.addresses.ocean)


def test_redirects_are_followed_to_allowed_places_only(shop: Shop) -> None:
    assert shop.download(7).content == CONTENT
    asked = len(shop.world.files.requests)
    answer = shop.download(8)
    assert answer.status_code == 400 and "127.0.0.1" not in answer.text
    assert [name for _, name, _ in shop.world.files.requests[asked:]] == ["elsewhere"]


@pytest.mark.parametrize("index", [6, 8, 9])
def test_a_source_that_fails_is_not_shown(shop: Shop, index: int) -> None:
    answer = shop.download(index)
    assert answer.status_code == 400
    assert answer.json()["error"] == "Provider Ganache: The file cannot be fetched from its source."
    reasons = {6: "Missing parameters", 8: "the host is not a public address"}
    assert answer.json()["reasons"] == {"problem": reasons.get(index, "the source answered with status 404")}


def test_nothing_secret_is_logged_or_visible_from_outside(shop: Shop, world: LocalStack) -> None:
    for index in range(len(files(world))):
        shop.download(index)
    logs = [path.read_text() for path in world.folder.glob("*.log")]
    assert any("/api/services/download" in text for text in logs)
    for text in logs:
        for secret in (HIDDEN, CID, world.files.url, PROVIDER_KEY[2:], "signature", "userdata"):
            assert secret not in text
    for process in world.processes:
        for name in ("cmdline", "environ"):
            assert PROVIDER_KEY[2:].encode() not in Path(f"/proc/{process.pid}/{name}").read_bytes()
