"""What a driver asks of the API server while its node starts, and what it writes after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from c2d_box import timestamps
from c2d_box.kubernetes.port import NODES, PODS, Object
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.clusters.native.control_plane.api import mark_pods_unready
from sandbox.clusters.node_readiness import node_is_ready
from tests.harness.api_server import ApiServer
from tests.harness.fake_services import BackgroundServer

NOW = 1_790_000_000.0


@pytest.fixture
def api() -> ApiServer:
    return ApiServer("t")


@pytest.fixture
def kube(api: ApiServer) -> Iterator[KubeApi]:
    with (
        BackgroundServer(api.app()) as served,
        KubeApi(httpx.Client(base_url=served.url, headers={"authorization": "Bearer t"})) as made,
    ):
        yield made


def conditions(ready: str) -> Object:
    heartbeat = timestamps.rfc3339_text(NOW).replace(".000000", "")
    return {"conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": heartbeat}]}


def create(api: ApiServer, *names: str) -> None:
    for name in names:
        asyncio.run(api.cluster.create(PODS, {"metadata": {"name": name, "namespace": "jobs"}}))
        asyncio.run(api.cluster.set_status(PODS, name, conditions("False" if name == "starts" else "True")))


@pytest.mark.parametrize(
    ("ready", "since", "answer"),
    [("True", NOW, True), ("True", NOW + 0.9, True), ("True", NOW + 1, False), ("Unknown", NOW, False)],
)
def test_a_report_from_before_a_restart_does_not_count(
    api: ApiServer, kube: KubeApi, ready: str, since: float, answer: bool
) -> None:
    assert not node_is_ready(kube, "node", since)
    asyncio.run(api.cluster.create(NODES, {"metadata": {"name": "node"}}))
    asyncio.run(api.cluster.set_status(NODES, "node", conditions(ready)))
    assert node_is_ready(kube, "node", since) is answer


def test_a_server_that_is_away_has_no_ready_node() -> None:
    with KubeApi(httpx.Client(base_url="http://127.0.0.1:9")) as kube:
        assert not node_is_ready(kube, "node", NOW)


def test_pods_that_claim_to_be_ready_are_marked_also_where_one_is_gone(
    api: ApiServer, kube: KubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(api, "first", "second", "starts")
    listed = kube.items("/api/v1/pods")
    monkeypatch.setattr(kube, "items", lambda path, **query: listed)
    asyncio.run(api.cluster.vanish(PODS, "first"))
    mark_pods_unready(kube, "node")
    assert api.patch_kinds == ["application/strategic-merge-patch+json"] * 2
    second = asyncio.run(api.cluster.get(PODS, "second"))
    assert second is not None
    assert {(item["type"], item["status"]) for item in second["status"]["conditions"]} == {
        ("Ready", "False"),
        ("ContainersReady", "False"),
    }
