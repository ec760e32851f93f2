"""Checking a job's evidence against its sources: chain, descriptions, files, image, results.

Nothing in the record is believed because it stands there. Its signer must be the account that the orders on
the chain name as their consumer; everything else is read again where it comes from and compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from c2d_box.assets.addresses import same
from c2d_box.assets.ddo import DDO
from c2d_box.assets.did import did_for
from c2d_box.assets.documents import compact, published
from c2d_box.client.connection import Connection
from c2d_box.client.unsealing import is_sealed, plain_name
from c2d_box.errors import C2DError, Refused
from c2d_box.workflow import evidence

if TYPE_CHECKING:
    from c2d_box.client.consumer import Consumer


@dataclass(frozen=True)
class Check:
    """One comparison; ``ok`` is None where the source cannot be asked (a file too large for a checksum)."""

    name: str
    ok: bool | None
    text: str


@dataclass(frozen=True)
class Verification:
    job: str
    checks: tuple[Check, ...]

    @property
    def sound(self) -> bool:
        return all(check.ok is not False for check in self.checks)


def verify(consumer: Consumer, job: str, record: Mapping[str, Any] | None = None) -> Verification:
    """``record``: one that was kept elsewhere, instead of the published one. Raises C2DError where a source
    does not answer at all.
    """
    details = consumer.get_job_details(job)
    found = fetch(consumer, job) if record is None else record
    return Verification(job, tuple(_checks(consumer, job, details, found)))


def fetch(consumer: Consumer, job: str) -> dict[str, Any]:
    """The record among the job's results."""
    listed = [entry for entry in consumer.results(job) if entry["type"] == "evidence"]
    if not listed:
        raise Refused(
            "C2D-EVIDENCE-NONE",
            f"job {job} has published no evidence (yet)",
            f"c2d-box explain {job} says how it ended",
        )
    content = consumer.read_result(job, listed[0]["index"])
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _checks(
    consumer: Consumer, job: str, details: Mapping[str, Any], found: Mapping[str, Any]
) -> Iterator[Check]:
    wrong = evidence.problems(found)
    yield Check("record", not wrong, "; ".join(wrong) or "hashes and signature are sound")
    if wrong:
        return
    yield Check("job", found["job"] == job, f"the record is of job {found['job']}")
    kept = (details.get("evidence") or {}).get("head")
    yield Check("head", kept == found["head"], f"the job's status keeps head {kept}")
    order = evidence.facts(found, "order")
    connection = consumer.connection
    yield _environment(connection, str(order.get("environment")), str(found["signer"]))
    owner = same(order.get("owner"), consumer.signer.address)
    yield Check("owner", owner, f"the record names {order.get('owner')} as owner")
    assets = [*order.get("inputs", ()), *([order["algorithm"]] if order["algorithm"]["did"] else [])]
    staged = evidence.facts(found, "staged").get("files", [])
    for asset in assets:
        yield from _asset(connection, asset, str(found["signer"]), str(order["owner"]))
        yield from _files(connection, asset, staged)
    if order["algorithm"]["did"]:
        yield _image(connection, order["algorithm"]["did"], evidence.facts(found, "run"))
    yield _isolation(evidence.facts(found, "isolation"), evidence.facts(found, "times"))
    yield from _outputs(consumer, job, evidence.facts(found, "outputs"))


def _environment(connection: Connection, name: str, signer: str) -> Check:
    known = [entry for entry in connection.provider.environments() if entry.get("id") == name]
    addresses = [str(entry.get("consumerAddress")) for entry in known]
    right = any(same(address, signer) for address in addresses)
    return Check("environment", right, f"{name} is {', '.join(addresses) or 'unknown'}; {signer} signed")


