"""Records Kubernetes events of each job, so that ``kubectl describe workflow`` shows its history.

There is one event per condition that comes true, under a name made of job and condition: recorded again, by
this engine or by the next one, it is the same event. Events are written asynchronously, so no job waits for
one, and one that cannot be written is dropped: what counts is in the status.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from c2d_box import timestamps
from c2d_box.kubernetes.port import EVENTS, AlreadyExists, Cluster, ClusterError, Object
from c2d_box.workflow import conditions, names
from c2d_box.workflow.resource import WorkFlow
from c2d_box.workflow.states import State

log = logging.getLogger(__name__)
RECENT = 600.0
"""Seconds. Older conditions were recorded by an engine before this one; their events may have been forgotten
on purpose.
"""
COMPONENT = "operator-engine"
"""Source of the events, as ``kubectl describe`` shows it."""


class EventRecorder:
    """Writes the events of enqueued jobs, one after the other, in a task of its own (:meth:`run`)."""

    def __init__(self, cluster: Cluster, namespace: str, clock: Callable[[], float] = time.time) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._clock = clock
        # The latest state of each job that is to be looked at; earlier ones are contained in it.
        self._untold: dict[str, WorkFlow] = {}
        # Conditions that were handled, by job, so that each costs one call at most.
        self._told: dict[str, set[str]] = {}
        self._news = asyncio.Event()

    def enqueue_events(self, workflow: WorkFlow) -> None:
        """Have the events of this job written soon, for conditions that are new."""
        self._untold[workflow.job] = workflow
        self._news.set()

    async def run(self) -> None:
        """Write events until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._untold:
                # Taken out before writing: a change that comes meanwhile puts the job in anew.
                job, workflow = next(iter(self._untold.items()))
                del self._untold[job]
                await self._write_event(workflow)

    async def _write_event(self, workflow: WorkFlow) -> None:
        told = self._told.setdefault(workflow.job, set())
        for condition in _events_of(workflow):
            if condition["type"] in told:
                continue
            # Noted before the call: an event that cannot be written is not tried again.
            told.add(condition["type"])
            if timestamps.rfc3339_seconds(condition["lastTransitionTime"]) > self._clock() - RECENT:
                await self._create(self._event(workflow, condition))
        # Nothing new comes for a job that is cleaned up.
        if workflow.at("cleaned") is not None:
            del self._told[workflow.job]

    async def _create(self, body: Object) -> None:
        """Create the event; one of this name was written by an engine before."""
        try:
            await self._cluster.create(EVENTS, body)
        except AlreadyExists:
            return
        except ClusterError as error:
            log.info("an event was not told: %s", error.message)

    def _event(self, workflow: WorkFlow, condition: dict[str, Any]) -> Object:
        """Build the event of a condition. The uid in its name tells jobs of the same name apart."""
        failed = condition["type"] == "Finished" and workflow.status.code != State.FINISHED
        # Events take whole seconds here, unlike the status.
        moment = f"{condition['lastTransitionTime'].partition('.')[0].removesuffix('Z')}Z"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{workflow.job}.{condition['type'].lower()}.{workflow.uid[:8]}",
                "labels": {names.LABEL_JOB: workflow.job},
            },
            "involvedObject": {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "namespace": self._namespace,
                "name": workflow.name,
                "uid": workflow.uid,
            },
            "type": "Warning" if failed else "Normal",
            "reason": condition["reason"],
            "message": condition["message"] or "The job ended well.",
            "source": {"component": COMPONENT},
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }


def _events_of(workflow: WorkFlow) -> list[dict[str, Any]]:
    """Return the conditions that become events; not ``Succeeded``, which says the same as ``Finished``."""
    status = workflow.status
    found = conditions.derive_conditions(status.times, status.code, status.reason)
    return [condition for condition in found if condition["type"] != "Succeeded"]
