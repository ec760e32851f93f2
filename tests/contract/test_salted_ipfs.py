"""Results in a real Kubo, as the chart configures it: exact bytes by the name that the job was told, none by
a guess; and the Provider's storage, which reads a publisher's content from the same node, refuses them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator

import httpx
import pytest

from c2d_box.assets import results
from c2d_box.assets.files import IpfsFile, ResultFile
from c2d_box.errors import C2DError
from c2d_box.pods.upload import ipfs
from c2d_box.pods.upload.sending import SentFile, UploadEntry
from c2d_box.storage import AddressRules, Fetcher, FetchForbidden, IpfsResults, ResultStore, Storage
from sandbox.bundle import Bundle
from tests.harness.kubo import KuboNode, kubo_in

SMALL = b'{"accuracy": 0.93}'
LARGE = os.urandom(3 << 20) + SMALL


@pytest.fixture(scope="module")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KuboNode]:
    try:
        binary = Bundle.open_cached(["kubo"]).binary("kubo")
    except C2DError as error:
        pytest.skip(f"no Kubo in the bundle: {error}")
    with kubo_in(tmp_path_factory.mktemp("kubo"), binary) as made:
        yield made


@pytest.fixture(scope="module")
def sent(kubo: KuboNode, tmp_path_factory: pytest.TempPathFactory) -> dict[str, SentFile]:
    folder = tmp_path_factory.mktemp("data")
    entries = []
    for path, content in (
        ("outputs/metrics.json", SMALL),
        ("outputs/tief/ä b.bin", LARGE),
        ("outputs/empty", b""),
    ):
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        entries.append(UploadEntry(place, path, path.partition("/")[2], "output", len(content), digest))
    store = {"api": f"http://127.0.0.1:{kubo.rpc_port}", "token": kubo.upload_token}
    return {found.entry.path: found for found in ipfs.send_to_ipfs(entries, store, b"the stage's token")}


def get(kubo: KuboNode, name: str, **headers: str) -> httpx.Response:
    return httpx.get(f"{kubo.gateway}/ipfs/{name}", headers=headers, trust_env=False)


def rpc(kubo: KuboNode, call: str, token: str, **options: object) -> httpx.Response:
    url, headers = f"http://127.0.0.1:{kubo.rpc_port}/api/v0/{call}", {"Authorization": f"Bearer {token}"}
    return httpx.post(url, headers=headers, trust_env=False, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "content"),
    [("outputs/metrics.json", SMALL), ("outputs/tief/ä b.bin", LARGE), ("outputs/empty", b"")],
)
def test_the_name_gives_the_exact_bytes(
    kubo: KuboNode, sent: dict[str, SentFile], path: str, content: bytes
) -> None:
    """What operator-service reads, and what the demo's curl shows."""
    assert get(kubo, sent[path].url.removeprefix("ipfs://")).content == content
    cid = sent[path].cid
    assert cid is not None and get(kubo, cid).content == content
    if len(content) > 20:
        part = get(kubo, cid, Range="bytes=1048570-1048589")
        assert (part.status_code, part.content) == (206, content[1048570:1048590])


def test_what_was_stored_is_pinned_and_whole(kubo: KuboNode, sent: dict[str, SentFile]) -> None:
    root = sent["outputs/empty"].url.removeprefix("ipfs://").partition("/")[0]
    pins = rpc(kubo, "pin/ls?type=recursive", kubo.admin_token).json()["Keys"]
    assert root in pins
    assert rpc(kubo, "pin/verify", kubo.admin_token).text.strip() == ""


@pytest.mark.parametrize("options", ["cid-version=1&raw-leaves=true", "cid-version=1&raw-leaves=false", ""])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_guess_is_not_confirmed(
    kubo: KuboNode, sent: dict[str, SentFile], options: str, wrapped: bool
) -> None:
    """The guesser computes the name of the very bytes in each way that Kubo knows, and asks the node."""
    call = f"add?only-hash=true&wrap-with-directory={str(wrapped).lower()}&{options}"
    answer = rpc(kubo, call, kubo.admin_token, files={"file": ("metrics.json", SMALL)})
    for line in answer.text.splitlines():
        assert get(kubo, json.loads(line)["Hash"]).status_code != 200
    assert str(sent["outputs/metrics.json"].cid) not in answer.text


async def test_the_provider_reads_it_for_its_holder_alone(kubo: KuboNode, sent: dict[str, SentFile]) -> None:
    store = ResultStore(IpfsResults(kubo.gateway), "secret", Fetcher(AddressRules([kubo.gateway])))
    storage = Storage(Fetcher(AddressRules()), {"ipfs": kubo.gateway}, results=store)
    published = rpc(kubo, "add?cid-version=1", kubo.admin_token, files={"file": b"a table"}).json()["Hash"]
    assert (await storage.probe(IpfsFile(published), checksum_limit=99)).valid
    old = rpc(kubo, "add", kubo.admin_token, files={"file": LARGE}).json()["Hash"]
    assert (await storage.probe(IpfsFile(old), checksum_limit=99)).valid, "publishers' large files too"
    root = sent["outputs/empty"].url.removeprefix("ipfs://").partition("/")[0]
    for name in (root, f"{root}/outputs", f"{root}/outputs/metrics.json", str(sent["outputs/empty"].cid)):
        with pytest.raises(FetchForbidden, match="results of jobs"):
            await storage.open(IpfsFile(name))
        assert not (await storage.probe(IpfsFile(name), checksum_limit=99)).valid
    said = {"nft": "0x1", "datatoken": "0x2", "job": "j", "place": sent["outputs/metrics.json"].url}
    opened = await storage.open(ResultFile(**said, proof=results.result_proof("secret", **said)))
    assert b"".join([chunk async for chunk in opened.chunks]) == SMALL
    opened.close()


@pytest.mark.parametrize(
    "call", ["add", "pin/add?arg=bafkqaaa", "pin/rm?arg=bafkqaaa", "cat?arg=bafkqaaa", "dag/get"]
)
def test_the_upload_token_imports_and_does_nothing_else(kubo: KuboNode, call: str) -> None:
    assert rpc(kubo, call, kubo.upload_token).status_code == 403
