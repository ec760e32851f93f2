"""A chain of one's own for tests and development: a child process on a free port with a folder of its own.

with running() as chain:
    Web3(Web3.HTTPProvider(chain.url)); chain.addresses["ERC721Factory"]
"""

from __future__ import annotations

import contextlib
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

# Covers the deployment of Ocean's contracts too.
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


@dataclass
class LocalChain:
    """A chain that runs in a child process."""

    url: str
    data_dir: Path
    process: subprocess.Popen[bytes]

    @property
    def address_file(self) -> Path:
        """The file with section ``development`` (also served at ``url``/address.json)."""
        return self.data_dir / "address.json"

    @property
    def addresses(self) -> dict[str, Any]:
        """The contracts of section ``development``, by the names of Ocean's address file."""
        section: dict[str, Any] = json.loads(self.address_file.read_text())["development"]
        return section

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.kill()
        # Its lock on the folder is gone only once it has ended.
        self.process.wait()
        self._close_pipe()

    def stop(self) -> int:
        """Send SIGTERM; return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        # The process closes its database first; after a kill the next start would have to recover.
        status = self.process.wait(_STOP_SECONDS)
        self._close_pipe()
        return status

    def _close_pipe(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()


@contextmanager
def running_chain(data_dir: Path | None = None, **settings: object) -> Iterator[LocalChain]:
    """Run a chain and yield it once it is ready; ``settings`` are further keys of its configuration file."""
    # The log is deleted with the folder; a failed start quotes its end.
    with tempfile.TemporaryDirectory(prefix="c2d-chain-") as scratch:
        chain = start(Path(scratch), data_dir or Path(scratch) / "data", **settings)
        try:
            yield chain
        finally:
            chain.stop()


def start(scratch: Path, data_dir: Path, **settings: object) -> LocalChain:
    """Start a child on a free port and wait until its contracts are deployed.

    The child holds the other end of a pipe from here and stops when that closes, so it cannot outlive its
    parent.
    """
    config, ready, output = scratch / "config.json", scratch / "ready.json", scratch / "log"
    # A file of an earlier start would give the URL of a process that is gone.
    ready.unlink(missing_ok=True)
    config.write_text(
        json.dumps(
            {"listen": {"host": "127.0.0.1", "port": 0}, "dataDir": str(data_dir), **settings}, default=str
        )
    )
    # The same interpreter, so that the child sees the same packages.
    command = [sys.executable, "-m", "sandbox.testchain", "--config", str(config)]
    command += ["--ready-file", str(ready), "--until-stdin-closes"]
    # Into a file: a pipe that nobody reads would fill up and stop the child.
    with output.open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT)
    chain = LocalChain("", data_dir, process)
    try:
        chain.url = _wait_ready(process, ready)
    except BaseException as error:
        # Also on Ctrl-C: no child may stay behind.
        chain.kill()
        if isinstance(error, TimeoutError):
            tail = output.read_text()[-2000:]
            raise Failed(
                "C2D-CHAIN-START", f"the chain did not start: {tail}", "See its log above."
            ) from error
        raise
    return chain


def _wait_ready(process: subprocess.Popen[bytes], ready: Path) -> str:
    """Return the child's URL once its contracts are deployed; TimeoutError where it ends or takes too
    long."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if ready.exists():
            url = str(json.loads(ready.read_text())["url"])
            # The port is open before the server answers.
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}/healthz", trust_env=False).status_code == 200:
                    return url
        time.sleep(0.02)
    raise TimeoutError
