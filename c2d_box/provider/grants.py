"""Grants: the right of one job to read one file, sealed so that only this Provider can open it.

A grant says which job, asset, service and file, under which order, until when; for a raw algorithm it
carries the sealed file object itself. It is its own record: the Provider stores nothing, and any replica
can honour it.
"""

from __future__ import annotations

import json
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"
_CONTEXT = b"c2d-grant"


class GrantInvalid(Exception):
    """Not a grant of this Provider, or altered."""


class GrantExpired(Exception):
    """A grant whose time is over."""


@dataclass(frozen=True)
class Grant:
    """``what``: a file of a service, the DDO itself, or a raw algorithm's file. Times in unix seconds.

    ``sha256`` (hex), where known, is what the file must hash to: the bytes that were permitted.
    """

    what: Literal["file", "ddo", "raw"]
    job: str
    did: str
    expires: int
    service: str = ""
    file: int = 0
    order: str = ""
    consumer: str = ""
    sha256: str = ""
    userdata: dict[str, Any] | None = field(default=None, repr=False)
    source: dict[str, Any] | None = field(default=None, repr=False)


class Grants:
    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, grant: Grant) -> str:
        nonce = os.urandom(12)
        plain = {key: value for key, value in asdict(grant).items() if value is not None}
        sealed = self._cipher.encrypt(nonce, json.dumps(plain, separators=(",", ":")).encode(), _CONTEXT)
        return urlsafe_b64encode(_VERSION + nonce + sealed).rstrip(b"=").decode()

    def open(self, token: str) -> Grant:
        """Raises GrantInvalid, or GrantExpired for a genuine one that came too late."""
        try:
            raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
            if raw[:1] != _VERSION:
                raise GrantInvalid
            grant = Grant(**json.loads(self._cipher.decrypt(raw[1:13], raw[13:], _CONTEXT)))
        except (ValueError, TypeError, InvalidTag):
            raise GrantInvalid from None
        if grant.expires <= time.time():
            raise GrantExpired
        return grant
