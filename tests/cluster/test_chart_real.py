"""The installed chart: rights as the API server sees them, and what its services refuse."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from c2d_box.errors import Failed
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.box import Box

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
MAY = [
    ("operator-engine", "create", "pods", "c2d-jobs", True),
    ("operator-engine", "create", "pods", "c2d", False),
    ("operator-engine", "get", "secrets", "c2d-jobs", True),
    ("operator-engine", "get", "secrets", "c2d", False),
    ("operator-engine", "list", "secrets", "c2d-jobs", False),
    ("operator-engine", "create", "persistentvolumeclaims", "c2d-jobs", True),
    ("operator-engine", "create", "persistentvolumes", "c2d-jobs", False),
    ("operator-engine", "create", "pods/exec", "c2d-jobs", False),
    ("operator-engine", "update", "workflows/status", "c2d-jobs", True),
    ("operator-service", "create", "workflows", "c2d-jobs", True),
    ("operator-service", "create", "secrets", "c2d-jobs", True),
    ("operator-service", "get", "secrets", "c2d-jobs", False),
    ("operator-service", "create", "pods", "c2d-jobs", False),
    ("operator-service", "patch", "workflows/status", "c2d-jobs", False),
    ("operator-service", "get", "nodes", "c2d-jobs", False),
    ("provider", "list", "pods", "c2d", False),
    ("provider", "get", "secrets", "c2d", False),
    ("cache", "get", "configmaps", "c2d", False),
    ("chain", "get", "secrets", "c2d", False),
]


@pytest.mark.parametrize(("who", "verb", "what", "where", "allowed"), MAY)
def test_rights(cli: Cli, who: str, verb: str, what: str, where: str, allowed: bool) -> None:
    account = f"--as=system:serviceaccount:c2d:{who}"
    resource, _, sub = what.partition("/")
    command = ["kubectl", "auth", "can-i", verb, resource, "-n", where, account]
    answer = cli(*command, *([f"--subresource={sub}"] if sub else []), check=False)
    assert (answer.stdout.strip() == "yes") is allowed, answer.stderr


def test_the_provisioner_has_no_rights_over_secrets_or_pods(cli: Cli) -> None:
    account = "--as=system:serviceaccount:c2d-system:provisioner"
    for what in ("secrets", "pods"):
        for namespace in ("c2d", "c2d-jobs", "c2d-system"):
            answer = cli("kubectl", "auth", "can-i", "get", what, "-n", namespace, account, check=False)
            assert answer.stdout.strip() == "no"


def test_an_unrestricted_pod_is_refused_where_jobs_run(kube: KubeApi) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root", "namespace": "c2d-jobs"},
        "spec": {"containers": [{"name": "root", "image": "x", "securityContext": {"privileged": True}}]},
    }
    with pytest.raises(Failed, match="PodSecurity"):
        kube.apply("/api/v1/namespaces/c2d-jobs/pods/root", body)


def test_every_service_runs_restricted_and_none_restarts(kube: KubeApi) -> None:
    pods = kube.items("/api/v1/namespaces/c2d/pods")
    assert {pod["metadata"]["labels"]["app.kubernetes.io/name"] for pod in pods} >= {
        "provider",
        "operator-service",
        "operator-engine",
        "postgres",
        "ipfs",
        "s3",
    }
    for pod in pods:
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert {container["imagePullPolicy"] for container in pod["spec"]["containers"]} == {"Never"}


@pytest.fixture
def kubo(box: Box) -> Callable[[str, str | None], httpx.Response]:
    rpc = box.service_urls["ipfs-api"]

    def call(path: str, key: str | None) -> httpx.Response:
        headers = {}
        if key:
            headers["authorization"] = f"Bearer {(box.home.keys_folder / key).read_text().strip()}"
        return httpx.post(f"{rpc}/api/v0/{path}", headers=headers, timeout=10, trust_env=False)

    return call


def test_kubo_has_no_peer_no_listener_and_no_bootstrap(kubo: Any) -> None:
    assert kubo("swarm/peers", "ipfs-admin-token").json() == {"Peers": None}
    assert kubo("swarm/addrs/listen", "ipfs-admin-token").json() == {"Strings": None}
    assert not kubo("bootstrap/list", "ipfs-admin-token").json().get("Peers")


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("version", None, 403),
        ("version", "upload-token", 200),
        ("id", "upload-token", 403),
        ("config/show", "upload-token", 403),
        ("pin/rm?arg=bafkqaaa", "upload-token", 403),
        ("pin/ls", "upload-token", 403),
        ("id", "ipfs-admin-token", 200),
    ],
)
def test_kubo_knows_its_two_callers(kubo: Any, path: str, key: str | None, status: int) -> None:
    assert kubo(path, key).status_code == status


def test_kubo_holds_no_socket_but_its_two_and_their_clients(cli: Cli) -> None:
    """Whatever it would dial, DNS over UDP included, shows as another socket."""
    script = "cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6"
    said = cli("kubectl", "exec", "-n", "c2d", "deploy/ipfs", "-c", "ipfs", "--", "sh", "-c", script).stdout
    ports = {
        int(fields[1].rsplit(":", 1)[1], 16)
        for fields in (line.split() for line in said.splitlines())
        if len(fields) > 3 and fields[0].endswith(":")
    }
    assert ports <= {5001, 8080}


def test_s3_answers_only_who_knows_its_keys(box: Box) -> None:
    assert httpx.get(f"{box.service_urls['s3']}/", timeout=10, trust_env=False).status_code == 403
