"""A local stack for clients of the Provider: a real chain, a real metadata cache and the Provider as
processes of their own, a source of files, and a fake operator-service.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from c2d_box.assets.addresses import ZERO
from c2d_box.assets.did import did_for
from c2d_box.chain import Chain, addresses
from c2d_box.chain.accounts import Signer, from_mnemonic
from c2d_box.chain.orders import start_order
from c2d_box.chain.publishing import DispenserTerms, FixedRateTerms, create_asset, set_metadata
from sandbox.testchain.local_chain import LocalChain, running_chain
from sandbox.testchain.settings import BARGE_MNEMONIC
from tests.harness.fake_services import PROVIDER_KEY, BackgroundServer, FakeOperator, FileServer, free_port

CACHE_KEY = "0x5d75837394b078ce97bc289fa8d75e21000573520bfa7784a9d28ccaae602bf8"
CONTAINER = {
    "entrypoint": "python $ALGO",
    "image": "c2d.local/algo-python",
    "tag": "latest",
    "checksum": "sha256:" + "ab" * 32,
}

EVERY = [{"did": "*", "filesChecksum": "", "containerSectionChecksum": ""}]
"""Trusts every algorithm; the DDO schema wants objects."""


@dataclass
class LocalStack:
    """The running stack, and shortcuts to publish, order and call."""

    chain_process: LocalChain
    chain: Chain
    folder: Path
    files: FileServer
    operator: FakeOperator
    operator_url: str
    provider_url: str = ""
    cache_url: str = ""
    second_provider_url: str = ""
    """Nothing listens at this address yet, but the cache accepts it as a decryptor."""
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def restart_provider(self) -> None:
        """Kill the Provider (SIGKILL, as a power loss would) and start it again."""
        self.stop_provider()
        self.start_provider()

    def stop_provider(self) -> None:
        killed = self.processes.pop()
        killed.kill()
        killed.wait()

    def start_provider(self) -> None:
        """Start the Provider; return when it can ask the chain."""
        spawn_service(self, "provider", self.settings["provider"])

    def account(self, index: int) -> Signer:
        return from_mnemonic(BARGE_MNEMONIC, index)

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        url = self.provider_url + path
        return httpx.request(method, url, timeout=30, trust_env=False, **options)

    def stream(self, method: str, path: str, **options: Any) -> Any:
        return httpx.stream(method, self.provider_url + path, timeout=30, trust_env=False, **options)

    def services(self, path: str, method: str = "GET", **options: Any) -> httpx.Response:
        return self.call(method, f"/api/services/{path}", **options)

    def encrypt(self, data: bytes) -> str:
        headers = {"Content-Type": "application/octet-stream"}
        answer = self.services("encrypt?chainId=8996", "POST", content=data, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.text

    def nonce(self, signer: Signer) -> str:
        stored = self.services(f"nonce?userAddress={signer.address}").json()["nonce"]
        return str(int(float(stored)) + 1)

    def publish(
        self,
        kind: str = "dataset",
        files: list[dict[str, Any]] | None = None,
        *,
        service: str = "compute",
        compute: dict[str, Any] | None = None,
        price: int = 10**18,
        template: int = 1,
        market: str = ZERO,
        **ddo: Any,
    ) -> StackAsset:
        publisher, terms = self.account(3), FixedRateTerms(price) if price else DispenserTerms()
        made = create_asset(
            self.chain, publisher, kind, kind[:4].upper(), terms, template=template, market=market
        )
        files = files or [{"type": "url", "url": f"{self.files.url}/data.csv", "method": "GET"}]
        plain = {"datatokenAddress": made.datatoken, "nftAddress": made.nft, "files": files}
        document = {
            "@context": ["https://w3id.org/did/v1"],
            "id": did_for(made.nft, 8996),
            "version": "4.1.0",
            "chainId": 8996,
            "nftAddress": made.nft,
            "metadata": {
                "created": "2026-11-22T00:00:00Z",
                "updated": "2026-11-22T00:00:00Z",
                "name": f"A {kind}",
                "description": "Something to compute with",
                "type": kind,
                "author": "An author",
                "license": "MIT",
                **(
                    {"algorithm": {"container": CONTAINER, "language": "python"}}
                    if kind == "algorithm"
                    else {}
                ),
            },
            "services": [
                {
                    "id": "0",
                    "type": service,
                    "datatokenAddress": made.datatoken,
                    "serviceEndpoint": self.provider_url,
                    "files": self.encrypt(json.dumps(plain).encode()),
                    "timeout": 3600,
                    **({"compute": compute or rules()} if service == "compute" else {}),
                }
            ],
            **ddo,
        }
        asset = StackAsset(made.nft, made.datatoken, document["id"], document)
        self.update(asset)
        return asset

    def update(self, asset: StackAsset, state: int = 0) -> str:
        tx = self.rewrite(asset, state)
        self.wait_for(asset.did, tx)
        return tx

    def updated(self, asset: StackAsset) -> float:
        """Publish the document again; return the seconds from the receipt until the cache shows it."""
        return self.wait_for(asset.did, self.rewrite(asset))

    def rewrite(self, asset: StackAsset, state: int = 0) -> str:
        """Publish the asset's document again; return the transaction."""
        text = json.dumps(asset.document).encode()
        return set_metadata(
            self.chain,
            self.account(3),
            asset.nft,
            state,
            self.provider_url,
            2,
            bytes.fromhex(self.encrypt(text)[2:]),
            hashlib.sha256(text).hexdigest(),
        )

    def record(self, did: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.cache_url}/api/aquarius/assets/ddo/{did}", trust_env=False)
        return dict(answer.json()) if answer.status_code == 200 else {}

    def wait_for(self, did: str, tx: str, seconds: float = 60) -> float:
        """Wait until the cache shows the record of this transaction; return the seconds it took."""
        began = time.monotonic()
        while self.record(did).get("event", {}).get("tx") != tx:
            if time.monotonic() - began > seconds:
                state = httpx.get(f"{self.cache_url}/api/aquarius/state/ddo?did={did}", trust_env=False)
                raise AssertionError(f"not indexed: {state.text}")
            time.sleep(0.01)
        return time.monotonic() - began

    def order(self, asset: StackAsset, fee: dict[str, Any], consumer: str, buyer: int = 7) -> str:
        from c2d_box.chain.orders import buy_datatoken

        signer = self.account(buyer)
        buy_datatoken(self.chain, signer, asset.datatoken)
        return start_order(self.chain, signer, asset.datatoken, consumer, 0, fee)


