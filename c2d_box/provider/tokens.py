"""Auth tokens: JWTs (HS256) that stand in for a missing signature until they expire or are deleted.

The same address and expiration always give the same token; asking again restores a deleted one. The
signing key is derived for this purpose alone, it is not the Provider's chain key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode

from c2d_box.assets.addresses import checksum, is_address, same
from c2d_box.provider.database import Database

INVALID = "Token is invalid."
EXPIRED = "Token is expired."
DELETED = "Token is deleted."
_HEADER = {"alg": "HS256", "typ": "JWT"}


class Tokens:
    def __init__(self, key: bytes, database: Database) -> None:
        self._key = key
        self._database = database

    def create(self, address: str, expires: int) -> str:
        payload = {"exp": expires, "address": checksum(address)}
        signed = f"{_part(_HEADER)}.{_part(payload)}"
        token = f"{signed}.{_encode(self._signature(signed))}"
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM deleted_tokens WHERE digest = ?", (_digest(token),))
        return token

    def problem(self, token: str, address: str) -> str | None:
        """Why the token does not speak for ``address`` now, or None if it does."""
        payload = self._payload(token)
        if payload is None or not same(payload.get("address"), address):
            return INVALID
        expires = payload.get("exp")
        if not isinstance(expires, int) or expires <= time.time():
            return EXPIRED
        deleted = self._database.one("SELECT 1 FROM deleted_tokens WHERE digest = ?", _digest(token))
        return DELETED if deleted else None

    def delete(self, token: str) -> None:
        payload = self._payload(token)
        expires = payload.get("exp", 0) if payload else 0
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM deleted_tokens WHERE expires < ?", (int(time.time()),))
            connection.execute(
                "INSERT OR REPLACE INTO deleted_tokens VALUES (?, ?)", (_digest(token), expires)
            )

    def _payload(self, token: str) -> dict[str, object] | None:
        signed, _, signature = token.rpartition(".")
        try:
            given = _decode(signature)
            header = json.loads(_decode(signed.partition(".")[0]))
            payload = json.loads(_decode(signed.partition(".")[2]))
        except (ValueError, RecursionError):
            return None
        good = hmac.compare_digest(given, self._signature(signed))
        if not good or header != _HEADER or not isinstance(payload, dict):
            return None
        return payload if is_address(payload.get("address")) else None

    def _signature(self, signed: str) -> bytes:
        return hmac.digest(self._key, signed.encode(), hashlib.sha256)


def _part(value: object) -> str:
    return _encode(json.dumps(value, separators=(",", ":")).encode())


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))


def _digest(token: str) -> str:
    """The canonical text of the signature's bytes: trailing bits of base64 must not make another token."""
    signed, _, signature = token.rpartition(".")
    return hashlib.sha256(f"{signed}.{_decode(signature).hex()}".encode()).hexdigest()
