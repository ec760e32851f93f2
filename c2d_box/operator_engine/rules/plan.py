"""The rules of a job's life as one pure function, from an observation of the job to the actions that are due.

    queue ─► prepare ─► stage and run ─► publish ─► tidy
      │         │            │              │
      └─────────┴────────────┴──────────────┴──► finished (31, 32, 70, 75 … 81), always with an end date

Three rules carry the guarantees:

* The algorithm's pod is created only while its uid is not recorded, and configuration is told "recorded,
go on" only when it is. So once the algorithm may run, nothing can create its pod again; where the pod is
lost, the job ends 81 rather than guess.
* ``ended`` is recorded only when Kubernetes' own status says that the algorithm's container is not
running; the publishing pod's go-ahead follows from ``ended`` alone.
* Everything waited for has a deadline, and each deadline leads to an end.
"""

from __future__ import annotations

from c2d_box.operator_engine.rules import status_patch
from c2d_box.operator_engine.rules.actions import (
    Action,
    AddFinalizer,
    CreateClaim,
    CreatePod,
    CreateSecret,
    DeletePod,
    PatchStatus,
    ReadIsolationReport,
    RequeueAt,
)
from c2d_box.operator_engine.rules.cleanup import plan_cleanup
from c2d_box.operator_engine.rules.limits import StageLimits
from c2d_box.operator_engine.rules.observation import Observation, ObservedContainer, ObservedPod, Termination
from c2d_box.workflow import names
from c2d_box.workflow.names import Component
from c2d_box.workflow.states import State, Stop

