"""Starting jobs: refusals before paying, exact requests, payments made once, answers lost and found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from c2d_box.chain import accounts
from c2d_box.client import Consumer, Job
from c2d_box.errors import C2DError, Failed, Refused

FILE = {"type": "url", "url": "https://data.example.org/cells.csv"}
CONTAINER = {"entrypoint": "python $ALGO", "image": "i", "tag": "t", "checksum": "sha256:" + "1" * 64}
REASONS = {
    "rule": "permission",
    "allowed": False,
    "text": "no",
    "because": [{"rule": "trust", "allowed": False, "text": "nobody may compute until its owner permits"}],
}


def test_a_job_is_ordered_paid_and_started(world: Any, assets: Any) -> None:
    before = world.oceans(world.consumer.signer)
    job = world.consumer.start(*assets)
    assert 2e18 <= before - world.oceans(world.consumer.signer) <= 2.01e18
    assert [(c.did, c.action) for c in job.costs] == [(assets[0], "order"), (assets[1], "order")]
    (body,) = world.provider.sent("compute")
    names = {"consumerAddress", "environment", "dataset", "algorithm", "nonce", "signature", "seconds"}
    assert set(body) == names
    assert (body["environment"], body["nonce"]) == ("free", "2")
    assert set(body["dataset"]) == {"documentId", "serviceId", "transferTxId"}
    assert world.consumer.get_job_details(job).id == job.id == str(job)
    assert [j.id for j in world.consumer.jobs()] == [job.id]


def test_additional_datasets_user_data_and_raw_code_are_sent(world: Any, assets: Any) -> None:
    raw = {"rawcode": "print(1)", "container": CONTAINER}
    world.consumer.start(
        assets[0], raw, [assets[0]], userdata={assets[0]: {"a": 1}}, environment="paid", seconds=60
    )
    (body,) = world.provider.sent("compute")
    assert body["algorithm"] == {"meta": raw}
    assert body["environment"] == "paid"
    assert body["dataset"]["userdata"] == {"a": 1}
    assert len(body["additionalDatasets"]) == 1
    (quoted,) = world.provider.sent("initializeCompute")
    assert len(quoted["datasets"]) == 2


@pytest.mark.parametrize("wish", [{"publish": {"name": "x"}}, {"publish": {"name": "x"}, "encrypt": True}])
def test_results_that_cannot_become_an_asset_are_refused_before_anything_is_paid(
    world: Any, assets: Any, wish: Any
) -> None:
    before = world.sent_by(world.consumer.signer)
    with pytest.raises(Refused, match="C2D-RESULTS-NOT-PUBLISHABLE"):
        world.consumer.start(*assets, output=wish)
    assert world.sent_by(world.consumer.signer) == before and not world.provider.sent("compute")


def test_a_refusal_names_code_and_reason_and_costs_nothing(world: Any, assets: Any) -> None:
    refusal = {"error": {"dataset": "not_trusted_algo"}, "reasons": REASONS}
    world.provider.refuse["initializeCompute"] = httpx.Response(400, json=refusal)
    before = world.sent_by(world.consumer.signer)
    with pytest.raises(Refused) as refused:
        world.consumer.start(*assets)
    error = refused.value
    assert error.code == "C2D-NOT-TRUSTED-ALGO"
    assert "nobody may compute until its owner permits" in error.message
    assert "permit" in error.next_step
    assert error.details["reasons"] == REASONS
    assert error.as_dict()["wire_code"] == "not_trusted_algo"
    assert world.sent_by(world.consumer.signer) == before


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        ({"error": {"dataset.serviceId": "some_new_code"}}, Refused, "C2D-SOME-NEW-CODE"),
        ({"error": {"dataset": "Asset is not consumable."}}, Refused, "C2D-ASSET-REFUSED"),
        ({"error": "Compute environment does not exist"}, Refused, "C2D-SERVICE-REFUSED"),
        ({"errors": {"datasets": ["The datasets field is required."]}}, Refused, "C2D-REQUEST-INVALID"),
        ("no json at all", Refused, "C2D-SERVICE-REFUSED"),
    ],
)
def test_every_kind_of_refusal_has_a_code(world: Any, assets: Any, answer: Any, kind: Any, code: str) -> None:
    world.provider.refuse["initializeCompute"] = httpx.Response(400, json=answer)
    with pytest.raises(kind) as refused:
        world.consumer.quote(*assets)
    assert refused.value.code == code


def test_a_failing_provider_is_a_coded_failure(world: Any, assets: Any) -> None:
    world.provider.refuse["initializeCompute"] = httpx.Response(503, json={"error": "down", "context": {}})
    with pytest.raises(Failed) as failed:
        world.consumer.quote(*assets)
    assert failed.value.code == "C2D-SERVICE-FAILED" and "down" in failed.value.message


def test_too_little_money_or_too_low_a_limit_is_seen_before_the_first_payment(
    world: Any, assets: Any
) -> None:
    poor = Consumer(world.connection, accounts.from_key(b"\x31" * 32))
    with pytest.raises(Refused) as refused:
        poor.start(*assets)
    assert refused.value.code == "C2D-ORDER-FUNDS"
    before = world.sent_by(world.consumer.signer)
    with pytest.raises(Refused) as refused:
        world.consumer.start(*assets, limits={world.chain.addresses.ocean: 10**18})
    assert refused.value.code == "C2D-ORDER-TOO-DEAR"
    assert world.sent_by(world.consumer.signer) == before


def test_a_quote_pays_nothing_and_says_everything(world: Any, assets: Any) -> None:
    world.provider.fee_amount = 7
    before = world.sent_by(world.consumer.signer)
    quote = world.consumer.quote(*assets)
    assert world.sent_by(world.consumer.signer) == before
    assert set(quote.totals) == {world.chain.addresses.ocean}
    assert 2e18 + 7 <= quote.totals[world.chain.addresses.ocean] <= 2.01e18
    assert (quote.costs[0].fee, quote.costs[1].fee) == (7, 0)


def test_a_fee_to_a_stranger_is_not_paid(world: Any, assets: Any) -> None:
    world.provider.fee_key = "0x" + "77" * 32
    before = world.sent_by(world.consumer.signer)
    with pytest.raises(Refused) as refused:
        world.consumer.start(*assets)
    assert refused.value.code == "C2D-PROVIDER-FEE"
    assert world.sent_by(world.consumer.signer) == before


@pytest.mark.parametrize("spelling", ["http://localhost:8030", "http://[::1]:8030/"])
def test_another_spelling_of_the_provider_lets_no_fee_to_a_stranger_through(
    world: Any, assets: Any, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = world.publisher.publish_dataset("More cells", [FILE], services=("compute",))
    for did, endpoint in ((assets[0], "http://127.0.0.1:8030"), (second.did, spelling)):
        world.publisher.edit(
            did, lambda ddo, at=endpoint: [s.update(serviceEndpoint=at) for s in ddo["services"]]
        )
    honest = world.provider._quote

    def quote(item: dict[str, Any], *more: Any) -> Any:
        """For the second dataset's fee alone a stranger signs."""
        world.provider.fee_key = "0x" + ("77" if item["documentId"] == second.did else "5a") * 32
        return honest(item, *more)

    monkeypatch.setattr(world.provider, "_quote", quote)
    before = world.sent_by(world.consumer.signer)
    with pytest.raises(Refused) as refused:
        world.consumer.start(assets[0], {"rawcode": "print(1)", "container": CONTAINER}, [second.did])
    assert refused.value.code == "C2D-PROVIDER-FEE"
    assert world.sent_by(world.consumer.signer) == before


