"""A chain of one's own for tests and development: a child process on a free port with a folder of its own.

with running() as chain:
    Web3(Web3.HTTPProvider(chain.url)); chain.addresses["ERC721Factory"]
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from c2d_box.errors import Failed

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


@dataclass
class LocalChain:
    url: str
    data_dir: Path
    process: subprocess.Popen[bytes]

    @property
    def address_file(self) -> Path:
        """The file with section ``development`` (also served at ``url``/address.json)."""
        return self.data_dir / "address.json"

    @property
    def addresses(self) -> dict[str, Any]:
        section: dict[str, Any] = json.loads(self.address_file.read_text())["development"]
        return section

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_STOP_SECONDS)


@contextmanager
def running(data_dir: Path | None = None, **settings: object) -> Iterator[LocalChain]:
    """A ready chain; ``settings`` are further keys of its configuration file."""
    with tempfile.TemporaryDirectory(prefix="c2d-chain-") as scratch:
        chain = start(Path(scratch), data_dir or Path(scratch) / "data", **settings)
        try:
            yield chain
        finally:
            if chain.process.poll() is None:
                chain.stop()


def start(scratch: Path, data_dir: Path, **settings: object) -> LocalChain:
    """Start a child on a free port and wait until its contracts are deployed."""
    config, ready, output = scratch / "config.json", scratch / "ready.json", scratch / "log"
    ready.unlink(missing_ok=True)
    config.write_text(
        json.dumps(
            {"listen": {"host": "127.0.0.1", "port": 0}, "dataDir": str(data_dir), **settings}, default=str
        )
    )
    command = [sys.executable, "-m", "sandbox.testchain", "--config", str(config), "--ready-file", str(ready)]
    with output.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if ready.exists():
            url = json.loads(ready.read_text())["url"]
            if httpx.get(f"{url}/healthz", trust_env=False).status_code == 200:
                return LocalChain(url, data_dir, process)
        time.sleep(0.02)
    process.kill()
    process.wait()
    raise Failed(
        "C2D-CHAIN-START", f"the chain did not start: {output.read_text()[-2000:]}", "See its log above."
    )
