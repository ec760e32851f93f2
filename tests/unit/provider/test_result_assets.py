"""Results of jobs through a real Provider: the holder's asset shows them, no other way does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest

from c2d_box.assets import results
from c2d_box.assets.crypto import salted_blocks, signatures
from c2d_box.pods.upload.dag import DagBuilder
from tests.harness.car_reader import CarReader, IpfsGateway
from tests.harness.fake_services import BackgroundServer
from tests.harness.local_stack import LocalStack, StackAsset, spawned_service

SECRET, CONTENT, JOB = "shared with the engine", b'{"accuracy": 0.93}', "0" * 31 + "7"


@dataclass
class Node:
    """A node with one job's result, and a Provider that reads publishers' files from the same node."""

    world: LocalStack
    gateway: IpfsGateway
    gateway_url: str
    url: str
    place: str
    cid: str

    def fileinfo(self, **file: Any) -> dict[str, Any]:
        answer = httpx.post(f"{self.url}/api/services/fileinfo", json=file, trust_env=False, timeout=30)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()[0])

    def publish(self, kind: str = "dataset", **file: Any) -> StackAsset:
        """An asset with that file; a result's proof is made for it as the engine does."""
        asset = self.world.publish(kind, service="access", price=0)
        if file["type"] == "result" and "proof" not in file:
            said = {"job": file["job"], "place": file["place"]}
            file["proof"] = results.result_proof(SECRET, nft=asset.nft, datatoken=asset.datatoken, **said)
        plain = {"datatokenAddress": asset.datatoken, "nftAddress": asset.nft, "files": [file]}
        asset.document["services"][0]["files"] = self.world.encrypt(json.dumps(plain).encode())
        self.world.update(asset)
        return asset

    def download(self, asset: StackAsset) -> httpx.Response:
        signer = self.world.account(7)
        query = {"documentId": asset.did, "serviceId": "0", "consumerAddress": signer.address}
        fee = self.world.services("initialize", params=query).json()["providerFee"]
        tx = self.world.order(asset, fee, signer.address)
        asked = httpx.get(
            f"{self.url}/api/services/nonce", params={"userAddress": signer.address}, trust_env=False
        )
        nonce = str(int(asked.json()["nonce"]) + 1)
        query |= {
            "transferTxId": tx,
            "fileIndex": "0",
            "nonce": nonce,
            "signature": signatures.sign_text(signer.key, asset.did + nonce),
        }
        return httpx.get(f"{self.url}/api/services/download", params=query, trust_env=False, timeout=30)


@pytest.fixture(scope="module")
def node(world: LocalStack) -> Iterator[Node]:
    gateway = IpfsGateway()
    planter = DagBuilder({"outputs/metrics.json": partial(iter, [CONTENT])}, b"the stage's token")
    tree = planter.plan_tree()
    gateway.blocks |= CarReader(b"".join(planter.car_stream(tree.root))).blocks
    (world.folder / "secrets" / "result-secret").write_text(SECRET + "\n")
    with BackgroundServer(gateway.gateway_app()) as served:
        changes = {
            "fetch": {"allow": [world.files.url, served.url], "ipfsGateway": served.url},
            "resultStore": {"kind": "ipfs", "api": "http://127.0.0.1:9", "gateway": served.url},
            "database": str(world.folder / "results.sqlite"),
        }
        with spawned_service(world, "provider", changes) as url:
            place = f"ipfs://{salted_blocks.cid_text(tree.root)}/outputs/metrics.json"
            yield Node(world, gateway, served.url, url, place, tree.cid_of("outputs/metrics.json"))


def test_the_holders_asset_is_downloaded(node: Node) -> None:
    asset = node.publish(type="result", job=JOB, place=node.place)
    answer = node.download(asset)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    info = node.fileinfo(did=asset.did, serviceId="0", checksum=True)
    assert (info["valid"], info["checksum"]) == (True, hashlib.sha256(CONTENT).hexdigest())


def test_an_own_asset_with_anothers_result_is_refused(node: Node) -> None:
    mine = node.publish(type="result", job=JOB, place=node.place)
    plain = json.dumps(mine.document["services"][0]["files"])
    stolen = results.result_proof(SECRET, nft=mine.nft, datatoken=mine.datatoken, job=JOB, place=node.place)
    for file in (
        {"type": "ipfs", "hash": node.cid},
        {"type": "ipfs", "hash": node.place.removeprefix("ipfs://")},
        {"type": "url", "url": f"{node.gateway_url}/ipfs/{node.cid}", "method": "GET"},
        {"type": "result", "job": JOB, "place": node.place, "proof": stolen},
    ):
        asset = node.publish(**file)
        assert node.download(asset).status_code == 400
        assert not node.fileinfo(did=asset.did, serviceId="0")["valid"]
    copy = node.world.publish(service="access", price=0)
    copy.document["services"][0]["files"] = json.loads(plain)
    node.world.update(copy)
    assert node.download(copy).status_code == 400


def test_a_guess_is_confirmed_to_nobody(node: Node) -> None:
    """Neither of the content, whose name can be computed, nor of a name that was overheard."""
    guess = IpfsGateway().add_block(CONTENT)
    for name in (guess, node.cid, node.place.removeprefix("ipfs://")):
        for checksum in (False, True):
            found = node.fileinfo(type="ipfs", hash=name, checksum=checksum)
            assert set(found) == {"index", "valid", "type", "reason"} and not found["valid"]


def test_a_plain_file_object_of_a_result_is_refused(node: Node) -> None:
    answer = httpx.post(
        f"{node.url}/api/services/fileinfo",
        json={"type": "result", "job": JOB, "place": node.place, "proof": "00"},
        trust_env=False,
    )
    assert answer.status_code == 400


def test_publishers_content_of_the_same_node_is_read(node: Node) -> None:
    cid = node.gateway.add_block(b"a,b\n1,2\n")
    assert node.fileinfo(type="ipfs", hash=cid)["valid"]
    assert node.download(node.publish(type="ipfs", hash=cid)).content == b"a,b\n1,2\n"