def test_orders_that_are_still_good_are_reused(world: Any, assets: Any) -> None:
    first = world.consumer.start(*assets, seconds=600)
    world.provider.jobs[first.id]["dateFinished"] = "1700000000.0"
    before = world.oceans(world.consumer.signer)
    world.provider.fee_amount = 5
    shorter = world.consumer.start(*assets, seconds=300)
    assert [c.action for c in shorter.costs] == ["none", "none"]
    assert world.oceans(world.consumer.signer) == before
    world.provider.jobs[shorter.id]["dateFinished"] = "1700000000.0"
    longer = world.consumer.start(*assets, seconds=6000)
    assert [c.action for c in longer.costs] == ["extend", "extend"]
    assert before - world.oceans(world.consumer.signer) == 5
    bodies = world.provider.sent("compute")
    assert bodies[0]["dataset"]["transferTxId"] == bodies[1]["dataset"]["transferTxId"]
    assert bodies[2]["dataset"]["transferTxId"] != bodies[1]["dataset"]["transferTxId"]


def test_the_order_of_a_running_job_is_left_alone(world: Any, assets: Any) -> None:
    world.consumer.start(*assets, seconds=600)
    second = world.consumer.start(*assets, seconds=300)
    assert [c.action for c in second.costs] == [
        "none",
        "order",
    ]  # the algorithm's order carries the first job


