"""Reads when an engine last led: from its Lease, which the leader renews every two seconds.

The original announced an environment whose engine had died like any other; only ``lastSeen`` showed it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from c2d_box import timestamps
from c2d_box.kubernetes.port import LEASES, Cluster, ClusterError
from c2d_box.workflow import leases

FRESH = 2.0
"""Seconds for which an answer of Kubernetes is used again."""


class EngineHeartbeat:
    """Caches the renewal time of the engine's Lease."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._asked = float("-inf")
        self._seen = 0.0

    async def last_seen(self) -> float:
        """Return Unix seconds; 0 where no engine has ever led. While Kubernetes is away, its last answer
        counts.
        """
        if self._clock() < self._asked + FRESH:
            return self._seen
        # Noted before the call: while Kubernetes does not answer, it is asked every two
        # seconds and not by each request.
        self._asked = self._clock()
        try:
            lease = await self._cluster.get(LEASES, leases.ENGINE)
        except ClusterError:
            return self._seen
        # By the clock of the leader's node.
        renewed = ((lease or {}).get("spec") or {}).get("renewTime")
        self._seen = timestamps.rfc3339_seconds(renewed) if renewed else 0.0
        return self._seen
