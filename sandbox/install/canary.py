"""Runs a canary on the routed network and pods that try to reach it, in a namespace made only for that.

Any cluster can run this: it needs the API server, the runtime image on the node and nothing of the driver.
Every object carries one label, so that the next run removes what a killed run left. The programs in the pods
are ``c2d_box.pods.canary``; ``sandbox.install.isolation`` judges what they report.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from c2d_box.errors import Failed, StateProblem
from c2d_box.kubernetes.sync_client import KubeApi, Object
from c2d_box.workflow import names
from sandbox.clusters.existing.pull_secrets import carry_pull_secret

LABEL = "c2d-box.io/canary"
"""Label of everything that belongs to a canary, in whatever namespace."""
PORTS = (7007,)
"""Ports of the listener; above 1024, as it has no privileges."""
DIAL_TIMEOUT = 0.5
"""Seconds to wait for an answer before a target counts as silent."""
PATIENCE = 180.0
"""Seconds for a pod to start and report, as many as the services have: a busy node may need several tries."""
POLL_SECONDS = 0.25
_ACCOUNT = "canary"
"""Name of the ServiceAccount of the canary's pods."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CanaryImage:
    """The runtime image as the nodes know it."""

    reference: str
    """Reference by digest: the image that the box's own pods run."""
    pull_policy: str = "Never"


@dataclass(frozen=True, slots=True)
class DialPlace:
    """A kind of pod from which to dial: namespace, labels (policies select by them) and RuntimeClass ("": the
    ordinary one).
    """

    name: str
    namespace: str
    labels: Mapping[str, str]
    runtime_class: str = ""


@dataclass(frozen=True, slots=True)
class DialReport:
    """The report of one pod that dialled."""

    reached: tuple[str, ...]
    """``tcp|udp ip:port`` of every target that answered."""
    tried: int
    restrictions: Mapping[str, str]


