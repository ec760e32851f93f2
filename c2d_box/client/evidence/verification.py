"""Checks a job's evidence against its sources: chain, descriptions, files, image, results.

The record's signer must be the account that the orders on the chain name as their consumer. What chain,
Provider, cache, store and node can say is asked again there and compared. What only the operator saw (which
files were staged, the limits, the warden's report, what Kubernetes ran) rests on the signature of the
environment's key: it is checked for contradictions, and ``Check.source`` says whose statement each comparison
rests on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from c2d_box import timestamps
from c2d_box.assets.addresses import same_hex
from c2d_box.assets.did import did_for
from c2d_box.assets.documents.ddo import DDO
from c2d_box.assets.documents.drafting import compact_json, strip_decorations
from c2d_box.client.connection import Connection
from c2d_box.client.evidence.consents import ExecutedAlgorithm, check_consent
from c2d_box.client.job_owner import JobOwner
from c2d_box.client.jobs import JobDetails
from c2d_box.client.results.decryption import is_sealed, plain_name
from c2d_box.errors import C2DError, Refused
from c2d_box.strict_json import WRAPPED, JsonRefused, parse_json
from c2d_box.workflow import evidence

if TYPE_CHECKING:
    from c2d_box.chain import Signer
    from c2d_box.chain.events import ContractEvent

EvidenceSource = Literal["signature", "chain", "cache", "Provider", "operator", "store", "node", "yours"]
EvidenceVerdict = Literal["agrees", "unknown", "disagrees"]
REPLACED_SECONDS = 60.0
"""A description that was replaced so long before a job was accepted must not have admitted it: the bound
within which the Provider learns of a change."""


@dataclass(frozen=True)
class EvidenceCheck:
    """One comparison.

    ``ok`` is None where the source could not be asked (a file too large for a checksum, a service that did
    not answer): that is unknown, not fine. ``source`` is the party whose statement the comparison rests on.
    """

    name: str
    ok: bool | None
    text: str
    source: EvidenceSource = "operator"


@dataclass(frozen=True)
class JobVerification:
    """All comparisons of one job's record."""

    job: str
    checks: tuple[EvidenceCheck, ...]

    @property
    def verdict(self) -> EvidenceVerdict:
        """``disagrees`` where one comparison failed, else ``unknown`` where one could not be made."""
        found = {check.ok for check in self.checks}
        return "disagrees" if False in found else "unknown" if None in found else "agrees"

    @property
    def is_sound(self) -> bool:
        """True where every source was asked and agrees."""
        return self.verdict == "agrees"


def verify_job(
    consumer: JobOwner, job: str, record: Mapping[str, Any] | None = None, code: bytes | None = None
) -> JobVerification:
    """Compare a job's record with its sources.

    ``record``: one that was kept elsewhere, instead of the published one. ``code``: the code that a raw
    algorithm should have been. Raises C2DError where a source does not answer at all.
    """
    # Fails here where the account has no such job, before anything is fetched.
    details = consumer.get_job_details(job)
    found = fetch_evidence(consumer, job) if record is None else record
    return JobVerification(job, tuple(_evidence_checks(consumer, job, details, found, code)))


def fetch_evidence(consumer: JobOwner, job: str) -> dict[str, Any]:
    """Return the record among the job's results."""
    # At most one result is the record; it is listed with its own type beside the outputs.
    listed = [entry for entry in consumer.results(job) if entry["type"] == "evidence"]
    if not listed:
        raise Refused(
            "C2D-EVIDENCE-NONE",
            f"job {job} has published no evidence (yet)",
            f"c2d-box explain {job} says how it ended",
        )
    content = consumer.read_result(job, listed[0]["index"])
    try:
        found = parse_json(content, WRAPPED)
    except JsonRefused:
        # An unreadable record is an empty one: the checks then name everything that it lacks.
        found = None
    return found if isinstance(found, dict) else {}


