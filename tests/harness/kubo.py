"""Runs a private Kubo node as the chart configures it, as a local process on ports of its own."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.harness.fake_services import free_port

_CHART = Path(__file__).parents[2] / "charts/c2d/files/kubo"
_EMPTY_BLOCK = "/ipfs/bafkqaaa"


@dataclass(frozen=True)
class KuboNode:
    """A running node: its addresses and tokens."""

    rpc_port: int
    gateway: str
    upload_token: str
    admin_token: str

    def token(self, name: str) -> str:
        """Return the token whose secret file has this name."""
        return f"{name}-of-the-test"


@contextmanager
def kubo_in(folder: Path, binary: Path) -> Iterator[KuboNode]:
    """Start a node with the chart's prepare.py; only the listening addresses differ."""
    rpc, gateway = free_port(), free_port()
    made = KuboNode(rpc, f"http://127.0.0.1:{gateway}", "upload-of-the-test", "admin-of-the-test")
    tokens = folder / "secrets"
    tokens.mkdir()
    (tokens / "upload-token").write_text(made.upload_token)
    (tokens / "ipfs-admin-token").write_text(made.admin_token)
    (tokens / "expiry-token").write_text(made.token("expiry-token"))
    settings = json.loads((_CHART / "config.json").read_text())
    settings["Addresses"] |= {"API": f"/ip4/127.0.0.1/tcp/{rpc}", "Gateway": f"/ip4/127.0.0.1/tcp/{gateway}"}
    template, first, repository = folder / "kubo.json", folder / "first.json", folder / "repository"
    template.write_text(json.dumps(settings))
    runpy.run_path(str(_CHART / "prepare.py"))["prepare"](template, tokens, repository, first)
    flags = ["--init", f"--init-config={first}", "--migrate=false", "--enable-gc=false"]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "IPFS_PATH": str(repository),
        "IPFS_TELEMETRY": "off",
        "DO_NOT_TRACK": "1",
        "LIBP2P_FORCE_PNET": "1",
    }
    log = folder / "kubo.log"
    with log.open("wb") as output:
        process = subprocess.Popen([binary, "daemon", *flags], env=environment, stdout=output, stderr=output)
    try:
        _wait_ready(process, made.gateway, log)
        yield made
    finally:
        process.terminate()
        process.wait(20)


def _wait_ready(process: subprocess.Popen[bytes], gateway: str, log: Path) -> None:
    began = time.monotonic()
    while True:
        try:
            if httpx.get(gateway + _EMPTY_BLOCK, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None and time.monotonic() - began < 60, log.read_text()[-2000:]
        time.sleep(0.05)
