"""Grants: the right of one job to read one file, sealed so that only this Provider can open it.

A grant says which job, asset, service and file, under which order, for which algorithm, until when; for a
raw algorithm it carries the sealed file object itself. It is its own record, and any replica can honour it.
Whether it is still good is another question, asked at its redemption: see :mod:`compute.redeeming`.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_PLAIN, _DEFLATED = b"\x01", b"\x02"
"""Versions: those made before grants named their algorithm, and all since."""
_CONTEXT = b"c2d-grant"


class GrantInvalid(Exception):
    """Not a grant of this Provider, or altered."""


class GrantExpired(Exception):
    """A grant whose time is over."""


@dataclass(frozen=True)
class Granted:
    """The algorithm that a dataset was given to: facts of the start that cannot be asked again cheaply.
    ``did`` is empty for raw code; ``main``: the dataset is the job's first; ``network``: it may use one."""

    did: str = ""
    service: str = ""
    files: str = ""
    container: str = ""
    readable: bool = False
    main: bool = False
    network: bool = False


@dataclass(frozen=True)
class Grant:
    """``what``: a file of a service, the DDO itself, or a raw algorithm's file. Times in unix seconds.

    ``sha256`` (hex), where known, is what the file must hash to: the bytes that were permitted.
    ``environment`` is the one that the order was checked for, empty for none; ``algorithm`` is set for
    datasets.
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
    issued: int = 0
    environment: str = ""
    algorithm: Granted | None = None


class Grants:
    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, grant: Grant) -> str:
        nonce = os.urandom(12)
        plain = {key: value for key, value in asdict(grant).items() if value is not None}
        packed = zlib.compress(json.dumps(plain, separators=(",", ":")).encode())
        sealed = self._cipher.encrypt(nonce, packed, _CONTEXT + _DEFLATED)
        return urlsafe_b64encode(_DEFLATED + nonce + sealed).rstrip(b"=").decode()

    def open(self, token: str) -> Grant:
        """Raises GrantInvalid, or GrantExpired for a genuine one that came too late."""
        try:
            raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
            version = raw[:1]
            if version not in (_PLAIN, _DEFLATED):
                raise GrantInvalid
            context = _CONTEXT if version == _PLAIN else _CONTEXT + version
            packed = self._cipher.decrypt(raw[1:13], raw[13:], context)
            plain = json.loads(packed if version == _PLAIN else zlib.decompress(packed))
            if plain.get("algorithm") is not None:
                plain["algorithm"] = Granted(**plain["algorithm"])
            grant = Grant(**plain)
        except (ValueError, TypeError, InvalidTag, zlib.error):
            raise GrantInvalid from None
        if grant.expires <= time.time():
            raise GrantExpired
        return grant
