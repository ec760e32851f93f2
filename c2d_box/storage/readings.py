"""Readings of whole sources, each made once for all who ask for the same within some seconds.

Quotes and looks at an algorithm cost their askers nothing, and each needs the hash of what the publisher's
source sends, up to 32 MiB. Without this memory the Provider would be a lever on that source.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from c2d_box.storage.errors import StorageError
from c2d_box.storage.port import FileProbe

SECONDS = 10.0
"""The seconds for which a reading counts. A changed file is noticed that much later by quotes; a start
reads anew."""
KEPT = 256
"""Readings that are kept. Each is a hash, a length and at most one header of its source."""


class ProbeCache:
    """Shares readings of sources among those who may know of each other's. Readable sources stay for
    ``SECONDS``; failures do not, so that a repaired source is found at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running: dict[bytes, asyncio.Task[FileProbe]] = {}
        self._known: OrderedDict[bytes, tuple[float, FileProbe]] = OrderedDict()

    async def probe_once(
        self, key: bytes, read: Callable[[], Coroutine[Any, Any, FileProbe]], *, anew: bool = False
    ) -> FileProbe:
        """Return what ``read`` finds, or what it found for ``key`` a moment ago, or is just finding. ``key``
        has to tell apart all that is sent to a source and everybody who must not know of the other's
        question: an answer out of memory comes faster. ``anew``: nothing that was read, or begun, before
        counts.

        A fault of the source is told to all who wait for one reading. Any other is that of the caller who
        began it: a budget that is used up must not end the reading for the others, of whom the next one
        begins.
        """
        while True:
            known = None if anew else self._known.get(key)
            if known is not None and self._clock() < known[0]:
                return known[1]
            running = None if anew else self._running.get(key)
            reading = running or self._begin_reading(key, read)
            try:
                # A caller that goes away takes the reading from nobody else.
                return await asyncio.shield(reading)
            # A fault of the source, which is the same for all.
            except StorageError:
                raise
            # The beginner's own budget: those who joined go round once more, and one of them begins.
            except Exception:
                if running is None:
                    raise

    def _begin_reading(
        self, key: bytes, read: Callable[[], Coroutine[Any, Any, FileProbe]]
    ) -> asyncio.Task[FileProbe]:
        """Start a reading as a task of its own, because the caller that began it may go away."""
        reading = self._running[key] = asyncio.create_task(read())
        reading.add_done_callback(partial(self._end_reading, key))
        return reading

    def _end_reading(self, key: bytes, reading: asyncio.Task[FileProbe]) -> None:
        """Keep a good reading. An older one that ends late must not replace a newer one."""
        failed = reading.cancelled() or reading.exception() is not None
        if self._running.get(key) is not reading:
            return  # a newer one knows better
        del self._running[key]
        self._known.pop(key, None)
        if not failed and reading.result().valid:
            self._known[key] = (self._clock() + SECONDS, reading.result())
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
