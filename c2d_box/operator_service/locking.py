"""The locks on a job's orders: one order carries one job at a time, also where the lock was left behind.

A lock is a Lease. It is taken before the WorkFlow is created and read once more afterwards. A call that takes
a lock over first writes it, on the version that it judged as left behind, and then reads once more whether
the holder has made its WorkFlow after all. So each of two calls writes before it reads, and at least one sees
the other, however long either of them was held up in between.

The job's grants are handed out after that. A WorkFlow whose service died before it held its locks gets none,
and without grants no algorithm runs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from c2d_box.kubernetes.port import LEASES, AlreadyExists, Cluster, Object, ObjectGone, VersionConflict
from c2d_box.operator_service.arguments import OperatorRefusal
from c2d_box.workflow import leases, resource
from c2d_box.workflow.resource import WORKFLOWS, WorkFlow

IN_USE = "`agreementId` already in use for other job."
"""The original's text."""
_ATTEMPTS = 5
"""Attempts to write a lock that changes in between; after them the order counts as in use."""


class OrderLocks:
    """Takes, proves and releases the locks on a job's orders."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def take_locks(self, keys: Iterable[str], job: str) -> None:
        """Take all locks, or none and raise OperatorRefusal. They are taken in sorted order, so that of two
        jobs that share several orders one gets them all.
        """
        taken: list[str] = []
        try:
            for key in sorted(keys):
                # False: the lock is of an earlier call for this job, which still needs it if this call fails.
                if await self._take_lock(key, job):
                    taken.append(key)
        except OperatorRefusal:
            await self.release_locks(taken, job)
            raise

    async def hold_locks(self, workflow: WorkFlow) -> None:
        """Prove that the job still has its locks now that its WorkFlow exists. Raises OperatorRefusal where
        another job has one; this one's WorkFlow is gone then.
        """
        keys = leases.order_keys(workflow.spec)
        held = await asyncio.gather(*(self._hold_lock(key, workflow.job) for key in keys))
        if all(held):
            return
        # The WorkFlow goes before the locks: without grants it could not run, but it must not stay either.
        await self._cluster.delete(WORKFLOWS, workflow.name, uid=workflow.uid)
        await self.release_locks(keys, workflow.job)
        raise OperatorRefusal(400, IN_USE)

    async def release_locks(self, keys: Iterable[str], job: str) -> None:
        """Release those locks that this job holds; by uid, since another job may
        have taken one over meanwhile.
        """
        for key in keys:
            lease = await self._cluster.get(LEASES, leases.order_lease_name(key))
            if lease is not None and leases.lease_holder(lease) == job:
                await self._cluster.delete(LEASES, lease["metadata"]["name"], uid=lease["metadata"]["uid"])

    async def _take_lock(self, key: str, job: str) -> bool:
        """Take one lock. Return False where an earlier call for the same job has taken it; it is renewed
        then.
        """
        for _ in range(_ATTEMPTS):
            try:
                await self._cluster.create(LEASES, leases.lease_body(key, job, time.time()))
                return True
            except AlreadyExists:
                lease = await self._cluster.get(LEASES, leases.order_lease_name(key))
            # Released between the two calls: try to create it again.
            if lease is None:
                continue
            if leases.lease_holder(lease) == job:
                # Renewed in time, so that no other call takes it for left behind while this one is at work.
                fresh = time.time() < leases.renewed_at(lease) + leases.STALE_SECONDS / 2
                if fresh or await self._patch_lease(lease, leases.lease_renewal(time.time())):
                    return False
                continue
            if not await self._is_left_behind(lease):
                break
            # On the version that was judged: of two calls that take over at the
            # same time one gets a conflict.
            mine = await self._patch_lease(lease, leases.lease_takeover(job, time.time()))
            if mine is None:
                continue
            # The holder has made its WorkFlow after all: the lock is given back.
            if not await self._is_over(leases.lease_holder(lease)):
                await self._patch_lease(mine, leases.lease_takeover(leases.lease_holder(lease), time.time()))
                break
            # Made anew: the engine releases the locks of ended jobs by their uid.
            await self._cluster.delete(LEASES, mine["metadata"]["name"], uid=mine["metadata"]["uid"])
        raise OperatorRefusal(400, IN_USE)

    async def _hold_lock(self, key: str, job: str) -> bool:
        """Return whether the job has this lock; one that is missing is taken anew."""
        for _ in range(_ATTEMPTS):
            lease = await self._cluster.get(LEASES, leases.order_lease_name(key))
            if lease is not None:
                return leases.lease_holder(lease) == job
            # Removed as left behind while this call was held up, see the engine's `order_locks.py`.
            try:
                await self._cluster.create(LEASES, leases.lease_body(key, job, time.time()))
            except AlreadyExists:
                continue
            return True
        return False

    async def _patch_lease(self, lease: Object, patch: Object) -> Object | None:
        """Patch the version that was read; return None where the lease has changed or gone since."""
        metadata = {**patch.get("metadata", {}), "resourceVersion": lease["metadata"]["resourceVersion"]}
        try:
            return await self._cluster.patch(
                LEASES, lease["metadata"]["name"], {**patch, "metadata": metadata}
            )
        except (VersionConflict, ObjectGone):
            return None

    async def _is_left_behind(self, lease: Object) -> bool:
        """Return whether the lock's job is over, or was never created."""
        holder = leases.lease_holder(lease)
        body = await self._cluster.get(WORKFLOWS, holder) if holder else None
        if body is not None:
            return resource.parse_workflow(body).finished
        return time.time() > leases.renewed_at(lease) + leases.STALE_SECONDS

    async def _is_over(self, job: str) -> bool:
        """Return whether the job has ended or was never created."""
        body = await self._cluster.get(WORKFLOWS, job) if job else None
        return body is None or resource.parse_workflow(body).finished
