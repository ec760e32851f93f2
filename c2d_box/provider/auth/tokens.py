"""Auth tokens: JWTs (HS256) that stand in for a missing signature until they expire or are deleted.

The same address and expiration always give the same token; asking again restores a deleted one. The
signing key is derived for this purpose and for this database alone: where the list of deleted tokens is lost,
all tokens end with it.

No token lives longer than ``longest_seconds``. A longer life is cut to that, in whole hours, so that the same
request gives the same token for a while.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode

from c2d_box.assets.addresses import checksum_address, is_address, same_hex
from c2d_box.provider.database import ProviderDatabase
from c2d_box.provider.settings import LONGEST_TOKEN_SECONDS
from c2d_box.strict_json import JsonLimits, parse_json

_HOUR = 3_600
INVALID = "Token is invalid."
EXPIRED = "Token is expired."
DELETED = "Token is deleted."
_LIMITS = JsonLimits(size_bytes=4096, depth=4)
"""Bounds for what strangers present as a token; a genuine one has a few hundred bytes."""
# The one header that is accepted. A token that names another algorithm, or none, is no token.
_HEADER = {"alg": "HS256", "typ": "JWT"}


class AuthTokens:
    """Makes, checks and deletes auth tokens. Only deleted tokens are stored, until they would have
    expired."""

    def __init__(
        self, key: bytes, database: ProviderDatabase, longest_seconds: int = LONGEST_TOKEN_SECONDS
    ) -> None:
        # The database's name is in the key: a new file has lost the list of deleted tokens, so it must not
        # know the old tokens either.
        self._key = hmac.digest(key, database.name.encode(), hashlib.sha256)
        self._database = database
        self._longest = longest_seconds

    def create_token(self, address: str, expires: int) -> str:
        """Return the token of an address until ``expires`` (Unix seconds), cut to the longest life. A
        deleted token that is asked for again is valid again."""
        payload = {"exp": min(expires, self._latest_expiry()), "address": checksum_address(address)}
        signed = f"{_encode_part(_HEADER)}.{_encode_part(payload)}"
        token = f"{signed}.{_encode_base64(self._token_signature(signed))}"
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM deleted_tokens WHERE digest = ?", (_token_digest(token),))
        return token

    def token_problem(self, token: str, address: str) -> str | None:
        """Return the reason why the token does not stand for ``address`` now, or None if it does."""
        payload = self._read_payload(token)
        if payload is None or not same_hex(payload.get("address"), address):
            return INVALID
        expires = payload.get("exp")
        # The upper bound counts too: a token from before the longest life was shortened must not outlive it.
        if not isinstance(expires, int) or not time.time() < expires <= self._latest_expiry():
            return EXPIRED
        deleted = self._database.fetch_one(
            "SELECT 1 FROM deleted_tokens WHERE digest = ?", _token_digest(token)
        )
        return DELETED if deleted else None

    def delete_token(self, token: str) -> None:
        """Make a genuine token invalid until it would have expired. The route has checked it with
        :meth:`token_problem` before: other texts must not fill the table."""
        payload = self._read_payload(token)
        expires = payload.get("exp", 0) if payload else 0
        with self._database.transaction() as connection:
            # Expired tokens are invalid without an entry, so the table stays as small as the use of deletion.
            connection.execute("DELETE FROM deleted_tokens WHERE expires < ?", (int(time.time()),))
            connection.execute(
                "INSERT OR REPLACE INTO deleted_tokens VALUES (?, ?)", (_token_digest(token), expires)
            )

    def _latest_expiry(self) -> int:
        """Return the latest end that a token made now may have."""
        now = int(time.time()) + self._longest
        # Rounded up to the hour, so that two requests within it get the same token.
        return now - now % _HOUR + _HOUR

    def _read_payload(self, token: str) -> dict[str, object] | None:
        """Return the payload of a genuine token, None for any other text."""
        signed, _, signature = token.rpartition(".")
        try:
            given = _decode_base64(signature)
            header = parse_json(_decode_base64(signed.partition(".")[0]), _LIMITS)
            payload = parse_json(_decode_base64(signed.partition(".")[2]), _LIMITS)
        except ValueError:
            return None
        # In constant time: the time of a plain comparison would tell how many bytes of a guess are right.
        good = hmac.compare_digest(given, self._token_signature(signed))
        if not good or header != _HEADER or not isinstance(payload, dict):
            return None
        return payload if is_address(payload.get("address")) else None

    def _token_signature(self, signed: str) -> bytes:
        """Return the HMAC of a token's first two parts."""
        return hmac.digest(self._key, signed.encode(), hashlib.sha256)


def _encode_part(value: object) -> str:
    return _encode_base64(json.dumps(value, separators=(",", ":")).encode())


def _encode_base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode_base64(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))


def _token_digest(token: str) -> str:
    """Return the hash by which a deleted token is known. It is made of the signature's bytes and not of their
    base64, whose trailing bits would let the same token pass for another one."""
    signed, _, signature = token.rpartition(".")
    return hashlib.sha256(f"{signed}.{_decode_base64(signature).hex()}".encode()).hexdigest()
