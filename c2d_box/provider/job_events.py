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
                backoff.reset()
                if event.finished:
                    liveness.record_end(event.job)
        except OperatorUnavailable:
            pass
        except Exception:
            log.exception("the event stream failed")
        await asyncio.sleep(backoff.next_pause())
