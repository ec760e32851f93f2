"""Finds out with a canary what keeps an algorithm from the network on this cluster; configuration is not
trusted.

Two mechanisms may: the RuntimeClass (no way out by construction) and NetworkPolicies (where a controller
enforces them). Each is tested alone, by a pod that has only the one, and both together, by a pod as a job has
it. The result is kept beside the box, so that ``status`` can show it without starting anything.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from c2d_box.files import replace_file
from c2d_box.kubernetes.sync_client import KubeApi
from c2d_box.workflow import names
from sandbox.install.canary import Canary, CanaryImage, DialPlace, DialReport, open_canary
from sandbox.progress import Progress, ProgressEvent

RECORD = "isolation.json"
"""Name of the file with the last result, in the box's home."""
_ALGORITHM = {names.LABEL_COMPONENT: "algorithm"}
"""Label by which the chart's policies select algorithms' pods."""
_LISTED = 6
"""Most targets that a one-line summary names."""


@dataclass(frozen=True, slots=True)
class IsolationFinding:
    """The result of a probe. ``job`` is what counts; the other two say why."""

    job: bool
    """A pod like an algorithm's reached nothing at all."""
    construction: bool
    """A pod of the RuntimeClass that no policy selects reached nothing."""
    policy: bool
    """A pod with an algorithm's labels and the ordinary network reached nothing."""
    alive: bool
    """A routed pod reached the canary: if it did not, that the others reached nothing proves nothing."""
    reached: tuple[str, ...]
    """Targets that the pod like a job's reached, if any."""
    tried: int
    restrictions: Mapping[str, str] = field(default_factory=dict)
    """Restrictions of a job's process, as the kernel reports them."""
    at: float = 0.0
    """Unix seconds (UTC)."""

    @property
    def is_proven(self) -> bool:
        """Return whether an algorithm's pod was seen to reach nothing, by a test that was seen to work."""
        return self.alive and self.job

    @property
    def summary_text(self) -> str:
        """Return one line that says the result to a person."""
        # First: without it the other answers mean nothing.
        if not self.alive:
            return "not proven: the canary could not be reached from a routed pod either"
        if not self.job:
            some = ", ".join(self.reached[:_LISTED])
            return f"NOT ISOLATED: an algorithm's pod reached {some}; jobs will end with 78"
        by = [
            name
            for name, holds in (("construction", self.construction), ("NetworkPolicy", self.policy))
            if holds
        ]
        # As the kernel reported it in the pod, not as the pod asked for it.
        users = "own" if self.restrictions.get("user_namespace") == "yes" else "no"
        moment = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(self.at))
        return (
            f"by {' and '.join(by) or 'both together'}; {users} user namespace, "
            f"cgroup {self.restrictions.get('cgroup', '?')}; {self.tried} ways tried, {moment}"
        )


def probe_isolation(
    kube: KubeApi, image: CanaryImage, runtime_class: str, jobs_namespace: str, targets: Sequence[str]
) -> Progress[IsolationFinding]:
    """Test the cluster's isolation. ``runtime_class``: the algorithm's, "" where there is none; ``targets``:
    ``ip:port`` of what answers (API server, kubelet, DNS, services).
    """
    began = time.monotonic()
    yield ProgressEvent("isolation", "started", "looking for ways out of an algorithm's pod")
    with open_canary(kube, image) as listener:
        found = probe_with_canary(listener, runtime_class, jobs_namespace, targets)
    yield ProgressEvent(
        "isolation",
        "done" if found.is_proven else "failed",
        found.summary_text,
        seconds=time.monotonic() - began,
    )
    return found


def probe_with_canary(
    listener: Canary, runtime_class: str, jobs_namespace: str, targets: Sequence[str]
) -> IsolationFinding:
    """Run the same test with a canary that runs already.

    Each mechanism alone, and both as a job has them: so a cluster where only one works is told from one where
    both do.
    """
    places = [
        DialPlace("policy", jobs_namespace, _ALGORITHM),
        DialPlace("job", jobs_namespace, _ALGORITHM, runtime_class),
    ]
    if runtime_class:
        # In the canary's own namespace, where no policy of the chart applies.
        places.append(DialPlace("construction", listener.namespace, {}, runtime_class))
    said = listener.dial_targets(places, targets)
    # Every address in both protocols: a half-dead canary proves half.
    own = {f"{kind} {address}" for kind in ("tcp", "udp") for address in listener.addresses}
    return judge_reports(said, own)


def judge_reports(said: Mapping[str, DialReport], canary_answers: set[str]) -> IsolationFinding:
    """Derive the result from what the dialling pods reported; pure.

    ``canary_answers`` are the targets that must answer a routed pod; an empty set proves nothing, so
    ``alive`` is false then.
    """
    construction = said.get("construction")
    job = said["job"]
    return IsolationFinding(
        job=not job.reached,
        construction=construction is not None and not construction.reached,
        policy=not said["policy"].reached,
        alive=bool(canary_answers) and canary_answers <= set(said["routed"].reached),
        reached=job.reached,
        tried=job.tried,
        restrictions=job.restrictions,
        at=time.time(),
    )


def save_finding(folder: Path, found: IsolationFinding) -> None:
    """Write the result into the box's home."""
    replace_file(folder / RECORD, json.dumps(asdict(found), indent=1))


def load_finding(folder: Path) -> IsolationFinding | None:
    """Return what the last probe found; None where there was none."""
    try:
        value = json.loads((folder / RECORD).read_text())
        return IsolationFinding(**{**value, "reached": tuple(value["reached"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def forget_finding(folder: Path) -> None:
    """Forget the last result: it came from another cluster than the one that is there now."""
    (folder / RECORD).unlink(missing_ok=True)
