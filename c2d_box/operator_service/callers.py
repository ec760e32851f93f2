"""Authenticates the calling Provider, by a signature that nobody can use a second time.

Ours signs method, target and body hash (headers). The original signs owner, job and nonce, which says
nothing of what is asked for; that form is taken only where signatures are not required or
``compat.bareSignatures`` is on, and so is the form without nonce that other Providers send. Nothing stands
between the parts of that text, so owner, job and nonce must have their spelling: else a text that was signed
for one call could be cut elsewhere, or one of our headers' texts be taken for an owner. A text without nonce
must name a job; without one it would start jobs for ever.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from starlette.requests import Request

from c2d_box.assets.crypto import signatures
from c2d_box.operator_service import nonces
from c2d_box.operator_service.arguments import Arguments, OperatorRefusal
from c2d_box.operator_service.nonces import UsedNonces
from c2d_box.operator_service.settings import OperatorSettings

SIGNATURE, NONCE = "x-c2d-signature", "x-c2d-nonce"
"""Headers of our own form of signature."""
_OWNER = re.compile(r"(0x[0-9a-fA-F]{40})?\Z")
_JOB = re.compile(r"[0-9A-Za-z-]{0,64}\Z")
_BARE_NONCE = re.compile(r"[0-9.]{1,24}\Z")
"""A bare nonce is shorter than a job's name, for which it could be taken."""


class SignatureVerifier:
    """Checks signatures, allowed Providers and nonces."""

    def __init__(self, settings: OperatorSettings, taken: UsedNonces) -> None:
        self._required = settings.signature_required
        # Where signatures are not required every form is taken.
        self._bare = settings.compat.bare_signatures or not settings.signature_required
        # Addresses are compared in lower case: their mixed case is a checksum (EIP-55) and not part of them.
        self._allowed = frozenset(address.lower() for address in settings.allowed_providers)
        self._taken = taken

    async def check_caller(
        self, request: Request, content: bytes, arguments: Arguments, owner: str, job: str
    ) -> str:
        """Return the caller's address and use up the nonce. Raises OperatorRefusal with Ocean's own text."""
        signature = request.headers.get(SIGNATURE)
        if signature is not None:
            nonce = request.headers.get(NONCE, "")
            digest = hashlib.sha256(content).hexdigest()
            # One part per line, and no part can hold a line break: the text can be cut in one way only.
            text = f"{request.method}\n{_request_target(request)}\n{digest}\n{nonce}"
            addresses = [signatures.recover_signer(text, signature)]
        elif self._bare:
            signature, nonce = (
                str(arguments.get("providerSignature") or ""),
                str(arguments.get("nonce") or ""),
            )
            # Before anything is recovered: a text that could be cut elsewhere may be a
            # valid signature of another call.
            if self._required and not _is_spelled(owner, job, nonce):
                raise OperatorRefusal(401, _unauthorized_text(signature))
            addresses = [
                signatures.recover_signer(text, signature) for text in _original_texts(owner, job, nonce)
            ]
        else:
            raise OperatorRefusal(401, _unauthorized_text("(none in the headers)"))
        # By method: only requests that change nothing are answered while PostgreSQL is away.
        is_read = request.method in ("GET", "HEAD")
        return await self._admit_caller([entry for entry in addresses if entry], signature, nonce, is_read)

    async def _admit_caller(self, addresses: list[str], signature: str, nonce: str, is_read: bool) -> str:
        """Choose the caller among the recovered addresses and use up the nonce."""
        if not addresses:
            raise OperatorRefusal(400, "Failed to recover address")
        value = nonces.parse_nonce(nonce)
        # Recovering yields some address for every well-formed signature: only the list
        # says whether it means anything.
        known = [address for address in addresses if address.lower() in self._allowed]
        if self._required and not known:
            raise OperatorRefusal(401, _unauthorized_text(signature))
        caller = (known or addresses)[0]
        # Last: a refused request must not use up anybody's nonce.
        await self._taken.take_nonce(caller, value, is_read=is_read)
        return caller


def _request_target(request: Request) -> str:
    """Return path and query as they came over the wire, so that no re-encoding can change what was signed."""
    path = request.scope["raw_path"].decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _original_texts(owner: str, job: str, nonce: str) -> Iterator[str]:
    """Yield the texts that the original accepts: with the nonce, and as other Providers sign without it."""
    yield f"{owner}{job}{nonce}"
    # Without job and nonce the text would be the owner alone, good for any start of a job at any time.
    if job:
        yield f"{owner}{job}"


def _is_spelled(owner: str, job: str, nonce: str) -> bool:
    """Return whether owner, job and nonce have the form by which their joined
    text can be read in one way only.
    """
    return all(rule.match(part) for rule, part in ((_OWNER, owner), (_JOB, job), (_BARE_NONCE, nonce)))


def _unauthorized_text(signature: str) -> str:
    """Return the original's text; the signature is cut, since it is the caller's and may be of any length."""
    return f"Invalid signature {signature[:140]} is not authorized to use this service."
