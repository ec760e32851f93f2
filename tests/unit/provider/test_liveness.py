"""Liveness is about the process: nothing that is away outside of it may have Kubernetes restart it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx

from c2d_box.provider.app import build_provider_app
from sandbox.testchain.local_chain import running_chain
from tests.harness.fake_services import free_port
from tests.harness.provider_app import ProviderClient, provider_settings


def test_the_process_is_alive_while_nothing_else_is(tmp_path: Path) -> None:
    client = ProviderClient(build_provider_app(provider_settings(tmp_path)))
    assert client("GET", "/livez").status_code == 200
    assert client("GET", "/readyz").status_code == 503
    away = client("GET", "/readyz?verbose").json()["away"]
    assert away == ["chain", "metadata cache", "compute service"]


def test_a_chain_that_goes_away_neither_ends_nor_hides_the_provider(tmp_path: Path) -> None:
    """A running Provider whose chain is killed: the probes of the chart go on passing, and it says what is
    away, so that nobody takes it for a fault of its own."""
    port = free_port()
    with running_chain() as chain:
        section = {"id": 8996, "rpcUrl": chain.url, "addressFile": str(chain.address_file)}
        made = provider_settings(tmp_path, chain=section, listen={"host": "127.0.0.1", "port": port})
        (tmp_path / "config.json").write_text(made.model_dump_json(by_alias=True, exclude_none=True))
        command = [sys.executable, "-m", "c2d_box.provider", "--config", str(tmp_path / "config.json")]
        provider = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{port}"
        _until_ready(url)
    try:
        for _ in range(6):  # as many in a row as end a pod
            for path in ("/livez", "/readyz"):
                assert httpx.get(url + path, trust_env=False, timeout=3).status_code == 200
            time.sleep(0.2)
        assert httpx.get(f"{url}/healthz", trust_env=False, timeout=5).status_code == 503
        assert "chain" in httpx.get(f"{url}/readyz?verbose", trust_env=False, timeout=5).json()["away"]
        assert provider.poll() is None
    finally:
        provider.kill()
        provider.wait()


def _until_ready(url: str) -> None:
    for _ in range(900):
        try:
            if httpx.get(f"{url}/readyz", trust_env=False, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the Provider was never ready")
