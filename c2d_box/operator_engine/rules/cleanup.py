"""The plan for a job that has ended: delete its objects, later its results, then the workflow itself."""

from __future__ import annotations

from c2d_box.operator_engine.rules import status_patch
from c2d_box.operator_engine.rules.actions import (
    Action,
    DeleteClaim,
    DeletePod,
    DeleteResults,
    DeleteSecretsAndLeases,
    DeleteWorkflow,
    PatchStatus,
    ReadIsolationReport,
    RemoveFinalizer,
    RequeueAt,
)
from c2d_box.operator_engine.rules.limits import StageLimits
from c2d_box.operator_engine.rules.observation import Observation
from c2d_box.workflow import names

_PROOF_SECONDS = 3.0
"""Seconds after the end for which the algorithm's pod is kept, so that the warden's log can be read."""


def plan_cleanup(seen: Observation, limits: StageLimits) -> list[Action]:
    """Return the actions for a finished job: first delete its objects, then, in time, the workflow itself."""
    workflow, now = seen.workflow, seen.now
    if workflow.at("cleaned") is not None:
        return _plan_retention(seen, limits)
    # Recorded only when nothing is left, since the job's place becomes free with this moment.
    if not seen.pods and seen.claim is None and "sweep" in seen.done:
        return [PatchStatus(status_patch.set_moment(now, "cleaned"))]
    # Deletions show their effect through the watch; this is for the case that the watch misses it.
    actions: list[Action] = [RequeueAt(now + 10)]
    patience = (workflow.at("finished") or now) + _PROOF_SECONDS
    # The one proof that the network was closed is in this pod's log, so the pod
    # waits for it, but not for long.
    awaited = seen.pod("algorithm") if seen.proof_missing and now < patience else None
    if awaited is not None:
        actions += [ReadIsolationReport(), RequeueAt(now + 0.3)]
    for pod in seen.pods:
        if pod is awaited:
            continue
        # A second is enough: nothing in a pod of a finished job has work left.
        if pod.deleted is None:
            actions.append(DeletePod(pod.name, pod.uid, 1))
        # The kubelet did not confirm the end, for example on a node that is away: the object is forced off.
        elif now >= pod.deleted + limits.kill:
            actions.append(DeletePod(pod.name, pod.uid, 0))
    # At the same time as the pods: Kubernetes keeps the claim until the last of them has ended.
    if seen.claim is not None and not seen.claim_deleted:
        actions.append(DeleteClaim())
    if "sweep" not in seen.done:
        actions.append(DeleteSecretsAndLeases())
    return actions


def _plan_retention(seen: Observation, limits: StageLimits) -> list[Action]:
    """Return the actions for a job of which only the workflow and the stored results are left. A workflow
    with results that expire stays until they are deleted. Deleting it earlier deletes them too, unless the
    store does not answer.
    """
    workflow, now = seen.workflow, seen.now
    finished = workflow.at("finished") or now
    # Moment at which the results expire; None where they do not.
    stored = finished + limits.storage if limits.storage and _expiry_time(seen) else None
    if workflow.deleted is not None:
        # Ours is off already; another controller's finalizer keeps the object.
        if names.FINALIZER not in workflow.finalizers:
            return []
        # A store that does not answer must not keep a deleted WorkFlow for ever.
        patience = workflow.deleted + limits.kill
        return [DeleteResults(), RequeueAt(patience)] if stored and now < patience else [RemoveFinalizer()]
    if stored is not None:
        return [DeleteResults()] if now >= stored else [RequeueAt(stored)]
    # The job's own wish comes first. Its row in the job table stays for good.
    gone = finished + (workflow.spec.ttl or limits.retention)
    return [DeleteWorkflow()] if now >= gone else [RequeueAt(gone)]


def _expiry_time(seen: Observation) -> bool:
    """Return whether the job's results expire. Those that became an asset do not: its files are its owner's
    for as long as it is on the chain.
    """
    status = seen.workflow.status
    return bool(status.results) and "did" not in (status.asset or {})