def test_an_unanswered_start_is_repeated_unchanged(world: Any, assets: Any) -> None:
    world.provider.broken = ["compute_post", "compute_post"]
    job = world.consumer.start(*assets)
    bodies = world.provider.sent("compute")
    assert len(bodies) == 3 and bodies[0] == bodies[1] == bodies[2]
    assert list(world.provider.jobs) == [job.id]


def test_a_nonce_another_process_used_is_replaced(world: Any, assets: Any) -> None:
    owner = world.consumer.signer.address
    stolen = iter([9, 9])
    original = world.provider._nonce_get

    def racing(request: httpx.Request) -> httpx.Response:
        reply: httpx.Response = original(request)
        world.provider.nonces[owner] = next(stolen, world.provider.nonces.get(owner, 1))
        return reply

    world.provider._nonce_get = racing
    world.consumer.start(*assets)
    assert [b["nonce"] for b in world.provider.sent("compute")] == ["2", "10"]


def test_a_start_that_stays_uncertain_finds_its_job(world: Any, assets: Any) -> None:
    """The first request was taken, its answer lost, and another request of the account came in between."""
    original: Callable[[httpx.Request], httpx.Response] = world.provider._compute_post

    def taken_then_overtaken(request: httpx.Request) -> httpx.Response:
        if not world.provider.jobs:
            original(request)
            world.provider.starts.clear()
            raise httpx.ReadError("lost")
        return original(request)

    world.provider._compute_post = taken_then_overtaken
    job = world.consumer.start(*assets)
    assert list(world.provider.jobs) == [job.id]


@pytest.mark.parametrize("lost", [httpx.ReadTimeout("slow"), httpx.Response(503, json={"error": "x"})])
def test_a_start_whose_every_answer_is_lost_finds_its_job(world: Any, assets: Any, lost: Any) -> None:
    original: Callable[[httpx.Request], httpx.Response] = world.provider._compute_post

    def taken_and_lost(request: httpx.Request) -> httpx.Response:
        original(request)
        if isinstance(lost, httpx.Response):
            return lost
        raise lost

    world.provider._compute_post = taken_and_lost
    job = world.consumer.start(*assets)
    assert list(world.provider.jobs) == [job.id]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.ReadError("lost"), "C2D-START-UNCERTAIN"),
        (httpx.Response(503, json={"error": "x"}), "C2D-START-UNCERTAIN"),
        (httpx.ConnectError("refused"), "C2D-SERVICE-UNREACHABLE"),
        (httpx.Response(503, json={"error": "x", "away": "chain"}), "C2D-CHAIN-AWAY"),
    ],
)
def test_only_a_start_that_may_have_made_a_job_is_uncertain(
    world: Any, assets: Any, answer: Any, code: str
) -> None:
    """Nothing was sent where nobody listens, and an outage that the Provider names makes no job."""

    def failing(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, httpx.Response):
            return answer
        raise answer

    world.provider._compute_post = failing
    with pytest.raises(Failed) as failed:
        world.consumer.start(*assets)
    assert failed.value.code == code and failed.value.next_step


def test_a_start_stays_uncertain_where_the_jobs_cannot_be_listed_either(world: Any, assets: Any) -> None:
    def failing(_request: httpx.Request) -> httpx.Response:
        world.provider._compute_get = failing
        raise httpx.ReadError("lost")

    world.provider._compute_post = failing
    with pytest.raises(Failed) as failed:
        world.consumer.start(*assets)
    assert failed.value.code == "C2D-START-UNCERTAIN"


