"""An operator-service on a cluster in memory, with nonces in memory and a Provider's key."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from c2d_box.assets.crypto import signatures
from c2d_box.kubernetes.informer import Informer
from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.operator_service.app import OperatorService, build_operator_app
from c2d_box.operator_service.arguments import OperatorRefusal
from c2d_box.operator_service.callers import SignatureVerifier
from c2d_box.operator_service.database import JobDatabase
from c2d_box.operator_service.jobs import JobIndex
from c2d_box.operator_service.nonces import UsedNonces
from c2d_box.operator_service.results import StoredResults
from c2d_box.operator_service.settings import OperatorSettings
from c2d_box.workflow import resource
from c2d_box.workflow.resource import WORKFLOWS

KEY = "0x" + "11" * 32
OTHER_KEY = "0x" + "22" * 32
OWNER = "0xE2DD09d719Da89e5a3D0F2549c7E24566e947260"
JOB = "0123456789abcdef0123456789abcdef"
PREFIX = "/api/v1/operator"


class NoDatabase(JobDatabase):
    """PostgreSQL that is away: what must work without it is tested without it."""

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        raise OperatorRefusal(503, "PostgreSQL is not available.")
        yield


class EmptyHistory(JobDatabase):
    """PostgreSQL with no rows: for what is not about the history."""

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        yield self

    async def execute(self, statement: str, values: Any = None) -> EmptyHistory:
        return self

    async def fetchall(self) -> list[dict[str, Any]]:
        return []


class RememberedNonces(UsedNonces):
    """Nonces that are seen once, in memory: for what is not about nonces or PostgreSQL."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, Decimal]] = set()

    async def take_nonce(self, caller: str, nonce: Decimal, *, is_read: bool = False) -> None:
        if (caller, nonce) in self.seen:
            raise OperatorRefusal(400, f"Nonce {nonce} was used before or is too old.")
        self.seen.add((caller, nonce))


