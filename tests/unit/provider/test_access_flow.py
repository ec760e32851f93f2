"""The access service: looking, ordering, downloading; and what is refused on the way."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from c2d_box.assets.crypto import signatures
from tests.harness.process_memory import memory_mib


@pytest.fixture(scope="module")
def asset(world: Any) -> Any:
    files = [
        {"type": "url", "url": f"{world.files.url}/data.csv", "method": "GET"},
        {"type": "url", "url": f"{world.files.url}/missing", "method": "GET"},
        {"type": "url", "url": f"{world.files.url}/big-134217728", "method": "GET"},
    ]
    return world.publish(files=files, service="access", price=0)


@pytest.fixture(scope="module")
def order(world: Any, asset: Any) -> Any:
    consumer = world.account(7).address
    query = {"documentId": asset.did, "serviceId": "0", "consumerAddress": consumer}
    quote = world.services("initialize", params=query)
    assert quote.status_code == 200, quote.text
    body = quote.json()
    assert set(body) == {"datatoken", "nonce", "providerFee"} and body["datatoken"] == asset.datatoken
    assert body["providerFee"]["validUntil"] == 0 and body["providerFee"]["providerFeeAmount"] == "0"
    tx = world.order(asset, body["providerFee"], consumer)
    again = world.services("initialize", params={**query, "transferTxId": tx})
    assert again.json() == {"validOrder": tx}
    return tx


def query(world: Any, asset: Any, order: str, buyer: int = 7, **changes: str) -> dict[str, str]:
    signer = world.account(buyer)
    nonce = world.nonce(signer)
    plain = {
        "documentId": asset.did,
        "serviceId": "0",
        "consumerAddress": signer.address,
        "transferTxId": order,
        "fileIndex": "0",
        "nonce": nonce,
        **changes,
    }
    return {**plain, "signature": signatures.sign_text(signer.key, plain["documentId"] + plain["nonce"])}


def test_a_download_is_named_and_used_once(world: Any, asset: Any, order: str) -> None:
    asked = query(world, asset, order)
    answer = world.services("download", params=asked)
    assert (answer.status_code, answer.content) == (200, b"a,b\n1,2\n")
    assert answer.headers["content-disposition"] == "attachment;filename=data.csv"
    assert answer.headers["access-control-expose-headers"] == "Content-Disposition"
    assert answer.headers["content-type"] == "text/plain"
    replayed = world.services("download", params=asked)
    assert replayed.status_code == 400 and "expected nonce" in replayed.json()["errors"]["signature"]


def test_a_range_is_a_part_of_a_file_to_be_saved(world: Any, asset: Any, order: str) -> None:
    answer = world.services("download", params=query(world, asset, order), headers={"Range": "bytes=4-6"})
    assert (answer.status_code, answer.content) == (206, b"1,2")
    assert answer.headers["content-disposition"] == "attachment;filename=data.csv"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-range"] == "bytes 4-6/8"
    beyond = world.services("download", params=query(world, asset, order), headers={"Range": "bytes=99-"})
    assert (beyond.status_code, beyond.content) == (416, b"")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"documentId": "did:op:" + "0" * 64}, "Cannot resolve DID"),
        ({"serviceId": "7"}, "Provider Ganache: Invalid serviceId."),
        ({"fileIndex": "3"}, "Provider Ganache: No such fileIndex 3"),
        ({"fileIndex": "1"}, "Provider Ganache: The file cannot be fetched from its source."),
    ],
)
def test_download_refusals(world: Any, asset: Any, order: str, changes: Any, text: str) -> None:
    answer = world.services("download", params=query(world, asset, order, **changes))
    assert (answer.status_code, answer.json()["error"]) == (400, text)


def test_only_the_orders_consumer_or_payer_downloads(world: Any, asset: Any, order: str) -> None:
    answer = world.services("download", params=query(world, asset, order, buyer=5))
    start = f"Provider Ganache: Order with tx_id {order} could not be validated due to error: "
    assert answer.status_code == 400 and answer.json()["error"].startswith(start)


def test_equal_downloads_at_once_succeed_once(world: Any, asset: Any, order: str) -> None:
    asked = query(world, asset, order)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: world.services("download", params=asked), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7


def test_a_large_file_passes_with_bounded_memory(world: Any, asset: Any, order: str) -> None:
    """128 MiB through the Provider's process, whose peak may grow by a fraction of that."""
    provider = world.processes[1].pid
    before = memory_mib(provider, "VmHWM")
    digest = hashlib.sha256()
    with world.stream(
        "GET", "/api/services/download", params=query(world, asset, order, fileIndex="2")
    ) as answer:
        assert answer.headers["content-length"] == "134217728"
        for chunk in answer.iter_raw():
            digest.update(chunk)
    assert digest.hexdigest() == hashlib.sha256(b"x" * 134_217_728).hexdigest()
    assert memory_mib(provider, "VmHWM") - before < 48


