"""It is real, shown by means that share no code with it: kubectl, curl, psql, an EVM, plain Python."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from c2d_box.client import JobRequest
from sandbox.box import Box
from sandbox.bundle import Bundle
from sandbox.demo.story import SCRIPT, TABLE, DemoOutcome
from sandbox.verbs.compute import jobs

from .conftest import ComputePair, finish_verb, wait_until

SLOW = "import time\nprint('slow', flush=True)\ntime.sleep(300)\n"


def test_kubectl_sees_upstream_kubernetes(kubectl: Callable[..., str]) -> None:
    version = json.loads(kubectl("version", "-o", "json"))["serverVersion"]
    assert version["gitVersion"] == Bundle.open_cached().kubernetes_version
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    assert [node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes] == [version["gitVersion"]]


def test_kubectl_sees_the_workflow_and_the_pods_of_a_job(
    box: Box, kubectl: Callable[..., str], publish_pair: Callable[[str, str], ComputePair]
) -> None:
    pair = publish_pair("a,b\n1,2\n", SLOW)
    job_id = finish_verb(jobs.start(box, "consumer", JobRequest(pair.dataset, pair.algorithm))).id
    try:
        workflow = json.loads(kubectl("get", "workflow", job_id, "-n", "c2d-jobs", "-o", "json"))
        assert workflow["apiVersion"] == "oceanprotocol.com/v1alpha"
        assert "http" not in json.dumps(workflow["spec"]["stages"])

        def running() -> list[dict[str, Any]]:
            answer = kubectl(
                "get", "pods", "-n", "c2d-jobs", "-l", f"c2d.oceanprotocol.com/job={job_id}", "-o", "json"
            )
            pods = json.loads(answer)["items"]
            return pods if any(_is_running(pod, "algorithm") for pod in pods) else []

        pods = wait_until(running, what="a running algorithm pod")
        parts = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods}
        assert "algorithm" in parts
        (algorithm,) = [pod for pod in pods if _is_running(pod, "algorithm")]
        assert algorithm["spec"]["runtimeClassName"].endswith("-unrouted")
        assert algorithm["spec"]["automountServiceAccountToken"] is False
    finally:
        finish_verb(jobs.stop_job(box, "consumer", job_id))


def test_the_official_client_sees_the_workflow_as_it_is_stored(box: Box, outcome: DemoOutcome) -> None:
    """The product has a port of its own; whoever has code with the official client keeps it."""
    from kubernetes import client, config

    api: Any = config.new_client_from_config(str(box.home.kubeconfig))  # type: ignore[no-untyped-call]
    try:
        custom: Any = client.CustomObjectsApi(api)
        listed = custom.list_namespaced_custom_object("oceanprotocol.com", "v1alpha", "c2d-jobs", "workflows")
        (workflow,) = [item for item in listed["items"] if item["metadata"]["name"] == outcome.job_id]
        assert workflow["status"]["code"] == 70
        services: Any = client.CoreV1Api(api).list_namespaced_service("c2d")
        assert "provider" in {service.metadata.name for service in services.items}
    finally:
        api.close()


def test_the_contracts_code_is_what_the_packages_creation_code_deploys_elsewhere(box: Box) -> None:
    import httpx
    from eth_tester import EthereumTester, PyEVMBackend

    addresses = json.loads(box.home.address_file.read_text())["development"]
    elsewhere = EthereumTester(PyEVMBackend())
    for name, address in {
        "ERC721Template": addresses["ERC721Template"]["1"],
        "ERC20Template": addresses["ERC20Template"]["1"],
    }.items():
        request = {"jsonrpc": "2.0", "id": 1, "method": "eth_getCode", "params": [address, "latest"]}
        here = httpx.post(box.service_urls["chain"], json=request, timeout=10).json()["result"]
        creation = _creation_code(name)
        deployed = elsewhere.send_transaction(
            {"from": elsewhere.get_accounts()[0], "data": creation, "gas": 25_000_000, "value": 0}
        )
        there = elsewhere.get_code(elsewhere.get_transaction_receipt(deployed)["contract_address"])
        assert here == there
        assert len(here) > 1000


def test_curl_fetches_the_result_by_cid_and_its_hash_is_the_recorded_one(
    box: Box, outcome: DemoOutcome
) -> None:
    (record,) = [item for item in outcome.results if item["filename"] == "metrics.json"]
    url = f"{box.service_urls['ipfs-gateway']}/ipfs/{record['url'].removeprefix('ipfs://')}"
    fetched = subprocess.run(["curl", "-sSf", url], capture_output=True, check=True).stdout
    assert hashlib.sha256(fetched).hexdigest() == record["sha256"].removeprefix("sha256:")
    assert json.loads(fetched) == dict(outcome.metrics)


def test_psql_reads_the_jobs_row(kubectl: Callable[..., str], outcome: DemoOutcome) -> None:
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
    query = "select row_to_json(jobs) from jobs"
    rows = kubectl(
        "exec",
        "-n",
        "c2d",
        pod,
        "--",
        "psql",
        "-h",
        "/var/lib/c2d/postgres",
        "-U",
        "c2d",
        "-d",
        "c2d",
        "-Atc",
        query,
    )
    parsed = [json.loads(line) for line in rows.splitlines()]
    (row,) = [row for row in parsed if outcome.job_id in row.values()]
    assert row["status"] == 70


def test_the_metrics_equal_those_of_the_same_script_run_outside(outcome: DemoOutcome, tmp_path: Path) -> None:
    version = str(outcome.metrics["scikit_learn"])
    python = _python_with_scikit_learn(version)
    subprocess.run([python, str(SCRIPT), str(TABLE), str(tmp_path)], check=True, capture_output=True)
    assert json.loads((tmp_path / "metrics.json").read_text()) == dict(outcome.metrics)


def _is_running(pod: dict[str, Any], component: str) -> bool:
    labelled = pod["metadata"]["labels"].get("app.kubernetes.io/component") == component
    return bool(labelled and pod["status"].get("phase") == "Running")


def _creation_code(name: str) -> str:
    import artifacts

    folder = Path(artifacts.__file__).parent
    (path,) = list(folder.rglob(f"{name}.json"))
    return str(json.loads(path.read_text())["bytecode"])


def _python_with_scikit_learn(version: str) -> Path:
    """A virtual environment with the packages the algorithm image has, kept between test runs."""
    cache = Path(os.environ.get("C2D_BOX_CACHE") or Path.home() / ".cache" / "c2d-box")
    folder = cache / f"outside-scikit-learn-{version}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [
            str(python),
            "-m",
            "pip",
            "install",
            "-q",
            f"scikit-learn=={version}",
            "pandas",
            "matplotlib",
        ]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.fail(f"no Python to compare with: {done.stderr[-500:]}")
        (folder / "complete").touch()
    return python
