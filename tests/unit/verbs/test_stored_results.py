"""The self-test reads results from the store in use, whichever it is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from c2d_box.assets.crypto import salted_blocks
from c2d_box.errors import Failed
from c2d_box.pods.upload.dag import DagBuilder
from sandbox.keys import open_keys
from sandbox.verbs.lifecycle.selftest import result_reader
from tests.harness.car_reader import CarReader, IpfsGateway
from tests.harness.fake_services import BackgroundServer

CONTENT = b"BREACH: none\n"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Any]:
    async def objects(request: Request) -> Response:
        signed = f"Credential={open_keys(tmp_path)['s3-access-key']}/" in request.headers["authorization"]
        known = request.url.path == "/results/job/outputs/a b.json"
        return Response(CONTENT if signed and known else b"no", 200 if signed and known else 403)

    gateway = IpfsGateway()
    planter = DagBuilder({"outputs/a b.json": partial(iter, [CONTENT])}, b"token")
    tree = planter.plan_tree()
    gateway.blocks |= CarReader(b"".join(planter.car_stream(tree.root))).blocks
    s3 = Starlette(routes=[Route("/{path:path}", objects)])
    with BackgroundServer(gateway.gateway_app()) as ipfs, BackgroundServer(s3) as store:
        yield SimpleNamespace(
            service_urls={"ipfs-gateway": ipfs.url, "s3": store.url},
            home=SimpleNamespace(keys_folder=tmp_path),
            command_line=lambda words: f"c2d-box {words}",
            root=salted_blocks.cid_text(tree.root),
        )


def test_of_ipfs(box: Any) -> None:
    assert result_reader(box)({"url": f"ipfs://{box.root}/outputs/a%20b.json"}) == CONTENT


def test_of_s3(box: Any) -> None:
    assert result_reader(box)({"url": "s3://results/job/outputs/a%20b.json"}) == CONTENT
    with pytest.raises(Failed, match="C2D-S3-REFUSED"):
        result_reader(box)({"url": "s3://results/job/outputs/other"})


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "http://x/y"])
def test_of_nothing_else(box: Any, url: str) -> None:
    with pytest.raises(Failed, match="C2D-SELFTEST-STORE"):
        result_reader(box)({"url": url})
