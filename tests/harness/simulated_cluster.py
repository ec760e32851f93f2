"""A simulated cluster: a node, a provisioner and the programs of a job's pods run by themselves over the
in-memory cluster and call whatever engine there is at the moment; that engine can be killed at any of its
writes.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from c2d_box import timestamps
from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import CLAIMS, PODS, Object, ResourceKind
from c2d_box.operator_engine.pod_api.pod_reports import PodReports
from c2d_box.operator_engine.rules import stage_reports
from c2d_box.operator_engine.rules.stage_reports import GoAhead, PodAnswer
from c2d_box.workflow import names
from c2d_box.workflow.resource import WorkFlow
from tests.harness.job_model import MANIFEST, OUTPUT

T = TypeVar("T")
TICK = 0.001
When = Literal["before", "after"]


class EngineKilled(Exception):
    """Raised when there is no engine at the moment."""


class CrashingCluster(MemoryCluster):
    """An engine's view of the shared cluster. At its ``fatal`` write, before or after it is applied, the
    engine dies: from then on none of its calls returns.
    """

    def __init__(self, shared: MemoryCluster, fatal: int | None = None, when: When = "before") -> None:
        self.__dict__.update(shared.__dict__)
        self._shared = shared
        self._fatal = fatal
        self._when = when
        self.writes: list[str] = []
        self.died = asyncio.Event()

    async def create(self, resource: ResourceKind, body: Object) -> Object:
        what = f"create {resource.plural} {body['metadata']['name']}"
        return await self._write_or_die(what, lambda: self._shared.create(resource, body))

    async def patch(
        self, resource: ResourceKind, name: str, patch: Object, *, status: bool = False
    ) -> Object:
        noted = sorted((patch.get("status") or {}).get("times") or patch.get("status") or patch)
        what = f"patch {resource.plural} {','.join(noted)}"
        return await self._write_or_die(
            what, lambda: self._shared.patch(resource, name, patch, status=status)
        )

    async def delete(
        self, resource: ResourceKind, name: str, *, grace: int | None = None, uid: str | None = None
    ) -> bool:
        what = f"delete {resource.plural} {name}"
        return await self._write_or_die(
            what, lambda: self._shared.delete(resource, name, grace=grace, uid=uid)
        )

    async def get(self, resource: ResourceKind, name: str) -> Object | None:
        return await self._work_alive(self._shared.get(resource, name))

    async def _write_or_die(self, what: str, write: Callable[[], Awaitable[T]]) -> T:
        self.writes.append(what)
        fatal = len(self.writes) == self._fatal
        if fatal and self._when == "before":
            self.died.set()
        if self.died.is_set():
            await asyncio.Event().wait()
        done = await write()
        if fatal:
            self.died.set()
            await asyncio.Event().wait()
        return await self._work_alive(_value_of(done))

    async def _work_alive(self, work: Awaitable[T]) -> T:
        done = await work
        if self.died.is_set():
            await asyncio.Event().wait()
        return done


async def _value_of(done: T) -> T:
    return done


@dataclass
class SimulatedNode:
    """The node. ``engine`` returns the engine that answers now and its death event; ``exit_code`` is how the
    algorithm ends.
    """

    cluster: MemoryCluster
    engine: Callable[[], tuple[PodReports, asyncio.Event]]
    exit_code: int = 0
    staging: int = 30
    endless: bool = False
    runs: list[str] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    """Transactions of register containers, each as often as it was sent."""
    marker: str = ""
    programs: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def run_node(self) -> None:
        try:
            while True:
                await self._step_pods()
                await asyncio.sleep(TICK)
        finally:
            for program in self.programs.values():
                program.cancel()

    async def _step_pods(self) -> None:
        claims = {name: await self.cluster.get(CLAIMS, name) for name in self.cluster.names(CLAIMS)}
        pods = {name: await self.cluster.get(PODS, name) for name in self.cluster.names(PODS)}
        for name, claim in claims.items():
            if claim is not None and "deletionTimestamp" in claim["metadata"] and not pods:
                await self.cluster.vanish(CLAIMS, name)
            elif claim is not None and not claim.get("status"):
                await self.cluster.set_status(CLAIMS, name, {"phase": "Bound"})
        for name, pod in pods.items():
            if pod is not None and "deletionTimestamp" in pod["metadata"]:
                if (program := self.programs.pop(pod["metadata"]["uid"], None)) is not None:
                    program.cancel()
                await self.cluster.vanish(PODS, name)
            elif pod is not None and pod["metadata"]["uid"] not in self.programs:
                self._start_pod(name, pod)

    def _start_pod(self, name: str, pod: Object) -> None:
        labels, uid = pod["metadata"]["labels"], pod["metadata"]["uid"]
        program = {
            "configuration": self._run_configuration,
            "algorithm": self._run_algorithm,
            "publishing": self._run_publishing,
        }[labels["app.kubernetes.io/component"]]
        self.programs[uid] = asyncio.create_task(program(name, uid, labels[names.LABEL_JOB]))

    # -- the programs

    async def _run_configuration(self, name: str, uid: str, job: str) -> None:
        await self._set_running(name, "configuration")
        answer = await self._ask_engine(
            lambda hearing: hearing.take_report(job, "configuration", {"status": self.staging})
        )
        if answer.status == 200 and self.staging == 30:
            self.marker = answer.content["algorithm"]
        await self._set_ended(name, configuration=0 if answer.status == 200 else 1)

    async def _run_algorithm(self, name: str, uid: str, job: str) -> None:
        await self._set_running(name, "warden", "algorithm")
        while not self.marker:  # noqa: ASYNC110 - as the warden looks for its file
            await asyncio.sleep(TICK)
        if self.marker != uid:
            await self._set_ended(name, warden=12, algorithm=1)
            return
        self.runs.append(uid)
        report = {"verdict": "closed", "at": time.time(), "probes": [{"closed": True}]}
        self.cluster.pod_logs[name, "warden"] = json.dumps(report).encode() + b"\n"
        if self.endless:
            await self._set_states(name, "Running", warden=0)
            await asyncio.Event().wait()
        await asyncio.sleep(5 * TICK)
        await self._set_ended(name, warden=0, algorithm=self.exit_code)

    async def _run_publishing(self, name: str, uid: str, job: str) -> None:
        pod = await self.cluster.get(PODS, name)
        containers = [entry["name"] for entry in pod["spec"]["containers"]] if pod else []
        await self._set_running(name, *containers)
        mandate = await self._ask_engine(lambda hearing: hearing.await_go_ahead(job, 1.0))
        if isinstance(mandate, GoAhead):
            judged = {"refused": [], "manifest": MANIFEST}
            await self._ask_engine(lambda hearing: hearing.take_report(job, "judge", judged))
            self.uploads.append(uid)
            stored = OUTPUT.model_dump()
            await self._ask_engine(lambda hearing: hearing.take_report(job, "upload", {"results": [stored]}))
            if "register" in containers:
                await self._run_register(uid, job)
        await self._set_ended(name, **dict.fromkeys(containers, 0))

    async def _run_register(self, uid: str, job: str) -> None:
        """Send the transaction that the status records; if none is recorded, record an own one first, then
        send it.
        """
        order = await self._ask_engine(lambda hearing: hearing.await_upload(job, 1.0))
        if not isinstance(order, WorkFlow):
            return
        known = ((order.status.asset or {}).get("transactions") or {}).get("create")
        raw = known or f"0:{uid}"
        answer = await self._ask_engine(
            lambda hearing: hearing.update_status(
                job, lambda seen: stage_reports.take_intent(seen, "create", raw, known)
            )
        )
        if answer.status == 200:
            self.sent.append(raw)
            asset = {"did": f"did:op:{raw}", "nft": "0x1", "datatoken": "0x2"}
            await self._ask_engine(lambda hearing: hearing.take_report(job, "register", asset))

    async def _ask_engine(self, ask: Callable[[PodReports], Awaitable[Any]]) -> Any:
        """Repeat a call until an engine gives a final answer, as the pods' own client does; an engine that
        dies meanwhile is replaced by the next one.
        """
        while True:
            reports, died = self.engine()
            call = asyncio.ensure_future(ask(reports))
            death = asyncio.create_task(died.wait())
            await asyncio.wait([call, death], return_when=asyncio.FIRST_COMPLETED)
            death.cancel()
            if call.done():
                answer = call.result()
                if not (isinstance(answer, PodAnswer) and answer.status in (204, 503)):
                    return answer
            else:
                call.cancel()
                with suppress(asyncio.CancelledError):
                    await call
            await asyncio.sleep(TICK)

    # -- what the kubelet says

    async def _set_running(self, name: str, *containers: str) -> None:
        states = {
            container: {"running": {"startedAt": timestamps.rfc3339_text(time.time())}}
            for container in containers
        }
        await self._write_status(name, "Running", states)

    async def _set_ended(self, name: str, **codes: int) -> None:
        await self._set_states(name, "Succeeded" if not any(codes.values()) else "Failed", **codes)

    async def _set_states(self, name: str, phase: str, **codes: int) -> None:
        states = {
            container: {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}
            for container, code in codes.items()
        }
        await self._write_status(name, phase, states)

    async def _write_status(self, name: str, phase: str, states: dict[str, Any]) -> None:
        entries = [{"name": container, "state": state} for container, state in states.items()]
        if name in self.cluster.names(PODS):
            await self.cluster.set_status(PODS, name, {"phase": phase, "containerStatuses": entries})
