"""Runs the real versitygw as the chart runs it, as a local process on a port of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from sandbox.objectstore import ObjectStore
from tests.harness.fake_services import free_port

ROOT, SECRET = "ROOT", "the root's secret of this test"


@contextmanager
def versitygw_in(folder: Path, binary: Path) -> Iterator[ObjectStore]:
    """Run the gateway; yield its store with root credentials."""
    port = free_port()
    for name in ("buckets", "iam"):
        (folder / name).mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "VGW_PORT": f"127.0.0.1:{port}",
        "VGW_REGION": "us-east-1",
        "VGW_HEALTH": "/healthz",
        "VGW_QUIET": "true",
        "VGW_IAM_DIR": str(folder / "iam"),
        "ROOT_ACCESS_KEY": ROOT,
        "ROOT_SECRET_KEY": SECRET,
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binary, "posix", folder / "buckets"], env=environment, stdout=log, stderr=log
        )
    made = ObjectStore(f"http://127.0.0.1:{port}", ROOT, SECRET)
    try:
        _wait_ready(process, f"{made.endpoint}/healthz", folder / "log")
        yield made
    finally:
        process.terminate()
        process.wait(20)


def send_request(
    store: ObjectStore, method: str, path: str, body: bytes = b"", query: dict[str, str] | None = None
) -> httpx.Response:
    """Send a signed request for ``/bucket/key``, whatever the store makes of it."""
    bucket, _, key = path.removeprefix("/").partition("/")
    return store.client.send_request(method, bucket, key, body, query)


def _wait_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    began = time.monotonic()
    while True:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None and time.monotonic() - began < 30, log.read_text()
        time.sleep(0.05)
