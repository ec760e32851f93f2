"""operator-service and the engine's pod port, as their real applications on a cluster in memory, under the
corpus: each hostile body is answered below 500, before and after its signature or token is checked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from c2d_box.operator_engine.pod_api.evidence_signer import EvidenceSigner
from c2d_box.operator_engine.pod_api.presigned_uploads import PresignedUploads
from c2d_box.operator_engine.pod_api.routes import pod_application
from c2d_box.workflow.names import Stage
from c2d_box.workflow.result_store import S3Store
from tests.unit.hostile.corpus import DEEP, TEXTS, texts, with_deep
from tests.unit.operator_engine.conftest import EngineStack, make_settings
from tests.unit.operator_service.conftest import PREFIX, ServiceFront, front_for, job_payload, settings_for

JOB = "0123456789abcdef0123456789abcdef"
STAGES: tuple[Stage, ...] = ("configuration", "judge", "upload", "register")
REPORT = {"refused": [], "refusedCount": 0, "files": 1, "exited": None, "full": False, "manifest": "a" * 64}
MANIFEST = {"files": [{"filename": "a", "type": "output", "size": 1, "sha256": "0" * 64}]}
WISH = {"files": [{"path": "a", "sha256": "0" * 64}]}
INTENT = {"step": "nft", "raw": "0x", "replaces": None}


@asynccontextmanager
async def pod_port(folder: Path) -> AsyncIterator[tuple[EngineStack, httpx.AsyncClient]]:
    (folder / "upload-token").write_text("kubo-token\n")
    stack = EngineStack(make_settings(), folder)
    await stack.start()
    await stack.submit(JOB)
    keys = {"ocean-compute": "0x" + "1" * 64}
    signer = EvidenceSigner(stack.settings, keys, stack.pod_reports)
    store = S3Store(endpoint="http://10.0.0.33:9000", bucket="results")
    uploads = PresignedUploads(store, {"accessKey": "a", "secretKey": "s"})
    app = pod_application(stack.controller, stack.pod_reports, signer, None, uploads, is_current=lambda: True)
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://engine") as client:
            yield stack, client
    finally:
        await stack.stop()


def calls() -> list[tuple[Stage, str]]:
    """Each route of the pod port that takes a body, with its stage."""
    return [
        *((stage, f"/v1/jobs/{JOB}/{stage}/report") for stage in STAGES),
        ("upload", f"/v1/jobs/{JOB}/upload/evidence"),
        ("upload", f"/v1/jobs/{JOB}/upload/slots"),
        ("register", f"/v1/jobs/{JOB}/register/intent"),
        ("register", f"/v1/jobs/{JOB}/register/rpc"),
    ]


async def test_the_pod_port_answers_each_hostile_body_below_500(
    tmp_path: Path, seed: str, mutations: int
) -> None:
    async with pod_port(tmp_path) as (stack, client):
        for stage, path in calls():
            token = stack.tokens.token_for("ocean-compute", JOB, stage)
            headers = {"Authorization": f"Bearer {token}"}
            for name, body in texts(seed, mutations, REPORT, MANIFEST, WISH, INTENT):
                answer = await client.post(path, content=body, headers=headers)
                # 503: nothing to relay to is configured, said to a body that is in order
                assert answer.status_code < 500 or answer.status_code == 503, (path, name, answer.text)
            for text in ("brackets", "surrogate value", "not UTF-8", "a list", "nothing"):
                answer = await client.post(path, content=TEXTS[text], headers=headers)
                if path.endswith("rpc") and text == "a list":
                    continue
                assert answer.status_code == 400, (path, text, answer.text)


async def test_the_pod_port_reads_no_body_without_a_token(tmp_path: Path) -> None:
    async with pod_port(tmp_path) as (_, client):
        for _, path in calls():
            assert (await client.post(path, content=TEXTS["brackets"])).status_code == 401


@pytest.mark.parametrize("token", ["wrong", "of another job"])
async def test_a_wrong_token_does_not_tell_which_jobs_there_are(tmp_path: Path, token: str) -> None:
    async with pod_port(tmp_path) as (stack, client):
        if token != "wrong":
            token = stack.tokens.token_for("ocean-compute", "f" * 32, "judge")
        known, unknown = [
            await client.get(f"/v1/jobs/{job}/judge/go-ahead", headers={"Authorization": f"Bearer {token}"})
            for job in (JOB, "e" * 32)
        ]
        assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
        assert known.status_code == 401


async def test_a_pod_of_a_job_that_is_gone_is_told_so(tmp_path: Path) -> None:
    async with pod_port(tmp_path) as (stack, client):
        token = stack.tokens.token_for("ocean-compute", "e" * 32, "judge")
        path, headers = f"/v1/jobs/{'e' * 32}/judge/go-ahead", {"Authorization": f"Bearer {token}"}
        assert (await client.get(path, headers=headers)).status_code == 410


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[ServiceFront]:
    async with front_for(settings_for(tmp_path)) as made:
        yield made


async def test_operator_service_answers_each_hostile_body_below_500(
    front: ServiceFront, seed: str, mutations: int
) -> None:
    template = job_payload()
    for method, path in (
        ("POST", "/compute"),
        ("PUT", "/compute"),
        ("DELETE", "/compute"),
        ("GET", "/compute"),
        ("GET", "/environments"),
        ("GET", "/getResult"),
        ("GET", "/logs"),
        ("POST", "/pgsqlinit"),
    ):
        for name, body in texts(seed, mutations, template):
            for signed in (False, True):
                headers = front.signed(method, PREFIX + path, body) if signed else {}
                answer = await front.client.request(method, PREFIX + path, content=body, headers=headers)
                assert answer.status_code < 500, (method, path, name, answer.text)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_deep_json_is_400_with_its_reason_before_any_signature(
    front: ServiceFront, method: str
) -> None:
    answer = await front.client.request(method, f"{PREFIX}/compute", content=b"[" * DEEP)
    assert answer.status_code == 400
    assert "nested deeper" in answer.text


async def test_each_field_of_a_start_may_be_too_deep(front: ServiceFront) -> None:
    fields: list[Any] = [*job_payload(), "workflow.stages", "grants.inputs", "grants.provider"]
    for field in fields:
        body = with_deep(field)
        headers = front.signed("POST", f"{PREFIX}/compute", body)
        answer = await front.client.post(f"{PREFIX}/compute", content=body, headers=headers)
        assert answer.status_code == 400, field


async def test_what_the_provider_takes_fits_through_operator_service(front: ServiceFront) -> None:
    """The Provider's limit is 64 levels of its caller's own; they arrive here wrapped."""
    value: Any = 1
    for _ in range(60):
        value = [value]
    body = job_payload()
    body["workflow"]["stages"][0]["algorithm"]["algocustomdata"] = {"k": value}
    assert (await front.call("POST", "/compute", body)).status_code == 200
