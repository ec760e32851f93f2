"""After the chain was taken back, DIDs come again for other assets: no memory of the box mistakes them.

The chain, the metadata cache and the Provider are real; only the box's S3 and its images, which need a
cluster, are stood in for: files are served over HTTP.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from c2d_box.client.job_request import JobRequest
from c2d_box.client.jobs import JobDetails
from c2d_box.errors import Refused, UsageError
from sandbox.box import Box
from sandbox.home import BoxHome
from sandbox.install.images import ContainerImage
from sandbox.loop import running
from sandbox.loop.running import ScriptRun
from sandbox.progress import Progress, run_verb
from sandbox.run_memory import Known, digest, loop_memory
from sandbox.seeding import apply
from sandbox.seeding.declaration import Declaration
from sandbox.settings import BoxPorts, BoxSettings
from sandbox.verbs.accounts import signer
from sandbox.verbs.compute import jobs
from sandbox.verbs.identifiers import IdentifierResolver
from sandbox.verbs.publishing import assets
from sandbox.verbs.publishing.asset_heads import list_asset_heads
from sandbox.verbs.publishing.asset_identity import asset_mark
from sandbox.verbs.sdk_connections import connection_to
from tests.harness.local_stack import LocalStack, world_in

IMAGE = ContainerImage("c2d.local/algo-python", "latest", "sha256:" + "ab" * 32)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with world_in(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture
def box(world: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """A box over the world's services; the chain is taken back after each test."""
    home = BoxHome(tmp_path / "home")
    home.path.mkdir()
    shutil.copy(world.chain_process.address_file, home.address_file)
    ports = BoxPorts(
        chain=_port(world.chain_process.url), cache=_port(world.cache_url), provider=_port(world.provider_url)
    )

    def store(_box: Box, _who: str, path: Path) -> dict[str, str]:
        name = f"{digest(path)[:16]}-{path.name}"
        world.files.content[name] = path.read_bytes()
        return {"type": "url", "url": f"{world.files.url}/{name}", "method": "GET"}

    monkeypatch.setattr(assets, "store_file", store)
    for module in (running, assets, apply):
        monkeypatch.setattr(module, "find_image", lambda _box, _reference: IMAGE)
    before = rpc(world, "evm_snapshot")
    yield Box(home, BoxSettings(ports=ports))
    take_back(world, before)


def _port(url: str) -> int:
    return urlsplit(url).port or 0


