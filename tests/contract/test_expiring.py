"""Results leave a real Kubo when their time is over: what another job has stored too stays, and the token
that does it can do nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from c2d_box.errors import C2DError
from c2d_box.kubernetes.port import ClusterError
from c2d_box.operator_engine.effects import result_expiry
from c2d_box.pods.upload import ipfs
from c2d_box.pods.upload.sending import UploadEntry
from c2d_box.workflow.resource import JobResult
from c2d_box.workflow.result_store import IpfsStore
from sandbox.bundle import Bundle
from tests.harness.kubo import KuboNode, kubo_in


@pytest.fixture(scope="module")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KuboNode]:
    try:
        binary = Bundle.open_cached(["kubo"]).binary("kubo")
    except C2DError as error:
        pytest.skip(f"no Kubo in the bundle: {error}")
    with kubo_in(tmp_path_factory.mktemp("kubo"), binary) as made:
        yield made


def stored(kubo: KuboNode, folder: Path, **files: bytes) -> list[JobResult]:
    entries = []
    for name, content in files.items():
        place = folder / "outputs" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        entries.append(UploadEntry(place, f"outputs/{name}", name, "output", len(content), digest))
    store = {"api": f"http://127.0.0.1:{kubo.rpc_port}", "token": kubo.upload_token}
    sent = ipfs.send_to_ipfs(entries, store, str(folder).encode())
    return [JobResult.model_validate(each.as_result()) for each in sent]


def status(kubo: KuboNode, result: JobResult) -> int:
    url = f"{kubo.gateway}/ipfs/{result.url.removeprefix('ipfs://')}"
    return httpx.get(url, trust_env=False).status_code


async def test_they_go_and_anothers_stay(kubo: KuboNode, tmp_path: Path) -> None:
    store = IpfsStore(api=f"http://127.0.0.1:{kubo.rpc_port}", gateway=kubo.gateway)
    mine = stored(kubo, tmp_path / "one", own=b"mine alone" * 1000, same=b"of both" * 1000)
    theirs = stored(kubo, tmp_path / "two", same=b"of both" * 1000)
    assert {status(kubo, result) for result in (*mine, *theirs)} == {200}
    for _ in range(2):  # again: what is gone is gone
        await result_expiry.delete_results(store, lambda name: kubo.token(name), "job", mine)
        assert [status(kubo, result) == 200 for result in mine] == [False, False]
    assert status(kubo, theirs[0]) == 200


async def test_with_another_callers_token_nothing_goes(kubo: KuboNode, tmp_path: Path) -> None:
    store = IpfsStore(api=f"http://127.0.0.1:{kubo.rpc_port}", gateway=kubo.gateway)
    mine = stored(kubo, tmp_path, own=b"still mine")
    with pytest.raises(ClusterError, match="IPFS answered 403"):
        await result_expiry.delete_results(store, lambda _: kubo.upload_token, "job", mine)
    assert status(kubo, mine[0]) == 200


@pytest.mark.parametrize("call", ["add", "pin/ls", "config/show", "id", "block/get?arg=bafkqaaa"])
def test_the_token_can_do_nothing_else(kubo: KuboNode, call: str) -> None:
    headers = {"Authorization": f"Bearer {kubo.token('expiry-token')}"}
    url = f"http://127.0.0.1:{kubo.rpc_port}/api/v0/{call}"
    assert httpx.post(url, headers=headers, trust_env=False).status_code == 403


async def test_a_store_that_is_away_is_asked_again_later() -> None:
    store = IpfsStore(api="http://127.0.0.1:9", gateway="http://127.0.0.1:9")
    result = JobResult(filename="x", filesize=1, type="output", url="ipfs://bafy/x")
    with pytest.raises(ClusterError, match="could not be reached"):
        await result_expiry.delete_results(store, lambda _: "t", "job", [result])
