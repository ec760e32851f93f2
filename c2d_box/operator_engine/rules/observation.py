"""Observations: the engine's knowledge of a job at one moment, as
:func:`c2d_box.operator_engine.rules.plan.plan_actions` takes it.

Pods are reduced to the facts that the rules use. A container's end is believed from Kubernetes' own
status alone; nothing that the algorithm's container can write is read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from c2d_box import timestamps
from c2d_box.workflow import names
from c2d_box.workflow.names import Component
from c2d_box.workflow.resource import WorkFlow
from c2d_box.workflow.states import State

Step = Literal["secret", "sweep"]
"""A one-off step whose effect is not observed: the stages' Secret, and the sweep of
Secrets and Leases at the end.
"""
MESSAGE = 300
"""Characters kept of a container runtime's error message."""


@dataclass(frozen=True, slots=True)
class Termination:
    """The end of a container, as Kubernetes' status reports it."""

    exit_code: int
    reason: str = ""
    message: str = ""
    """The container runtime's error, where it could not start the container."""

    @property
    def never_began(self) -> bool:
        """True where the runtime could not start the container: nothing of the image has run."""
        # containerd says StartError; ContainerCannotRun is the older name, which other runtimes still use.
        return self.reason in ("StartError", "ContainerCannotRun")

    @property
    def signal(self) -> int | None:
        # By the convention of shells: 128 plus the signal's number.
        return self.exit_code - 128 if 128 < self.exit_code < 160 else None


@dataclass(frozen=True, slots=True)
class ObservedContainer:
    """The state of one container. Without status of its own it is neither running, waiting nor ended."""

    running: bool = False
    waiting: str = ""
    """Kubernetes' reason why it does not run yet (``ErrImagePull``, …)."""
    message: str = ""
    end: Termination | None = None
    image: str = ""
    """The image that runs or ran, by digest, as Kubernetes reports it."""
    since: float | None = None
    """Moment of its start in whole seconds, set only while it runs."""


@dataclass(frozen=True, slots=True)
class ObservedPod:
    """One pod of a job, reduced to what the rules use."""

    name: str
    uid: str
    component: Component
    phase: str = "Pending"
    reason: str = ""
    deleted: float | None = None
    """Moment by which a deleted pod is to be gone: Kubernetes has added the grace period to it."""
    containers: Mapping[str, ObservedContainer] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        # Kubernetes' final phases: no container of the pod will run again.
        return self.phase in ("Succeeded", "Failed")

    def container(self, name: str) -> ObservedContainer:
        """Return the container's state; one that has no status yet is neither running, waiting nor ended."""
        return self.containers.get(name, ObservedContainer())


@dataclass(frozen=True, slots=True)
class JobRejection:
    """The reason why this engine's settings do not let a job run. ``always``: not even where it
    runs already."""

    code: State
    reason: str
    always: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that the plan for one job depends on, so that the plan is a pure function."""

    workflow: WorkFlow
    now: float
    pods: tuple[ObservedPod, ...] = ()
    claim: str | None = None
    """The claim's phase, None where there is none."""
    claim_deleted: bool = False
    claims_wait: bool = False
    """True where a claim is bound only once a pod uses it: pods are then created with a pending claim."""
    grants: bool = False
    may_start: bool = False
    """True where the queue has reserved a place: all pods of this job fit."""
    refusal: JobRejection | None = None
    trouble: str = ""
    """Error message of the last round that failed for this job; empty where none did."""
    done: frozenset[Step] = frozenset()
    """Steps this process has done whose effect is not observed (Secret, Leases). Repeated after a restart."""

    @property
    def claim_is_usable(self) -> bool:
        # With WaitForFirstConsumer the claim stays pending until the scheduler has seen a pod that uses it.
        return self.claim == "Bound" or (self.claims_wait and self.claim == "Pending")

    @property
    def proof_missing(self) -> bool:
        """True where the warden's log can be read and has not been read yet."""
        algorithm = self.pod("algorithm")
        ended = algorithm is not None and algorithm.container("warden").end is not None
        return ended and self.workflow.status.isolation is None

    def pod(self, component: Component) -> ObservedPod | None:
        """Return the pod of the component's current attempt, None where there is none."""
        attempts = self.workflow.status.attempts
        attempt = {
            "configuration": attempts.configuration,
            "algorithm": 1,
            "publishing": attempts.publishing,
        }[component]
        # By name, not by label: pods of earlier attempts may still be terminating.
        name = names.pod_name(self.workflow.job, component, attempt)
        return next((pod for pod in self.pods if pod.name == name), None)


def observe_pod(body: Mapping[str, Any]) -> ObservedPod:
    """Reduce the API's pod object to an :class:`ObservedPod`."""
    metadata, status = body["metadata"], body.get("status") or {}
    deleted = metadata.get("deletionTimestamp")
    return ObservedPod(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        component=cast(Component, (metadata.get("labels") or {}).get(names.LABEL_COMPONENT, "")),
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        deleted=timestamps.rfc3339_seconds(deleted) if deleted else None,
        containers={
            entry["name"]: replace(
                _observe_container(entry.get("state") or {}), image=entry.get("imageID") or ""
            )
            # Only regular containers: jobs have no init containers and admit no ephemeral ones.
            for entry in status.get("containerStatuses") or ()
        },
    )


def _observe_container(state: Mapping[str, Any]) -> ObservedContainer:
    """Reduce a container's state, of which Kubernetes sets one of three keys."""
    if "terminated" in state:
        end = state["terminated"]
        return ObservedContainer(
            # An exit code that is missing counts as a failure.
            end=Termination(end.get("exitCode", -1), end.get("reason", ""), end.get("message", "")[:MESSAGE])
        )
    if "running" in state:
        started = (state["running"] or {}).get("startedAt")
        return ObservedContainer(running=True, since=timestamps.rfc3339_seconds(started) if started else None)
    waiting = state.get("waiting") or {}
    return ObservedContainer(waiting=waiting.get("reason", ""), message=waiting.get("message", ""))
