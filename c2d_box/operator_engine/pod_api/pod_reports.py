"""Takes the reports of a job's pods, and answers their long polls.

Every engine serves them, also one that does not lead. A report is written into the job's status first, then
into its row, and only then is it answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from pydantic import ValidationError

from c2d_box.kubernetes.port import VersionConflict
from c2d_box.operator_engine.effects.executor import Executor
from c2d_box.operator_engine.rules import stage_reports
from c2d_box.operator_engine.rules.actions import PatchStatus, ReadIsolationReport
from c2d_box.operator_engine.rules.stage_reports import GoAhead, PodAnswer
from c2d_box.operator_engine.stage_tokens import StageTokens
from c2d_box.operator_engine.state.job_cache import JobCache
from c2d_box.operator_engine.state.job_runtime import JobRuntimes
from c2d_box.operator_engine.state.observer import Observer
from c2d_box.operator_engine.telemetry.job_table_writer import JobTableWriter
from c2d_box.workflow.names import Stage
from c2d_box.workflow.resource import WorkFlow

T = TypeVar("T")
_TRIES = 5
"""Attempts to write a report against conflicts; after them the pod is asked to come again."""
_ROW_SECONDS = 1.0
"""Most seconds a pod waits for its job's row: its report is in the status already."""


class PodReports:
    """Authorizes and applies reports, and holds long polls until the status allows the next stage."""

    def __init__(
        self,
        job_cache: JobCache,
        runtimes: JobRuntimes,
        tokens: StageTokens,
        observer: Observer,
        executor: Executor,
        job_table: JobTableWriter,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._job_cache = job_cache
        self._runtimes = runtimes
        self._tokens = tokens
        self._observer = observer
        self._executor = executor
        self._job_table = job_table
        self._clock = clock

    def is_authorized(self, job: str, stage: Stage, token: str) -> bool:
        """Return whether ``token`` is the one of this job and stage; for a job that is gone, in any
        environment.
        """
        workflow = self._job_cache.workflow(job)
        environments = self._tokens.environments if workflow is None else [workflow.spec.environment]
        return any(self._tokens.is_valid(environment, job, stage, token) for environment in environments)

    async def take_report(self, job: str, stage: Stage, body: dict[str, Any]) -> PodAnswer:
        """Apply a stage's report; the answer is 422 for a body that is none."""
        model, apply = stage_reports.BY_STAGE[stage]
        try:
            report = model.model_validate(body)
        except ValidationError as problem:
            # The number of faults only: a message of pydantic quotes the input.
            return PodAnswer(422, f"not a report: {problem.error_count()} faults")
        return await self.update_status(job, lambda workflow: apply(workflow, report, self._clock()))

    async def record_isolation(self, job: str) -> None:
        """Write the warden's report into the status now, unless it is there already."""
        workflow = self._job_cache.workflow(job)
        if workflow is not None and workflow.status.isolation is None and workflow.at("staged") is not None:
            # Whoever changed the status causes a new plan, which reads the report in its turn.
            with suppress(VersionConflict):
                await self._executor.execute_action(workflow, ReadIsolationReport())

    async def update_status(self, job: str, decide: Callable[[WorkFlow], PodAnswer]) -> PodAnswer:
        """Apply a change of the status that comes from outside the plan: status first, then row, then answer.

        ``decide`` is called again with the fresh workflow after a version conflict.
        """
        async with self._runtimes[job].lock:
            for _ in range(_TRIES):
                workflow = self._job_cache.workflow(job)
                if workflow is None:
                    # The pod of a job that is gone gives up at once instead of asking again.
                    return PodAnswer(410, "there is no such job")
                answer = decide(workflow)
                if not answer.changes:
                    return answer
                try:
                    await self._executor.execute_action(workflow, PatchStatus(answer.changes))
                    break
                except VersionConflict:
                    await self._observer.refresh_workflow(workflow)
            else:
                return PodAnswer(503, "the job changes too fast")
            if (recorded := self._job_cache.workflow(job)) is not None:
                self._job_table.enqueue_row(recorded)  # also by an engine that does not lead
        # Outside of the lock: PostgreSQL may be slow, and the job's next step must not wait for it.
        await self._job_table.flush_row(job, _ROW_SECONDS)
        return answer

    async def await_upload(self, job: str, seconds: float) -> WorkFlow | PodAnswer:
        """Long poll of the register container: return the job once its results are stored."""
        return await self._await_change(job, seconds, stage_reports.answer_stored)

    async def await_go_ahead(self, job: str, seconds: float) -> GoAhead | PodAnswer:
        """Long poll of the judge: return its instruction as soon as there is one, 204 when none came within
        ``seconds``.
        """
        return await self._await_change(job, seconds, stage_reports.answer_go_ahead)

    async def _await_change(
        self, job: str, seconds: float, ready: Callable[[WorkFlow], T | None]
    ) -> T | PodAnswer:
        """Wait until ``ready`` returns something for the job, which ends the poll, or time is over (204)."""
        until = asyncio.get_running_loop().time() + seconds
        while True:
            workflow = self._job_cache.workflow(job)
            if workflow is None or workflow.finished or workflow.deleted is not None:
                return PodAnswer(410, "the job is over")
            if (found := ready(workflow)) is not None:
                return found
            # Taken before the wait and without an await in between: a change after the
            # check still wakes this poll.
            changed = self._runtimes[job].changed
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                return PodAnswer(204)
            try:
                async with asyncio.timeout(left):
                    await changed.wait()
            except TimeoutError:
                return PodAnswer(204)