class Canary:
    """A listener that runs. ``addresses``: its ``ip:port``s."""

    def __init__(self, kube: KubeApi, image: CanaryImage, namespace: str) -> None:
        self._kube = kube
        self._image = image
        self.namespace = namespace
        self.addresses: tuple[str, ...] = ()

    def heard_contacts(self) -> list[str]:
        """Return every contact so far, as the listener recorded it. It shows a packet also where no answer
        came back.
        """
        return [line for line in self._pod_log(self.namespace, "listener").splitlines() if "heard" in line]

    def dial_targets(
        self, places: Sequence[DialPlace], targets: Sequence[str], control: str = "routed"
    ) -> dict[str, DialReport]:
        """Try the canary and ``targets`` (``ip:port``) from every place at once, and from a routed pod
        (``control``).

        Return a report for each place by its name. The control tells a closed network from a listener that is
        dead.
        """
        routed = DialPlace(control, self.namespace, {})
        made = [routed, *places]
        words = ["dial", str(DIAL_TIMEOUT), *dict.fromkeys([*self.addresses, *targets])]
        for place in made:
            create_account(self._kube, place.namespace)
            self._start_pod(place, words)
        # All pods are started before the first is waited for.
        return {place.name: self._await_report(place, words) for place in made}

    def start_listener(self) -> None:
        """Start the listener and wait until it listens; its addresses are known from then on."""
        create_account(self._kube, self.namespace)
        self._start_pod(DialPlace("listener", self.namespace, {}), ["listen", *map(str, PORTS)])
        self._wait_until(
            lambda: "listening" in self._pod_log(self.namespace, "listener"), self.namespace, "listener"
        )
        # All of the pod's addresses: a cluster with two families has two ways out.
        found = self._wait_until(self._listener_ips, self.namespace, "listener")
        self.addresses = tuple(
            f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}" for ip in found for port in PORTS
        )

    def _listener_ips(self) -> list[str]:
        """Return the addresses that Kubernetes knows of the listener; empty until it has any."""
        pod = self._kube.get(_pod_path(self.namespace, "listener")) or {}
        return [entry["ip"] for entry in pod.get("status", {}).get("podIPs", [])]

    def _start_pod(self, place: DialPlace, words: list[str]) -> None:
        """Create a pod; one that is there already stays as it is."""
        self._kube.apply(_pod_path(place.namespace, place.name), _pod_manifest(place, self._image, words))

    def _await_report(self, place: DialPlace, words: list[str]) -> DialReport:
        """Return what one pod reported: the first line of its log that is a JSON object."""

        def report() -> dict[str, Any] | None:
            for line in self._pod_log(place.namespace, place.name).splitlines():
                # Python may warn on standard error, which is part of the same log.
                if line.startswith("{"):
                    found: dict[str, Any] = json.loads(line)
                    return found
            self._revive_pod(place, words)
            return None

        said = self._wait_until(report, place.namespace, place.name)
        reached = [f"{probe['kind']} {probe['target']}" for probe in said["probes"] if not probe["closed"]]
        return DialReport(tuple(reached), len(said["probes"]), said["restrictions"])

    def _revive_pod(self, place: DialPlace, words: list[str]) -> None:
        """Start a pod again that failed before it reported (on control groups v1 a busy node fails to start
        one now and then): that it reached nothing proves nothing.
        """
        path = _pod_path(place.namespace, place.name)
        pod = self._kube.get(path)
        if pod is None:
            self._start_pod(place, words)
        elif pod.get("status", {}).get("phase") == "Failed":
            # Created anew at the next turn, when the name is free.
            self._kube.delete(path)

    def _pod_log(self, namespace: str, name: str) -> str:
        """Return a pod's log; empty where it has none yet."""
        return self._kube.text(f"{_pod_path(namespace, name)}/log")

    def _wait_until(self, question: Callable[[], T | None], namespace: str, name: str) -> T:
        """Return the first true answer of ``question``; raise ``C2D-CANARY-SILENT`` with the pod's state
        where none comes in time.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if answer := question():
                    return answer
            except StateProblem:  # an API server that comes back from a crash may be silent for a while
                pass
            time.sleep(POLL_SECONDS)
        status = (self._kube.get(_pod_path(namespace, name)) or {}).get("status", {})
        raise Failed(
            "C2D-CANARY-SILENT",
            f"the pod {name} that looks for ways out did not speak within {PATIENCE:.0f} s",
            "c2d-box status; c2d-box doctor",
            pod=json.dumps(status.get("containerStatuses") or status.get("conditions") or status),
        )


@contextmanager
def open_canary(kube: KubeApi, image: CanaryImage) -> Iterator[Canary]:
    """Yield a canary that listens; it and every pod that dialled it are deleted afterwards."""
    remove_canaries(kube)
    # A new name each time: the last run's namespace may still be going.
    namespace = f"c2d-canary-{secrets.token_hex(3)}"
    # The canary must itself pass the strictest standard: an operator should not have to trust it.
    labels = {LABEL: "yes", "pod-security.kubernetes.io/enforce": "restricted"}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
    kube.apply(f"/api/v1/namespaces/{namespace}", body)
    try:
        made = Canary(kube, image, namespace)
        made.start_listener()
        yield made
    finally:
        remove_canaries(kube)


def remove_canaries(kube: KubeApi) -> None:
    """Delete everything that this or an earlier run made, in every namespace."""
    # Dialling pods stand in the jobs' namespace, which stays.
    for kind in ("pods", "serviceaccounts"):
        for found in kube.items(f"/api/v1/{kind}", labelSelector=f"{LABEL}=yes"):
            about = found["metadata"]
            kube.delete(f"/api/v1/namespaces/{about['namespace']}/{kind}/{about['name']}")
    for found in kube.items("/api/v1/namespaces", labelSelector=f"{LABEL}=yes"):
        kube.delete(f"/api/v1/namespaces/{found['metadata']['name']}")


def create_account(kube: KubeApi, namespace: str) -> None:
    """Make a ServiceAccount of our own: the default one comes seconds later than a new namespace."""
    metadata = {"name": _ACCOUNT, "labels": {LABEL: "yes"}}
    pull_secrets = [{"name": name} for name in carry_pull_secret(kube, namespace)]
    body = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata,
        "automountServiceAccountToken": False,
        **({"imagePullSecrets": pull_secrets} if pull_secrets else {}),
    }
    kube.apply(f"/api/v1/namespaces/{namespace}/serviceaccounts/{_ACCOUNT}", body)


def _pod_path(namespace: str, name: str) -> str:
    """Return a pod's path in the API."""
    return f"/api/v1/namespaces/{namespace}/pods/{_pod_name(name)}"


def _pod_name(name: str) -> str:
    """Return a pod's name; the prefix keeps it apart from jobs' pods in the same namespace."""
    return f"canary-{name}"


def _pod_manifest(place: DialPlace, image: CanaryImage, words: list[str]) -> Object:
    """Return a pod with the restrictions of a job's pod, so that it may run in the same namespaces."""
    restricted = {
        # The algorithm's user, so that what is tested is what a job's process may do.
        "runAsUser": names.UID_ALGORITHM,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "canary",
        "image": image.reference,
        "imagePullPolicy": image.pull_policy,
        "command": ["python3", "-m", "c2d_box.pods.canary", *words],
        # The root file system is read-only.
        "env": [{"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}],
        "securityContext": restricted,
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": _pod_name(place.name), "labels": {**place.labels, LABEL: "yes"}},
        "spec": {
            "serviceAccountName": _ACCOUNT,
            "automountServiceAccountToken": False,
            # Variables with every Service's address: a job's pod does not get them either.
            "enableServiceLinks": False,
            # A second run would print a second report.
            "restartPolicy": "Never",
            # A user namespace of its own, as a job's pod has.
            "hostUsers": False,
            "terminationGracePeriodSeconds": 0,
            # A canary whose run was killed ends by itself.
            "activeDeadlineSeconds": 3600,
            **({"runtimeClassName": place.runtime_class} if place.runtime_class else {}),
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        },
    }