def rpc(world: LocalStack, method: str, *params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    return httpx.post(world.chain_process.url, json=body, timeout=60, trust_env=False).json()["result"]


def take_back(world: LocalStack, snapshot: str) -> None:
    """The chain as it was, and the cache that follows it, as ``reset --assets`` waits for it."""
    assert rpc(world, "evm_revert", snapshot) is True
    url, deadline = f"{world.cache_url}/api/aquarius/chains/status/8996", time.monotonic() + 60
    while httpx.get(url, trust_env=False).json().get("last_block") != int(rpc(world, "eth_blockNumber"), 16):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


class Started:
    """Stands where the job would start, and keeps what it was asked to start."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dids: list[tuple[str, str]] = []

        def start(_box: Box, _who: str, wanted: JobRequest) -> Progress[JobDetails]:
            self.dids.append((wanted.dataset, str(wanted.algorithm)))
            yield from ()
            return JobDetails.parse({"jobId": "ab" * 16})

        def follow(_box: Box, _who: str, _job: str) -> Progress[JobDetails]:
            yield from ()
            return JobDetails.parse({"jobId": "ab" * 16, "status": 70, "statusText": "Job finished"})

        monkeypatch.setattr(jobs, "start", start)
        monkeypatch.setattr(jobs, "follow", follow)


def content(box: Box, did: str) -> str:
    """The SHA-256 of what a job would get, as the Provider tells it to the publisher."""
    with connection_to(box) as connection:
        service = connection.cache.read_record(did)["services"][0]["id"]
        query = {"did": did, "serviceId": service, "checksum": True}
        return str(connection.provider.file_info(query, signer("publisher"))[0]["checksum"])


def silent(_event: object) -> None:
    return None


def go(box: Box, loop: ScriptRun, answer: bool = True) -> running.RunReport:
    return run_verb(running.run_script(box, loop, lambda _question: answer), silent)


def test_a_run_after_a_reset_computes_on_the_data_it_names(
    world: LocalStack, box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started(monkeypatch)
    one, two = written(tmp_path, "one.csv", "x\n1\n2\n"), written(tmp_path, "two.csv", "x\n100\n200\n")
    script = written(tmp_path, "s.py", "print('s')\n")
    baseline = rpc(world, "evm_snapshot")
    go(box, ScriptRun(script, (str(one),)))
    take_back(world, baseline)
    other = run_verb(assets.publish_dataset(box, "publisher", str(two), assets.AssetOffer("two.csv")), silent)
    assert other.did == started.dids[0][0], "the case needs a DID that came again"
    go(box, ScriptRun(script, (str(one),)))
    assert started.dids[1][0] != other.did
    assert content(box, started.dids[1][0]) == digest(one) != digest(two)
    assert content(box, started.dids[1][1]) == digest(script)


def test_consent_after_a_reset_never_permits_anothers_algorithm(
    world: LocalStack, box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started(monkeypatch)
    data = written(tmp_path, "data.csv", "x\n1\n")
    script, foreign = written(tmp_path, "mean.py", "print('mean')\n"), written(tmp_path, "f.py", "print('f')")
    dataset = run_verb(
        assets.publish_dataset(box, "publisher", str(data), assets.AssetOffer("data")), silent
    ).did
    baseline = rpc(world, "evm_snapshot")
    go(box, ScriptRun(script, (dataset,), who="11"))
    take_back(world, baseline)
    offer = assets.AssetOffer("Malignant or benign", services=("access",))
    other = run_verb(
        assets.publish_algorithm(box, "publisher", str(foreign), "algo-python", "python $ALGO", offer), silent
    )
    assert other.did == started.dids[0][1], "the case needs a DID that came again"
    go(box, ScriptRun(script, (dataset,), who="11"))
    (entry,) = assets.read_ddo(box, dataset)["services"][0]["compute"]["publisherTrustedAlgorithms"]
    assert entry["did"] == started.dids[1][1] != other.did
    assert entry["filesChecksum"] == digest(script)
    assert not assets.permission_verdict(box, dataset, other.did).allowed


@pytest.mark.parametrize("change", ["content", "owner"])
def test_a_memory_that_was_planted_permits_nothing_but_the_script_on_the_desk(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Whatever the memory says, and even where it names an asset with its right mark."""
    started = Started(monkeypatch)
    data = written(tmp_path, "data.csv", "x\n1\n")
    script = written(tmp_path, "mean.py", "print('mean')\n")
    dataset = run_verb(
        assets.publish_dataset(box, "publisher", str(data), assets.AssetOffer("data")), silent
    ).did
    source = script if change == "owner" else written(tmp_path, "f.py", "print('f')")
    who = "publisher" if change == "owner" else "11"
    offer = assets.AssetOffer("Other", services=("access",))
    other = run_verb(
        assets.publish_algorithm(box, who, str(source), "algo-python", "python $ALGO", offer), silent
    )
    mark = asset_mark(box, other.did)
    how = f"{IMAGE.checksum} python $ALGO"
    loop = ScriptRun(script, (dataset,), who="11", entrypoint="python $ALGO")
    loop_memory(box.home).put_script(script, "11", Known(other.did, digest(script), how, mark))
    with pytest.raises(Refused, match="C2D-RUN-OTHER-ALGORITHM"):
        go(box, loop)
    assert started.dids == []
    assert not assets.permission_verdict(box, dataset, other.did).allowed


def test_a_permission_is_refused_for_another_version_than_was_shown(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The algorithm is replaced between the question and the yes."""
    started = Started(monkeypatch)
    data, script = written(tmp_path, "data.csv", "x\n1\n"), written(tmp_path, "mean.py", "print('mean')\n")
    dataset = run_verb(
        assets.publish_dataset(box, "publisher", str(data), assets.AssetOffer("data")), silent
    ).did
    worse = written(tmp_path, "worse.py", "print('all of it')\n")

    def answer(_question: str) -> bool:
        (known,) = loop_memory(box.home)._read_all().values()
        run_verb(assets.replace_content(box, "11", known["did"], str(worse)), silent)
        return True

    with pytest.raises(Refused, match="C2D-PERMIT-CHANGED"):
        run_verb(running.run_script(box, ScriptRun(script, (dataset,), who="11"), answer), silent)
    assert started.dids == []
    assert assets.read_ddo(box, dataset)["services"][0]["compute"]["publisherTrustedAlgorithms"] == []


def test_assets_are_found_by_name_and_by_the_beginning_of_their_id(box: Box, tmp_path: Path) -> None:
    made: dict[str, str] = {}
    for name in ("Patients", "Patients", "Clinics"):
        data = written(tmp_path, f"{len(made)}.csv", f"x\n{len(made)}\n")
        published = run_verb(
            assets.publish_dataset(box, "publisher", str(data), assets.AssetOffer(name)), silent
        )
        made[published.did] = name
    resolver = IdentifierResolver(box, "consumer")
    clinics = next(did for did, name in made.items() if name == "Clinics")
    assert resolver.resolve("dataset", "clinics") == clinics
    assert resolver.resolve("asset", clinics[:20]) == clinics
    with pytest.raises(UsageError, match="C2D-ID-AMBIGUOUS") as refused:
        resolver.resolve("dataset", "Patients")
    listed: Any = refused.value.details["candidates"]
    assert {line.split()[0] for line in listed} == set(made) - {clinics}
    (head,) = [head for head in list_asset_heads(box) if head.did == clinics]
    assert (head.type, head.name, head.is_active) == ("dataset", "Clinics", True)
    assert head.owner.lower() == signer("publisher").address.lower()
    assert head.published > 0


def test_a_no_says_what_is_published_all_the_same(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started(monkeypatch)
    data, script = written(tmp_path, "data.csv", "x\n1\n"), written(tmp_path, "mean.py", "print('mean')\n")
    loop = ScriptRun(script, (str(data),))
    with pytest.raises(Refused, match="C2D-RUN-NOT-PERMITTED") as refused:
        go(box, loop, answer=False)
    made = {asset["id"] for asset in assets.list_assets(box)}
    published: Any = refused.value.details["published"]
    assert set(published) == made and len(made) == 2
    assert all(did in refused.value.message for did in made)
    with pytest.raises(Refused, match="nothing was published"):
        go(box, loop, answer=False)
    assert started.dids == []


def test_no_copy_of_data_stays_in_the_home(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Started(monkeypatch)
    secret = "age\n" + "17\n" * 5000
    data, script = written(tmp_path, "data.csv", secret), written(tmp_path, "mean.py", "print('mean')\n")
    go(box, ScriptRun(script, (str(data),)))
    kept = {path.name: path.read_text() for path in (box.home.path / "loop").iterdir()}
    assert not any("17\n17" in text for text in kept.values())
    assert [text for name, text in kept.items() if name.endswith(".last")] == [script.read_text()]


def test_a_list_sown_after_a_reset_is_not_taken_for_what_has_its_dids(
    world: LocalStack, box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "take_baseline", lambda _box: iter(()))
    one, two = written(tmp_path, "one.csv", "x\n1\n"), written(tmp_path, "two.csv", "x\n2\n")
    declared = Declaration.model_validate({"assets": {"cells": {"type": "dataset", "file": str(one)}}})
    baseline = rpc(world, "evm_snapshot")
    first = run_verb(apply.seed(box, declared), silent).assets["cells"]
    assert run_verb(apply.seed(box, declared), silent).changed == ()
    take_back(world, baseline)
    other = run_verb(assets.publish_dataset(box, "publisher", str(two), assets.AssetOffer("two")), silent).did
    assert other == first, "the case needs a DID that came again"
    again = run_verb(apply.seed(box, declared), silent).assets["cells"]
    assert again != other and content(box, again) == digest(one)


def test_a_mark_survives_a_permission_and_not_another_file(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, script = written(tmp_path, "data.csv", "x\n1\n"), written(tmp_path, "mean.py", "print('mean')\n")
    dataset = run_verb(
        assets.publish_dataset(box, "publisher", str(data), assets.AssetOffer("data")), silent
    ).did
    offer = assets.AssetOffer("Mean", services=("access",))
    algorithm = run_verb(
        assets.publish_algorithm(box, "11", str(script), "algo-python", "python $ALGO", offer), silent
    ).did
    before = asset_mark(box, dataset)
    run_verb(assets.permit_algorithm(box, "publisher", dataset, algorithm), silent)
    assert asset_mark(box, dataset) == before
    data.write_text("x\n2\n")
    run_verb(assets.replace_content(box, "publisher", dataset, str(data)), silent)
    assert asset_mark(box, dataset) not in ("", before)
    assert asset_mark(box, "did:op:" + "0" * 64) == ""
    assert len(before) == len(hashlib.sha256().hexdigest())
