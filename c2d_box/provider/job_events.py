"""Follows operator-service's event stream to learn that jobs have ended: from then on their grants are
refused. An event that is missed here does no harm, since each redemption of a grant asks for the job's
state."""

from __future__ import annotations

import asyncio
import logging

from c2d_box.provider.backends.job_liveness import JobLiveness
from c2d_box.provider.backends.operator_client import OperatorClient, OperatorUnavailable
from c2d_box.retry import Backoff

log = logging.getLogger("c2d.provider.events")


async def follow_job_events(operator: OperatorClient, liveness: JobLiveness) -> None:
    """Follow the events until cancelled. A broken stream is opened again, after a second at first and half a
    minute at most."""
    backoff = Backoff(1.0, 30.0)
    while True:
        try:
            async for event in operator.job_events():
                # Reset at an event, not at the connection: a server that accepts and closes at once must not
                # be asked without pause.
                backoff.reset()
                # Only ends matter. That a job is alive is never concluded from events: see
                # :mod:`c2d_box.provider.backends.job_liveness`.
                if event.finished:
                    liveness.record_end(event.job)
        # The usual end of a stream (restart, idle connection), which the next round repairs. Not worth a log
        # line.
        except OperatorUnavailable:
            pass
        # Whatever else happens, the task must go on: nobody would notice that it has ended.
        except Exception:
            log.exception("the event stream failed")
        await asyncio.sleep(backoff.next_pause())