def test_no_provider_there_is_a_coded_failure(world: Any) -> None:
    def gone(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    from c2d_box.client.services.provider import Provider

    world.connection.__dict__["provider"] = Provider("http://gone.test", 8996, httpx.MockTransport(gone))
    with pytest.raises(Failed) as failed:
        world.consumer.jobs()
    assert failed.value.code == "C2D-SERVICE-UNREACHABLE" and failed.value.next_step


def test_what_answers_but_is_no_provider_is_named(world: Any) -> None:
    from c2d_box.client.services.provider import Provider

    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json={"hello": "world"}))
    world.connection.__dict__["provider"] = Provider("http://web.test", 8996, transport)
    with pytest.raises(Failed) as failed:
        world.consumer.jobs()
    assert failed.value.code == "C2D-PROVIDER-UNKNOWN"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda c: c.get_job_details("00" * 16), "C2D-JOB-UNKNOWN"),
        (lambda c: c.quote("did:op:" + "0" * 64, "did:op:" + "0" * 64), "C2D-ASSET-UNKNOWN"),
        (lambda c: c.quote("x", "y", environment="none"), "C2D-ENVIRONMENT-UNKNOWN"),
        (lambda c: c.download("did:op:" + "0" * 64, "/nowhere"), "C2D-ASSET-UNKNOWN"),
    ],
)
def test_what_does_not_exist_is_named(world: Any, call: Any, code: str) -> None:
    with pytest.raises(C2DError) as error:
        call(world.consumer)
    assert error.value.code == code


def test_results_and_logs_are_fetched(world: Any, assets: Any, tmp_path: Path) -> None:
    job = world.consumer.start(*assets)
    world.provider.results = [
        ("metrics.json", "output", b"{}", ""),
        ("algorithm.log", "algorithmLog", b"done\n", 'attachment;filename="../algorithm.log"'),
    ]
    listed = [{"filename": n, "filesize": len(c), "type": k} for n, k, c, _d in world.provider.results]
    world.provider.jobs[job.id] |= {"results": listed, "dateFinished": "2.0", "statusText": "Job finished"}
    assert world.consumer.wait(job).text == "Job finished"
    assert [r["index"] for r in world.consumer.results(job)] == [0, 1]
    assert world.consumer.logs(job) == "done\n"
    assert world.consumer.read_result(job.id, 0) == b"{}"
    assert world.consumer.download_result(job, 0, tmp_path / "here.json").read_bytes() == b"{}"
    assert world.consumer.download_result(job, 1, tmp_path) == tmp_path / "algorithm.log"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["algorithm.log", "here.json"]


def test_a_stop_is_signed(world: Any, assets: Any) -> None:
    job = world.consumer.start(*assets)
    assert world.consumer.stop(job).stop_reason == 1


def test_waiting_ends_with_a_deadline(world: Any, assets: Any) -> None:
    job = world.consumer.start(*assets)
    with pytest.raises(Failed) as failed:
        world.consumer.wait(job, timeout=0.05)
    assert failed.value.code == "C2D-JOB-SLOW"


def test_a_download_is_ordered_once_and_stays_in_its_folder(world: Any, assets: Any, tmp_path: Path) -> None:
    before = world.oceans(world.consumer.signer)
    folder = tmp_path / "new"
    assert world.consumer.download(assets[0], folder) == [folder / "evil.csv"]
    assert world.oceans(world.consumer.signer) < before
    assert [p.name for p in tmp_path.iterdir()] == ["new"]


def test_a_job_prints_as_its_id() -> None:
    assert f"{Job('abc')}" == "abc"


def test_importing_the_sdk_leaves_web3_alone() -> None:
    code = "import sys, c2d_box.client; print('web3' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code]).strip() == b"False"


def test_a_quote_needs_no_list_of_jobs_and_a_start_pays_nothing_without(world: Any, assets: Any) -> None:
    """PostgreSQL away: what a job would cost can be said; what could not be started is not paid either."""
    away = {"error": "PostgreSQL is not available.", "away": "PostgreSQL", "context": {}}
    world.provider.refuse["compute"] = httpx.Response(503, json=away)
    assert world.consumer.quote(*assets).costs
    head = world.consumer.connection.chain.web3.eth.block_number
    with pytest.raises(Failed) as failed:
        world.consumer.start(*assets)
    assert failed.value.code == "C2D-DATABASE-AWAY" and "PostgreSQL" in failed.value.message
    assert world.consumer.connection.chain.web3.eth.block_number == head, "no transaction was sent"