class ServiceFront:
    """The service and a client of it that signs like our Provider."""

    def __init__(
        self, settings: OperatorSettings, cluster: MemoryCluster, jobs: JobIndex, client: httpx.AsyncClient
    ) -> None:
        self.settings = settings
        self.cluster = cluster
        self.jobs = jobs
        self.client = client
        self._nonce = time.time_ns()

    def signed(
        self, method: str, target: str, body: bytes = b"", key: str = KEY, nonce: int | None = None
    ) -> dict[str, str]:
        self._nonce += 1
        number = str(nonce or self._nonce)
        text = f"{method}\n{target}\n{hashlib.sha256(body).hexdigest()}\n{number}"
        return {"X-C2D-Signature": signatures.sign_text(key, text), "X-C2D-Nonce": number}

    async def call(
        self, method: str, path: str, json_body: Any = None, key: str = KEY, **query: str
    ) -> httpx.Response:
        body = b"" if json_body is None else json.dumps(json_body).encode()
        request = self.client.build_request(method, PREFIX + path, params=query or None, content=body)
        request.headers.update(self.signed(method, request.url.raw_path.decode(), body, key))
        return await self.client.send(request)

    async def start(self, **changes: Any) -> httpx.Response:
        return await self.call("POST", "/compute", job_payload(**changes))

    async def finish(self, job: str = JOB, **status: Any) -> None:
        known = await self.cluster.get(WORKFLOWS, job)
        assert known is not None
        times = {"times": {"admitted": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:09.500000Z"}}
        await self.cluster.patch(
            WORKFLOWS, job, {"status": {"code": 70, "text": "Job finished", **times, **status}}, status=True
        )


def job_payload(**changes: Any) -> dict[str, Any]:
    did = "did:op:" + "a" * 64
    base: dict[str, Any] = {
        "workflow": {
            "stages": [
                {
                    "index": 0,
                    "input": [
                        {
                            "index": 0,
                            "id": did,
                            "remote": {"txId": "0xt", "serviceId": "1", "url": "http://s/x"},
                        }
                    ],
                    "compute": {"Instances": 1, "namespace": "ocean-compute", "maxtime": 3600},
                    "algorithm": {
                        "id": "did:op:" + "b" * 64,
                        "rawcode": "",
                        "url": "http://secret.example/algo",
                        "container": {
                            "entrypoint": "python $ALGO",
                            "image": "i",
                            "tag": "t",
                            "checksum": "sha256:1",
                        },
                        "remote": {"serviceEndpoint": "http://provider", "txId": "0xa"},
                        "algocustomdata": {"k": 1},
                    },
                    "output": {"metadataUri": "http://cache"},
                }
            ]
        },
        "jobId": JOB,
        "agreementId": "0xorder",
        "owner": OWNER,
        "providerSignature": "0x",
        "environment": "ocean-compute",
        "nonce": 1,
        "chainId": 8996,
        "maxtime": 600,
        "grants": {
            "provider": "http://10.0.0.30:8030",
            "inputs": [{"did": did, "ddo": "d", "files": ["f"]}],
            "algorithm": {"did": "did:op:" + "b" * 64, "ddo": "d", "files": ["g"]},
        },
    }
    return {key: value for key, value in {**base, **changes}.items() if value is not ...}


def settings_for(folder: Path, **changes: Any) -> OperatorSettings:
    (folder / "admin-password").write_text("letmein\n")
    base: dict[str, Any] = {
        "postgres": {"host": "nowhere"},
        "allowedProviders": [signatures.address_of(KEY)],
        "environments": [{"id": "ocean-compute", "consumerAddress": OWNER}],
        "resultStore": {"kind": "ipfs", "api": "http://ipfs:5001", "gateway": "http://ipfs:8080"},
        "secretsDir": str(folder),
    }
    return OperatorSettings.model_validate({**base, **changes})


@asynccontextmanager
async def front_for(
    settings: OperatorSettings, *, is_postgres_away: bool = False
) -> AsyncIterator[ServiceFront]:
    """With ``is_postgres_away`` the service is the product's own, nonces included, and PostgreSQL is away."""
    cluster = MemoryCluster()
    informer = Informer(cluster, WORKFLOWS)
    kind = NoDatabase if is_postgres_away else EmptyHistory
    database = kind(settings.postgres, settings.secrets_dir)
    results = StoredResults(settings)
    jobs = JobIndex(informer, database)
    nonces = UsedNonces(database) if is_postgres_away else RememberedNonces()
    service = OperatorService(settings, cluster, jobs, database, SignatureVerifier(settings, nonces), results)
    informer.start()
    await informer.synced.wait()
    transport = httpx.ASGITransport(build_operator_app(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://operator") as client:
        yield ServiceFront(settings, cluster, jobs, client)
    await informer.stop()
    await results.close()


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[ServiceFront]:
    async with front_for(settings_for(tmp_path)) as made:
        yield made


@pytest.fixture
async def bare_front(tmp_path: Path) -> AsyncIterator[ServiceFront]:
    """With signatures as the original and other Providers send them."""
    async with front_for(settings_for(tmp_path, compat={"bareSignatures": True})) as made:
        yield made


@pytest.fixture
async def front_without_postgres(tmp_path: Path) -> AsyncIterator[ServiceFront]:
    """One finished job, in Kubernetes alone; nonces are the product's own."""
    async with front_for(settings_for(tmp_path), is_postgres_away=True) as made:
        stages = job_payload()["workflow"]["stages"]
        for stage in stages:
            stage["input"], stage["algorithm"].pop("url")
        spec = {"environment": "ocean-compute", "stages": stages, "owner": OWNER, "agreementId": "0xorder"}
        spec["providerAddress"] = signatures.address_of(KEY)
        await made.cluster.create(WORKFLOWS, resource.build_workflow(JOB, spec, 1.0))
        async with asyncio.timeout(10):
            while made.jobs.get_job(JOB) is None:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)
        yield made