@dataclass
class StackAsset:
    """A published asset with its plain document."""

    nft: str
    datatoken: str
    did: str
    document: dict[str, Any]


def rules(**changes: Any) -> dict[str, Any]:
    return {
        "allowRawAlgorithm": False,
        "allowNetworkAccess": False,
        "publisherTrustedAlgorithmPublishers": [],
        "publisherTrustedAlgorithms": [],
        **changes,
    }


@contextmanager
def world_in(folder: Path, *sources: str) -> Iterator[LocalStack]:
    """Start the whole stack, with its state in ``folder``, and stop it at the end; a process that ended with
    an error fails the test. The Provider may also read from ``sources``.
    """
    files, operator = FileServer({"data.csv": b"a,b\n1,2\n", "algo.py": b"print('hello')\n"}), FakeOperator()
    with (
        running_chain() as chain_process,
        BackgroundServer(files.file_app()) as source,
        BackgroundServer(operator.operator_app()) as backend,
    ):
        files.url = source.url
        chain = Chain(chain_process.url, addresses.load_addresses(chain_process.address_file, 8996))
        operator.environments = [
            _environment_entry("ocean-compute", 0, "0x03b9d6Ba248fe931e338840223985CcC43E05894"),
            _environment_entry("paid", 1, "0x1E40c0231516C61D2C8F3794626B37c3eBdc7c8F"),
        ]
        made = LocalStack(chain_process, chain, folder, files, operator, backend.url)
        try:
            start_services(made, sources)
            yield made
        finally:
            for process in made.processes:
                process.terminate()
            codes = [process.wait(10) for process in made.processes]
            assert all(code in (0, -15) for code in codes), codes


