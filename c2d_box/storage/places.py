"""Limits how many sources are waited for at once: in all, and on one host.

A host that takes connections and says nothing holds a slot until its deadline. It can hold the slots of its
own host only, so other hosts' files are opened meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from c2d_box.storage.addresses import Origin


class FetchLimits:
    """Slots for fetches between their start and the head of the answer: ``each`` for one host, ``in_all``
    for all."""

    def __init__(self, in_all: int = 256, each: int = 16) -> None:
        self._in_all = asyncio.Semaphore(in_all)
        self._each = each
        # By host, with the number of its users: hosts that nobody waits for leave no entry.
        self._hosts: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def slot_for(self, origin: Origin) -> AsyncIterator[None]:
        """Hold a slot. The host's own is waited for first: a fetch that waits for a slow host holds none
        of the others'."""
        host = origin.host
        # By host and not by origin: ports are free to choose, the host is what is slow.
        places, users = self._hosts.get(host) or (asyncio.Semaphore(self._each), 0)
        self._hosts[host] = (places, users + 1)
        try:
            async with places, self._in_all:
                yield
        finally:
            places, users = self._hosts[host]
            if users > 1:
                self._hosts[host] = (places, users - 1)
            else:
                del self._hosts[host]