def _evidence_checks(
    consumer: JobOwner,
    job: str,
    details: JobDetails,
    found: Mapping[str, Any],
    code: bytes | None,
) -> Iterator[EvidenceCheck]:
    """Yield all comparisons of one record, in the order in which each rests on those before.

    A record that is not sound ends it: nothing in it is worth comparing.
    """
    # Hashes and signature first: without them no other statement of the record is anybody's.
    wrong = evidence.evidence_problems(found)
    yield EvidenceCheck(
        "record", not wrong, "; ".join(wrong) or "hashes and signature are sound", "signature"
    )
    if wrong:
        return
    # A sound record of another job would pass every later check.
    yield EvidenceCheck("job", found["job"] == job, f"the record is of job {found['job']}", "signature")
    # The status was written when the job ended: a record that was replaced later has another head.
    kept = details.evidence_head
    yield EvidenceCheck("head", kept == found["head"], f"the job's status keeps head {kept}", "operator")
    order, run = evidence.evidence_facts(found, "order"), evidence.evidence_facts(found, "run")
    times = evidence.evidence_facts(found, "times")
    connection = consumer.connection
    # The signer has to be the environment that the Provider offers, not any key.
    yield _check_environment(connection, str(order.get("environment")), str(found["signer"]))
    # The account that asks is the one source for who the owner is.
    owner = same_hex(order.get("owner"), consumer.signer.address)
    yield EvidenceCheck("owner", owner, f"the record names {order.get('owner')} as owner", "yours")
    # The algorithm is an asset like the datasets, unless it was given raw.
    assets = [*order.get("inputs", ()), *([order["algorithm"]] if order["algorithm"]["did"] else [])]
    inputs = evidence.evidence_facts(found, "staged")
    staged = inputs.get("files", [])
    for asset in assets:
        yield from _check_asset(connection, asset, str(found["signer"]), str(order["owner"]))
        yield from _check_in_force(connection, asset, times)
        yield from _check_files(connection, asset, staged, consumer.signer)
    # Unknown and not wrong: a digest over many files cannot be compared one by one.
    if (more := int(inputs.get("count") or 0) - len(staged)) > 0:
        yield EvidenceCheck(
            "further files", None, f"{more} more were staged: the record has them in one digest"
        )
    yield from _check_run(connection, order["algorithm"], run, times, code)
    # Raw code has no DID that a permission could name.
    if order["algorithm"]["did"]:
        ran = ExecutedAlgorithm.from_record(str(order["algorithm"]["did"]), run, staged)
        yield from _check_consents(connection, order.get("inputs", ()), ran)
    yield _check_isolation(evidence.evidence_facts(found, "isolation"), times)
    yield from _check_outputs(consumer, job, evidence.evidence_facts(found, "outputs"))


def _check_environment(connection: Connection, name: str, signer: str) -> EvidenceCheck:
    """Check that the Provider offers the record's environment under the address that signed.

    The environment's consumer address is that of its evidence key (ADR 0027).
    """
    known = [entry for entry in connection.provider.list_environments() if entry.get("id") == name]
    addresses = [str(entry.get("consumerAddress")) for entry in known]
    right = any(same_hex(address, signer) for address in addresses)
    text = f"{name} is {', '.join(addresses) or 'unknown'}; {signer} signed"
    return EvidenceCheck("environment", right, text, "Provider")


def _check_asset(
    connection: Connection, asset: Mapping[str, Any], signer: str, owner: str
) -> Iterator[EvidenceCheck]:
    """Check the asset's order and its description, as the chain has them."""
    from c2d_box.chain import events

    did, chain = str(asset["did"]), connection.chain
    # Without a description there is no datatoken to compare with; that is unknown, not wrong.
    cached = _cached_record(connection, did)
    if cached is None:
        yield EvidenceCheck(f"description of {did}", None, "the metadata cache does not have it", "cache")
        return
    ddo = DDO.parse(cached)
    service = ddo.find_service(str(asset["serviceId"]))
    receipt = chain.find_receipt(str(asset["txId"])) if asset.get("txId") else None
    token = service.datatoken_address if service else ""
    orders = _own_order_events(receipt, token)
    reused = [event for event in orders if event.name == "OrderReused"]
    # A reuse names no consumer; the start that it extends does.
    if reused:
        earlier = chain.find_receipt(reused[-1]["orderTxId"])
        orders += _own_order_events(earlier, token)
    # Ordered for the environment (the signer) and paid by the owner.
    good = any(
        event.name == "OrderStarted"
        and same_hex(event["consumer"], signer)
        and same_hex(event["payer"], owner)
        for event in orders
    )
    text = f"{asset.get('txId')} orders it for {signer}, paid by {owner}"
    yield EvidenceCheck(f"order of {did}", good, text, "chain")
    tx = asset.get("metadataTx")
    event = events.metadata_of(chain, str(tx), ddo.nft_address) if tx else None
    # The DID is a hash of NFT and chain, so a description of another asset cannot pose as this one.
    genuine = event is not None and did_for(ddo.nft_address, connection.chain_id) == did
    if event is not None and same_hex((cached.get("event") or {}).get("tx"), str(tx)):
        # Only where the cache still has that very version; an older one is gone from it.
        text = "0x" + hashlib.sha256(compact_json(strip_decorations(cached))).hexdigest()
        # The cache adds fields of its own; the hash on the chain is of the document without them.
        genuine = genuine and text == str(event["metaDataHash"]).lower()
    yield EvidenceCheck(f"description of {did}", genuine, f"published by {tx}", "chain")


