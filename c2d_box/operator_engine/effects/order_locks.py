"""Removes locks on orders that nobody will release any more.

The engine releases a job's locks before it takes the finalizer off its WorkFlow. Where the finalizer was
forced off, and where operator-service died before it made the WorkFlow, the Lease would stay for ever: a
start on the same order takes it over, but an order that is never used again has no such start.
"""

from __future__ import annotations

from collections.abc import Callable

from c2d_box.kubernetes.port import LEASES, Cluster
from c2d_box.workflow import leases, names
from c2d_box.workflow.resource import WORKFLOWS, WorkFlow

LEFT_SECONDS = 600
"""Ten times the age at which operator-service calls a lock stale: it is never busy with a lock that old."""


async def remove_left_locks(
    cluster: Cluster, seen: Callable[[str], WorkFlow | None], now: float
) -> list[str]:
    """Delete locks that are older than ten minutes and whose job has no WorkFlow; return their names.

    ``seen`` is the engine's copy of a job's WorkFlow, which spares a read for each living job. A job that it
    does not know is read anew. A start that is held up meanwhile looks once more for its lock after it has
    made its WorkFlow, so a lock that is deleted here never lets two jobs run on one order.
    """
    found, _ = await cluster.list(LEASES, names.LABEL_JOB)
    gone = []
    for lease in found:
        name, job = lease["metadata"]["name"], leases.lease_holder(lease)
        # Renewal counts, not creation: a repeated start renews its lock.
        is_old = now > leases.renewed_at(lease) + LEFT_SECONDS
        # Another Lease may carry the label of jobs; only names that this project gives are touched.
        if not name.startswith(leases.ORDER_PREFIX) or not is_old or seen(job):
            continue
        # Read anew: the copy may not show a WorkFlow that operator-service has just made.
        if job and await cluster.get(WORKFLOWS, job) is not None:
            continue
        # With the uid: a lock that was released and taken anew meanwhile is another object.
        if await cluster.delete(LEASES, name, uid=lease["metadata"]["uid"]):
            gone.append(name)
    return gone
