"""The reconcile loop: at most one task works on a job at a time, whatever has woken it.

Watch events, reports of pods and deadlines all do the same: they mark the job as pending. The job's task
observes everything that is known of it, plans, acts, and observes again until nothing is left to do but to
wait. A failed call is repeated with growing pauses. After a version conflict the WorkFlow is read anew and
planned for again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from c2d_box.kubernetes.port import Cluster, ClusterError, Object, ResourceKind, VersionConflict
from c2d_box.operator_engine.effects.executor import Executor
from c2d_box.operator_engine.rules.actions import (
    Action,
    AddFinalizer,
    CreateClaim,
    CreatePod,
    CreateSecret,
    DeleteClaim,
    DeletePod,
    DeleteResults,
    DeleteSecretsAndLeases,
    PatchStatus,
    RemoveFinalizer,
    RequeueAt,
)
from c2d_box.operator_engine.rules.plan import plan_actions
from c2d_box.operator_engine.scheduling.capacity import EnvironmentPlaces
from c2d_box.operator_engine.scheduling.concurrency import ReconcileLimits
from c2d_box.operator_engine.settings import EngineSettings
from c2d_box.operator_engine.state.job_cache import SELECTORS, JobCache
from c2d_box.operator_engine.state.job_runtime import LONGEST_PAUSE_SECONDS, JobRuntime, JobRuntimes
from c2d_box.operator_engine.state.observer import Observer
from c2d_box.operator_engine.telemetry.job_table_writer import JobTableWriter
from c2d_box.operator_engine.telemetry.metrics import EngineMetrics
from c2d_box.workflow.resource import WorkFlow

log = logging.getLogger(__name__)
ROUNDS = 12
"""Rounds of plan and act without a wait: more than any job needs, so contradicting rules cannot spin."""
RESYNC_SECONDS = 60.0
_AGAIN_AFTER = 5.0
"""Seconds after which a deletion that has not been seen to work is asked for again."""
_SEEN_AT_ONCE = (
    PatchStatus,
    AddFinalizer,
    RemoveFinalizer,
    CreateClaim,
    CreateSecret,
    CreatePod,
    DeleteSecretsAndLeases,
    DeleteResults,
)
"""Actions whose effect is known when the call returns, so that planning can go on."""


class Controller:
    """Reconciles jobs. Of several engines only the leader acts; all keep their copy of the cluster."""

    def __init__(
        self,
        cluster: Cluster,
        settings: EngineSettings,
        job_cache: JobCache,
        runtimes: JobRuntimes,
        places: EnvironmentPlaces,
        observer: Observer,
        executor: Executor,
        job_table: JobTableWriter,
        *,
        clock: Callable[[], float] = time.time,
        leads: Callable[[], bool] = lambda: True,
        tell: Callable[[WorkFlow], None] = lambda _: None,
    ) -> None:
        """``leads`` returns whether this engine acts now. ``tell`` is called with a job's WorkFlow after each
        change of it.
        """
        self._cluster = cluster
        self._settings = settings
        self._job_table = job_table
        self._clock = clock
        self._leads = leads
        self._tell = tell
        self._runtimes = runtimes
        self.job_cache = job_cache
        self.metrics = EngineMetrics()
        self._places = places
        self._reconcile_limits = ReconcileLimits()
        self._limits = settings.limits_by_environment()
        self._observer = observer
        self._executor = executor
        # False until everything was listed once: before that, an absent pod or claim means nothing.
        self.synced = False
        job_cache.listen(self._on_change)

    # -- changes of the cluster

    async def resync(self) -> None:
        """List all objects anew: at the start, and periodically, in case a rule has failed on a change."""
        for kind, selector in SELECTORS.items():
            self.take_list(kind, *await self._cluster.list(kind, selector))
        if not self.synced:
            self.synced = True
            # The election may have been won before the first list; the jobs are taken up only now.
            self.on_leadership_change(self._leads())
        elif self._leads():
            self._admit_next()  # a quota may have become free, which no watch event shows

    def take_list(self, kind: ResourceKind, bodies: list[Object], version: str) -> None:
        """Replace the copy of ``kind`` by a complete list, taken at ``version``."""
        # Versions are opaque to the API's convention, but numbers in every Kubernetes that stores in etcd.
        self.job_cache.replace_list(kind, bodies, int(version) if version.isdigit() else 0)

    def take_change(self, kind: ResourceKind, body: Object, deleted: bool) -> None:
        """Apply one watch event to the copy: ``body`` was written, or is ``deleted``."""
        if deleted:
            self.job_cache.remove_object(kind, body)
        else:
            self.job_cache.put_object(kind, body)

    def _on_change(self, job: str) -> None:
        """Take a change of ``job``. Failures are logged only: a rule that fails on one job must neither end
        the watch nor keep changes of other jobs from being taken.
        """
        try:
            self._take_change(job)
        except Exception:
            log.exception("a rule failed", extra={"job": job})

    def _take_change(self, job: str) -> None:
        # Everything down to the check for leadership is done by followers too: they answer pods, and one that
        # becomes the leader must know who holds which place.
        workflow = self.job_cache.workflow(job)
        self._places.update_job(job, workflow)
        runtime = self._runtimes[job]
        runtime.notify_waiters()
        if not self.synced or not self._leads():
            if workflow is None:
                del self._runtimes[job]
            return
        # Changes of pods and claims come here as well and make no new row.
        if workflow is not None and workflow.version != runtime.noted:
            runtime.noted = workflow.version
            self._job_table.enqueue_row(workflow)
            self._tell(workflow)
        self.enqueue(job)
        # This change may have freed a place, for whichever job is next.
        self._admit_next()

    def _admit_next(self) -> None:
        """Give free places to the jobs whose turn it is, and reconcile those jobs at once."""
        for job in self._places.admit_next(self.job_cache.workflow, self._clock()):
            self.enqueue(job)

    def on_leadership_change(self, leading: bool) -> None:
        """Begin to act on all jobs (``leading``), or stop acting: this engine then only answers pods."""
        if leading and self.synced:
            for workflow in list(self.job_cache.workflows()):
                self._on_change(workflow.job)
        if not leading:
            for runtime in self._runtimes.values():
                runtime.cancel_work()
            # A reservation that is not recorded as an admission is void: the next leader decides anew.
            for job in self._places.release_all():
                self._places.update_job(job, self.job_cache.workflow(job))

    def enqueue(self, job: str) -> None:
        """Reconcile ``job`` soon; does nothing on an engine that does not lead."""
        if not self._leads():
            return
        runtime = self._runtimes[job]
        # Set even while a task runs: that task then does another round, with what has changed meanwhile.
        runtime.pending = True
        if runtime.task is None or runtime.task.done():
            runtime.task = asyncio.create_task(self._reconcile_loop(job, runtime), name=f"job {job}")

    async def wait_idle(self) -> None:
        """Wait until no job is being worked on; for tests and for a clean end."""
        while tasks := [
            runtime.task for runtime in self._runtimes.values() if runtime.task and not runtime.task.done()
        ]:
            await asyncio.wait(tasks)

    async def cancel_all(self) -> None:
        """Cancel all work at once: a clean end is no different from a crash."""
        tasks = [task for runtime in self._runtimes.values() if (task := runtime.cancel_work()) is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- a job's task

    async def _reconcile_loop(self, job: str, runtime: JobRuntime) -> None:
        while runtime.pending:
            runtime.pending = False
            try:
                # The pods' reports hold the same lock: plan and report never write
                # the status at the same time.
                async with runtime.lock:
                    await self._reconcile(job, runtime)
                runtime.backoff.reset()
            except ClusterError as error:
                runtime.trouble = error.message
                pause = runtime.backoff.next_pause()
                log.warning("will try again: %s", error.message, extra={"job": job})
                # By a timer instead of sleeping here: a change that comes earlier wakes the job at once.
                self._wake_at(job, runtime, self._clock() + pause)
            # One job's fault must not end the engine: the job is tried again, and the log names the rule.
            except Exception:
                log.exception("a rule failed", extra={"job": job})
                self._wake_at(job, runtime, self._clock() + LONGEST_PAUSE_SECONDS)
        # A job that is gone leaves nothing in memory; with a timer pending the next round decides that.
        if self.job_cache.workflow(job) is None and runtime.timer is None:
            self._runtimes.pop(job, None)

    async def _reconcile(self, job: str, runtime: JobRuntime) -> None:
        for _ in range(ROUNDS):
            workflow = self.job_cache.workflow(job)
            if workflow is None:
                runtime.cancel_timer()
                return
            # Each round takes a token, so that no flood of changes makes a job plan without end.
            if pause := runtime.pace.take_turn(self._clock()):
                self._wake_at(job, runtime, self._clock() + pause)
                return
            if not await self._reconcile_in_turn(workflow, runtime):
                return
        log.error("a plan without end", extra={"job": job})
        self._wake_at(job, runtime, self._clock() + LONGEST_PAUSE_SECONDS)

    async def _reconcile_in_turn(self, workflow: WorkFlow, runtime: JobRuntime) -> bool:
        """Reconcile once, as soon as a concurrency slot is free. The job is then read from the cache again:
        it may have changed during the wait.
        """
        asked = time.perf_counter()
        async with self._reconcile_limits.slot_for(workflow, reserved=self._places.is_reserved(workflow.job)):
            self.metrics.add_wait(time.perf_counter() - asked)
            known = self.job_cache.workflow(workflow.job)
            # True: the next round sees that the job is gone, and cancels its timer.
            return known is None or await self._reconcile_once(known, runtime)

    async def _reconcile_once(self, workflow: WorkFlow, runtime: JobRuntime) -> bool:
        """Observe, plan and act once. Return whether planning should go on."""
        began = time.perf_counter()
        seen = await self._observer.observe_job(workflow, runtime)
        planning = time.perf_counter()
        # A job whose environment was removed from the settings still needs limits, to be cleaned up by.
        limits = self._limits.get(workflow.spec.environment, self._settings.limits)
        actions = plan_actions(seen, limits, self._observer.time_limit(workflow))
        planned = time.perf_counter()
        try:
            return await self._execute_actions(workflow, runtime, actions)
        finally:
            now = time.perf_counter()
            self.metrics.add_round(now - began, planned - planning, runtime.pace.plans)

    # -- acting

    async def _execute_actions(self, workflow: WorkFlow, runtime: JobRuntime, actions: list[Action]) -> bool:
        """Execute ``actions`` concurrently. Return True when something is known to have changed, so that
        planning goes on.
        """
        # Asked again: the observation may have waited for the API server longer than the lease lasts.
        if not self._leads():
            return False
        wakes = [action.at for action in actions if isinstance(action, RequeueAt)]
        due = [
            action
            for action in actions
            if not isinstance(action, RequeueAt) and self._is_due(runtime, action)
        ]
        if wakes:
            self._wake_at(workflow.job, runtime, min(wakes))
        work = (self._executor.execute_action(workflow, action) for action in due)
        # Errors are collected, so that no call is abandoned half-way because another one failed.
        results = await asyncio.gather(*work, return_exceptions=True)
        again = False
        for action, result in zip(due, results, strict=True):
            if isinstance(result, VersionConflict):
                # Somebody else has written: what was decided on the old version is void.
                await self._observer.refresh_workflow(workflow)
                again = True
            elif isinstance(result, BaseException):
                raise result
            else:
                _remember_done(runtime, action)
                again = again or isinstance(action, _SEEN_AT_ONCE)
        return again

    def _is_due(self, runtime: JobRuntime, action: Action) -> bool:
        """Return whether to execute ``action`` now. A deletion shows its effect only through the watch; until
        then it is repeated after ``_AGAIN_AFTER`` seconds at the earliest, not in every round.
        """
        if not isinstance(action, DeletePod | DeleteClaim):
            return True
        # The representation holds uid and grace period, so a kill after a polite
        # stop counts as another request.
        key, now = repr(action), self._clock()
        if now < runtime.asked.get(key, 0.0) + _AGAIN_AFTER:
            return False
        runtime.asked[key] = now
        return True

    def _wake_at(self, job: str, runtime: JobRuntime, moment: float) -> None:
        # Moments are wall-clock seconds, as in the status; timers count by the loop's monotonic clock.
        loop = asyncio.get_running_loop()
        at = loop.time() + max(0.0, moment - self._clock())
        # A timer that rings earlier stays: the plan made then sets the next one.
        if (
            runtime.timer is not None
            and not runtime.timer.cancelled()
            and loop.time() < runtime.timer.when() <= at
        ):
            return
        if runtime.timer is not None:
            runtime.timer.cancel()

        def ring() -> None:
            runtime.timer = None
            self.enqueue(job)

        runtime.timer = loop.call_at(at, ring)

    @property
    def leading(self) -> bool:
        """True while this engine acts; it can turn false between any two calls."""
        return self._leads()

    def measured(self) -> dict[str, Any]:
        """Return the engine's figures, served at ``/figures``."""
        return self.metrics.as_dict(self._places.places_held(), self._places.jobs_queued())

    def announcements(self) -> list[tuple[str, dict[str, Any]]]:
        """Return each environment's announcement, with the number of jobs that hold a place; none unless this
        engine leads.
        """
        if not self._leads():
            return []
        now, held = self._clock(), self._places.places_held()
        return [
            (entry.id, entry.announced(current_jobs=held.get(entry.id, 0), last_seen=now))
            for entry in self._settings.environments
        ]


def _remember_done(runtime: JobRuntime, action: Action) -> None:
    """Remember that a step was done whose effect the engine's copy of the cluster does not show (Secret,
    Leases). In memory only: after a restart the step is repeated.
    """
    match action:
        case CreateSecret():
            runtime.done.add("secret")
        case DeleteSecretsAndLeases():
            runtime.done.add("sweep")