def _own_order_events(receipt: Mapping[str, Any] | None, datatoken: str) -> list[ContractEvent]:
    """Return the order events of a transaction that the service's own datatoken emitted.

    Any contract can emit logs of their shape, and a reuse may name any transaction as the one it extends.
    """
    from c2d_box.chain import events

    logs = events.decode_logs(receipt["logs"] if receipt else (), ("OrderStarted", "OrderReused"))
    return [event for event in logs if same_hex(event.address, datatoken)]


def _cached_record(connection: Connection, did: str) -> dict[str, Any] | None:
    """Return the cache's record of an asset, or None where the cache has none or does not answer."""
    try:
        return connection.cache.read_record(did)
    except C2DError:
        return None


def _check_in_force(
    connection: Connection, asset: Mapping[str, Any], times: Mapping[str, Any]
) -> Iterator[EvidenceCheck]:
    """Check whether the description that admitted the job was still the asset's when it was accepted.

    Without this check a job that ran on a permission withdrawn before would agree with all its sources.
    """
    from c2d_box.chain import events

    did, tx = str(asset["did"]), asset.get("metadataTx")
    chain, accepted = connection.chain, times.get("accepted")
    # The block of the admitting description is where the search for a later one begins.
    receipt = chain.find_receipt(str(tx)) if tx else None
    cached = _cached_record(connection, did)
    if receipt is None or accepted is None or cached is None:
        text = f"{tx} cannot be placed among the asset's descriptions"
        yield EvidenceCheck(f"description of {did} in force", None, text, "chain")
        return
    # From the cache's NFT address; its link to the DID was checked with the description.
    emitter = DDO.parse(cached).nft_address
    logs = chain.get_logs(
        [events.event_topic("MetadataUpdated")], int(receipt["blockNumber"]) + 1, "latest", emitter
    )
    later = next(events.decode_logs(logs, ("MetadataUpdated",)), None)
    if later is None:
        yield EvidenceCheck(f"description of {did} in force", True, f"{tx} is the last one", "chain")
        return
    # Positive: replaced before the job was accepted. The block's time is the chain's, not ours.
    seconds = timestamps.rfc3339_seconds(str(accepted)) - float(chain.block_header(later.block)["timestamp"])
    text = f"{later.tx} replaced it " + (f"{seconds:.0f} s before" if seconds > 0 else "after") + " the start"
    yield EvidenceCheck(f"description of {did} in force", seconds <= REPLACED_SECONDS, text, "chain")


def _check_files(
    connection: Connection,
    asset: Mapping[str, Any],
    staged: list[Mapping[str, Any]],
    signer: Signer,
) -> Iterator[EvidenceCheck]:
    """Compare what was staged with what the Provider reads there now and tells a caller who shows
    an order."""
    did = str(asset["did"])
    mine = [file for file in staged if file["did"] == did]
    try:
        query = {"did": did, "serviceId": str(asset["serviceId"]), "checksum": True}
        # Names and hashes of compute-only data are told only to a caller who names an order of it.
        order = {"transferTxId": str(asset["txId"])} if asset.get("txId") else {}
        infos = connection.provider.file_info({**query, **order}, signer)
    except C2DError as problem:
        yield EvidenceCheck(f"files of {did}", None, problem.message, "Provider")
        return
    for file in mine:
        index = int(file["index"])
        # The description may have fewer files by now, and a Provider may give no checksum of a large one.
        now = str(infos[index].get("checksum") or "") if index < len(infos) else ""
        ok = None if not now else now.lower() == str(file["sha256"]).lower()
        text = "no checksum to be had" if ok is None else f"sha256 {now}"
        yield EvidenceCheck(f"file {index} of {did}", ok, text, "Provider")


