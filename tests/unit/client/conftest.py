"""A real chain, and small fakes of Provider and cache that speak the wire's shapes and record requests."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from c2d_box.assets.crypto import ecies, signatures
from c2d_box.assets.files import parse_file
from c2d_box.chain import Chain, Signer, accounts, addresses, events, orders
from c2d_box.chain.orders import OrderClaim, OrderInvalid
from c2d_box.client import Connection, Consumer, Publisher
from c2d_box.client.services.cache import MetadataCache
from c2d_box.client.services.provider import Provider
from sandbox.testchain.local_chain import LocalChain, running_chain

MNEMONIC = "taxi music thumb unique chat sand crew more leg another off lamp"
KEY = "0x" + "5a" * 32
PROVIDER_URL, CACHE_URL = "http://provider.test", "http://cache.test"
ENVIRONMENT = "0x03b9d6Ba248fe931e338840223985CcC43E05894"
FILE = {"type": "url", "url": "https://data.example.org/cells.csv"}
CONTAINER = {"entrypoint": "python $ALGO", "image": "i", "tag": "t", "checksum": "sha256:" + "1" * 64}
NAMES = {
    "nonce": "nonce",
    "encrypt": "encrypt",
    "fileinfo": "fileinfo",
    "initialize": "initialize",
    "initializeCompute": "initializeCompute",
    "download": "download",
    "computeStart": "compute",
    "computeStatus": "compute",
    "computeStop": "compute",
    "computeResult": "computeResult",
    "computeEnvironments": "computeEnvironments",
}
Reply = httpx.Response


@dataclass
class FakeProvider:
    """Keeps nonces and jobs, signs fees, verifies signatures; ``refuse`` and ``broken`` make it fail."""

    chain: Chain
    cache: FakeCache
    fee_amount: int = 0
    refuse: dict[str, Reply] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    nonces: dict[str, int] = field(default_factory=dict)
    starts: dict[str, str] = field(default_factory=dict)
    results: list[tuple[str, str, bytes, str]] = field(default_factory=list)
    fee_key: str = KEY

    def __call__(self, request: httpx.Request) -> Reply:
        self.requests.append(request)
        name = request.url.path.rsplit("/", 1)[-1]
        if name in self.refuse:
            return self.refuse[name]
        route = "root" if not name else f"{name}_{request.method.lower()}"
        handler: Callable[[httpx.Request], Reply] = getattr(self, f"_{route}")
        reply = handler(request)
        if self.broken and self.broken[0] == route:
            self.broken.pop(0)
            raise httpx.RemoteProtocolError("the connection broke before the answer")
        return reply

    def sent(self, name: str, method: str = "POST") -> list[dict[str, Any]]:
        """The JSON bodies of every request of one route."""
        return [
            json.loads(r.content)
            for r in self.requests
            if r.url.path.endswith(f"/{name}") and r.method == method
        ]

    def _root(self, _request: httpx.Request) -> Reply:
        endpoints = {name: ["GET", f"/api/services/{path}"] for name, path in NAMES.items()}
        address = {"8996": signatures.address_of(KEY)}
        return Reply(200, json={"providerAddresses": address, "serviceEndpoints": endpoints})

    def _nonce_get(self, request: httpx.Request) -> Reply:
        return Reply(200, json={"nonce": str(self.nonces.get(request.url.params["userAddress"], 1))})

    def _encrypt_post(self, request: httpx.Request) -> Reply:
        assert request.headers["content-type"] == "application/octet-stream"
        return Reply(201, text="0x" + ecies.encrypt(KEY, request.content).hex())

    def _fileinfo_post(self, request: httpx.Request) -> Reply:
        query = json.loads(request.content)
        if "did" not in query:
            parse_file(query)
            return Reply(
                200, json=[{"index": 0, "valid": "missing" not in str(query), "type": query["type"]}]
            )
        info = {"index": 0, "valid": True, "type": "url"}
        return Reply(200, json=[{**info, "checksum": "ab" * 32} if query.get("checksum") else info])

    def _computeEnvironments_get(self, _request: httpx.Request) -> Reply:
        plain = {"consumerAddress": ENVIRONMENT, "maxJobDuration": 600}
        listed = [{"id": "paid", "priceMin": 1.5, **plain}, {"id": "free", "priceMin": 0, **plain}]
        return Reply(200, json={"8996": listed})

    def _initializeCompute_post(self, request: httpx.Request) -> Reply:
        body = json.loads(request.content)
        env, until = body["compute"]["env"], body["compute"]["validUntil"]
        answers = [self._quote(item, env, until, i == 0) for i, item in enumerate(body["datasets"])]
        answer: dict[str, Any] = {"datasets": answers}
        if "documentId" in body["algorithm"]:
            answer["algorithm"] = self._quote(body["algorithm"], env, until, False)
        return Reply(200, json=answer)

    def _initialize_get(self, request: httpx.Request) -> Reply:
        return Reply(200, json=self._quote(dict(request.url.params), None, 0, False))

    def _quote(self, item: dict[str, Any], env: str | None, until: int, charged: bool) -> dict[str, Any]:
        record = self.cache.records()[item["documentId"]]
        service = next(s for s in record["services"] if s["id"] == item["serviceId"])
        answer: dict[str, Any] = {}
        if item.get("transferTxId"):
            try:
                order = orders.verify_order(
                    self.chain, self._claim(record, service, item["transferTxId"], env)
                )
            except OrderInvalid:
                pass
            else:
                answer["validOrder"] = order.start_tx
                if until <= order.fee_valid_until:
                    return {"validOrder": item["transferTxId"]}
        fee = orders.sign_fee(
            self.fee_key,
            datatoken=service["datatokenAddress"],
            service_id=service["id"],
            environment=env,
            token=self.chain.addresses.ocean,
            amount=self.fee_amount if charged else 0,
            valid_until=until,
        )
        return {**answer, "datatoken": service["datatokenAddress"], "providerFee": fee}

    def _claim(self, record: dict[str, Any], service: dict[str, Any], tx: str, env: str | None) -> OrderClaim:
        return OrderClaim(
            tx=tx,
            sender=ENVIRONMENT,
            nft=record["nftAddress"],
            datatoken=service["datatokenAddress"],
            service_id=service["id"],
            service_index=record["services"].index(service),
            timeout=service["timeout"],
            providers=[signatures.address_of(KEY)],
            environment=env,
            allow_expired=True,
        )

    def _compute_post(self, request: httpx.Request) -> Reply:
        body = json.loads(request.content)
        owner, nonce = body["consumerAddress"], int(body["nonce"])
        known = self.starts.get(request.content.hex())
        if known:
            return Reply(200, json=[self.jobs[known]])
        if problem := self._check_signature(
            owner, owner + body["dataset"]["documentId"], nonce, body["signature"]
        ):
            return problem
        agreement = body["algorithm"].get("transferTxId") or body["dataset"]["transferTxId"]
        job = hashlib.sha256(request.content).hexdigest()[:32]
        self.jobs[job] = {
            "jobId": job,
            "agreementId": agreement,
            "owner": owner,
            "status": 1,
            "statusText": "Warming up",
            "dateFinished": None,
            "results": "",
        }
        self.starts[request.content.hex()] = job
        return Reply(200, json=[self.jobs[job]])

    def _compute_get(self, request: httpx.Request) -> Reply:
        owner, job = request.url.params["consumerAddress"], request.url.params.get("jobId")
        found = [j for j in self.jobs.values() if j["owner"] == owner and job in (None, j["jobId"])]
        return Reply(200, json=found)

    def _compute_put(self, request: httpx.Request) -> Reply:
        body = json.loads(request.content)
        owner, job = body["consumerAddress"], body["jobId"]
        if problem := self._check_signature(owner, owner + job, int(body["nonce"]), body["signature"]):
            return problem
        self.jobs[job] |= {"stopreq": 1}
        return Reply(200, json=[self.jobs[job]])

    def _computeResult_get(self, request: httpx.Request) -> Reply:
        query = request.url.params
        owner, index = query["consumerAddress"], int(query["index"])
        subject = f"{owner}{query['jobId']}{index}"
        if problem := self._check_signature(owner, subject, int(query["nonce"]), query["signature"]):
            return problem
        name, _kind, content, disposition = self.results[index]
        return Reply(
            200,
            content=content,
            headers={"Content-Disposition": disposition or f"attachment;filename={name}"},
        )

    def _download_get(self, request: httpx.Request) -> Reply:
        query = request.url.params
        owner = query["consumerAddress"]
        if problem := self._check_signature(
            owner, query["documentId"], int(query["nonce"]), query["signature"]
        ):
            return problem
        headers = {"Content-Disposition": "attachment;filename=../../evil.csv"}
        return Reply(
            200, content=f"file {query['fileIndex']} of {query['transferTxId'][:4]}".encode(), headers=headers
        )

    def _check_signature(self, owner: str, subject: str, nonce: int, signature: str) -> Reply | None:
        stored = self.nonces.get(owner, 1)
        if nonce <= stored:
            text = f"Invalid signature expected nonce ({stored}) > current nonce ({nonce})."
            return Reply(400, json={"errors": {"signature": text}})
        assert signatures.recover_signer(f"{subject}{nonce}", signature) == owner
        self.nonces[owner] = nonce
        return None


@dataclass
class FakeCache:
    """Shows what NFTs wrote on the chain, read with the Provider's key."""

    chain: Chain
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> Reply:
        self.requests.append(request)
        if request.url.path.endswith("/ddo/validate"):
            digest = hashlib.sha256(request.content).digest()
            v, r, s = signatures.sign_hash(KEY, digest)
            proof = {"publicKey": signatures.address_of(KEY), "v": v, "r": [r], "s": [s]}
            return Reply(200, json={"hash": "0x" + digest.hex(), **proof})
        if request.url.path.endswith("/query"):
            hits = [{"_source": record} for record in self.records().values()]
            return Reply(200, json={"hits": {"hits": hits, "total": {"value": len(hits)}}})
        found = self.records().get(request.url.path.rsplit("/", 1)[-1])
        return Reply(200, json=found) if found else Reply(404, json={"error": "not found"})

    def records(self) -> dict[str, dict[str, Any]]:
        shown = {}
        for event in events.metadata_logs(self.chain, 0):
            if event.name in ("MetadataCreated", "MetadataUpdated"):
                document = ecies.decrypt(KEY, event["data"])
                assert "0x" + hashlib.sha256(document).hexdigest() == event["metaDataHash"]
                record = json.loads(document)
                added = {
                    "event": {"tx": event.tx},
                    "nft": {"address": event.address, "state": 0},
                    "stats": {},
                }
                shown[record["id"]] = {**record, **added}
        return shown


