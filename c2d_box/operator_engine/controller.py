"""The loop around the plan: one job is worked on by one task at a time, whatever woke it.

News from the watches, reports of pods and deadlines all do the same: they mark the job as pending. Its
task looks at everything that is known, plans, acts, and looks again until there is nothing more to do but
wait. A failed call is repeated with growing pauses; an object that has changed meanwhile is read anew and
planned on again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from c2d_box.kubernetes.port import Changed, Cluster, ClusterError, Object, Resource
from c2d_box.operator_engine.effects.executor import Executor
from c2d_box.operator_engine.effects.job_network import JobNetworkResolver
from c2d_box.operator_engine.pod_api.pod_reports import Hearing
from c2d_box.operator_engine.rules.actions import (
    Action,
    AddFinalizer,
    CreateClaim,
    CreatePod,
    CreateSecret,
    DeleteClaim,
    DeletePod,
    DropResults,
    Record,
    RemoveFinalizer,
    Sweep,
    Wake,
)
from c2d_box.operator_engine.rules.plan import plan
from c2d_box.operator_engine.scheduling.capacity import Places
from c2d_box.operator_engine.scheduling.concurrency import Lanes
from c2d_box.operator_engine.settings import Settings
from c2d_box.operator_engine.stage_tokens import Tokens
from c2d_box.operator_engine.state.job_cache import SELECTORS, World
from c2d_box.operator_engine.state.job_runtime import LONGEST_PAUSE_SECONDS, Desk, Desks
from c2d_box.operator_engine.state.observer import Lookout
from c2d_box.operator_engine.telemetry.job_table_writer import Recorder
from c2d_box.operator_engine.telemetry.metrics import Figures
from c2d_box.workflow.resource import WorkFlow

log = logging.getLogger(__name__)
ROUNDS = 12
"""Of plan and act in one go: more than any job needs, so a rule that contradicts itself cannot spin."""
RESYNC_SECONDS = 60.0
_AGAIN_AFTER = 5.0
"""Seconds after which a deletion that has not been seen to work is asked for again."""
_SEEN_AT_ONCE = (
    Record,
    AddFinalizer,
    RemoveFinalizer,
    CreateClaim,
    CreateSecret,
    CreatePod,
    Sweep,
    DropResults,
)
"""Actions whose effect is known when the call returns, so that planning can go on."""


class Controller:
    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        tokens: Tokens,
        recorder: Recorder,
        gate: str,
        clock: Callable[[], float] = time.time,
        leads: Callable[[], bool] = lambda: True,
        tell: Callable[[WorkFlow], None] = lambda _: None,
        network: JobNetworkResolver | None = None,
    ) -> None:
        """``leads``: of several engines one acts, all answer pods. ``tell`` hears of each change of a job.
        ``network``: what job pods are told of addresses; None: what the settings say.
        """
        self._cluster = cluster
        self._settings = settings
        self._recorder = recorder
        self._clock = clock
        self._leads = leads
        self._tell = tell
        self._desks: Desks = defaultdict(Desk)
        self.world = World(self._news)
        self.figures = Figures()
        self._places = Places(settings)
        self._lanes = Lanes()
        self._limits = settings.limits_by_environment()
        self._lookout = Lookout(cluster, self.world, self._places, settings, clock)
        self._executor = Executor(
            cluster, self.world, settings, tokens, gate, network or JobNetworkResolver(settings)
        )
        self.hearing = Hearing(
            self.world, self._desks, tokens, self._lookout, self._executor, recorder, clock
        )
        self.synced = False

    # -- news

    async def resync(self) -> None:
        """Reads all of it: at the start, and now and then, in case a rule has failed on news."""
        for kind, selector in SELECTORS.items():
            self.take_list(kind, *await self._cluster.list(kind, selector))
        if not self.synced:
            self.synced = True
            self.lead(self._leads())
        elif self._leads():
            self._fill()  # a quota may have become free, of which there is no news

    def take_list(self, kind: Resource, bodies: list[Object], version: str) -> None:
        """All objects of ``kind`` there are, as of the list's ``version``."""
        self.world.replace(kind, bodies, int(version) if version.isdigit() else 0)

    def observe(self, kind: Resource, body: Object, deleted: bool) -> None:
        """A watch's news."""
        if deleted:
            self.world.remove(kind, body)
        else:
            self.world.put(kind, body)

    def _news(self, job: str) -> None:
        """A job on which a rule fails neither ends a watch nor keeps others' news from being taken."""
        try:
            self._take_news(job)
        except Exception:
            log.exception("a rule failed", extra={"job": job})

    def _take_news(self, job: str) -> None:
        workflow = self.world.workflow(job)
        self._places.see(job, workflow)
        desk = self._desks[job]
        desk.tell()
        if not self.synced or not self._leads():
            if workflow is None:
                del self._desks[job]
            return
        if workflow is not None and workflow.version != desk.noted:
            desk.noted = workflow.version
            self._recorder.note(workflow)
            self._tell(workflow)
        self.poke(job)
        self._fill()

    def _fill(self) -> None:
        """Whoever may come in now is looked at now."""
        for job in self._places.fill(self.world.workflow, self._clock()):
            self.poke(job)

    def lead(self, leading: bool) -> None:
        """This engine acts from now on; or does no more, and only answers."""
        if leading and self.synced:
            for workflow in list(self.world.workflows()):
                self._news(workflow.job)
        if not leading:
            for desk in self._desks.values():
                desk.drop()
            for job in self._places.release_all():
                self._places.see(job, self.world.workflow(job))

    def poke(self, job: str) -> None:
        """Have a look at this job, soon."""
        if not self._leads():
            return
        desk = self._desks[job]
        desk.pending = True
        if desk.task is None or desk.task.done():
            desk.task = asyncio.create_task(self._attend(job, desk), name=f"job {job}")

    async def idle(self) -> None:
        """Waits until no job is being worked on; for tests and for a clean end."""
        while tasks := [desk.task for desk in self._desks.values() if desk.task and not desk.task.done()]:
            await asyncio.wait(tasks)

    async def abandon(self) -> None:
        """Stops all work at once: a clean end is no different from a crash."""
        tasks = [task for desk in self._desks.values() if (task := desk.drop()) is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- a job's task

    async def _attend(self, job: str, desk: Desk) -> None:
        while desk.pending:
            desk.pending = False
            try:
                async with desk.lock:
                    await self._work(job, desk)
                desk.backoff.reset()
            except ClusterError as error:
                desk.trouble = error.message
                pause = desk.backoff.next_pause()
                log.warning("will try again: %s", error.message, extra={"job": job})
                self._wake_at(job, desk, self._clock() + pause)
            except Exception:
                log.exception("a rule failed", extra={"job": job})
                self._wake_at(job, desk, self._clock() + LONGEST_PAUSE_SECONDS)
        if self.world.workflow(job) is None and desk.timer is None:
            self._desks.pop(job, None)

    async def _work(self, job: str, desk: Desk) -> None:
        for _ in range(ROUNDS):
            workflow = self.world.workflow(job)
            if workflow is None:
                desk.hush()
                return
            if pause := desk.pace.take(self._clock()):
                self._wake_at(job, desk, self._clock() + pause)
                return
            if not await self._in_turn(workflow, desk):
                return
        log.error("a plan without end", extra={"job": job})
        self._wake_at(job, desk, self._clock() + LONGEST_PAUSE_SECONDS)

    async def _in_turn(self, workflow: WorkFlow, desk: Desk) -> bool:
        """What was known of it before it waited for its turn may be old news."""
        asked = time.perf_counter()
        async with self._lanes.of(workflow, reserved=self._places.reserved(workflow.job)):
            self.figures.waited(time.perf_counter() - asked)
            known = self.world.workflow(workflow.job)
            return known is None or await self._round(known, desk)

    async def _round(self, workflow: WorkFlow, desk: Desk) -> bool:
        """Look, plan, act, once. True when planning should go on."""
        began = time.perf_counter()
        seen = await self._lookout.look(workflow, desk)
        planning = time.perf_counter()
        limits = self._limits.get(workflow.spec.environment, self._settings.limits)
        actions = plan(seen, limits, self._lookout.maxtime(workflow))
        planned = time.perf_counter()
        try:
            return await self._act(workflow, desk, actions)
        finally:
            now = time.perf_counter()
            self.figures.observe(now - began, planned - planning, desk.pace.plans)

    # -- acting

    async def _act(self, workflow: WorkFlow, desk: Desk, actions: list[Action]) -> bool:
        """All at once. True when something is known to have changed, so that planning goes on."""
        if not self._leads():
            return False
        wakes = [action.at for action in actions if isinstance(action, Wake)]
        due = [action for action in actions if not isinstance(action, Wake) and self._is_due(desk, action)]
        if wakes:
            self._wake_at(workflow.job, desk, min(wakes))
        work = (self._executor.perform(workflow, action) for action in due)
        results = await asyncio.gather(*work, return_exceptions=True)
        again = False
        for action, result in zip(due, results, strict=True):
            if isinstance(result, Changed):
                await self._lookout.reread(workflow)
                again = True
            elif isinstance(result, BaseException):
                raise result
            else:
                _note(desk, action)
                again = again or isinstance(action, _SEEN_AT_ONCE)
        return again

    def _is_due(self, desk: Desk, action: Action) -> bool:
        """A deletion shows its effect through the watch; until then it is not asked for over and over."""
        if not isinstance(action, DeletePod | DeleteClaim):
            return True
        key, now = repr(action), self._clock()
        if now < desk.asked.get(key, 0.0) + _AGAIN_AFTER:
            return False
        desk.asked[key] = now
        return True

    def _wake_at(self, job: str, desk: Desk, moment: float) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time() + max(0.0, moment - self._clock())
        if desk.timer is not None and not desk.timer.cancelled() and loop.time() < desk.timer.when() <= at:
            return
        if desk.timer is not None:
            desk.timer.cancel()

        def ring() -> None:
            desk.timer = None
            self.poke(job)

        desk.timer = loop.call_at(at, ring)

    @property
    def leading(self) -> bool:
        return self._leads()

    def measured(self) -> dict[str, Any]:
        """The engine's figures, for whoever measures it."""
        return self.figures.as_dict(self._places.held(), self._places.queued())

    def announcements(self) -> list[tuple[str, dict[str, Any]]]:
        """Each environment's object, with the number of jobs that hold a place."""
        if not self._leads():
            return []
        now, held = self._clock(), self._places.held()
        return [
            (entry.id, entry.announced(current_jobs=held.get(entry.id, 0), last_seen=now))
            for entry in self._settings.environments
        ]


def _note(desk: Desk, action: Action) -> None:
    """Of a step that leaves nothing to observe, this process remembers that it was done."""
    match action:
        case CreateSecret():
            desk.done.add("secret")
        case Sweep():
            desk.done.add("sweep")
