"""Leases: which engine leads, and the lock on an order, which is for one job at a time. Operator-service
takes the lock before it creates the WorkFlow, the engine releases it at the job's end.

A job uses one order per asset, and all of them are locked: else a paid order of a dataset could serve many
jobs at once, each with another order of a free algorithm.
"""

from __future__ import annotations

import hashlib
from typing import Any

from c2d_box import timestamps
from c2d_box.kubernetes.port import Object
from c2d_box.workflow import names
from c2d_box.workflow.resource import JobSpec

ENGINE = "operator-engine"
"""Name of the Lease that the leading engine holds."""
ORDER_PREFIX = "order-"
"""Beginning of the names of order locks, by which they are told from the engine's own Lease."""
STALE_SECONDS = 60
"""A lock older than this whose holder has no WorkFlow was left by a service that died in between."""


def order_lease_name(key: str) -> str:
    """Return the Lease's name, a hash: an order's key may be too long for a name or contain other characters.

    The case of a key means nothing: hexadecimal digits can be written in two ways.
    """
    # 160 bits: nobody can find a second order with the same name.
    return f"{ORDER_PREFIX}{hashlib.sha256(key.lower().encode()).hexdigest()[:40]}"


def order_keys(spec: JobSpec) -> tuple[str, ...]:
    """Return the keys of a job's locks. Where the Provider names no orders, the agreement is the only key."""
    return spec.orders or ((spec.agreement_id,) if spec.agreement_id else ())


def lease_body(key: str, job: str, now: float) -> Object:
    """Return a Lease that locks an order for a job. Creating it takes the lock: the API server refuses a
    second object of one name, which is an exclusion between all replicas of two services."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": order_lease_name(key), "labels": {names.LABEL_JOB: job}},
        "spec": {
            "holderIdentity": job,
            "acquireTime": timestamps.rfc3339_text(now),
            "leaseDurationSeconds": STALE_SECONDS,
        },
    }


def lease_holder(lease: Object) -> str:
    """Return the job that holds a lock; empty where nobody does."""
    spec: dict[str, Any] = lease.get("spec") or {}
    return str(spec.get("holderIdentity") or "")


def lease_renewal(now: float) -> Object:
    """Return the patch by which a lock's holder renews it."""
    return {"spec": {"renewTime": timestamps.rfc3339_text(now)}}


def lease_takeover(job: str, now: float) -> Object:
    """Return the patch that gives a lock to another job."""
    # In a merge patch null deletes the key: the last holder's renewal says nothing of the new one.
    spec = {"holderIdentity": job, "acquireTime": timestamps.rfc3339_text(now), "renewTime": None}
    return {"metadata": {"labels": {names.LABEL_JOB: job}}, "spec": spec}


def renewed_at(lease: Object) -> float:
    """Return the moment of the lock's last acquisition or renewal, in Unix seconds."""
    spec = lease.get("spec") or {}
    texts = [spec.get(key) for key in ("acquireTime", "renewTime")]
    # A lock that was never renewed counts from its acquisition; one without times is as old as can be.
    return max((timestamps.rfc3339_seconds(text) for text in texts if text), default=0.0)
