"""Verifies the author of a request: parameter rules, then the signature (or a token in its place), then the
nonce.

The three are one validation to a client: their texts come in one answer. Checking a nonce does not use
it; a handler uses it right before its first effect, so that a refused request may be sent again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from typing import Any

from c2d_box.assets.addresses import checksum_address, is_address
from c2d_box.assets.crypto import signatures
from c2d_box.provider.auth.nonces import NonceFreshness, NonceStore, Scale
from c2d_box.provider.auth.tokens import AuthTokens
from c2d_box.provider.errors import BAD_SIGNATURE, InvalidParameters, ProviderRefusal
from c2d_box.provider.requests import fields


@dataclass(frozen=True)
class SignedClaim:
    """The author that a request claims to have, and the text whose signature would prove it.

    ``message`` is the signed text before the nonce, None where the request lacks a part without which the
    text could be that of another call. ``bare`` is a text that is accepted signed without a nonce (an
    ocean.js slip). ``purpose`` names the request for a nonce that may be repeated. ``open_ended``: the
    message ends in a number or name of any length, so that it and the nonce after it can be read in more than
    one way. ``refusal`` is raised even for the rightful author, before the nonce is used.
    """

    owner: str
    message: str | None
    bare: str | None = None
    purpose: str = ""
    scale: Scale = "client"
    token_allowed: bool = True
    open_ended: bool = False
    refusal: ProviderRefusal | None = None


class ProofKind(Enum):
    """The kind of proof that a caller has given. Only a signature over the nonce (``SIGNED``) shows that the
    owner has chosen the nonce; the others do not cover it."""

    SIGNED = "signed"
    BARE = "bare"
    TOKEN = "token"


@dataclass(frozen=True)
class VerifiedCaller:
    """A caller whose address (in checksummed spelling) is verified. The nonce is checked but not used yet:
    the handler calls :meth:`use_nonce` right before its first effect."""

    address: str
    nonce: Decimal
    claim: SignedClaim
    repeated: bool
    proof: ProofKind = ProofKind.SIGNED
    text: str = ""
    """The signed text that must not be accepted again, where it can be read in more than one way."""

    def use_nonce(self, nonces: NonceStore) -> None:
        """Use the nonce up. Raise Invalid when another request has used it since it was checked."""
        purpose, scale = self.claim.purpose, self.claim.scale
        if self.proof is ProofKind.SIGNED:
            freshness = nonces.take_nonce(self.address, self.nonce, purpose, scale, self.text)
        else:
            freshness = nonces.advance_nonce(self.address, self.nonce, purpose, self.text)
        if freshness is NonceFreshness.FRESH or (freshness is NonceFreshness.REPEATED and self.repeated):
            return
        raise InvalidParameters(_nonce_error(nonces, freshness, self.address, self.nonce, scale))


class CallerVerifier:
    """Verifies callers against the nonces and tokens of this Provider."""

    def __init__(self, nonces: NonceStore, tokens: AuthTokens) -> None:
        self.nonces = nonces
        self._tokens = tokens

    def verify_caller(
        self,
        data: fields.Data,
        rules: tuple[fields.RequestField, ...],
        claim: SignedClaim,
        token: str | None = None,
    ) -> VerifiedCaller:
        """Return the caller that the request proves to come from. Raise Invalid with every text that applies,
        or the claim's own Refusal."""
        checked = fields.check_fields(data, rules)
        caller: VerifiedCaller | None = None
        if not checked.bailed:
            outcome = self._authenticate_claim(data, claim, token)
            if isinstance(outcome, VerifiedCaller):
                caller = outcome
            else:
                for name, texts in outcome.items():
                    checked.errors.setdefault(name, texts)
        if checked.errors or caller is None:
            raise InvalidParameters(checked.errors)
        if claim.refusal is not None:
            raise claim.refusal
        return caller

    def _authenticate_claim(
        self, data: fields.Data, claim: SignedClaim, token: str | None
    ) -> VerifiedCaller | dict[str, list[str] | str]:
        nonce = fields.as_number(data.get("nonce"))
        if nonce is None:
            return {"signature": [BAD_SIGNATURE]}
        signature, proof = data.get("signature"), ProofKind.TOKEN
        if signature in (None, ""):
            if not token or not claim.token_allowed or not is_address(claim.owner):
                return {"signature": [BAD_SIGNATURE]}
            if problem := self._tokens.token_problem(token, claim.owner):
                return {"signature": [problem]}
        else:
            found = _check_proof(str(signature), claim, str(data["nonce"]))
            if not isinstance(found, ProofKind):
                return self._stale_nonce_error(claim, nonce) or {"signature": found}
            proof = found
        address, text = checksum_address(claim.owner), _replay_text(proof, claim, str(data["nonce"]))
        signed_text = text if proof is ProofKind.SIGNED else ""
        freshness = self.nonces.check_nonce(address, nonce, claim.purpose, claim.scale, signed_text)
        if freshness is NonceFreshness.FAR and proof is not ProofKind.SIGNED:
            freshness = NonceFreshness.FRESH  # it moves the stored nonce by one, whatever it says
        if freshness not in (NonceFreshness.FRESH, NonceFreshness.REPEATED):
            return _nonce_error(self.nonces, freshness, address, nonce, claim.scale)
        return VerifiedCaller(address, nonce, claim, freshness is NonceFreshness.REPEATED, proof, text)

    def _stale_nonce_error(self, claim: SignedClaim, nonce: Decimal) -> dict[str, list[str] | str] | None:
        if not is_address(claim.owner):
            return None
        address = checksum_address(claim.owner)
        freshness = self.nonces.check_nonce(address, nonce, claim.purpose, claim.scale)
        if freshness is not NonceFreshness.STALE:
            return None
        return _nonce_error(self.nonces, freshness, address, nonce, claim.scale)


