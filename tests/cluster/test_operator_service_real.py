"""operator-service by curl alone, and after everything that can be rebuilt has been lost.

Nothing here goes through our own client: requests are made by curl, signed by a line of another library.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_hash.auto import keccak

from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.box import Box
from sandbox.bundle import Bundle
from tests.harness import process_kills

from .conftest import wait_until

TALKING = "import time\nfor n in range(600):\n    print('line', n, flush=True)\n    time.sleep(0.5)\n"
WORKFLOWS = "/apis/oceanprotocol.com/v1alpha/namespaces/c2d-jobs/workflows"
SERVICES = ("cache", "provider", "operator-service", "operator-engine")
Kubectl = Callable[..., str]


class Curl:
    """The command line of someone who has the Provider's key and no Provider."""

    def __init__(self, box: Box) -> None:
        self.base = box.service_urls["operator-service"]
        self.owner = f"0x{uuid.uuid4().hex}{'0' * 8}"
        self.key = (box.home.keys_folder / "provider-key").read_text().strip()
        image = Bundle.open_cached(parts=["algo-python"]).image("algo-python")
        self.container = {
            "entrypoint": "python3 $ALGO",
            "image": image.reference.partition("@")[0].rpartition(":")[0] or image.reference,
            "tag": "latest",
            "checksum": image.digest,
        }

    def command(self, method: str, path: str, body: str = "", **query: str) -> list[str]:
        target = f"/api/v1/operator{path}" + (f"?{urlencode(query)}" if query else "")
        nonce = str(time.time_ns())
        text = f"{method}\n{target}\n{hashlib.sha256(body.encode()).hexdigest()}\n{nonce}"
        signed = Account.sign_message(encode_defunct(keccak(text.encode())), self.key).signature.to_0x_hex()
        headers = ["-H", f"X-C2D-Signature: {signed}", "-H", f"X-C2D-Nonce: {nonce}"]
        data = ["--data-binary", body, "-H", "Content-Type: application/json"] if body else []
        return ["curl", "-sS", "--fail-with-body", "-N", "-X", method, *headers, *data, self.base + target]

    def __call__(self, method: str, path: str, body: str = "", **query: str) -> Any:
        done = subprocess.run(
            self.command(method, path, body, **query), capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def database_answers(self) -> bool:
        """Return whether operator-service reaches PostgreSQL: until then signed requests get a 503."""
        asked = ["curl", "-sS", "--fail", f"{self.base}/healthz/database"]
        return subprocess.run(asked, capture_output=True, timeout=30, check=False).returncode == 0

    def register(self, code: str) -> str:
        stage = {
            "input": [],
            "compute": {},
            "output": {},
            "algorithm": {"id": "", "rawcode": code, "container": self.container},
        }
        body = {
            "workflow": {"stages": [stage]},
            "agreementId": f"0x{uuid.uuid4().hex}",
            "owner": self.owner,
            "environment": "ocean-compute",
            "nonce": 1,
            "providerSignature": "",
            "chainId": 8996,
        }
        (job,) = self("POST", "/compute", json.dumps(body))
        return str(job["jobId"])

    def status(self, job: str) -> dict[str, Any]:
        (found,) = self("GET", "/compute", owner=self.owner, jobId=job)
        return dict(found)

    def finished(self, job: str) -> dict[str, Any]:
        return dict(
            wait_until(
                lambda: found if (found := self.status(job))["dateFinished"] else None,
                120,
                f"the end of {job}",
            )
        )


@pytest.fixture
def curl(box: Box, kube: KubeApi) -> Iterator[Curl]:
    caller = Curl(box)
    yield caller
    for body in kube.items(WORKFLOWS):
        if body["spec"].get("owner") == caller.owner:
            kube.delete(f"{WORKFLOWS}/{body['metadata']['name']}")


@pytest.fixture
def no_provider(kubectl: Kubectl) -> Iterator[None]:
    kubectl("scale", "-n", "c2d", "deployment/provider", "--replicas=0")
    kubectl(
        "wait", "-n", "c2d", "pod", "-l", "app.kubernetes.io/name=provider", "--for=delete", "--timeout=60s"
    )
    yield
    kubectl("scale", "-n", "c2d", "deployment/provider", "--replicas=1")
    kubectl("rollout", "status", "-n", "c2d", "deployment/provider", "--timeout=120s")


@pytest.mark.usefixtures("no_provider")
def test_curl_registers_lists_details_follows_and_stops_without_a_provider(
    curl: Curl, tmp_path: Path
) -> None:
    job = curl.register(TALKING)
    assert [entry["jobId"] for entry in curl("GET", "/compute", owner=curl.owner)] == [job]
    wait_until(lambda: curl.status(job)["status"] == 40, 60, "the algorithm's start")

    heard = tmp_path / "log"
    follow = curl.command("GET", "/logs", owner=curl.owner, jobId=job, component="algorithm", follow="true")
    with heard.open("wb") as file, subprocess.Popen(follow, stdout=file) as following:
        wait_until(lambda: heard.read_text().count("line") > 3, 30, "four lines while it runs")
        assert curl.status(job)["dateFinished"] is None
        (answer,) = curl("PUT", "/compute", owner=curl.owner, jobId=job)
        assert answer["stopreq"] == 1
        assert following.wait(60) == 0
    end = curl.finished(job)
    assert (end["status"], end["statusText"], end["stopreq"]) == (70, "Job finished", 1)
    assert [entry["type"] for entry in end["results"]] == ["algorithmLog", "configrationLog", "evidence"]
    done = subprocess.run(
        curl.command("GET", "/getResult", owner=curl.owner, jobId=job, index="0"),
        capture_output=True,
        check=True,
    )
    assert done.stdout.startswith(b"line 0\nline 1\n")
    assert curl("DELETE", "/compute", owner=curl.owner, jobId=job) == ""


def test_an_emptied_table_and_restarted_services_lose_no_job(box: Box, curl: Curl, kubectl: Kubectl) -> None:
    finished, running = curl.register("print('done and dusted')"), curl.register(TALKING)
    before = curl.finished(finished)
    wait_until(lambda: curl.status(running)["status"] == 40, 60, "the second algorithm's start")
    psql(kubectl, "TRUNCATE jobs; TRUNCATE envs; TRUNCATE nonces")
    for name in SERVICES:
        kubectl("delete", "pod", "-n", "c2d", "-l", f"app.kubernetes.io/name={name}", "--wait=true")
    kubectl("delete", "pod", "-n", "c2d", "-l", "app.kubernetes.io/name=postgres", "--wait=true")
    for name in (*SERVICES, "postgres"):
        kubectl("rollout", "status", "-n", "c2d", f"deployment/{name}", "--timeout=120s")

    def listed() -> dict[str, Any] | None:
        try:
            return {entry["jobId"]: entry for entry in curl("GET", "/compute", owner=curl.owner)}
        except AssertionError:
            return None

    wait_until(curl.database_answers, 60, "operator-service's session with PostgreSQL")
    jobs = wait_until(listed, 60, "a list")
    assert set(jobs) == {finished, running}
    del before["times"], jobs[finished]["times"]  # the clean-up goes on after the end
    assert jobs[finished] == before
    assert jobs[running]["status"] == 40
    curl("PUT", "/compute", owner=curl.owner, jobId=running)
    stopped = curl.finished(running)
    assert (stopped["status"], stopped["stopreq"]) == (70, 1)
    query = f"SELECT workflowid || ' ' || status FROM jobs WHERE owner = '{curl.owner}'"
    wanted = {f"{finished} 70", f"{running} 70"}
    wait_until(lambda: set(psql(kubectl, query).split("\n")) >= wanted, 30, "the rebuilt rows")


def test_a_restarted_postgresql_costs_no_request(
    box: Box, kube: KubeApi, curl: Curl, kubectl: Kubectl
) -> None:
    """Its pod is deleted by force, so that the old server is still there when the new one is started."""
    assert curl("GET", "/compute", owner=curl.owner) == []
    process_kills.kill_part(box, kube, "postgres", "")
    process_kills.renew_part(kube, "postgres")
    process_kills.wait_healthy(box, kube)
    time.sleep(2)  # until the node's proxy knows the new pod too
    assert curl("GET", "/compute", owner=curl.owner) == []
    assert psql(kubectl, "SELECT 1").strip() == "1", "the old server took the new one's socket with it"


def test_a_second_postgresql_waits_while_the_folder_is_in_use(
    kubectl: Kubectl, cli: Callable[..., Any]
) -> None:
    second = ("timeout", "3", "/opt/c2d/bin/postgres-start", "-c", "port=5433")
    said = cli("kubectl", "exec", "-n", "c2d", "deployment/postgres", "--", *second, check=False)
    assert said.returncode == 124, said.stderr
    assert "another PostgreSQL still uses /var/lib/c2d/postgres" in said.stderr
    assert psql(kubectl, "SELECT 1").strip() == "1"


def psql(kubectl: Kubectl, statement: str) -> str:
    pod = kubectl(
        "get",
        "pods",
        "-n",
        "c2d",
        "-l",
        "app.kubernetes.io/name=postgres",
        "-o",
        "jsonpath={.items[0].metadata.name}",
    )
    access = ("-h", "/var/lib/c2d/postgres", "-U", "c2d", "-d", "c2d", "-Atc", statement)
    return kubectl("exec", "-n", "c2d", pod, "--", "psql", *access)