def _check_run(
    connection: Connection,
    algorithm: Mapping[str, Any],
    run: Mapping[str, Any],
    times: Mapping[str, Any],
    code: bytes | None,
) -> Iterator[EvidenceCheck]:
    """Check image, entrypoint and code: what Kubernetes ran beside what was published or asked for."""
    asked = str(run.get("image"))
    # A job that ended before its algorithm's pod has no image to compare.
    if "started" in times or "staged" in times:
        yield _check_image(asked, str((run.get("ran") or {}).get("image") or ""))
    did = str(algorithm.get("did") or "")
    if not did:
        yield _check_raw_code(str(run.get("rawcode") or ""), code)
        return
    cached = _cached_record(connection, did)
    # The comparison needs the description that admitted the job, not the one in force now.
    if cached is None or not same_hex(
        (cached.get("event") or {}).get("tx"), str(algorithm.get("metadataTx"))
    ):
        text = "the description that admitted the algorithm is not in the cache (any more)"
        yield EvidenceCheck("image", None, text, "cache")
        yield EvidenceCheck("entrypoint", None, text, "cache")
        return
    container = DDO.parse(cached).container
    checksum = str(container.checksum) if container else ""
    # By digest: a tag can be moved to another image at any time.
    right = checksum.startswith("sha256:") and asked.endswith(checksum)
    yield EvidenceCheck(
        "image", right, f"{asked} was asked for, {checksum or 'nothing'} is published", "chain"
    )
    # Compared exactly: an argument more may turn a harmless image into another program.
    entrypoint = container.entrypoint if container else None
    text = f"{run.get('entrypoint')!r} was run, {entrypoint!r} is published"
    yield EvidenceCheck("entrypoint", entrypoint == run.get("entrypoint"), text, "chain")


def _check_consents(
    connection: Connection, inputs: Sequence[Mapping[str, Any]], ran: ExecutedAlgorithm
) -> Iterator[EvidenceCheck]:
    """Check whether each publisher permitted the very version that ran, where it names the algorithm."""
    for asset in inputs:
        cached = _cached_record(connection, str(asset["did"]))
        if cached is None:
            continue  # _check_asset has reported the missing description already
        admitted = same_hex((cached.get("event") or {}).get("tx"), str(asset.get("metadataTx")))
        for found in check_consent(cached, str(asset["serviceId"]), ran, admitted):
            yield EvidenceCheck(f"permission of {ran.did} on {found.dataset}", found.ok, found.text, "chain")


def _check_image(asked: str, ran: str) -> EvidenceCheck:
    """Compare the digest that the node reported with the one that was asked for."""
    digest = asked.partition("@")[2]
    # Where the node reported no digest the image is unproven, not wrong.
    known = bool(digest and ran)
    text = f"{asked} was asked for; Kubernetes ran {ran or 'what it did not say'}"
    return EvidenceCheck("image that ran", ran.endswith(digest) if known else None, text, "operator")


def _check_raw_code(digest: str, code: bytes | None) -> EvidenceCheck:
    """Compare the digest of a raw algorithm with the code that its owner gives, where it is given."""
    # The code was in the request only, so its owner alone can say what it should have been.
    if code is None:
        return EvidenceCheck(
            "code", None, f"sha256 {digest}; give the code to compare it (--code FILE)", "yours"
        )
    return EvidenceCheck("code", hashlib.sha256(code).hexdigest() == digest, f"sha256 {digest} ran", "yours")


def _check_isolation(proof: Mapping[str, Any], times: Mapping[str, Any]) -> EvidenceCheck:
    """Check the warden's report, which comes from the operator: nobody else saw it."""
    if "started" not in times and "staged" not in times:
        return EvidenceCheck("isolation", True, "the algorithm was not started")
    if not proof:
        return EvidenceCheck("isolation", None, "no report of the warden was kept")
    # Both words: a verdict with an answered probe contradicts itself.
    closed = proof.get("verdict") == "closed" and not proof.get("answered")
    return EvidenceCheck(
        "isolation", closed, f"{proof.get('probes', 0)} probes, verdict {proof.get('verdict')}"
    )


def _check_outputs(consumer: JobOwner, job: str, outputs: Mapping[str, Any]) -> Iterator[EvidenceCheck]:
    """Check list, encryption and bytes of the results against what was judged.

    The bytes are fetched and hashed again: a store that alters one of them is found.
    """
    listed = [entry for entry in consumer.results(job) if entry["type"] != "evidence"]
    named = outputs.get("files", [])
    # Compared in order and whole, so neither an added nor a missing result goes unseen.
    same_list = [(plain_name(entry), entry["type"]) for entry in listed] == [
        (file["filename"], file["type"]) for file in named
    ]
    yield EvidenceCheck("results", same_list, f"{len(listed)} are listed, {len(named)} were judged", "store")
    key = (outputs.get("encryption") or {}).get("key")
    sealed = [entry for entry in listed if is_sealed(entry)]
    # One result in the clear among encrypted ones is a leak, so all or none.
    if key or sealed:
        text = f"{len(sealed)} of {len(listed)} are encrypted, for {key}"
        yield EvidenceCheck("encryption", bool(key) and len(sealed) == len(listed), text, "store")
    for entry, file in zip(listed, named, strict=False):
        # Of the decrypted content: the judge saw it before it was encrypted.
        digest = consumer.result_sha256(job, entry["index"])
        text = f"sha256 {digest}"
        yield EvidenceCheck(f"result {entry['filename']}", digest == file["sha256"], text, "store")
