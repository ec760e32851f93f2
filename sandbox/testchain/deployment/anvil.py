"""anvil instead of our own node: the same accounts, chain id and contracts behind the same port.

Its binary travels in the npm package ``@foundry-rs/anvil``. Where npm is there, :func:`install_anvil` fetches
it into a cache folder; otherwise a binary on PATH is used. Unlike ours, anvil writes its state only now and
then and looks at neither Host nor content type: it is a second opinion and a faster engine, not the
default.

    python -m sandbox.testchain.deployment.anvil --config FILE    (same settings as ``sandbox.testchain``)
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from c2d_box.errors import C2DError, EnvironmentProblem, Failed
from c2d_box.files import replace_file
from c2d_box.service.main import load_settings
from sandbox.testchain.deployment.deploy import deploy_contracts
from sandbox.testchain.json_rpc.callers import HttpRpc
from sandbox.testchain.settings import ChainNodeSettings

# Pinned: another version may deploy or fork differently, and addresses must not change.
PACKAGE = "@foundry-rs/anvil@1.7.1"
# anvil has no durable write per block: up to this much is lost with a kill.
_SAVE_SECONDS = 5
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
log = logging.getLogger("c2d.testchain.anvil")


def find_anvil(cache: Path | None = None) -> Path | None:
    """Return anvil's binary in ``cache`` or on PATH, or None."""
    if cache is not None:
        # npm installs one package per platform; only the one that fits this machine is there.
        for place in sorted(cache.glob("node_modules/@foundry-rs/anvil-*/bin/anvil")):
            return place
    found = shutil.which("anvil")
    return None if found is None else Path(found)


def install_anvil(cache: Path) -> Path:
    """Fetch the binary through npm into ``cache`` unless it is there."""
    found = find_anvil(cache)
    if found is not None:
        return found
    npm = shutil.which("npm")
    if npm is None:
        raise EnvironmentProblem(
            "C2D-ANVIL-MISSING",
            "neither anvil nor npm is on PATH",
            "Install one of them, or use the built-in chain.",
        )
    cache.mkdir(parents=True, exist_ok=True)
    # No install scripts: the platform's package carries the binary itself.
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(cache), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = find_anvil(cache)
    # npm may succeed without the optional package of this platform.
    if done.returncode or found is None:
        raise Failed(
            "C2D-ANVIL-INSTALL", f"npm could not fetch {PACKAGE}: {done.stderr[-500:]}", "Is npm online?"
        )
    return found


class AnvilProcess:
    """A running anvil; its state is kept in ``settings.data_dir``/anvil.json."""

    def __init__(self, binary: Path, settings: ChainNodeSettings, port: int) -> None:
        host = settings.listen.host
        # 0.0.0.0 is an address to listen at, not one to call.
        self.url = f"http://127.0.0.1:{port}" if host == "0.0.0.0" else f"http://{host}:{port}"
        self._settings = settings
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with (settings.data_dir / "anvil.log").open("ab") as output:
            self.process = subprocess.Popen(
                _anvil_command(binary, settings, port), stdout=output, stderr=output
            )

    def wait_ready(self) -> None:
        """Return once anvil answers; Failed C2D-ANVIL-START where it ends or takes too long."""
        deadline = time.monotonic() + _START_SECONDS
        with HttpRpc(self.url) as rpc:
            while time.monotonic() < deadline and self.process.poll() is None:
                try:
                    rpc.call("eth_chainId")
                    return
                except Failed:
                    # Not listening yet.
                    time.sleep(0.05)
        raise Failed(
            "C2D-ANVIL-START",
            "anvil did not start",
            f"See {self._settings.data_dir / 'anvil.log'} for its reason.",
        )

    def deploy_contracts(self) -> dict[str, Any]:
        """Deploy Ocean's contracts and write the address file, as on our own node."""
        with HttpRpc(self.url) as rpc:
            addresses = deploy_contracts(rpc, self._settings.mnemonic, 0, self._settings.pool_contracts)
        replace_file(self._settings.data_dir / "address.json", json.dumps(addresses, indent=2) + "\n")
        return addresses

    def stop(self) -> int:
        """Send SIGTERM, which makes anvil write its state."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # State up to the last interval is on disk.
            self.process.kill()
            return self.process.wait()


def _anvil_command(binary: Path, settings: ChainNodeSettings, port: int) -> list[str]:
    """Return anvil's command line for the same chain that our own node would serve."""
    values = {
        "--host": settings.listen.host,
        "--port": port,
        "--chain-id": settings.chain_id,
        "--mnemonic": settings.mnemonic,
        "--accounts": settings.accounts,
        "--balance": 1_000_000,
        "--derivation-path": "m/44'/60'/0'/0/",
        # The rules, gas limit and base fee of execution/evm_runner.py.
        "--hardfork": "prague",
        "--gas-limit": 60_000_000,
        "--block-base-fee-per-gas": 1,
        "--state": settings.data_dir / "anvil.json",
        "--state-interval": _SAVE_SECONDS,
    }
    pairs = [text for name, value in values.items() for text in (name, str(value))]
    # Past states stay readable, as clients of our own node expect; no CORS for any page.
    return [str(binary), *pairs, "--preserve-historical-states", "--no-cors", "--disable-min-priority-fee"]


def main(arguments: list[str] | None = None) -> int:
    """Serve anvil until SIGTERM; return the exit status. Errors go to stderr as one JSON object."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.testchain.deployment.anvil", description="Serve anvil as the chain."
    )
    parser.add_argument("--config", type=Path, required=True, help="the settings of sandbox.testchain")
    parser.add_argument(
        "--cache", type=Path, help="folder for anvil's binary; npm fetches it there if need be"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = load_settings(ChainNodeSettings, options.config)
        binary = find_anvil() if options.cache is None else install_anvil(options.cache)
        if binary is None:
            raise EnvironmentProblem(
                "C2D-ANVIL-MISSING", "anvil is not on PATH", "Install it, or give --cache."
            )
        return _serve_anvil(AnvilProcess(binary, settings, settings.listen.port))
    except C2DError as error:
        print(json.dumps(error.as_dict()), file=sys.stderr)
        return error.exit_status


def _serve_anvil(anvil: AnvilProcess) -> int:
    """Deploy the contracts and watch the process until a signal; return 0, or raise Failed where anvil
    ends."""
    # A signal handler should do as little as setting a flag.
    asked = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        anvil.wait_ready()
        anvil.deploy_contracts()
        log.info("anvil serves %s", anvil.url)
        # anvil is a child: if it dies, nobody else would notice.
        while not asked.wait(0.2):
            if anvil.process.poll() is not None:
                raise Failed(
                    "C2D-ANVIL-ENDED", "anvil ended by itself", "See anvil.log beside the chain's state."
                )
    finally:
        anvil.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
