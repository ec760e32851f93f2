"""What the engine knows of a job at one moment: the input of :func:`c2d_box.operator_engine.rules.plan.plan`.

Pods are reduced to the facts that rules speak about. A container's end is believed from Kubernetes' own
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
MESSAGE = 300
"""Letters of a runtime's error that are kept."""


@dataclass(frozen=True, slots=True)
class Termination:
    exit_code: int
    reason: str = ""
    message: str = ""
    """What the container runtime said, where it did not get it started."""

    @property
    def never_began(self) -> bool:
        """The runtime could not start it: nothing of the image has run."""
        return self.reason in ("StartError", "ContainerCannotRun")

    @property
    def signal(self) -> int | None:
        return self.exit_code - 128 if 128 < self.exit_code < 160 else None


@dataclass(frozen=True, slots=True)
class ObservedContainer:
    running: bool = False
    waiting: str = ""
    """Why it does not run yet, as Kubernetes calls it (``ErrImagePull``, …)."""
    message: str = ""
    end: Termination | None = None
    image: str = ""
    """What runs or ran, by digest, as Kubernetes knows it."""
    since: float | None = None
    """When it was started, in whole seconds, while it runs."""


@dataclass(frozen=True, slots=True)
class ObservedPod:
    name: str
    uid: str
    component: Component
    phase: str = "Pending"
    reason: str = ""
    deleted: float | None = None
    """When it is to be gone: Kubernetes adds the grace period."""
    containers: Mapping[str, ObservedContainer] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return self.phase in ("Succeeded", "Failed")

    def container(self, name: str) -> ObservedContainer:
        return self.containers.get(name, ObservedContainer())


@dataclass(frozen=True, slots=True)
class JobRejection:
    """A job that this engine's settings do not let run. ``always``: not even where it runs already."""

    code: State
    reason: str
    always: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    workflow: WorkFlow
    now: float
    pods: tuple[ObservedPod, ...] = ()
    claim: str | None = None
    """The claim's phase, None where there is none."""
    claim_deleted: bool = False
    claims_wait: bool = False
    """A claim is bound only once a pod uses it: pods are made with one that is still pending."""
    grants: bool = False
    may_start: bool = False
    """Admission's word: there is room for all pods of this job."""
    refusal: JobRejection | None = None
    trouble: str = ""
    """Why the last attempt to create something for this job failed."""
    done: frozenset[Step] = frozenset()
    """Steps that leave nothing to observe, done in this process; after a restart they are repeated."""

    @property
    def claim_is_usable(self) -> bool:
        return self.claim == "Bound" or (self.claims_wait and self.claim == "Pending")

    @property
    def proof_missing(self) -> bool:
        """There is a warden's log to be read, and it has not been."""
        algorithm = self.pod("algorithm")
        ended = algorithm is not None and algorithm.container("warden").end is not None
        return ended and self.workflow.status.isolation is None

    def pod(self, component: Component) -> ObservedPod | None:
        """The pod of the current attempt."""
        attempts = self.workflow.status.attempts
        attempt = {
            "configuration": attempts.configuration,
            "algorithm": 1,
            "publishing": attempts.publishing,
        }[component]
        name = names.pod_name(self.workflow.job, component, attempt)
        return next((pod for pod in self.pods if pod.name == name), None)


def observe_pod(body: Mapping[str, Any]) -> ObservedPod:
    """A pod of the API as the facts above."""
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
            for entry in status.get("containerStatuses") or ()
        },
    )


def _observe_container(state: Mapping[str, Any]) -> ObservedContainer:
    if "terminated" in state:
        end = state["terminated"]
        return ObservedContainer(
            end=Termination(end.get("exitCode", -1), end.get("reason", ""), end.get("message", "")[:MESSAGE])
        )
    if "running" in state:
        started = (state["running"] or {}).get("startedAt")
        return ObservedContainer(running=True, since=timestamps.rfc3339_seconds(started) if started else None)
    waiting = state.get("waiting") or {}
    return ObservedContainer(waiting=waiting.get("reason", ""), message=waiting.get("message", ""))