def _asset(connection: Connection, asset: Mapping[str, Any], signer: str, owner: str) -> Iterator[Check]:
    """Its order and its description, as the chain has them."""
    from c2d_box.chain import events

    did, chain = str(asset["did"]), connection.chain
    try:
        cached = connection.cache.record(did)
    except C2DError as problem:
        yield Check(f"description of {did}", False, problem.message)
        return
    ddo = DDO.parse(cached)
    service = ddo.service(str(asset["serviceId"]))
    receipt = chain.receipt(str(asset["txId"])) if asset.get("txId") else None
    token = service.datatoken_address if service else ""
    orders = [
        event
        for event in events.decoded(receipt["logs"] if receipt else (), ("OrderStarted", "OrderReused"))
        if same(event.address, token)
    ]
    reused = [event for event in orders if event.name == "OrderReused"]
    if reused:
        earlier = chain.receipt(reused[-1]["orderTxId"])
        orders += events.decoded(earlier["logs"] if earlier else (), ("OrderStarted",))
    good = any(
        event.name == "OrderStarted" and same(event["consumer"], signer) and same(event["payer"], owner)
        for event in orders
    )
    yield Check(f"order of {did}", good, f"{asset.get('txId')} orders it for {signer}, paid by {owner}")
    tx = asset.get("metadataTx")
    event = events.metadata_of(chain, str(tx), ddo.nft_address) if tx else None
    genuine = event is not None and did_for(ddo.nft_address, connection.chain_id) == did
    if event is not None and same((cached.get("event") or {}).get("tx"), str(tx)):
        text = "0x" + hashlib.sha256(compact(published(cached))).hexdigest()
        genuine = genuine and text == str(event["metaDataHash"]).lower()
    yield Check(f"description of {did}", genuine, f"published by {tx}")


def _files(
    connection: Connection, asset: Mapping[str, Any], staged: list[Mapping[str, Any]]
) -> Iterator[Check]:
    """What was staged, compared with what the Provider reads there now."""
    did = str(asset["did"])
    mine = [file for file in staged if file["did"] == did]
    try:
        query = {"did": did, "serviceId": str(asset["serviceId"]), "checksum": True}
        infos = connection.provider.file_info(query)
    except C2DError as problem:
        yield Check(f"files of {did}", None, problem.message)
        return
    for file in mine:
        index = int(file["index"])
        now = str(infos[index].get("checksum") or "") if index < len(infos) else ""
        ok = None if not now else now.lower() == str(file["sha256"]).lower()
        text = "no checksum to be had" if ok is None else f"sha256 {now}"
        yield Check(f"file {index} of {did}", ok, text)


def _image(connection: Connection, did: str, run: Mapping[str, Any]) -> Check:
    container = connection.cache.ddo(did).container
    checksum = str(container.checksum) if container else ""
    ran = str((run.get("ran") or {}).get("image") or run.get("image"))
    right = checksum.startswith("sha256:") and str(run.get("image")).endswith(checksum)
    return Check("image", right, f"{run.get('image')}; Kubernetes ran {ran}")


def _isolation(proof: Mapping[str, Any], times: Mapping[str, Any]) -> Check:
    if "started" not in times and "staged" not in times:
        return Check("isolation", None, "the algorithm was not started")
    closed = proof.get("verdict") == "closed" and not proof.get("answered")
    return Check("isolation", closed, f"{proof.get('probes', 0)} probes, verdict {proof.get('verdict')}")


def _outputs(consumer: Consumer, job: str, outputs: Mapping[str, Any]) -> Iterator[Check]:
    listed = [entry for entry in consumer.results(job) if entry["type"] != "evidence"]
    named = outputs.get("files", [])
    same_list = [(plain_name(entry), entry["type"]) for entry in listed] == [
        (file["filename"], file["type"]) for file in named
    ]
    yield Check("results", same_list, f"{len(listed)} are listed, {len(named)} were judged")
    key = (outputs.get("encryption") or {}).get("key")
    sealed = [entry for entry in listed if is_sealed(entry)]
    if key or sealed:
        text = f"{len(sealed)} of {len(listed)} are encrypted, for {key}"
        yield Check("encryption", bool(key) and len(sealed) == len(listed), text)
    for entry, file in zip(listed, named, strict=False):
        digest = hashlib.sha256(consumer.read_result(job, entry["index"])).hexdigest()
        yield Check(f"result {entry['filename']}", digest == file["sha256"], f"sha256 {digest}")
