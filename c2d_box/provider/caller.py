"""Who is calling: parameter rules, then the signature (or a token in its place), then the nonce.

The three are one validation to a client: their texts come in one answer. Checking a nonce does not use
it; a handler uses it right before its first effect, so that a refused request may be sent again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any

from c2d_box.assets import signatures
from c2d_box.assets.addresses import checksum, is_address
from c2d_box.provider import fields
from c2d_box.provider.errors import BAD_SIGNATURE, Invalid
from c2d_box.provider.nonces import Freshness, Nonces, Scale
from c2d_box.provider.tokens import Tokens


@dataclass(frozen=True)
class Claim:
    """What a request says about its author. ``message`` is the signed text before the nonce; ``bare`` is
    accepted signed without a nonce (an ocean.js slip); ``purpose`` names the request for a nonce that may
    be repeated."""

    owner: str
    message: str
    bare: str | None = None
    purpose: str = ""
    scale: Scale = "client"
    token_allowed: bool = True


@dataclass(frozen=True)
class Caller:
    """A verified address, in checksummed spelling, with its nonce still to be used."""

    address: str
    nonce: Decimal
    claim: Claim
    repeated: bool

    def use_nonce(self, nonces: Nonces) -> None:
        """Raises Invalid when another request with this nonce was faster."""
        freshness = nonces.use(self.address, self.nonce, self.claim.purpose, self.claim.scale)
        if freshness is Freshness.FRESH or (freshness is Freshness.REPEATED and self.repeated):
            return
        raise Invalid({"signature": stale(nonces, self.address, self.nonce, self.claim.scale)})


class Callers:
    def __init__(self, nonces: Nonces, tokens: Tokens) -> None:
        self.nonces = nonces
        self._tokens = tokens

    def verified(
        self, data: fields.Data, rules: tuple[fields.Field, ...], claim: Claim, token: str | None = None
    ) -> Caller:
        """Raises Invalid with every text that applies."""
        checked = fields.check(data, rules)
        caller: Caller | None = None
        if not checked.bailed:
            outcome = self._authenticated(data, claim, token)
            if isinstance(outcome, Caller):
                caller = outcome
            else:
                checked.errors.setdefault("signature", outcome)
        if checked.errors or caller is None:
            raise Invalid(checked.errors)
        return caller

    def _authenticated(self, data: fields.Data, claim: Claim, token: str | None) -> Caller | list[str] | str:
        nonce = fields.as_number(data.get("nonce"))
        if nonce is None:
            return [BAD_SIGNATURE]
        signature = data.get("signature")
        if signature in (None, ""):
            if not token or not claim.token_allowed or not is_address(claim.owner):
                return [BAD_SIGNATURE]
            if problem := self._tokens.problem(token, claim.owner):
                return [problem]
        elif problem := _signature_problem(str(signature), claim, str(data["nonce"])):
            if self._stale(claim, nonce):
                return stale(self.nonces, checksum(claim.owner), nonce, claim.scale)
            return problem
        address = checksum(claim.owner)
        freshness = self.nonces.freshness(address, nonce, claim.purpose, claim.scale)
        if freshness is Freshness.STALE:
            return stale(self.nonces, address, nonce, claim.scale)
        return Caller(address, nonce, claim, freshness is Freshness.REPEATED)

    def _stale(self, claim: Claim, nonce: Decimal) -> bool:
        if not is_address(claim.owner):
            return False
        address = checksum(claim.owner)
        return self.nonces.freshness(address, nonce, claim.purpose, claim.scale) is Freshness.STALE


def stale(nonces: Nonces, address: str, nonce: Decimal, scale: Scale) -> str:
    stored = nonces.stored(address, scale)
    return f"Invalid signature expected nonce ({stored}) > current nonce ({format(nonce, 'f')})."


def _signature_problem(signature: str, claim: Claim, nonce: str) -> str | None:
    """None when the owner signed message and nonce; else the text that clients show."""
    owner = checksum(claim.owner) if is_address(claim.owner) else None
    recovered = signatures.recover(claim.message + nonce, signature)
    if owner is not None and recovered == owner:
        return None
    if claim.bare and owner is not None and signatures.recover(claim.bare, signature) == owner:
        return None
    got = recovered or "an unreadable signature"
    return (
        f"Invalid signature {signature[:140]} for ethereum address {claim.owner[:64]}, "
        f"message {claim.message[:256]} and nonce {nonce}. Got {got}"
    )


def joined(data: fields.Data, *names: str) -> str:
    """The signed text of these parameters; absent ones are empty."""
    return "".join(str(value) for name in names if (value := fields.lookup(data, name)) is not None)


def owner_in(data: fields.Data, name: str = "consumerAddress") -> str:
    return str(data.get(name) or "")


def digest(data: Mapping[str, Any]) -> str:
    """Names a request by its content, the signature aside (it may be made anew)."""
    content = {key: value for key, value in data.items() if key != "signature"}
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
