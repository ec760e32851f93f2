"""The result store, as the Provider reads it: for assets that the engine has sealed, and for nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from c2d_box.assets import results
from c2d_box.assets.crypto import salted_blocks
from c2d_box.assets.files import FileObject, IpfsFile, ResultFile, UrlFile
from c2d_box.pods.upload.dag import DagBuilder
from c2d_box.storage import (
    AddressRules,
    Fetcher,
    FetchForbidden,
    IpfsResults,
    ResultStore,
    S3Results,
    Storage,
    StorageError,
)
from c2d_box.storage.sigv4 import S3Credentials
from tests.harness.car_reader import CarReader, IpfsGateway
from tests.harness.fake_services import BackgroundServer

SECRET, CONTENT = "the engine's and the Provider's", b'{"accuracy": 0.93}'
NFT, DATATOKEN, JOB = "0x" + "Aa" * 20, "0x" + "b" * 40, "0" * 31 + "7"


def sealed(place: str, job: str = JOB) -> ResultFile:
    said = {"nft": NFT.lower(), "datatoken": DATATOKEN, "job": job, "place": place}
    return ResultFile(job, place, NFT, DATATOKEN, results.result_proof(SECRET, **said))


class Node:
    """A node with a job's results and a publisher's file, and the Provider's storage over it."""

    def __init__(self, gateway: IpfsGateway, url: str) -> None:
        self.gateway, self.url = gateway, url
        content = partial(iter, [CONTENT])
        planter = DagBuilder({"outputs/metrics.json": content, "evidence.json": content}, b"token")
        self.tree = planter.plan_tree()
        gateway.blocks |= CarReader(b"".join(planter.car_stream(self.tree.root))).blocks
        self.published = gateway.add_block(b"a publisher's own table")
        self.place = f"ipfs://{salted_blocks.cid_text(self.tree.root)}/outputs/metrics.json"
        store = ResultStore(IpfsResults(url), SECRET, Fetcher(AddressRules([url])))
        self.storage = Storage(Fetcher(AddressRules()), {"ipfs": url}, results=store)

    async def read(self, file: FileObject) -> bytes:
        opened = await self.storage.open(file)
        try:
            return b"".join([chunk async for chunk in opened.chunks])
        finally:
            opened.close()


@pytest.fixture
def node() -> Iterator[Node]:
    gateway = IpfsGateway()
    with BackgroundServer(gateway.gateway_app()) as served:
        yield Node(gateway, served.url)


async def test_the_holders_asset_shows_its_result(node: Node) -> None:
    assert await node.read(sealed(node.place)) == CONTENT
    probe = await node.storage.probe(sealed(node.place), checksum_limit=1000)
    assert probe.valid and probe.meta.filename == "metrics.json"


async def test_an_own_asset_with_anothers_result_is_refused(node: Node) -> None:
    """By the file's own name, by its place in the folder, by the folder, and as a path of something else."""
    root = salted_blocks.cid_text(node.tree.root)
    own = [
        node.tree.cid_of("outputs/metrics.json"),
        node.place.removeprefix("ipfs://"),
        root,
        f"{root}/outputs",
        f"ipfs://{root}/evidence.json",
    ]
    for name in own:
        with pytest.raises(FetchForbidden, match="results of jobs"):
            await node.read(IpfsFile(name))
        assert not (await node.storage.probe(IpfsFile(name))).valid
        assert not (await node.storage.probe(IpfsFile(name), checksum_limit=1000)).valid
    assert all("format=raw" in asked for asked in node.gateway.asked)


async def test_a_guess_of_a_result_confirms_nothing(node: Node) -> None:
    elsewhere = IpfsGateway()
    for guess in (CONTENT, b'{"accuracy": 0.92}'):
        assert not (await node.storage.probe(IpfsFile(elsewhere.add_block(guess)))).valid


async def test_what_a_publisher_put_there_is_read_as_before(node: Node) -> None:
    assert await node.read(IpfsFile(node.published)) == b"a publisher's own table"


async def test_no_url_leads_to_the_node(node: Node) -> None:
    """A raw algorithm's address is of this kind."""
    for path in (node.place.removeprefix("ipfs://"), node.published):
        with pytest.raises(FetchForbidden):
            await node.read(UrlFile(f"{node.url}/ipfs/{path}"))


@pytest.mark.parametrize("part", ["job", "place", "nft", "datatoken", "proof"])
async def test_a_proof_is_for_one_asset_and_one_place(node: Node, part: str) -> None:
    file = sealed(node.place)
    other = {"place": node.place.replace("metrics", "other"), "job": "1" * 32, "proof": "0" * 64}
    with pytest.raises(FetchForbidden, match="may not show"):
        await node.read(replace(file, **{part: other.get(part, "0x" + "c" * 40)}))
    assert node.gateway.asked == []


async def test_without_a_secret_nothing_is_proven(node: Node) -> None:
    for secret in (None, ""):
        store = ResultStore(IpfsResults(node.url), secret, Fetcher(AddressRules([node.url])))
        storage = Storage(Fetcher(AddressRules()), {"ipfs": node.url}, results=store)
        with pytest.raises(FetchForbidden):
            await storage.open(sealed(node.place))
    with pytest.raises(StorageError):
        await Storage(Fetcher(AddressRules())).open(sealed(node.place))


async def test_of_s3_only_the_jobs_own_prefix_is_read() -> None:
    asked: list[tuple[str, str]] = []

    async def serve(request: Request) -> Response:
        asked.append((request.url.path, request.headers.get("authorization", "")))
        return Response(CONTENT)

    with BackgroundServer(Starlette(routes=[Route("/{path:path}", serve)])) as served:
        place = S3Results(served.url, "results", S3Credentials("READER", "secret", "us-east-1"))
        store = ResultStore(place, SECRET, Fetcher(AddressRules([served.url])))
        storage = Storage(Fetcher(AddressRules()), results=store)
        opened = await storage.open(sealed(f"s3://results/{JOB}/outputs/a%20b.json"))
        assert b"".join([chunk async for chunk in opened.chunks]) == CONTENT
        opened.close()
        assert asked[0][0] == f"/results/{JOB}/outputs/a b.json"
        assert "Credential=READER/" in asked[0][1]
        for wrong in (
            f"s3://published-0x1/{JOB}/x",
            f"s3://results/{'1' * 32}/x",
            f"s3://results/{JOB}/../x",
            f"s3://results/{JOB}/%2E%2e/x",
            f"s3://results/{JOB}",
            f"s3://results/{JOB}/",
            "s3://results/",
            f"ipfs://{JOB}/x",
        ):
            with pytest.raises(FetchForbidden):
                await storage.open(sealed(wrong))
        assert len(asked) == 1