_NEVER = frozenset(
    {"ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "RunContainerError"}
)
"""Reasons for waiting that no amount of time changes: the job ends at once."""
_MAYBE = frozenset({"ErrImagePull", "ImagePullBackOff", "CreateContainerError", "RegistryUnavailable"})
"""Reasons that a registry which comes back can change: the job waits until ``limits.image``."""
_UNKNOWN_END = frozenset({"ContainerStatusUnknown", "Unknown"})
"""Reasons with which Kubernetes says that it lost sight of the container."""
_WARDEN_OPEN = 10
"""The warden's exit code where an address answered that must be closed."""
_WARDEN_UNRESTRICTED = 13
"""The warden's exit code where the pod lacks a restriction that it must have."""
_GATE_LIMITS = {
    names.GATE_PIDS_LIMIT: "The algorithm used up the processes and threads it may have.",
    names.GATE_LOG_LIMIT: "The algorithm wrote more than its log may hold.",
}


def plan_actions(seen: Observation, limits: StageLimits, maxtime: float) -> list[Action]:
    """Return the actions that are due. ``maxtime``: seconds the algorithm may run, the environment's limit
    included.
    """
    workflow = seen.workflow
    if workflow.finished:
        return plan_cleanup(seen, limits)
    # Deleting means that everything goes, a running algorithm included, and that nothing is published.
    if workflow.deleted is not None:
        return [_finish_with(seen, State.FINISHED, "The workflow was deleted.", Stop.ASKED)]
    # Alone, and first: whatever is created before the finalizer is set could be left behind.
    if names.FINALIZER not in workflow.finalizers:
        return [AddFinalizer()]
    # A job that runs already goes on under changed settings, unless its whole environment is gone.
    if (refusal := seen.refusal) is not None and (refusal.always or workflow.at("admitted") is None):
        return [_finish_with(seen, refusal.code, refusal.reason)]
    # From here on the stage is the first one whose moment is not recorded yet.
    if workflow.at("admitted") is None:
        return _plan_queued(seen, limits)
    if workflow.at("created") is None:
        return _plan_volume(seen, limits)
    if workflow.at("ended") is None:
        return _plan_running(seen, limits, maxtime)
    return _plan_publishing(seen, limits)


# -- before the pods exist


def _plan_queued(seen: Observation, limits: StageLimits) -> list[Action]:
    """Plan for a job in the queue. The queue itself decides when it may start, see
    :mod:`c2d_box.operator_engine.scheduling.job_queue`.
    """
    deadline = (seen.workflow.at("accepted") or seen.now) + limits.queue
    if seen.workflow.spec.stop:
        return [_finish_with(seen, State.FINISHED, "Stopped by its owner while it was queued.", Stop.ASKED)]
    # Before the deadline is looked at: a job that has just got its place does not lose it again.
    if seen.may_start:
        admitted = status_patch.merge_patches(
            status_patch.set_state(State.CONFIGURING), status_patch.set_moment(seen.now, "admitted")
        )
        # Claim and Secret with the admission, not after it: binding takes time, and
        # creating them twice does no harm.
        return [PatchStatus(admitted), CreateClaim(), CreateSecret()]
    if seen.now >= deadline:
        return [
            _finish_with(
                seen, State.QUEUE_TIMEOUT, f"No place in the environment within {limits.queue:.0f} s."
            )
        ]
    return [RequeueAt(deadline)]


def _plan_volume(seen: Observation, limits: StageLimits) -> list[Action]:
    """Plan for an admitted job until its pods can be created: volume, grants and the stages' Secret."""
    deadline = (seen.workflow.at("admitted") or seen.now) + limits.binding
    if seen.workflow.spec.stop:
        return [_finish_with(seen, State.FINISHED, "Stopped by its owner before it was started.", Stop.ASKED)]
    if seen.claim == "Lost":
        return [
            _finish_with(seen, State.INFRASTRUCTURE_LOST, "The job's volume was lost before it was used.")
        ]
    if seen.claim_is_usable and seen.grants and "secret" in seen.done:
        # The intent is recorded before the act: after `created` a pod that is missing may have existed.
        return [PatchStatus(status_patch.set_moment(seen.now, "bound", "created"))]
    if seen.now >= deadline:
        return [_finish_with(seen, State.INFRASTRUCTURE_LOST, _missing_pods(seen, limits))]
    actions: list[Action] = [RequeueAt(deadline)]
    if not seen.grants:  # no watch tells of Secrets
        # A quarter of the time waited so far, between 30 ms and 2 s: grants come at once or late.
        waited = seen.now - (seen.workflow.at("admitted") or seen.now)
        actions.append(RequeueAt(seen.now + min(max(waited / 4, 0.03), 2.0)))
    if seen.claim is None:
        actions.append(CreateClaim())
    if "secret" not in seen.done:
        actions.append(CreateSecret())
    return actions


def _missing_pods(seen: Observation, limits: StageLimits) -> str:
    """Say which of the three was not there in time, as the job's reason."""
    if not seen.claim_is_usable:
        what = "The job's volume was not bound"
    elif not seen.grants:
        what = "The grants for the inputs did not come"
    else:
        what = f"The job's keys could not be written{f' ({seen.trouble})' if seen.trouble else ''}"
    return f"{what} within {limits.binding:.0f} s."


# -- from the creation of the pods to the algorithm's confirmed end


def _plan_running(seen: Observation, limits: StageLimits, maxtime: float) -> list[Action]:
    """Plan from the pods' creation until Kubernetes confirms that the algorithm's container has ended."""
    workflow = seen.workflow
    algorithm, recorded = seen.pod("algorithm"), workflow.status.algorithm.uid
    # Another pod of that name is not the one that was released; a pod that is missing may have run.
    if recorded is not None and (algorithm is None or algorithm.uid != recorded):
        return [_vanished(seen)]
    if algorithm is None:
        return _plan_start(seen, limits)
    if recorded is None:
        # The uid first: only once it is on record may configuration's report release this
        # pod. The others need not wait.
        return [
            PatchStatus({"algorithm": {"uid": algorithm.uid}}),
            *_plan_pod(seen, "configuration", "publishing"),
        ]
    # Kubernetes' word for the end comes before everything else, also before a decision to kill.
    if algorithm.over or algorithm.container("algorithm").end is not None:
        return _stopped(seen, algorithm, limits)
    # Decided already: what is left is to make sure that it ends.
    if workflow.status.outcome is not None:
        return _plan_kill(seen, algorithm, limits)
    if algorithm.deleted is not None and seen.now < algorithm.deleted + limits.kill:
        return [RequeueAt(algorithm.deleted + limits.kill)]  # deleted by hand: its end will be seen
    return _decide_end(seen, algorithm, limits, maxtime)


def _plan_start(seen: Observation, limits: StageLimits) -> list[Action]:
    """Plan for a job whose algorithm's pod does not exist and never was on record: nothing can have been
    started.
    """
    # Stopped or failed before there was a pod to run: nothing has to be killed.
    if seen.workflow.status.outcome is not None:
        return [
            PatchStatus(
                status_patch.merge_patches(
                    status_patch.set_state(State.PUBLISHING), status_patch.set_moment(seen.now, "ended")
                )
            )
        ]
    deadline = (seen.workflow.at("created") or seen.now) + limits.binding
    if seen.now >= deadline:
        trouble = f": {seen.trouble}" if seen.trouble else "."
        return [_outcome(State.INFRASTRUCTURE_LOST, f"The job's pods could not be created{trouble}")]
    # All three together: each waits for its turn by a file, which costs
    # milliseconds instead of a pod's start.
    return [*_plan_pod(seen, "configuration", "algorithm", "publishing"), RequeueAt(deadline)]


def _decide_end(
    seen: Observation, algorithm: ObservedPod, limits: StageLimits, maxtime: float
) -> list[Action]:
    """End a running job where a rule demands it; else return what is missing and when to look again."""
    workflow, now = seen.workflow, seen.now
    created, staged = workflow.at("created") or now, workflow.at("staged")
    # `_plan_running` has waited for its end until `kill` was over.
    if algorithm.deleted is not None:
        return [_outcome(State.INFRASTRUCTURE_LOST, "The algorithm's pod was deleted and did not end.")]
    if workflow.spec.stop:
        return [_outcome(State.FINISHED, "Stopped by its owner.", Stop.ASKED)]
    if (unstarted := _unstarted(algorithm)) is not None:
        return [_outcome(State.INFRASTRUCTURE_LOST, unstarted)]
    # Checked before the image and the deadlines: an open network is the finding that matters most.
    warden = algorithm.container("warden").end
    if warden is not None and warden.exit_code != 0:
        return [_outcome(State.NOT_ISOLATED, _warden(warden.exit_code))]
    if (refused := _image(algorithm.container("algorithm"), now - created, limits)) is not None:
        return [_outcome(State.ALGORITHM_PROVISIONING_FAILED, refused)]
    if staged is None and now >= created + limits.staging:
        return [_outcome(State.DATA_FAILED, f"Staging took longer than {limits.staging:.0f} s.")]
    # Before the inputs are there the deadline is that of staging, afterwards that of the run.
    deadline = created + limits.staging
    if staged is not None:
        # Counted from the later of both moments: `since` has whole seconds only and may lie before `staged`.
        since = algorithm.container("algorithm").since
        deadline = staged + limits.image if since is None else max(staged, since) + maxtime
        if now >= deadline:
            return [_overdue(since is not None, maxtime, limits)]
    actions: list[Action] = [RequeueAt(deadline)]
    # Look again when the time for pulling the image is over.
    if algorithm.container("algorithm").waiting in _MAYBE:
        actions.append(RequeueAt(created + limits.image))
    # Set once: the code only grows on this way, so a job that is running is not set back.
    if staged is not None and workflow.status.code < State.RUNNING:
        actions.append(PatchStatus(status_patch.set_state(State.RUNNING)))
    if seen.proof_missing:
        actions.append(ReadIsolationReport())
    if warden is None:  # once the warden has let the algorithm go, configuration has nothing left to do
        actions += _plan_attendance(seen, "configuration", limits)
    return actions + _plan_pod(seen, "publishing")


def _overdue(running: bool, maxtime: float, limits: StageLimits) -> PatchStatus:
    """End a job at its deadline. Time for pulling an image is not taken from the time to run."""
    if running:
        return _outcome(
            State.FINISHED, f"Stopped at its time limit of {maxtime:.0f} s.", stop=Stop.TIME_LIMIT
        )
    reason = f"The algorithm's container did not start within {limits.image:.0f} s."
    return _outcome(State.INFRASTRUCTURE_LOST, reason)


def _plan_attendance(seen: Observation, component: Component, limits: StageLimits) -> list[Action]:
    """Keep the current attempt of ``component`` alive; begin another one where it ended without success."""
    pod = seen.pod(component)
    if pod is None:
        return _plan_pod(seen, component)
    # Configuration that succeeded has reported; its pod stays until the end and is not replaced.
    if not pod.over or (
        component == "configuration" and pod.phase == "Succeeded" and seen.workflow.at("staged")
    ):
        return []
    attempt = getattr(seen.workflow.status.attempts, component)
    if attempt < limits.attempts:
        # The count decides the next pod's name, so a pod that is still terminating is not in its way.
        return [PatchStatus({"attempts": {component: attempt + 1}}), DeletePod(pod.name, pod.uid, 0)]
    reason = f"The {component} pod ended {attempt} times without a report{_how(pod)}."
    return [_outcome(State.INFRASTRUCTURE_LOST, reason)]


def _stopped(seen: Observation, algorithm: ObservedPod, limits: StageLimits) -> list[Action]:
    """Record that the algorithm's container has ended; but wait for the warden, which can end later than a
    short algorithm and whose exit code is part of the verdict.
    """
    undecided = seen.workflow.status.outcome is None
    # The pod is not over while the warden still runs; a change of its status wakes this job.
    if undecided and not algorithm.over and algorithm.container("warden").end is None:
        return [RequeueAt(seen.now + limits.kill)]
    return [_ended(seen, algorithm)]


def _ended(seen: Observation, pod: ObservedPod) -> PatchStatus:
    """Record the algorithm's end, on Kubernetes' own report that its container is not running any more."""
    # None where the pod failed as a whole (evicted, node lost): only the pod's reason is known.
    end = pod.container("algorithm").end
    facts: status_patch.Changes = {"exitCode": None, "reason": pod.reason or None}
    if end is not None:
        image = pod.container("algorithm").image or None
        facts = {
            "exitCode": end.exit_code,
            "signal": end.signal,
            "reason": end.reason or None,
            "image": image,
        }
    return PatchStatus(
        status_patch.merge_patches(
            status_patch.set_state(State.PUBLISHING),
            status_patch.set_moment(seen.now, "ended"),
            {"algorithm": facts},
            # What was decided before stands: a stop is a stop, also where the kill made the exit code 137.
            {} if seen.workflow.status.outcome is not None else _verdict(seen, pod),
        )
    )


def _verdict(seen: Observation, pod: ObservedPod) -> status_patch.Changes:
    """Return the outcome of an end that nobody had asked for."""
    end, warden = pod.container("algorithm").end, pod.container("warden").end
    # First what is the box's fault and not the algorithm's, then its limits, last its own exit code.
    if (unstarted := _unstarted(pod)) is not None:
        return status_patch.set_outcome(State.INFRASTRUCTURE_LOST, unstarted)
    if warden is not None and warden.exit_code != 0:
        return status_patch.set_outcome(State.NOT_ISOLATED, _warden(warden.exit_code))
    if pod.reason == "Evicted":
        return status_patch.set_outcome(
            State.LIMIT_EXCEEDED, "Evicted: it used more disk or memory than it may."
        )
    if end is None or end.reason in _UNKNOWN_END or pod.reason in ("NodeLost", "Shutdown", "Terminated"):
        return status_patch.set_outcome(
            State.INFRASTRUCTURE_LOST, f"The algorithm's pod was lost{_how(pod)}."
        )
    # Without inputs or without the warden's verdict nothing was released: whatever ran was not the algorithm.
    if seen.workflow.at("staged") is None or warden is None:
        return status_patch.set_outcome(
            State.INFRASTRUCTURE_LOST, f"The algorithm's container ended before it was started{_how(pod)}."
        )
    if end.exit_code == 0:
        return status_patch.set_outcome(State.FINISHED, "")
    # The kernel's kill is exit code 137 like any other SIGKILL; only the reason says that it was memory.
    if end.reason == "OOMKilled":
        return status_patch.set_outcome(State.LIMIT_EXCEEDED, "The algorithm used more memory than it may.")
    # The gate's own codes: it ended the algorithm for breaking a limit that only the gate sees.
    if end.exit_code in _GATE_LIMITS:
        return status_patch.set_outcome(State.LIMIT_EXCEEDED, _GATE_LIMITS[end.exit_code])
    if end.signal is not None:
        return status_patch.set_outcome(
            State.ALGORITHM_FAILED, f"The algorithm was ended by signal {end.signal}."
        )
    return status_patch.set_outcome(
        State.ALGORITHM_FAILED, f"The algorithm ended with exit code {end.exit_code}."
    )


def _vanished(seen: Observation) -> PatchStatus:
    """Record the end of an algorithm whose pod is gone without having been seen to end. Unless an outcome was
    decided before, the job counts as lost.
    """
    lost = status_patch.set_outcome(State.INFRASTRUCTURE_LOST, "The algorithm's pod vanished.")
    return PatchStatus(
        status_patch.merge_patches(
            status_patch.set_state(State.PUBLISHING),
            status_patch.set_moment(seen.now, "ended"),
            {} if seen.workflow.status.outcome is not None else lost,
        )
    )


def _plan_kill(seen: Observation, algorithm: ObservedPod, limits: StageLimits) -> list[Action]:
    """Delete the pods of a job whose outcome is decided, until Kubernetes confirms the algorithm's end."""
    actions: list[Action] = []
    configuration = seen.pod("configuration")
    # So that nothing more is fetched for a job that is over.
    if configuration is not None and not configuration.over and configuration.deleted is None:
        actions.append(DeletePod(configuration.name, configuration.uid, 1))
    if algorithm.deleted is None:
        # Once the algorithm may run it gets the time to write down what it has.
        grace = limits.grace if seen.workflow.at("staged") else 1
        return [*actions, DeletePod(algorithm.name, algorithm.uid, grace)]
    if seen.now >= algorithm.deleted + limits.kill:
        reason = "Kubernetes did not confirm the algorithm's end; its outputs are not published."
        # Its outputs may still be written to, so they must not be judged.
        return [_finish_with(seen, State.INFRASTRUCTURE_LOST, reason)]
    return [*actions, RequeueAt(algorithm.deleted + limits.kill)]


# -- after the algorithm


def _plan_publishing(seen: Observation, limits: StageLimits) -> list[Action]:
    """Plan from the algorithm's end until the results are stored, or it is clear that they cannot be."""
    deadline = (seen.workflow.at("ended") or seen.now) + limits.publishing
    # Not bound any more: somebody deleted it by force, or its node's disk is gone.
    if seen.claim != "Bound":
        return [_unpublished(seen, "The job's volume is gone.")]
    if seen.now >= deadline:
        return [_unpublished(seen, f"It took longer than {limits.publishing:.0f} s.")]
    proof: list[Action] = [ReadIsolationReport()] if seen.proof_missing else []
    pod, attempt = seen.pod("publishing"), seen.workflow.status.attempts.publishing
    if pod is None:
        return [*_plan_pod(seen, "publishing"), *proof, RequeueAt(deadline)]
    # One container that failed is enough, since the others wait for its part and would never end.
    failed = any(entry.end is not None and entry.end.exit_code != 0 for entry in pod.containers.values())
    if not (pod.over or failed or pod.deleted is not None):
        return [*proof, RequeueAt(deadline)]
    if attempt >= limits.attempts:
        return [_unpublished(seen, f"The publishing pod ended {attempt} times without a report{_how(pod)}.")]
    # Judging and uploading again from the start is safe: both give the same files.
    return [PatchStatus({"attempts": {"publishing": attempt + 1}}), DeletePod(pod.name, pod.uid, 0)]


def _unpublished(seen: Observation, failure: str) -> PatchStatus:
    """End a job whose results could not be published; a failure of its own it keeps."""
    return PatchStatus(status_patch.end_publishing(seen.workflow, seen.now, failure))


# -- helpers of the rules above


def _plan_pod(seen: Observation, *components: Component) -> list[Action]:
    """Return the creation of those pods of ``components`` that do not exist, each in its current attempt."""
    attempts = seen.workflow.status.attempts
    number = {"configuration": attempts.configuration, "algorithm": 1, "publishing": attempts.publishing}
    return [CreatePod(name, number[name]) for name in components if seen.pod(name) is None]


def _finish_with(seen: Observation, code: State, reason: str, stop: Stop | None = None) -> PatchStatus:
    """End the job at once, without publishing."""
    return PatchStatus(status_patch.finish_job(seen.now, code, reason, stop=stop))


def _outcome(code: State, reason: str, stop: Stop | None = None) -> PatchStatus:
    """Decide how the job will end; it does so once the algorithm has ended and its logs are published."""
    return PatchStatus(status_patch.set_outcome(code, reason, stop))


def _unstarted(pod: ObservedPod) -> str | None:
    """Return a reason where the node could not start a container of the algorithm's pod, else None."""
    if not any(entry.end is not None and entry.end.never_began for entry in pod.containers.values()):
        return None
    return f"The node could not start the algorithm's pod{_how(pod)}."


def _image(container: ObservedContainer, age: float, limits: StageLimits) -> str | None:
    """Return why the algorithm's image will not run, None while it may."""
    if container.waiting in _NEVER or (container.waiting in _MAYBE and age >= limits.image):
        detail = f": {container.message}" if container.message else ""
        return f"The algorithm's image cannot be run ({container.waiting}{detail})."
    return None


def _warden(exit_code: int) -> str:
    """Say what the warden's exit code means, as the job's reason."""
    if exit_code == _WARDEN_OPEN:
        return (
            "The network was open: an address that must be closed could be reached from the algorithm's pod."
        )
    if exit_code == _WARDEN_UNRESTRICTED:
        return (
            "The algorithm's pod lacks a restriction that it must have: the node did not apply all of them."
        )
    return f"The warden could not prove that the network is closed (exit code {exit_code})."


def _how(pod: ObservedPod) -> str:
    """Describe the ends of the pod's containers, as a part of the reason."""
    ends = [
        f"{name}: {_words(entry.end)}"
        for name, entry in sorted(pod.containers.items())
        if entry.end is not None
    ]
    if pod.reason:
        ends.insert(0, pod.reason)
    return f" ({'; '.join(ends)})" if ends else ""


def _words(end: Termination) -> str:
    """Describe one end; the runtime's message only where the container never
    began, else the program wrote it.
    """
    said = ", ".join(filter(None, (f"exit code {end.exit_code}", end.reason)))
    return f"{said}: {end.message}" if end.never_began and end.message else said
