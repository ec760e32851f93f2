"""The chart's S3 server and the job that makes its accounts, run as they are rendered, without a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from c2d_box.errors import C2DError
from sandbox.bundle import Bundle
from sandbox.install.chart_values import chart_folder, service_secrets
from sandbox.keys import open_keys
from sandbox.objectstore import ObjectStore
from tests.harness.fake_services import free_port
from tests.harness.versitygw import send_request

IMAGES = {name: f"c2d.local/{name}@sha256:{'a' * 64}" for name in ("runtime", "postgres", "kubo", "s3")}


@pytest.fixture(scope="module")
def rendered() -> list[dict[str, Any]]:
    try:
        helm = Bundle.open_cached(["helm"]).binary("helm")
    except C2DError as error:
        pytest.skip(f"no helm in the bundle: {error}")
    values = {
        "images": IMAGES,
        "resultStore": {"kind": "s3"},
        "operatorService": {"allowedProviders": ["0x" + "1" * 40]},
        "chain": {"enabled": True},
        "networkPolicies": {"enabled": False},
    }
    command = [str(helm), "template", "c2d", str(chart_folder()), "--namespace", "c2d", "--values", "-"]
    done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=True)
    return [item for item in yaml.safe_load_all(done.stdout) if item]


class Place:
    """The pods' folders below a folder of the test's: mounted files as a pod of each kind has them."""

    def __init__(self, folder: Path, rendered: list[dict[str, Any]]) -> None:
        self.folder, self.rendered, self.port = folder, rendered, free_port()
        self.keys = open_keys(folder / "keys")
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def pod(self, kind: str) -> tuple[dict[str, Any], Path]:
        """The one container, and its /etc/c2d."""
        (item,) = [
            found
            for found in self.rendered
            if found["kind"] == kind and found["metadata"]["name"].startswith("s3")
        ]
        spec = item["spec"]["template"]["spec"]
        etc = self.folder / kind
        (etc / "secrets").mkdir(parents=True)
        (projected,) = [volume["projected"] for volume in spec["volumes"] if volume["name"] == "etc"]
        for source in projected["sources"]:
            if "secret" in source:
                held = service_secrets(self.keys)[source["secret"]["name"]]
                for entry in source["secret"]["items"]:
                    (etc / entry["path"]).write_text(held[entry["key"]])
        (container,) = spec["containers"]
        return container, etc

    def here(self, text: str, etc: Path) -> str:
        return text.replace("/etc/c2d", str(etc)).replace("/var/lib/c2d", str(self.folder / "data"))


@pytest.fixture(scope="module")
def place(rendered: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """With the server running."""
    try:
        binary = Bundle.open_cached(["versitygw"]).binary("versitygw")
    except C2DError as error:
        pytest.skip(f"no versitygw in the bundle: {error}")
    made = Place(tmp_path_factory.mktemp("charted"), rendered)
    container, etc = made.pod("Deployment")
    environment = {entry["name"]: made.here(entry["value"], etc) for entry in container["env"]}
    environment |= {"VGW_PORT": f"127.0.0.1:{made.port}", "PATH": f"{binary.parent}:{os.environ['PATH']}"}
    command = [made.here(part, etc) for part in container["command"]]
    with (made.folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        began = time.monotonic()
        while not _answers(made.endpoint):
            assert process.poll() is None and time.monotonic() - began < 30, (made.folder / "log").read_text()
            time.sleep(0.05)
        yield made
    finally:
        process.terminate()
        process.wait(20)


def _answers(endpoint: str) -> bool:
    try:
        return httpx.get(f"{endpoint}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_the_job_makes_the_keys_that_the_services_secrets_hold(place: Place) -> None:
    container, etc = place.pod("Job")
    (config,) = [
        item
        for item in place.rendered
        if item["kind"] == "ConfigMap" and item["metadata"]["name"] == "s3-accounts"
    ]
    settings = json.loads(config["data"]["config.json"])
    assert settings["endpoint"] == "http://s3.c2d.svc:9000"
    settings |= {"endpoint": place.endpoint, "secretsDir": str(etc / "secrets")}
    (etc / "config.json").write_text(json.dumps(settings))
    module, *options = [place.here(part, etc) for part in container["args"]]
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", module, *options], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for value in place.keys.values.values():
            assert value not in done.stdout + done.stderr
    made = service_secrets(place.keys)
    root = ObjectStore(place.endpoint, place.keys["s3-access-key"], place.keys["s3-secret-key"])
    (file := place.folder / "file").write_bytes(b"a result")
    root.put_file("results", "job/a", file)
    allowed = {
        "operator-engine": (403, 200, 204),
        "operator-service": (200, 403, 403),
        "provider": (200, 403, 403),
    }
    for service, expected in allowed.items():
        held = made[f"{service}-secrets"]
        seen = ObjectStore(place.endpoint, held["s3-access-key"], held["s3-secret-key"])
        calls = (
            ("GET", "/results/job/a"),
            ("PUT", f"/results/job/{service}"),
            ("DELETE", f"/results/job/{service}"),
        )
        assert tuple(send_request(seen, *call).status_code for call in calls) == expected
        assert send_request(seen, "GET", "/results", query={"list-type": "2"}).status_code == 403
