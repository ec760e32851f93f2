"""When the engine was last seen at work: its Lease says so, which whoever leads renews every two seconds.

The original told of an environment whose engine had died as of any other; only ``lastSeen`` gave it away.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from c2d_box import timestamps
from c2d_box.kubernetes.port import LEASES, Cluster, ClusterError
from c2d_box.workflow import leases

FRESH = 2.0
"""Seconds for which an answer of Kubernetes is good enough."""


class Heartbeat:
    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._asked = float("-inf")
        self._seen = 0.0

    async def last_seen(self) -> float:
        """Unix seconds; 0 where no engine has ever led. While Kubernetes is away, what it said last."""
        if self._clock() < self._asked + FRESH:
            return self._seen
        self._asked = self._clock()
        try:
            lease = await self._cluster.get(LEASES, leases.ENGINE)
        except ClusterError:
            return self._seen
        renewed = ((lease or {}).get("spec") or {}).get("renewTime")
        self._seen = timestamps.rfc3339_seconds(renewed) if renewed else 0.0
        return self._seen
