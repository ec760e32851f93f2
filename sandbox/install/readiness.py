"""Waits for the services, and says why when one does not come up.

Ready means two things at once: Kubernetes lists a ready endpoint, and the service answers a real request. The
second is checked because, after a restart, Kubernetes still lists pods as ready that are not running yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from c2d_box.errors import Failed
from c2d_box.kubernetes.sync_client import KubeApi, Object
from sandbox.pod_states import why_not_ready
from sandbox.progress import Progress, ProgressEvent

POLL_SECONDS = 0.25
"""Seconds between two looks at the cluster."""
PROBE_SECONDS = 1.0
"""Seconds that one request to a service may take."""
DEADLINE_SECONDS = 180.0
"""Seconds for all services together, from the installed chart on."""
HOPELESS = {"ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "RunContainerError"}
"""Reasons for which the kubelet goes on trying although nothing will change by itself."""
PATIENCE_SECONDS = 20.0
"""Seconds for which a permanent-looking reason must stand before it counts: images and Secrets may come a
little later.
"""
PASSING = ("unable to freeze",)
"""Errors that pass: runc prints this on control groups of version 1 under load; the kubelet starts the
container again.
"""
RESTARTS_TOLERATED = 4
"""A service may crash this often at a start: some begin before the one they need answers."""

Probe = Callable[[], bool]


def await_services(
    kube: KubeApi,
    namespace: str,
    services: Iterable[str],
    probes: Mapping[str, Probe],
    deadline: float = DEADLINE_SECONDS,
) -> Progress[dict[str, float]]:
    """Wait until every service is ready; return the seconds each took. Raises C2D-SERVICE-NOT-READY with
    evidence.
    """
    began = time.monotonic()
    waiting, took = list(services), {}
    for name in waiting:
        yield ProgressEvent(f"service.{name}", "started", name)
    with _ServiceProbes(probes) as asking:
        while waiting:
            elapsed = time.monotonic() - began
            # Without those in a rollout: their endpoint may be the old version's, about to end.
            listed = ready_endpoints(kube, namespace) - rolling_deployments(kube, namespace)
            for name in [name for name in waiting if name in listed and asking.has_answered(name)]:
                waiting.remove(name)
                took[name] = elapsed
                yield ProgressEvent(f"service.{name}", "done", name, seconds=elapsed)
            if not waiting:
                break
            # Not in the first seconds: pods do not exist yet, and each look costs two requests per service.
            failure = _find_hopeless(kube, namespace, waiting, elapsed) if elapsed > 3 else None
            if failure is None and elapsed > deadline:
                # One service is named, with its evidence; the others often wait for it.
                failure = (waiting[0], _late_reason(kube, namespace, waiting[0], deadline))
            if failure is not None:
                yield ProgressEvent(f"service.{failure[0]}", "failed", failure[0], seconds=elapsed)
                raise _not_ready(kube, namespace, *failure)
            time.sleep(POLL_SECONDS)
    return took


class _ServiceProbes:
    """Runs all probes in parallel: behind a port whose pod is not there yet a request hangs, and the other
    probes must not wait for it.
    """

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes
        self._pool = ThreadPoolExecutor(max(1, len(probes)))
        self._asked: dict[str, Future[bool]] = {}

    def __enter__(self) -> _ServiceProbes:
        return self

    def __exit__(self, *_: object) -> None:
        # Without waiting: a request that hangs ends by its own timeout.
        self._pool.shutdown(wait=False, cancel_futures=True)

    def has_answered(self, name: str) -> bool:
        """Return whether the last probe succeeded; each read of a finished result starts the next probe."""
        if name not in self._probes:
            return True
        if name not in self._asked:
            self._asked[name] = self._pool.submit(self._probes[name])
        answer = self._asked[name]
        if answer.done():
            del self._asked[name]
        return answer.done() and answer.result()


def ready_endpoints(kube: KubeApi, namespace: str) -> set[str]:
    """Return the names of services with at least one ready endpoint.

    One list for all services. A service without pods has a slice too, with no endpoints.
    """
    ready = set()
    for piece in kube.items(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"):
        name = piece["metadata"].get("labels", {}).get("kubernetes.io/service-name")
        if name and any((e.get("conditions") or {}).get("ready") for e in piece.get("endpoints") or []):
            ready.add(name)
    return ready


def rolling_deployments(kube: KubeApi, namespace: str) -> set[str]:
    """Return the names of deployments whose latest version does not run yet."""
    found = set()
    for deployment in kube.items(f"/apis/apps/v1/namespaces/{namespace}/deployments"):
        state, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
        # Without it the status still describes the version before.
        current = state.get("observedGeneration") == deployment["metadata"].get("generation")
        updated = state.get("updatedReplicas", 0) == wanted == state.get("replicas", 0)
        if not (current and updated):
            found.add(deployment["metadata"]["name"])
    return found


def http_probe(url: str) -> Probe:
    """Return a probe that succeeds where the URL answers HTTP at all with something below 500."""
    parts = urlsplit(url)

    def probe() -> bool:
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PROBE_SECONDS)
        try:
            connection.request("GET", parts.path or "/")
            # 404 or 401 is an answer of the service itself; 502 and 503 say that it is not there yet.
            return connection.getresponse().status < 500
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    return probe


def _late_reason(kube: KubeApi, namespace: str, service: str, deadline: float) -> str:
    """Return why a service is late, from its newest pod."""
    pods = pods_behind(kube, namespace, service)
    reason = why_not_ready(pods[-1]) if pods else "no pod was created"
    return f"not ready after {deadline:.0f} s" + (f": {reason}" if reason else "")


def _find_hopeless(
    kube: KubeApi, namespace: str, waiting: list[str], elapsed: float
) -> tuple[str, str] | None:
    """Return the first service that cannot become ready any more, and the reason; None where all may."""
    for name in waiting:
        # The newest only: older ones belong to a version that is being replaced.
        for pod in pods_behind(kube, namespace, name)[-1:]:
            reason = _hopeless_reason(pod, elapsed)
            if reason:
                return name, reason
    return None


def _hopeless_reason(pod: Object, elapsed: float) -> str | None:
    """Return the reason why a pod will not start, once it has stood long enough; None where it may still
    start.
    """
    states = pod.get("status", {})
    for container in [*states.get("initContainerStatuses", []), *states.get("containerStatuses", [])]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        why = f"{waiting.get('reason')}: {waiting.get('message', '')}".strip(": ")
        passing = any(words in why for words in PASSING)
        if waiting.get("reason") in HOPELESS and elapsed > PATIENCE_SECONDS and not passing:
            return why
        if (
            waiting.get("reason") == "CrashLoopBackOff"
            and container.get("restartCount", 0) >= RESTARTS_TOLERATED
        ):
            return why
    return None


def pods_behind(kube: KubeApi, namespace: str, service: str) -> list[Object]:
    """Return the pods a service selects, the newest last."""
    found = kube.get(f"/api/v1/namespaces/{namespace}/services/{service}")
    selector = (found or {}).get("spec", {}).get("selector")
    if not selector:
        return []
    labels = ",".join(f"{key}={value}" for key, value in selector.items())
    return _newest_last(kube.items(f"/api/v1/namespaces/{namespace}/pods", labelSelector=labels))


def pods_by_service(kube: KubeApi, namespace: str) -> dict[str, list[Object]]:
    """Return the pods of every service, for callers that poll: two requests, however many services."""
    pods = _newest_last(kube.items(f"/api/v1/namespaces/{namespace}/pods"))
    found = {}
    for service in kube.items(f"/api/v1/namespaces/{namespace}/services"):
        selector = service.get("spec", {}).get("selector") or {}
        found[str(service["metadata"]["name"])] = [
            pod for pod in pods if selector and _is_selected(pod, selector)
        ]
    return found


def _is_selected(pod: Object, selector: Object) -> bool:
    """Return whether the labels satisfy the selector (equality only, as Services have it)."""
    labels: Object = pod["metadata"].get("labels", {})
    return selector.items() <= labels.items()


def _newest_last(pods: list[Object]) -> list[Object]:
    """Return the pods by age. RFC 3339 times of one zone sort as text."""
    return sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))


def _not_ready(kube: KubeApi, namespace: str, service: str, reason: str) -> Failed:
    """Return the error for a service, with the evidence that a person would fetch next: phase, events,
    log.
    """
    details: dict[str, object] = {}
    pods = pods_behind(kube, namespace, service)
    if not pods:
        details["pods"] = "none was created"
    for pod in pods:
        name = pod["metadata"]["name"]
        details[f"pod_{name}"] = pod.get("status", {}).get("phase", "unknown")
        # Fetched now: the API server deletes events after an hour or two.
        details["events"] = _event_lines(kube, namespace, name)
        details["last_log_lines"] = last_lines(kube, namespace, pod)
    return Failed(
        "C2D-SERVICE-NOT-READY",
        f"the service {service} does not become ready: {reason}",
        f"c2d-box logs {service}; after the cause is gone, c2d-box up goes on from here",
        **details,
    )


def _event_lines(kube: KubeApi, namespace: str, pod: str) -> list[str]:
    """Return the last warnings about a pod; normal events only say that it was scheduled and pulled."""
    events = kube.items(f"/api/v1/namespaces/{namespace}/events", fieldSelector=f"involvedObject.name={pod}")
    return [
        f"{event.get('reason')}: {event.get('message')}" for event in events if event.get("type") != "Normal"
    ][-4:]


def last_lines(kube: KubeApi, namespace: str, pod: Object, count: int = 8) -> list[str]:
    """Return the last log lines of a pod's containers, of the crashed run if there is no other."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/log"
    lines: list[str] = []
    for container in pod.get("spec", {}).get("containers", []):
        query = {"container": container["name"], "tailLines": str(count)}
        # Between two crashes the current run has printed nothing yet.
        text = kube.text(path, **query) or kube.text(path, **query, previous="true")
        lines += text.splitlines()
    return lines[-count:]
