"""Results as assets: the engine's proof that an asset may show a result, and the places where results may
lie.

An asset's files document is written by its publisher, so a place in the store alone proves nothing: anybody
could name another's. The proof is a MAC over asset, job and place with a secret that the engine and the
Provider share; it opens no store by itself.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from urllib.parse import unquote, urlsplit

from c2d_box.assets.files import ResultFile

_CID = re.compile(r"(Qm[1-9A-HJ-NP-Za-km-z]{44}|b[a-z2-7]{50,100})\Z")
"""A CID of version 0 (base58) or 1 (base32)."""


def result_proof(secret: str, *, nft: str, datatoken: str, job: str, place: str) -> str:
    """Return the proof as hex; addresses count in any case."""
    # JSON keeps the parts apart: two sets of values never give one text. The first part names the purpose.
    said = json.dumps(["c2d result v1", nft.lower(), datatoken.lower(), job, place]).encode()
    return hmac.new(secret.encode(), said, hashlib.sha256).hexdigest()


def is_proven(secret: str, file: ResultFile) -> bool:
    """Return whether the engine made the file's proof, and for this very asset."""
    right = result_proof(secret, nft=file.nft, datatoken=file.datatoken, job=file.job, place=file.place)
    # In constant time: the proof comes from a document that anybody can write, as often as they like.
    return hmac.compare_digest(right.encode(), file.proof.encode())


def object_key(place: str, *, bucket: str, job: str) -> str | None:
    """Return the key of ``s3://bucket/job/…``; None for any place that is not below the job's own prefix."""
    parts = urlsplit(place)
    key = unquote(parts.path).removeprefix("/")
    # Another bucket is not ours to read, and a query could be one of S3's own operations.
    if (parts.scheme, parts.netloc) != ("s3", bucket) or parts.query or parts.fragment:
        return None
    head, _, rest = key.partition("/")
    # The prefix is the job's id: its results and no other job's.
    return key if job and head == job and _is_plain(rest) else None


def content_path(place: str) -> str | None:
    """Return ``CID/path`` of ``ipfs://CID/path``; None for anything else."""
    parts = urlsplit(place)
    path = unquote(parts.path).removeprefix("/")
    # A host that is no CID could be any name on a gateway.
    if parts.scheme != "ipfs" or not _CID.match(parts.netloc) or parts.query or parts.fragment:
        return None
    return f"{parts.netloc}/{path}" if _is_plain(path) else None


def _is_plain(path: str) -> bool:
    """Return whether the path is made of names, with nothing that means another folder."""
    # Checked after unquoting, since stores unquote as well.
    return bool(path) and not any(part in ("", ".", "..") for part in path.split("/"))
