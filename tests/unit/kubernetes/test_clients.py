"""Both clients against an API server in this process: the contract of the port, and the calls of verbs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from c2d_box.errors import C2DError
from c2d_box.kubernetes.client import HttpCluster
from c2d_box.kubernetes.kubeconfig import ClusterConnection
from c2d_box.kubernetes.port import CONFIG_MAPS, NODES, ClusterError, Object
from c2d_box.kubernetes.sync_client import KubeApi
from tests.contract.workflow_store_suite import *  # noqa: F403 - the tests themselves
from tests.harness.api_server import ApiServer
from tests.harness.fake_services import BackgroundServer

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def api() -> ApiServer:
    return ApiServer("first")


@pytest.fixture
def connection(api: ApiServer, tmp_path: Path) -> Iterator[ClusterConnection]:
    (tmp_path / "token").write_text("first\n")
    with BackgroundServer(api.app()) as served:
        yield ClusterConnection(
            served.url, ssl.create_default_context(), "unused", token_file=tmp_path / "token"
        )


@pytest.fixture
async def cluster(connection: ClusterConnection) -> AsyncIterator[HttpCluster]:
    made = HttpCluster(connection, "default")
    yield made
    await made.close()


@pytest.fixture
def kube(connection: ClusterConnection) -> Iterator[KubeApi]:
    with KubeApi(httpx.Client(base_url=connection.server, auth=connection.authorize_request)) as made:
        yield made


def configmap(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}}


async def test_a_token_that_is_replaced_is_used_at_once(
    api: ApiServer, cluster: HttpCluster, connection: ClusterConnection
) -> None:
    assert await cluster.get(CONFIG_MAPS, "none") is None
    api.token = "second"
    with pytest.raises(ClusterError) as refused:
        await cluster.get(CONFIG_MAPS, "none")
    assert refused.value.status == 401
    assert connection.token_file is not None
    await asyncio.to_thread(connection.token_file.write_text, "second")
    assert await cluster.get(CONFIG_MAPS, "none") is None


async def test_a_long_list_is_read_page_by_page(
    cluster: HttpCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("c2d_box.kubernetes.client._PAGE", 2)
    for number in range(5):
        await cluster.create(CONFIG_MAPS, configmap(f"map-{number}"))
    assert len((await cluster.list(CONFIG_MAPS))[0]) == 5


async def test_nodes_are_counted_up_to_two(cluster: HttpCluster) -> None:
    for name, several in ("first", False), ("second", True), ("third", True):
        await cluster.create(NODES, {"metadata": {"name": name}})
        assert await cluster.has_several(NODES) is several


def test_the_calls_of_verbs(api: ApiServer, kube: KubeApi) -> None:
    assert kube.get(f"{MAPS}/one") is None and kube.items(MAPS) == []
    for _ in range(2):  # the second finds it there
        kube.create_object(MAPS, configmap("one"))
    kube.merge(f"{MAPS}/one", {"data": {"b": "2"}})
    kube.merge(f"{MAPS}/one", {"data": {"c": "3"}}, strategic=True)
    assert api.patch_kinds == ["application/merge-patch+json", "application/strategic-merge-patch+json"]
    (found,) = kube.items(MAPS)
    assert found["data"] == {"a": "1", "b": "2", "c": "3"}
    for _ in range(2):
        kube.delete(f"{MAPS}/one")
    assert kube.get(f"{MAPS}/one") is None


def test_a_refusal_says_what_kubernetes_said(api: ApiServer, kube: KubeApi) -> None:
    with pytest.raises(C2DError, match="configmaps none not found") as problem:
        kube.merge(f"{MAPS}/none", {})
    assert problem.value.code == "C2D-KUBERNETES-REFUSED"
    api.token = "another"
    with pytest.raises(C2DError, match="Unauthorized"):
        kube.items(MAPS)


def test_a_server_that_is_away_is_a_box_that_is_down() -> None:
    with KubeApi(httpx.Client(base_url="http://127.0.0.1:9")) as kube, pytest.raises(C2DError) as problem:
        kube.get(MAPS)
    assert problem.value.code == "C2D-BOX-DOWN" and problem.value.exit_status == 4