def test_looking_at_files(world: Any, asset: Any) -> None:
    answer = world.services("fileinfo", "POST", json={"did": asset.did, "serviceId": "0", "checksum": 1})
    first, second, _ = answer.json()
    assert first == {
        "index": 0,
        "valid": True,
        "type": "url",
        "contentLength": "8",
        "contentType": "text/plain",
        "filename": "data.csv",
        "checksum": hashlib.sha256(b"a,b\n1,2\n").hexdigest(),
        "checksumType": "sha256",
    }
    reason = "the source answered with status 404"
    assert second == {"index": 1, "valid": False, "type": "url", "reason": reason}
    plain = world.services("fileinfo", "POST", json={"did": asset.did, "serviceId": 0})
    assert "checksum" not in plain.json()[0]


def test_looking_at_nothing(world: Any, asset: Any) -> None:
    unknown = world.services("fileinfo", "POST", json={"did": "did:op:" + "0" * 64, "serviceId": "0"})
    assert unknown.json() == {"error": "Cannot resolve DID"}
    service = world.services("fileinfo", "POST", json={"did": asset.did, "serviceId": "9"})
    assert service.json() == {"error": "Provider Ganache: Invalid serviceId."}


def test_a_file_that_leads_elsewhere_is_not_followed(world: Any) -> None:
    target = world.chain_process.url
    file = {"type": "url", "url": f"{world.files.url}/elsewhere?to={target}/address.json", "method": "GET"}
    assert world.services("fileinfo", "POST", json=file).json() == [
        {"index": 0, "valid": False, "type": "url", "reason": "the host is not a public address"}
    ]


def test_initialize_refusals(world: Any, asset: Any) -> None:
    consumer = world.account(7).address
    base = {"documentId": asset.did, "serviceId": "0", "consumerAddress": consumer}
    compute = world.publish()
    for changes, text in (
        ({"serviceId": "9"}, "Provider Ganache: Invalid serviceId."),
        ({"fileIndex": "3"}, "Provider Ganache: No such fileIndex 3"),
        (
            {"documentId": compute.did},
            "Provider Ganache: Use the initializeCompute endpoint to initialize compute jobs.",
        ),
    ):
        answer = world.services("initialize", params={**base, **changes})
        assert (answer.status_code, answer.json()) == (400, {"error": text})
    missing = world.services("initialize", params={**base, "fileIndex": "1"}).json()["error"]
    assert missing.startswith(
        "Provider Ganache: Asset URL not found, not available or invalid. \nPayload was: "
    )


def test_denied_consumers_and_ended_assets(world: Any) -> None:
    consumer = world.account(7).address
    denied = {"type": "address", "values": [consumer.lower()]}
    asset = world.publish(service="access", price=0, credentials={"allow": [], "deny": [denied]})
    asked = {"documentId": asset.did, "serviceId": "0", "consumerAddress": consumer}
    answer = world.services("initialize", params=asked).json()["error"]
    text = f"Error: Access to asset {asset.did} was denied with code: "
    assert answer == f"Provider Ganache: {text}ConsumableCodes.CREDENTIAL_IN_DENY_LIST."
    world.update(asset, state=4)
    answer = world.services("initialize", params=asked).json()["error"]
    assert answer == "Provider Ganache: Asset is not consumable."


def test_metadata_is_decrypted_only_as_the_chain_says(world: Any, asset: Any) -> None:
    signer = world.account(9)
    request = {
        "decrypterAddress": signer.address,
        "chainId": 8996,
        "dataNftAddress": asset.nft,
        "transactionId": world.record(asset.did)["event"]["tx"],
        "nonce": "5",
    }
    text = f"{request['transactionId']}{signer.address}89965"
    signed = {**request, "signature": signatures.sign_text(signer.key, text)}
    answer = world.services("decrypt", "POST", json=signed)
    assert answer.status_code == 201 and answer.headers["content-type"] == "text/plain"
    assert answer.json()["id"] == asset.did
    assert world.services("decrypt", "POST", json=signed).status_code == 400
    now = str(int(time.time() * 1000))
    foreign = {**request, "dataNftAddress": world.chain.addresses.ocean, "nonce": now}
    text = f"{request['transactionId']}{signer.address}8996{foreign['nonce']}"
    answer = world.services(
        "decrypt", "POST", json={**foreign, "signature": signatures.sign_text(signer.key, text)}
    )
    assert answer.json() == {"error": "Asset not deployed by the data NFT factory."}
