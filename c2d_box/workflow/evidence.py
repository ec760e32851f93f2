"""The evidence record of a job: the code, inputs, orders, limits and outputs of its run.

It is a chain of entries, each holding the hash of the one before it; the last hash is the head, which the
environment's key signs and the WorkFlow's status keeps. Whoever checks a record looks again where there is a
second source (chain, DDO, files, image, results); the rest is the operator's word, as docs/evidence.md lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from c2d_box import timestamps
from c2d_box.assets.crypto import signatures
from c2d_box.workflow.manifests import ENCRYPTION, canonical_json
from c2d_box.workflow.resource import WorkFlow

VERSION = 1
"""Version of the record. It is part of the signed text, so records of two versions cannot be mixed."""
_TIMES = ("accepted", "admitted", "bound", "created", "staged", "started", "exited", "ended")
"""Moments that the record holds: up to the algorithm's end, since it is signed before anything is
uploaded."""
_KEYS = frozenset({"version", "job", "entries", "head", "signer", "signature"})
"""Keys of a record; one with others is refused, since nobody signed them."""
_ENTRY = frozenset({"kind", "facts", "previous", "hash"})
_START = hashlib.sha256(b"c2d evidence v1").hexdigest()
"""The hash before the first entry; it says which kind of chain this is."""


def evidence_record(
    workflow: WorkFlow, files: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], key: str
) -> dict[str, Any]:
    """Return the signed record; the same for the same state of the job, so that it can be asked for again."""
    entries: list[dict[str, Any]] = []
    previous = _START
    for kind, facts in _facts(workflow, files, limits):
        digest = _digest(previous, kind, facts)
        entries.append({"kind": kind, "facts": facts, "previous": previous, "hash": digest})
        previous = digest
    return {
        "version": VERSION,
        "job": workflow.job,
        "entries": entries,
        "head": previous,
        # The record names its signer; the orders on the chain say which account that must be.
        "signer": signatures.address_of(key),
        "signature": signatures.sign_text(key, _text(workflow.job, previous)),
    }


def evidence_problems(found: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a record in itself: hashes, order, signature. Empty for a sound one."""
    try:
        wrong, previous = [], _START
        if set(found) != _KEYS or found["version"] != VERSION:
            return ["it is not an evidence record of this version"]
        for position, entry in enumerate(found["entries"]):
            digest = _digest(previous, entry["kind"], entry["facts"])
            # Compared as a whole, so that an entry has no key beside those that were hashed.
            if entry != {**entry, "previous": previous, "hash": digest} or set(entry) != _ENTRY:
                wrong.append(f"entry {position} ({entry['kind']}) is not what was hashed")
            previous = entry["hash"]
        if found["head"] != previous:
            wrong.append("the head is not the last entry's hash")
        signer = signatures.recover_signer(
            _text(str(found["job"]), str(found["head"])), str(found["signature"])
        )
        # Hexadecimal in one case only: another spelling of a signature would be another record with the same
        # meaning.
        if signer is None or signer != found["signer"] or found["signature"] != found["signature"].lower():
            wrong.append("the signature is not the signer's")
    # A record comes from whoever shows it; any shape is an answer and no exception.
    except (KeyError, TypeError, AttributeError):
        return ["it is not an evidence record"]
    return wrong


def evidence_facts(found: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return the facts of the entry of this kind; empty where there is none."""
    named = [entry["facts"] for entry in found["entries"] if entry["kind"] == kind]
    return named[0] if named and isinstance(named[0], Mapping) else {}


def _facts(
    workflow: WorkFlow, files: Sequence[Mapping[str, Any]], limits: Mapping[str, Any]
) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield kind and facts of each entry, in the order in which they are chained."""
    spec, status, algorithm = workflow.spec, workflow.status, workflow.stage.algorithm
    raw = algorithm.model_dump(by_alias=True)
    yield (
        "order",
        {
            "owner": spec.owner,
            "agreementId": spec.agreement_id,
            "provider": spec.provider_address,
            "environment": spec.environment,
            "chainId": spec.chain_id,
            "inputs": [_asset(entry.id, entry.model_dump(by_alias=True)) for entry in workflow.stage.input],
            "algorithm": _asset(algorithm.id or "", raw),
        },
    )
    yield "permission", dict((workflow.stage.compute or {}).get("permissions") or {})
    staged = [
        {key: file.get(key) for key in ("did", "index", "size", "sha256")} for file in status.inputs or ()
    ]
    # Of many inputs the status lists the first; the digest covers all of them.
    more = {"count": status.inputs_count, "digest": status.inputs_digest} if status.inputs_digest else {}
    yield "staged", {"files": staged, **more}
    run: dict[str, Any] = {
        "image": algorithm.container.reference,
        "entrypoint": algorithm.container.entrypoint,
        "limits": dict(limits),
        # Without the pod's uid, which means nothing outside of the cluster.
        "ran": status.algorithm.model_dump(by_alias=True, exclude={"uid"}),
        "outcome": status.outcome.model_dump() if status.outcome else None,
    }
    if algorithm.rawcode:
        # The hash alone, as for files: a record holds no contents.
        run["rawcode"] = hashlib.sha256(algorithm.rawcode.encode()).hexdigest()
    yield "run", run
    yield "isolation", dict(status.isolation or {})
    # The moment of acceptance is operator-service's and in an annotation, not in the engine's status.
    accepted = {"accepted": timestamps.rfc3339_text(workflow.created)}
    yield "times", {**accepted, **{name: status.times[name] for name in _TIMES if name in status.times}}
    listed = [{key: file[key] for key in ("filename", "type", "size", "sha256")} for file in files]
    refused = [dict(entry) for entry in status.refused or ()]
    sealed = {"encryption": {"scheme": ENCRYPTION, "key": workflow.encrypt}} if workflow.encrypt else {}
    count = max(status.refused_count or 0, len(refused))
    yield "outputs", {"files": listed, "refused": refused, "refusedCount": count, **sealed}


def _asset(did: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return how an asset was ordered: transaction, service and the transaction of the metadata that was
    read."""
    remote = entry.get("remote") or {}
    return {"did": did, **{key: remote.get(key) for key in ("txId", "serviceId", "metadataTx")}}


def _digest(previous: str, kind: str, found: Any) -> str:
    """Return an entry's hash, over the hash before it, kind and facts in canonical JSON."""
    return hashlib.sha256(canonical_json([previous, kind, found])).hexdigest()


def _text(job: str, head: str) -> str:
    """Return the text that is signed: it names its purpose, so that it can be taken for no other
    signature."""
    return f"c2d-evidence v{VERSION}\n{job}\n{head}"
