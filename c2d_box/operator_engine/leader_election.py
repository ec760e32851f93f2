"""Leader election: of several engines one acts at a time. It renews a Lease that the others watch.

A follower takes over when the lease has not moved for its whole duration by the follower's *own* clock, so
clocks of two nodes need not agree. A leader that could not renew in time stops acting before anybody else
may start: it gives up a margin before the lease ends. Calls that such an engine had sent already do no harm,
since every write is safe to repeat or names the version it was decided on, and a second pod for the algorithm
is never released (``algorithm.uid``).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from c2d_box import timestamps
from c2d_box.kubernetes.port import (
    LEASES,
    AlreadyExists,
    Cluster,
    ClusterError,
    Object,
    ObjectGone,
    VersionConflict,
)
from c2d_box.workflow import leases

log = logging.getLogger(__name__)
DURATION = 8.0
"""Seconds after which a lease that has not moved is free."""
RENEW = 2.0
"""Seconds between two attempts: two may fail before a leader must give up."""
_PATIENCE = 0.75
"""Share of its lease after which a leader that could not renew it gives up."""


class LeaderElection:
    """Acquires and renews the engine's Lease.

    ``is_leading`` must be asked before every act: it turns false by time alone, without any call.
    """

    def __init__(
        self,
        cluster: Cluster,
        identity: str,
        *,
        duration: float = DURATION,
        renew: float = RENEW,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``identity`` should outlive a restart of the process: then a restarted engine goes on at once."""
        self._cluster = cluster
        self._identity = identity
        self._lead: Callable[[bool], None] = lambda leading: None
        self._duration = duration
        self._renew = renew
        self._clock = clock
        self._leading = False
        # Moment before the last successful renewal was sent, by our clock; the lease counts from there.
        self._renewed = float("-inf")
        # The version last seen and when: a lease that does not change its version is not being renewed.
        self._last_seen: tuple[str, float] = ("", float("-inf"))
        self._version = ""

    def listen(self, lead: Callable[[bool], None]) -> None:
        """Call ``lead`` when this engine becomes the leader and when it stops being the leader."""
        self._lead = lead

    @property
    def is_leading(self) -> bool:
        """True only while nobody else can be leading: asked before every act."""
        return self._leading and self._clock() < self._renewed + self._duration * _PATIENCE

    async def run(self) -> None:
        """Try to hold the Lease until cancelled; a failure of the API server is a failed attempt."""
        while True:
            await self.try_lease()
            await asyncio.sleep(self._renew)

    async def try_lease(self) -> None:
        """Try once to renew the Lease or to take it over.

        Where an answer came so late that this engine had stopped acting meanwhile, though nobody took over,
        ``lead`` is called anew: changes that would have woken jobs in between were ignored.
        """
        # Taken before the call: an answer that was long on its way must not prolong the lease.
        asked = self._clock()
        try:
            held = await self._note_leading()
        except ClusterError as error:
            log.warning("the lease could not be renewed: %s", error.message)
            # A failed call decides nothing: a leader stays one until its time is over.
            held = self.is_leading
            stood_still = False
        else:
            stood_still = held and self._leading and not self.is_leading
            if held:
                self._renewed = asked
        if held != self._leading or stood_still:
            self._leading = held
            log.info("leading" if held else "following", extra={"identity": self._identity})
            self._lead(held)

    async def release_lease(self) -> None:
        """Give the Lease up at a clean end, so that the next leader need not wait."""
        if not self._leading:
            return
        # Stop first, then let go: in between nobody leads.
        self._leading = False
        self._lead(False)
        with contextlib.suppress(ClusterError):
            # On our own version: a lease that somebody else has taken meanwhile is left alone.
            patch = {"metadata": {"resourceVersion": self._version}, "spec": {"holderIdentity": ""}}
            await self._cluster.patch(LEASES, leases.ENGINE, patch)

    async def _note_leading(self) -> bool:
        """Read the Lease and write it if it is ours, free or stale; return whether it is ours now."""
        lease = await self._cluster.get(LEASES, leases.ENGINE)
        if lease is None:
            return await self._write_lease(lambda: self._cluster.create(LEASES, self._lease_body()))
        holder, version = lease["spec"].get("holderIdentity") or "", lease["metadata"]["resourceVersion"]
        # Only the change counts, not the time written in it: no two clocks are compared.
        if version != self._last_seen[0]:
            self._last_seen = (version, self._clock())
        idle = self._clock() - self._last_seen[1]
        if holder not in ("", self._identity) and idle < self._duration:
            return False
        # On the version that was judged stale: of two followers that try together one gets a conflict.
        patch = {"metadata": {"resourceVersion": version}, "spec": self._lease_spec()}
        return await self._write_lease(lambda: self._cluster.patch(LEASES, leases.ENGINE, patch))

    async def _write_lease(self, write: Callable[[], object]) -> bool:
        """Write the Lease; return False where somebody else was faster."""
        try:
            written: Object = await write()  # type: ignore[misc]
        except (AlreadyExists, VersionConflict, ObjectGone):
            return False
        self._version = written["metadata"]["resourceVersion"]
        self._last_seen = (self._version, self._clock())
        return True

    def _lease_spec(self) -> Object:
        """Return the spec as other tools expect it. ``renewTime`` is for people and
        for operator-service's heartbeat.
        """
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(max(1.0, self._duration)),
            "renewTime": timestamps.rfc3339_text(time.time()),
        }

    def _lease_body(self) -> Object:
        """Return the Lease's first version."""
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": leases.ENGINE},
            "spec": self._lease_spec(),
        }