@dataclass
class ClientWorld:
    """One connection over the fakes, and who acts."""

    connection: Connection
    provider: FakeProvider
    cache: FakeCache
    publisher: Publisher
    consumer: Consumer

    @property
    def chain(self) -> Chain:
        return self.connection.chain

    def sent_by(self, signer: Signer) -> int:
        """How many transactions an account has ever sent."""
        return int(self.chain.web3.eth.get_transaction_count(signer.address))  # type: ignore[arg-type]

    def oceans(self, signer: Signer) -> int:
        return self.chain.balance_of(signer.address, self.chain.addresses.ocean)


@pytest.fixture(scope="session")
def local_chain() -> Iterator[LocalChain]:
    with running_chain() as chain:
        yield chain


def world_over(local_chain: LocalChain) -> ClientWorld:
    connection = Connection(PROVIDER_URL, CACHE_URL, local_chain.url, local_chain.address_file)
    chain = Chain(local_chain.url, addresses.load_addresses(local_chain.address_file, 8996))
    cache = FakeCache(chain)
    provider = FakeProvider(chain, cache)
    connection.__dict__["provider"] = Provider(PROVIDER_URL, 8996, httpx.MockTransport(provider))
    connection.__dict__["cache"] = MetadataCache(CACHE_URL, httpx.MockTransport(cache))
    publisher = Publisher(connection, accounts.from_mnemonic(MNEMONIC, 3))
    consumer = Consumer(connection, accounts.from_mnemonic(MNEMONIC, 7))
    return ClientWorld(connection, provider, cache, publisher, consumer)


@pytest.fixture(scope="session")
def assets(local_chain: LocalChain) -> tuple[str, str]:
    """A dataset for 2 OCEAN and a free algorithm."""
    publisher = world_over(local_chain).publisher
    dataset = publisher.publish_dataset("Cells", [FILE], price=2, services=("compute", "access"))
    return dataset.did, publisher.publish_algorithm("Trainer", [FILE], container=CONTAINER).did


@pytest.fixture
def world(local_chain: LocalChain, assets: tuple[str, str]) -> Iterator[ClientWorld]:
    """Everything a test does to the chain is undone after it."""
    snapshot = call_rpc(local_chain, "evm_snapshot")
    yield world_over(local_chain)
    call_rpc(local_chain, "evm_revert", snapshot)


def call_rpc(chain: LocalChain, method: str, *params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return httpx.post(chain.url, json=body, timeout=60, trust_env=False).json()["result"]


@pytest.fixture(autouse=True)
def no_sleeping(monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: real(min(seconds, 0.01)))
