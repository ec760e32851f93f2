"""Waiting for services, against an API server played by a transport."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from c2d_box.errors import Failed
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.install import readiness
from sandbox.install.readiness import await_services
from sandbox.progress import ProgressEvent, run_verb

READY = {
    "metadata": {"labels": {"kubernetes.io/service-name": "cache"}},
    "endpoints": [{"conditions": {"ready": True}}],
}


class Server:
    """Answers by path; what it does not know is 404."""

    def __init__(self, **answers: Any) -> None:
        self.slices: list[dict[str, Any]] = []
        self.pods: list[dict[str, Any]] = []
        self.log = ""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/endpointslices"):
            return httpx.Response(200, json={"items": self.slices})
        if path.endswith("/services/cache"):
            return httpx.Response(200, json={"spec": {"selector": {"app": "cache"}}})
        if path.endswith("/pods"):
            return httpx.Response(200, json={"items": self.pods})
        if path.endswith("/events"):
            return httpx.Response(
                200, json={"items": [{"type": "Warning", "reason": "Failed", "message": "no image"}]}
            )
        if path.endswith("/log"):
            return httpx.Response(200, text=self.log)
        return httpx.Response(404, json={"message": "not found"})

    def kube(self) -> KubeApi:
        return KubeApi(httpx.Client(transport=httpx.MockTransport(self), base_url="https://api"))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "POLL_SECONDS", 0.001)


def test_a_service_is_ready_when_listed_and_answering() -> None:
    server, answers = Server(), iter([False, False, True])
    server.slices = [READY]
    events: list[ProgressEvent] = []
    took = run_verb(
        await_services(server.kube(), "c2d", ["cache"], {"cache": lambda: next(answers)}), events.append
    )
    assert set(took) == {"cache"}
    assert [event.state for event in events] == ["started", "done"]


def test_a_service_that_never_comes_is_explained_with_events_and_log() -> None:
    server = Server()
    server.pods = [
        {
            "metadata": {"name": "cache-1"},
            "spec": {"containers": [{"name": "cache"}]},
            "status": {"phase": "Pending"},
        }
    ]
    server.log = "one\nlast words\n"
    with pytest.raises(Failed, match="C2D-SERVICE-NOT-READY") as caught:
        run_verb(await_services(server.kube(), "c2d", ["cache"], {}, deadline=0.01), lambda event: None)
    assert caught.value.details["last_log_lines"] == ["one", "last words"]
    assert caught.value.details["events"] == ["Failed: no image"]


def test_a_service_without_pods_is_explained_too() -> None:
    with pytest.raises(Failed) as caught:
        run_verb(await_services(Server().kube(), "c2d", ["cache"], {}, deadline=0.01), lambda event: None)
    assert caught.value.details["pods"] == "none was created"


def test_each_service_has_the_pods_it_selects_the_newest_last() -> None:
    """Asked all the time by the screens, so in two requests; a service without selector has none."""
    asked = []
    lists = {
        "/pods": [
            {"metadata": {"name": "new", "labels": {"app": "a", "x": "1"}, "creationTimestamp": "2"}},
            {"metadata": {"name": "old", "labels": {"app": "a"}, "creationTimestamp": "1"}},
            {"metadata": {"name": "other"}},
        ],
        "/services": [
            {"metadata": {"name": "a"}, "spec": {"selector": {"app": "a"}}},
            {"metadata": {"name": "b"}, "spec": {"selector": {"app": "b"}}},
            {"metadata": {"name": "outside"}, "spec": {}},
        ],
    }

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(
            200, json={"items": lists[request.url.path.removeprefix("/api/v1/namespaces/n")]}
        )

    kube = KubeApi(httpx.Client(transport=httpx.MockTransport(answer), base_url="https://api"))
    found = readiness.pods_by_service(kube, "n")
    names = {name: [pod["metadata"]["name"] for pod in pods] for name, pods in found.items()}
    assert names == {"a": ["old", "new"], "b": [], "outside": []}
    assert len(asked) == 2