def _environment_entry(name: str, price: float, consumer: str) -> dict[str, Any]:
    return {
        "id": name,
        "desc": "",
        "cpuNumber": 1,
        "cpuType": "",
        "gpuNumber": 0,
        "gpuType": "",
        "ramGB": "1",
        "diskGB": 1,
        "priceMin": price,
        "currentJobs": 0,
        "maxJobs": 10,
        "consumerAddress": consumer,
        "storageExpiry": 0,
        "maxJobDuration": 3600,
        "lastSeen": "1700000000.5",
    }


def start_services(world: LocalStack, sources: tuple[str, ...] = ()) -> None:
    secrets = world.folder / "secrets"
    secrets.mkdir(exist_ok=True)
    for name, text in (
        ("provider-key", PROVIDER_KEY),
        ("token-secret", "a secret of the test, long enough"),
        ("cache-key", CACHE_KEY),
    ):
        (secrets / name).write_text(text)
    cache_port, provider_port = free_port(), free_port()
    world.cache_url, world.provider_url = (
        f"http://127.0.0.1:{cache_port}",
        f"http://127.0.0.1:{provider_port}",
    )
    world.second_provider_url = f"http://127.0.0.1:{free_port()}"
    chain = {
        "id": 8996,
        "rpcUrl": world.chain_process.url,
        "addressFile": str(world.chain_process.address_file),
    }
    cache = {
        "listen": {"host": "127.0.0.1", "port": cache_port},
        "chain": chain,
        "endpointAliases": {url: url for url in (world.provider_url, world.second_provider_url)},
        "database": str(world.folder / "cache.sqlite"),
        "secretsDir": str(secrets),
    }
    provider = {
        "listen": {"host": "127.0.0.1", "port": provider_port},
        "chain": chain,
        "cacheUrl": world.cache_url,
        "operatorServiceUrl": world.operator_url,
        "publicUrl": world.provider_url,
        "internalUrl": world.provider_url,
        "fetch": {"allow": [world.files.url, *sources]},
        "database": str(world.folder / "provider.sqlite"),
        "secretsDir": str(secrets),
    }
    for package, settings in (("metadata", cache), ("provider", provider)):
        world.settings[package] = settings
        spawn_service(world, package, settings)


@contextmanager
def spawned_service(world: LocalStack, package: str, changes: dict[str, Any]) -> Iterator[str]:
    """Run another process of ``package`` with changed settings; yield its URL."""
    settings = {**world.settings[package], **changes, "listen": {"host": "127.0.0.1", "port": free_port()}}
    process = spawn_service(world, package, settings)
    world.processes.remove(process)
    try:
        yield f"http://127.0.0.1:{settings['listen']['port']}"
    finally:
        process.terminate()
        process.wait(10)


def spawn_service(world: LocalStack, package: str, settings: dict[str, Any]) -> subprocess.Popen[bytes]:
    config = world.folder / f"{package}-{settings['listen']['port']}.json"
    config.write_text(json.dumps(settings))
    log = (world.folder / f"{config.stem}.log").open("ab")
    with log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"c2d_box.{package}", "--config", str(config)], stdout=log, stderr=log
        )
    world.processes.append(process)
    url, began = f"http://127.0.0.1:{settings['listen']['port']}/healthz", time.monotonic()
    while True:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return process
        except httpx.TransportError:
            pass
        log_text = (world.folder / f"{config.stem}.log").read_text()
        assert process.poll() is None and time.monotonic() - began < 180, log_text
        time.sleep(0.05)
