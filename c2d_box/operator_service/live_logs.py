"""Logs of a job: live from the pod while it exists, from the published results afterwards; always
through the gate.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from c2d_box.kubernetes.port import Cluster, ClusterError, ObjectGone
from c2d_box.operator_service.arguments import OperatorRefusal
from c2d_box.operator_service.jobs import JobIndex
from c2d_box.operator_service.results import StoredResults
from c2d_box.workflow import names
from c2d_box.workflow.loggate import LogGate
from c2d_box.workflow.resource import WorkFlow

_CONTAINERS: dict[str, tuple[names.Component, str]] = {
    "configuration": ("configuration", "configuration"),
    "algorithm": ("algorithm", "algorithm"),
    "isolation": ("algorithm", "warden"),
    "judge": ("publishing", "judge"),
    "publishing": ("publishing", "upload"),
}
"""Pod and container of each log that can be asked for."""
_STORED = {"algorithm": "algorithmLog", "configuration": "configrationLog", "publishing": "publishLog"}
"""Type of each log among the results; ``configrationLog`` is spelt as in the original."""


_WITHHELD = frozenset({"algorithm", "isolation"})
"""Logs that an algorithm can write into: with a disclosure rule they are withheld until the verdict on the
outputs.
"""
PAUSE = 0.2
"""Seconds between two checks for a log that has not begun."""


class JobLogs:
    """Opens a job's log as a stream, wherever it is at that moment."""

    def __init__(self, cluster: Cluster, results: StoredResults, jobs: JobIndex, budget: int) -> None:
        self._cluster = cluster
        self._results = results
        self._jobs = jobs
        self._budget = budget

    async def open_log(self, workflow: WorkFlow, component: str, *, follow: bool) -> AsyncIterator[bytes]:
        """Return the log as far as it exists, ready to be streamed; raises
        OperatorRefusal where there is none (yet).

        With ``follow`` the stream waits for a log that has not begun, until the job is over.
        """
        if component not in _CONTAINERS:
            raise OperatorRefusal(400, f'"component" must be one of {", ".join(sorted(_CONTAINERS))}')
        source = await self._log_source(workflow, component, follow)
        if source is None and follow and not workflow.finished:
            source = self._awaited_log(workflow.job, component)
        if source is None:
            raise OperatorRefusal(404, f"There is no log of {component} of job {workflow.job} (yet).")
        return _gated_log(source, self._budget)

    async def _log_source(
        self, workflow: WorkFlow, component: str, follow: bool
    ) -> AsyncIterator[bytes] | None:
        """Return the log's bytes from the pod if they may be shown there, else from the results."""
        ruled = bool((workflow.stage.output or {}).get("disclosure"))
        # A live log comes before the verdict on the outputs, so a disclosure rule forbids it.
        live = None
        if not (ruled and component in _WITHHELD):
            live = await self._live_log(workflow, component, follow)
        # A finished pod may be gone while its log is among the results.
        return live or await self._stored_log(workflow, component)

    async def _awaited_log(self, job: str, component: str) -> AsyncIterator[bytes]:
        """Yield the log as soon as it begins, and nothing where the job ends without it."""
        # Asked anew each time: the pod's attempt, and with it the container, may change while we wait.
        while (workflow := self._jobs.get_job(job)) is not None:
            source = await self._log_source(workflow, component, True)
            if source is not None:
                async for chunk in source:
                    yield chunk
                return
            if workflow.finished:
                return
            await asyncio.sleep(PAUSE)

    async def _live_log(
        self, workflow: WorkFlow, component: str, follow: bool
    ) -> AsyncIterator[bytes] | None:
        """Open the pod's log; None where it has none. The first piece is fetched here, so that a missing log
        is known before the answer begins.
        """
        part, container = _CONTAINERS[component]
        attempts = workflow.status.attempts
        # The algorithm has one attempt only.
        number = {"configuration": attempts.configuration, "publishing": attempts.publishing}.get(part, 1)
        pod = names.pod_name(workflow.job, part, number)
        lines = self._cluster.logs(pod, container, follow=follow)
        try:
            first = await anext(lines, b"")
        except ObjectGone:
            return None
        except ClusterError as error:
            if error.status == 400:  # the container waits to be started
                return None
            raise
        return _join_chunks(first, lines)

    async def _stored_log(self, workflow: WorkFlow, component: str) -> AsyncIterator[bytes] | None:
        """Return the log from the job's results; None where it is not among them."""
        kind = _STORED.get(component)
        found = next((entry for entry in workflow.status.results or () if entry.type == kind), None)
        # Only its owner can open it, and bytes of a cipher are no log.
        if found is not None and found.encryption:
            raise OperatorRefusal(
                409, f"The log of {component} is encrypted for its owner: get it as a result."
            )
        return None if found is None else await self._results.result_content(workflow.job, found)


def is_followed(arguments: Mapping[str, Any]) -> bool:
    """Return whether the caller also wants the lines that are still to come.

    The value may be a boolean of JSON or a text of the query.
    """
    return str(arguments.get("follow", "")).lower() in ("1", "true", "yes")


async def _join_chunks(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the chunk that was fetched to see whether there is a log, then the others."""
    yield first
    async for chunk in rest:
        yield chunk


async def _gated_log(source: AsyncIterator[bytes], budget: int) -> AsyncIterator[bytes]:
    """Yield the log as the gate lets it through, up to the budget of bytes."""
    # One gate for each answer: the budget is what one caller may get at a time.
    gate = LogGate(budget)
    try:
        async for chunk in source:
            if passed := gate.filter_bytes(chunk):
                yield passed
            if gate.truncated:
                break
    except (ClusterError, OperatorRefusal):
        # The answer has begun, so its status cannot change any more: the text says it.
        yield b"\n[log broke off]\n"
    yield gate.finish_log()