def _nonce_error(
    nonces: NonceStore, freshness: NonceFreshness, address: str, nonce: Decimal, scale: Scale
) -> dict[str, list[str] | str]:
    """Return the error of a nonce that cannot be used, in the texts that clients know."""
    if freshness is NonceFreshness.FAR:
        limit = nonces.counter_limit(address, scale)
        return {"nonce": [f"The nonce must be at most {limit}, or the time now (s, ms)."]}
    if freshness is NonceFreshness.USED:
        return {"signature": "Invalid signature: the signed message was used before."}
    stored = nonces.last_used(address, scale)
    return {
        "signature": f"Invalid signature expected nonce ({stored}) > current nonce ({format(nonce, 'f')})."
    }


def _replay_text(proof: ProofKind, claim: SignedClaim, nonce: str) -> str:
    """Return the text by which a second use of the same signature is recognised, where its nonce alone cannot
    show it; empty where the nonce can."""
    if proof is ProofKind.BARE:
        return claim.bare or ""
    return f"{claim.message}{nonce}" if proof is ProofKind.SIGNED and claim.open_ended else ""


def _check_proof(signature: str, claim: SignedClaim, nonce: str) -> ProofKind | list[str] | str:
    """Return what the owner's signature covers. Where it is not the owner's, return the text that clients
    show."""
    owner = checksum_address(claim.owner) if is_address(claim.owner) else None
    recovered = None
    if claim.message is not None:
        recovered = signatures.recover_signer(claim.message + nonce, signature)
        if owner is not None and recovered == owner:
            return ProofKind.SIGNED
    if claim.bare and owner is not None and signatures.recover_signer(claim.bare, signature) == owner:
        return ProofKind.BARE
    if claim.message is None:
        return [BAD_SIGNATURE]
    got = recovered or "an unreadable signature"
    return (
        f"Invalid signature {signature[:140]} for ethereum address {claim.owner[:64]}, "
        f"message {claim.message[:256]} and nonce {nonce}. Got {got}"
    )


def join_parameters(data: fields.Data, *names: str) -> str:
    """Return the signed text that these parameters make, without separators; absent ones are empty."""
    return "".join(str(value) for name in names if (value := fields.find_value(data, name)) is not None)


def owner_in(data: fields.Data, name: str = "consumerAddress") -> str:
    return str(data.get(name) or "")


def request_digest(data: Mapping[str, Any]) -> str:
    """Return a name for a request made from its content without the signature, which a client may make anew
    for the same request."""
    content = {key: value for key, value in data.items() if key != "signature"}
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
