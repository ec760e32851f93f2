"""Learning that jobs have ended, from operator-service's event stream: their grants are worth nothing
from then on."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from c2d_box.provider.operator import OperatorUnavailable
from c2d_box.provider.services import Services

log = logging.getLogger("c2d.provider.events")

_REMEMBERED = 20_000


async def listen(services: Services) -> None:
    """Until cancelled; a broken stream is opened again, after a second at first and half a minute at most."""
    operator = services.operator
    assert operator is not None
    order: deque[str] = deque()
    wait = 1.0
    while True:
        try:
            async for event in operator.events():
                wait = 1.0
                if event.finished and event.job not in services.ended_jobs:
                    services.ended_jobs.add(event.job)
                    order.append(event.job)
                    if len(order) > _REMEMBERED:
                        services.ended_jobs.discard(order.popleft())
        except OperatorUnavailable:
            pass
        except Exception:
            log.exception("the event stream failed")
        await asyncio.sleep(wait)
        wait = min(wait * 2, 30.0)
