"""When a grant stops being good: with the job, with a withdrawn permission, and over restarts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from c2d_box.assets.addresses import keccak256
from c2d_box.provider.auth.grants import GrantCipher, GrantedAlgorithm, InputGrant
from c2d_box.provider.backends.job_liveness import JobLiveness
from c2d_box.provider.backends.operator_client import OperatorAnswer, OperatorUnavailable
from c2d_box.provider.database import ProviderDatabase
from c2d_box.provider.secrets import TokenSecret
from tests.unit.provider.test_compute_flow import (
    finish_all,
    grant,
    ordered,
    permit,
    publish_pair,
    start_body,
)

ASKED_ANEW_SECONDS = 2.2
"""After so long nothing that was found good before is taken as good."""


@pytest.fixture
def job(world: Any) -> Iterator[Any]:
    """Dataset, algorithm and the payload of a running job."""
    dataset, algorithm = publish_pair(world)
    permit(world, dataset, algorithm)
    orders = ordered(world, dataset, algorithm)
    started = world.services("compute", "POST", json=start_body(world, dataset, algorithm, orders))
    assert started.status_code == 200, started.text
    yield dataset, algorithm, world.operator.payloads[-1]
    world.operator.down = False
    finish_all(world)


def tokens(payload: Any) -> dict[str, str]:
    source, algorithm = payload["grants"]["inputs"][0], payload["grants"]["algorithm"]
    return {
        "file": source["files"][0],
        "ddo": source["ddo"],
        "algorithm": algorithm["files"][0],
        "algorithm's ddo": algorithm["ddo"],
    }


def answers(world: Any, payload: Any) -> dict[str, int]:
    return {name: grant(world, token).status_code for name, token in tokens(payload).items()}


def is_refused(world: Any, token: str) -> bool:
    return bool(grant(world, token).status_code == 403)


def eventually(wanted: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if wanted():
            return True
        time.sleep(0.1)
    return False


def test_a_grant_ends_with_its_job_whatever_is_restarted(world: Any, job: Any) -> None:
    payload = job[2]
    assert set(answers(world, payload).values()) == {200}
    world.operator.finish(payload["jobId"])
    assert eventually(lambda: set(answers(world, payload).values()) == {410})
    time.sleep(0.5)  # it is written down
    world.operator.down = True
    world.restart_provider()
    assert set(answers(world, payload).values()) == {410}, "its end is remembered"


def test_where_nobody_can_say_whether_the_job_lives_no_data_is_given(world: Any, job: Any) -> None:
    payload = job[2]
    world.operator.down = True
    world.restart_provider()
    for _ in range(2):
        for token in tokens(payload).values():
            answer = grant(world, token)
            assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
            assert b"1,2" not in answer.content
    world.operator.down = False
    assert eventually(lambda: set(answers(world, payload).values()) == {200}), "the pod goes on"


def test_a_deleted_jobs_grant_is_over(world: Any, job: Any) -> None:
    world.operator.jobs.pop(job[2]["jobId"])
    time.sleep(ASKED_ANEW_SECONDS)
    assert set(answers(world, job[2]).values()) == {410}


def test_a_permission_withdrawn_while_the_job_waits_ends_its_grants(world: Any, job: Any) -> None:
    dataset, _, payload = job
    assert grant(world, tokens(payload)["file"]).status_code == 200
    dataset.document["services"][0]["compute"]["publisherTrustedAlgorithms"] = []
    world.update(dataset)
    time.sleep(ASKED_ANEW_SECONDS)
    refused = grant(world, tokens(payload)["file"])
    assert (refused.status_code, refused.json()["error"]) == (
        403,
        "The permission was withdrawn: not_trusted_algo.",
    )
    assert grant(world, tokens(payload)["ddo"]).status_code == 403


@pytest.mark.parametrize("which", [0, 1], ids=["dataset", "algorithm"])
def test_a_revoked_asset_ends_the_grants_of_its_jobs(world: Any, job: Any, which: int) -> None:
    """A revoked algorithm gets no data either, though nothing was said of the data. What the publisher says
    of a revoked asset cannot be decrypted, so the metadata cache stays behind: the chain's word is enough."""
    world.rewrite(job[which], state=3)
    wanted = ("file", "algorithm") if which == 1 else ("file",)
    for name in wanted:
        assert eventually(partial(is_refused, world, tokens(job[2])[name]))
        assert grant(world, tokens(job[2])[name]).status_code == 403


def test_a_consumer_who_was_denied_meanwhile_gets_nothing(world: Any, job: Any) -> None:
    dataset, _, payload = job
    consumer = world.account(7).address
    dataset.document["credentials"] = {"allow": [], "deny": [{"type": "address", "values": [consumer]}]}
    world.update(dataset)
    time.sleep(ASKED_ANEW_SECONDS)
    refused = grant(world, tokens(payload)["file"])
    assert refused.status_code == 403 and "CREDENTIAL_IN_DENY_LIST" in refused.json()["error"]


