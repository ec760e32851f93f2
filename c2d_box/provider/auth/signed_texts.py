"""Builds the text that each call signs, in one place, so that no call's text can be read as another's.

Ocean fixes the texts and puts nothing between their parts. Three rules keep them apart all the same. Parts of
a known length or spelling (address, job id, DID, chain id) must have it. A stop or delete names its DID,
without which it would read like a result, and a start never has a job id, with which it would read like a
stop. Where a text still has several readings (results and logs end in a number or name of any length), it is
remembered once it was used: see :mod:`c2d_box.provider.auth.nonces`.

Two pairs of texts are equal by Ocean's design: stop and delete, making and deleting a token. The nonce makes
sure that one signature is good for one of the two.
"""

from __future__ import annotations

import re
from typing import Any

from c2d_box.assets.crypto.lookup_text import signed_text
from c2d_box.provider.auth.caller import SignedClaim, join_parameters, owner_in, request_digest
from c2d_box.provider.errors import ProviderRefusal
from c2d_box.provider.requests.fields import Data

_JOB_ID = re.compile(r"[0-9a-f]{32}\Z")
# Exact forms, so that a part of known length cannot lend characters to its neighbours.
_DID = re.compile(r"did:op:[0-9a-fA-F]{64}\Z")
_INDEX = re.compile(r"-?[0-9]{1,9}\Z")
_COMPONENT = re.compile(r"[a-z]*\Z")
_BARE_JOB = re.compile(r"(?![0-9]{1,16}\Z)[0-9A-Za-z-]{1,32}\Z")
"""A job id that cannot be read as a nonce, nor as a job id with more text behind it."""


def download_claim(data: Data) -> SignedClaim:
    """Return the claim of a download, which signs the DID (``documentId``)."""
    return SignedClaim(owner_in(data), join_parameters(data, "documentId"))


def start_claim(data: Data) -> SignedClaim:
    """Return the claim of a start, which signs owner and first dataset. The purpose names the whole
    request: sent again after a lost answer it may use its nonce again, and no other request may."""
    return SignedClaim(
        owner_in(data),
        join_parameters(data, "consumerAddress", "dataset.documentId"),
        purpose=request_digest(data),
    )


def stop_claim(data: Data, *, quirks: bool) -> SignedClaim:
    """Return the claim of a stop. With ``quirks`` the text of ocean.js 3.3.3 and later is accepted too, which
    holds neither DID nor nonce."""
    # Only without a DID: a request that names one can be signed in full, and must be.
    bare = quirks and not data.get("documentId") and _BARE_JOB.match(str(data.get("jobId") or ""))
    return SignedClaim(
        owner_in(data),
        _job_text(data),
        bare=join_parameters(data, "consumerAddress", "jobId") if bare else None,
    )


def delete_claim(data: Data) -> SignedClaim:
    """Return the claim of a deletion. Its text equals that of a stop, by Ocean's design."""
    return SignedClaim(owner_in(data), _job_text(data))


def result_claim(data: Data) -> SignedClaim:
    """Return the claim of a result. The index ends the text and has any length, so its digits and those of
    the nonce can change places: the text is remembered once it was used."""
    message, index = join_parameters(data, "consumerAddress", "jobId", "index"), str(data.get("index"))
    refusal = _job_refusal(data)
    # Refused before the nonce is used, in the original's words.
    if refusal is None and not _INDEX.match(index):
        refusal = ProviderRefusal(f"No such index {index[:64]} in this compute job", status=404)
    return SignedClaim(owner_in(data), message, open_ended=True, refusal=refusal)


def logs_claim(data: Data) -> SignedClaim:
    """Return the claim of a log. A component is letters only, so that the nonce begins where the digits do.
    Without one the text could be that of a result, so it is remembered like one."""
    message, component = (
        join_parameters(data, "consumerAddress", "jobId", "component"),
        str(data.get("component") or ""),
    )
    refusal = _job_refusal(data)
    if refusal is None and not _COMPONENT.match(component):
        refusal = ProviderRefusal(f"There is no component {component[:64]}.")
    return SignedClaim(owner_in(data), message, open_ended=True, refusal=refusal)


def fileinfo_claim(data: Data) -> SignedClaim:
    """Return the claim of a file look-up. Ocean defines no text for it; ours names the call and, by its hash,
    the whole request."""
    return SignedClaim(owner_in(data), signed_text(data))


def token_claim(data: Data) -> SignedClaim:
    """Return the claim of making or deleting a token. Only the owner's signature is accepted, not a token: no
    token may prolong itself."""
    owner = owner_in(data, "address")
    return SignedClaim(owner, owner, token_allowed=False)


def decrypt_claim(data: Data, chain_id: int) -> SignedClaim:
    """Return the claim of a decryption; another chain's id is refused. With such an id the text could be read
    so that the id's last digits begin the nonce, and that nonce would be out of reach."""
    # Either may name the document; of both the transaction does.
    first = "transactionId" if data.get("transactionId") else "dataNftAddress"
    chain = str(data.get("chainId"))
    return SignedClaim(
        owner_in(data, "decrypterAddress"),
        join_parameters(data, first, "decrypterAddress", "chainId"),
        scale="decrypter",
        token_allowed=False,
        refusal=None if chain == str(chain_id) else ProviderRefusal(f"Unsupported chain ID {chain[:20]}"),
    )


def is_job_id(value: Any) -> bool:
    """Return whether the value has the form of the ids that this Provider gives to jobs."""
    return isinstance(value, str) and _JOB_ID.match(value) is not None


def _job_text(data: Data) -> str | None:
    """Return the text of a stop or delete, or None where a part is missing without which it could be that
    of another call."""
    job = data.get("jobId")
    # Without the DID owner + job + nonce would read like a result whose index is the nonce's first digits.
    if not job or (is_job_id(job) and not _DID.match(str(data.get("documentId") or ""))):
        return None
    return join_parameters(data, "consumerAddress", "jobId", "documentId")


def _job_refusal(data: Data) -> ProviderRefusal | None:
    """Return the refusal of a text that cannot be a job id, so that it is refused without using the nonce."""
    if is_job_id(data.get("jobId")):
        return None
    return ProviderRefusal(
        f"Owner {owner_in(data)[:64]} mismatch for job {str(data.get('jobId'))[:64]}", status=404
    )
