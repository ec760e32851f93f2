"""The lock on an order: one job at a time. Taken by operator-service before it creates the WorkFlow,
released by the engine at the job's end."""

from __future__ import annotations

import hashlib
from typing import Any

from c2d_box.workflow import instants, names
from c2d_box.workflow.cluster import Object

STALE_SECONDS = 60
"""A lock older than this whose holder has no WorkFlow was left by a service that died in between."""


def order(agreement_id: str) -> str:
    """The Lease's name: an order's hash may be longer than a name, and contain what a name may not."""
    return f"order-{hashlib.sha256(agreement_id.encode()).hexdigest()[:40]}"


def body(agreement_id: str, job: str, now: float) -> Object:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": order(agreement_id), "labels": {names.LABEL_JOB: job}},
        "spec": {
            "holderIdentity": job,
            "acquireTime": instants.to_text(now),
            "leaseDurationSeconds": STALE_SECONDS,
        },
    }


def holder(lease: Object) -> str:
    spec: dict[str, Any] = lease.get("spec") or {}
    return str(spec.get("holderIdentity") or "")


def taken_at(lease: Object) -> float:
    text = (lease.get("spec") or {}).get("acquireTime")
    return instants.from_text(text) if text else 0.0
