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

    # As the client spelled it. It proves nothing until the signature has been recovered.
    owner: str
    message: str | None
    # A text without a nonce is accepted once only: it is remembered, see :mod:`nonces`.
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
        """Use the nonce up. Raise InvalidParameters when another request has used it since it was checked:
        of two equal requests that were both verified only one may have its effect."""
        # Only the owner's signature over the nonce may set the stored nonce to any value. What a token's
        # bearer or a captured stop names moves it by one at most.
        purpose, scale = self.claim.purpose, self.claim.scale
        if self.proof is ProofKind.SIGNED:
            freshness = nonces.take_nonce(self.address, self.nonce, purpose, scale, self.text)
        else:
            freshness = nonces.advance_nonce(self.address, self.nonce, purpose, self.text)
        # A repetition passes here only if it was one when it was checked. Otherwise this request is the
        # second of two equal ones, and has lost.
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
        """Return the caller that the request proves to come from. Raise InvalidParameters with every text
        that applies, or the claim's own refusal."""
        # Parameters first. A rule that bails says that the rest makes no sense, so the signature is not
        # looked at.
        checked = fields.check_fields(data, rules)
        caller: VerifiedCaller | None = None
        if not checked.bailed:
            outcome = self._authenticate_claim(data, claim, token)
            if isinstance(outcome, VerifiedCaller):
                caller = outcome
            else:
                for name, texts in outcome.items():
                    # A field's own text comes first: one that is missing is reported as missing, not as a
                    # wrong signature.
                    checked.errors.setdefault(name, texts)
        if checked.errors or caller is None:
            raise InvalidParameters(checked.errors)
        # After the signature, so that a stranger does not learn what the rightful author would be told.
        if claim.refusal is not None:
            raise claim.refusal
        return caller

    def _authenticate_claim(
        self, data: fields.Data, claim: SignedClaim, token: str | None
    ) -> VerifiedCaller | dict[str, list[str] | str]:
        """Return the verified caller, or the error texts by field: no exception, because they are reported
        together with those of the parameters."""
        nonce = fields.as_number(data.get("nonce"))
        # Without a number there is no text that could have been signed.
        if nonce is None:
            return {"signature": [BAD_SIGNATURE]}
        signature, proof = data.get("signature"), ProofKind.TOKEN
        # A token counts only where no signature is given: a wrong signature is an error, even beside a good
        # token.
        if signature in (None, ""):
            if not token or not claim.token_allowed or not is_address(claim.owner):
                return {"signature": [BAD_SIGNATURE]}
            if problem := self._tokens.token_problem(token, claim.owner):
                return {"signature": [problem]}
        else:
            found = _check_proof(str(signature), claim, str(data["nonce"]))
            if not isinstance(found, ProofKind):
                # A stale nonce is told in preference to a wrong signature. Clients read the last nonce from
                # that text and sign again.
                return self._stale_nonce_error(claim, nonce) or {"signature": found}
            proof = found
        # One spelling from here on: nonces are stored by it, and another spelling must not be another
        # account.
        address, text = checksum_address(claim.owner), _replay_text(proof, claim, str(data["nonce"]))
        signed_text = text if proof is ProofKind.SIGNED else ""
        freshness = self.nonces.check_nonce(address, nonce, claim.purpose, claim.scale, signed_text)
        if freshness is NonceFreshness.FAR and proof is not ProofKind.SIGNED:
            freshness = NonceFreshness.FRESH  # it moves the stored nonce by one, whatever it says
        if freshness not in (NonceFreshness.FRESH, NonceFreshness.REPEATED):
            return _nonce_error(self.nonces, freshness, address, nonce, claim.scale)
        return VerifiedCaller(address, nonce, claim, freshness is NonceFreshness.REPEATED, proof, text)

    def _stale_nonce_error(self, claim: SignedClaim, nonce: Decimal) -> dict[str, list[str] | str] | None:
        """Return the error of a stale nonce, None where the nonce is no reason. The owner is only claimed
        here; what the text tells is public, because anybody may ask for an address's last nonce."""
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
    # The largest accepted counter is told, so that a client whose clock or counter is wrong can go on.
    if freshness is NonceFreshness.FAR:
        limit = nonces.counter_limit(address, scale)
        return {"nonce": [f"The nonce must be at most {limit}, or the time now (s, ms)."]}
    if freshness is NonceFreshness.USED:
        return {"signature": "Invalid signature: the signed message was used before."}
    # The original's text, from which clients take the expected nonce.
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
        # Message and nonce stand together without a separator, as Ocean signs them. ``signed_texts`` deals
        # with what follows from that.
        recovered = signatures.recover_signer(claim.message + nonce, signature)
        if owner is not None and recovered == owner:
            return ProofKind.SIGNED
    # The weaker text second: a request that proves its nonce must count as one that does.
    if claim.bare and owner is not None and signatures.recover_signer(claim.bare, signature) == owner:
        return ProofKind.BARE
    if claim.message is None:
        return [BAD_SIGNATURE]
    got = recovered or "an unreadable signature"
    return (
        # Cut to what honest values need: the text of an error must not be as long as the request.
        f"Invalid signature {signature[:140]} for ethereum address {claim.owner[:64]}, "
        f"message {claim.message[:256]} and nonce {nonce}. Got {got}"
    )


def join_parameters(data: fields.Data, *names: str) -> str:
    """Return the signed text that these parameters make, without separators; absent ones are empty. Names
    with a dot lead into nested objects of a JSON body."""
    return "".join(str(value) for name in names if (value := fields.find_value(data, name)) is not None)


def owner_in(data: fields.Data, name: str = "consumerAddress") -> str:
    """Return the address that the request claims to come from, as text whatever its type."""
    return str(data.get(name) or "")


def request_digest(data: Mapping[str, Any]) -> str:
    """Return a name for a request made from its content without the signature, which a client may make anew
    for the same request."""
    # Sorted and compact, so that the order of keys does not make another request of it.
    content = {key: value for key, value in data.items() if key != "signature"}
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