def test_an_order_that_the_chain_has_taken_back_ends_its_grants(world: Any, job: Any) -> None:
    grants = GrantCipher(TokenSecret(keccak256(b"a secret of the test, long enough")).derive_key("grants"))
    good = grants.open_grant(tokens(job[2])["file"])
    assert grant(world, grants.seal_grant(good)).status_code == 200
    time.sleep(ASKED_ANEW_SECONDS)
    gone = grant(world, grants.seal_grant(replace(good, order="0x" + "1" * 64)))
    assert gone.status_code == 403 and "order" in gone.json()["error"]


def test_what_only_passes_is_judged_as_of_the_start(world: Any, job: Any) -> None:
    """A job that waited in the queue gets what was paid for, also after the fee's time."""
    grants = GrantCipher(TokenSecret(keccak256(b"a secret of the test, long enough")).derive_key("grants"))
    good = grants.open_grant(tokens(job[2])["file"])
    assert good.issued and good.algorithm is not None and good.environment == "ocean-compute"
    late = replace(good, issued=good.issued + 10 * 3600)
    time.sleep(ASKED_ANEW_SECONDS)
    assert grant(world, grants.seal_grant(late)).status_code == 403
    assert grant(world, grants.seal_grant(good)).status_code == 200


def test_grants_of_an_earlier_version_open() -> None:
    import json
    import os
    from base64 import urlsafe_b64encode
    from dataclasses import asdict

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    made = InputGrant("file", "job", "did:op:x", int(time.time()) + 60, "0", 1, "0xtx", "0xme", "ab")
    plain = {key: value for key, value in asdict(made).items() if value is not None}
    nonce = os.urandom(12)
    sealed = AESGCM(b"k" * 32).encrypt(nonce, json.dumps(plain).encode(), b"c2d-grant")
    old = urlsafe_b64encode(b"\x01" + nonce + sealed).rstrip(b"=").decode()
    assert GrantCipher(b"k" * 32).open_grant(old) == made


def test_a_grant_with_its_algorithm_opens_to_what_was_sealed_and_stays_small() -> None:
    granted = GrantedAlgorithm("did:op:" + "ab" * 32, "0", "cd" * 64, "ef" * 32, readable=True, main=True)
    made = InputGrant(
        "file", "a" * 32, "did:op:" + "12" * 32, 2**33, "0", order="0x" + "34" * 32, algorithm=granted
    )
    token = GrantCipher(b"k" * 32).seal_grant(made)
    assert GrantCipher(b"k" * 32).open_grant(token) == made and len(token) < 800


class Backend:
    """operator-service as Liveness sees it."""

    def __init__(self) -> None:
        self.answer: OperatorAnswer | None = OperatorAnswer(200, [{"jobId": "j", "dateFinished": None}])
        self.asked = 0

    async def job_status(self, owner: str, job: str | None, chain_id: int) -> OperatorAnswer:
        self.asked += 1
        if self.answer is None:
            raise OperatorUnavailable
        return self.answer


async def test_one_question_is_good_for_two_seconds_and_no_longer() -> None:
    backend, now = Backend(), [100.0]
    known = JobLiveness(backend, ProviderDatabase(":memory:"), 1, 60, lambda: now[0])  # type: ignore[arg-type]
    assert [await known.is_alive("j", "o") for _ in range(9)] == [True] * 9 and backend.asked == 1
    backend.answer = None
    now[0] += 2.1
    with pytest.raises(OperatorUnavailable):
        await known.is_alive("j", "o")
    for answer in (
        OperatorAnswer(503, {"error": "x"}),
        OperatorAnswer(400, []),
        OperatorAnswer(200, {"error": "x"}),
    ):
        backend.answer = answer
        with pytest.raises(OperatorUnavailable):
            await known.is_alive("j", "o")


async def test_an_end_that_comes_while_the_question_is_under_way_counts() -> None:
    backend = Backend()
    known = JobLiveness(backend, ProviderDatabase(":memory:"), 1, 60)  # type: ignore[arg-type]
    asked = backend.job_status

    async def slow(owner: str, job: str | None, chain_id: int) -> OperatorAnswer:
        known.record_end("j")
        return await asked(owner, job, chain_id)

    backend.job_status = slow  # type: ignore[method-assign]
    assert not await known.is_alive("j", "o")
    known.write_ends()
    assert known.has_ended("j")


async def test_ended_jobs_are_remembered_as_long_as_grants_last() -> None:
    database = ProviderDatabase(":memory:")
    known = JobLiveness(Backend(), database, 1, 60)  # type: ignore[arg-type]
    with database.transaction() as connection:
        rows = [("old", int(time.time()) - 61), ("new", int(time.time()) - 5)]
        connection.executemany("INSERT INTO ended_jobs VALUES (?, ?)", rows)
    for at in range(5_000):
        known.record_end(f"job-{at}")
    known.write_ends()
    assert known.has_ended("new") and known.has_ended("job-4999") and not known.has_ended("old")
