"""The signature with which an owner asks for everything that is known of its jobs.

Reading a status changes nothing and happens several times a second, by several programs at once; so no nonce
is used up, which another client of the account could be about to use. The time stands in its place, and a
proof is good for a few minutes. The signed text begins with a word, where those of all other calls begin with
an address: none can be taken for another.
"""

from __future__ import annotations

from c2d_box.assets.addresses import same_hex
from c2d_box.assets.crypto import signatures

WINDOW_SECONDS = 300.0
"""Seconds that the clocks of owner and Provider may differ, in either direction."""


def status_proof(key: bytes, owner: str, job: str | None, now: float) -> dict[str, str]:
    """Return ``nonce`` (milliseconds) and ``signature``, for the query of a status request."""
    nonce = str(int(now * 1000))
    return {"nonce": nonce, "signature": signatures.sign_text(key, _signed_text(owner, job, nonce))}


def is_owner(owner: str, job: str | None, nonce: object, signature: object, now: float) -> bool:
    """Return whether ``owner`` made the proof, within the last few minutes."""
    text = str(nonce)
    # Digits of milliseconds have 13 places; a number of any length would be converted in quadratic time.
    if not (isinstance(signature, str) and text.isascii() and text.isdecimal() and len(text) < 17):
        return False
    if abs(now - int(text) / 1000) > WINDOW_SECONDS:
        return False
    # ``same_hex`` is false for None: a malformed signature belongs to nobody.
    return same_hex(signatures.recover_signer(_signed_text(owner, job, text), signature), owner)


def _signed_text(owner: str, job: str | None, nonce: str) -> str:
    """Return the text; the job is part of it, so a proof for one job does not open another."""
    return f"computeStatus\n{owner.lower()}\n{job or ''}\n{nonce}"
