"""A cluster in memory with the parts of kubelet and provisioner that a job needs, and an engine on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from c2d_box import timestamps
from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import CLAIMS, PODS, SECRETS, Object
from c2d_box.operator_engine.controller import Controller
from c2d_box.operator_engine.engine import compose_engine
from c2d_box.operator_engine.settings import EngineSettings
from c2d_box.operator_engine.stage_tokens import StageTokens
from c2d_box.operator_engine.telemetry.job_table_writer import JobTableWriter
from c2d_box.operator_engine.watches import EngineWatches
from c2d_box.workflow import names, resource
from c2d_box.workflow.resource import WORKFLOWS, WorkFlow

RUNTIME = "c2d.local/runtime@sha256:" + "1" * 64


class Rows(JobTableWriter):
    """The job table's place: keeps every row's number in the order it was written."""

    def __init__(self) -> None:
        self.written: list[WorkFlow] = []

    def enqueue_row(self, workflow: WorkFlow) -> None:
        self.written.append(workflow)

    async def flush_row(self, job: str, seconds: float) -> bool:
        return True


class FakeNode:
    """Plays the node: binds claims, starts pods, ends containers, removes what is deleted."""

    def __init__(self, cluster: MemoryCluster, controller: Controller) -> None:
        self.cluster = cluster
        self.controller = controller

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.002)

    async def bind(self, job: str) -> None:
        await self.until(lambda: names.claim_name(job) in self.cluster.names(CLAIMS))
        await self.cluster.set_status(CLAIMS, names.claim_name(job), {"phase": "Bound"})

    async def start(self, pod: str, *containers: str) -> None:
        await self.until(lambda: pod in self.cluster.names(PODS))
        running = {"running": {"startedAt": timestamps.rfc3339_text(time.time())}}
        self.cluster.pod_logs[pod, "warden"] = b'{"verdict": "closed", "probes": [{"closed": true}]}\n'
        await self._write_status(pod, "Running", dict.fromkeys(containers, running))

    async def end(self, pod: str, phase: str = "Succeeded", reason: str = "", **codes: int) -> None:
        ended = {
            name: {"terminated": {"exitCode": code, "reason": reason or "Completed"}}
            for name, code in codes.items()
        }
        await self._write_status(pod, phase, ended)

    async def _write_status(self, pod: str, phase: str, states: dict[str, Any]) -> None:
        entries = [{"name": name, "state": state} for name, state in states.items()]
        await self.cluster.set_status(PODS, pod, {"phase": phase, "containerStatuses": entries})

    async def collect(self) -> None:
        """Removes for good what is marked as deleted."""
        for kind in (PODS, CLAIMS):
            for name in self.cluster.names(kind):
                body = await self.cluster.get(kind, name)
                if body is not None and "deletionTimestamp" in body["metadata"]:
                    await self.cluster.vanish(kind, name)

    def workflow(self, job: str) -> WorkFlow:
        found = self.controller.job_cache.workflow(job)
        assert found is not None
        return found


def make_settings(**changes: Any) -> EngineSettings:
    base: dict[str, Any] = {
        "postgres": {"host": "nowhere"},
        "environments": [{"id": "ocean-compute", "maxJobs": 2, "maxJobDuration": 60, "diskGB": 1}],
        "images": {"runtime": RUNTIME},
        "engineUrl": "http://10.0.0.31:8051",
        "resultStore": {"kind": "ipfs", "api": "http://10.0.0.32:5001", "gateway": "http://ipfs:8080"},
        "warden": {"targets": ["10.0.0.1:6443"]},
    }
    return EngineSettings.model_validate({**base, **changes})


def workflow_body(job: str, accepted: float | None = None, **spec: Any) -> Object:
    return resource.build_workflow(
        job,
        {
            "jobId": job,
            "owner": "0xAbc0000000000000000000000000000000000001",
            "agreementId": f"0xorder{job}",
            "environment": "ocean-compute",
            "stages": [
                {
                    "index": 0,
                    "input": [{"index": 0, "id": "did:op:" + "a" * 64, "files": 1}],
                    "algorithm": {
                        "id": "did:op:" + "b" * 64,
                        "rawcode": "",
                        "container": {
                            "entrypoint": "python $ALGO",
                            "image": "c2d.local/algo-python",
                            "tag": "latest",
                            "checksum": "sha256:" + "2" * 64,
                        },
                    },
                    "compute": {},
                    "output": {},
                }
            ],
            **spec,
        },
        accepted or time.time(),
    )


class EngineStack:
    """An engine on a cluster in memory, with its watches."""

    def __init__(self, chosen: EngineSettings, secrets: Path) -> None:
        self.cluster = MemoryCluster()
        self.rows = Rows()
        self.settings = chosen.model_copy(update={"secrets_dir": secrets})
        self.tokens = StageTokens({"ocean-compute": b"key"})
        self._tasks: list[asyncio.Task[None]] = []
        self.leads = True
        self.boot()

    def boot(self) -> None:
        """A new engine: nothing of the old one's memory is left."""
        engine = compose_engine(
            self.cluster, self.settings, self.tokens, self.rows, "c2d-gate-x", leads=lambda: self.leads
        )
        self.controller, self.pod_reports = engine.controller, engine.pod_reports
        self.node = FakeNode(self.cluster, self.controller)

    async def start(self) -> None:
        controller = self.controller
        await controller.resync()
        watches = EngineWatches(self.cluster, controller)
        self._tasks = [asyncio.create_task(watches.follow_cluster())]

    async def crash(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.controller.cancel_all()
        self.boot()
        await self.start()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self.controller.cancel_all()

    async def submit(self, job: str, *, grants: bool = True, **spec: Any) -> None:
        made = await self.cluster.create(WORKFLOWS, workflow_body(job, **spec))
        if grants:
            secret = {
                "metadata": {"name": names.grants_secret_name(job)},
                "stringData": {"grants.json": "{}"},
            }
            await self.cluster.create(SECRETS, secret)
        assert made["metadata"]["name"] == job


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    (tmp_path / "upload-token").write_text("kubo-token\n")
    return tmp_path


@pytest.fixture
async def stack(secrets: Path) -> AsyncIterator[EngineStack]:
    made = EngineStack(make_settings(), secrets)
    await made.start()
    yield made
    await made.stop()
