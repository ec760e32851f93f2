"""Grants: the right of one job to read one file, sealed so that only this Provider can open it.

A grant names its job, asset, service and file, the order, the algorithm and the time of its end; for a raw
algorithm it carries the sealed file object itself. No table of grants is kept, so any replica can honour one.
That a grant opens does not mean that it may still be used: its redemption checks that, see
:mod:`c2d_box.provider.compute.redeeming`.
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
"""Versions of the format: that from before grants named their algorithm, and the one used since."""
# Authenticated together with the version, so that no sealed text can be opened as one of another version.
_CONTEXT = b"c2d-grant"


class GrantInvalid(Exception):
    """The text is not a grant of this Provider, or has been altered."""


class GrantExpired(Exception):
    """The grant is genuine, but its time is over."""


@dataclass(frozen=True)
class GrantedAlgorithm:
    """The algorithm that a dataset was granted to: facts found at the start, which cannot be found again
    cheaply. ``did`` is empty for raw code. ``main``: the dataset is the job's first. ``network``: the job may
    use the network."""

    did: str = ""
    service: str = ""
    files: str = ""
    # Hashes of files and container, which the publisher's permission names.
    container: str = ""
    readable: bool = False
    main: bool = False
    network: bool = False


@dataclass(frozen=True)
class InputGrant:
    """The right of one job to read one thing: ``what`` says whether that is a file of a service, the DDO
    itself, or a raw algorithm's file. Times are in unix seconds.

    ``sha256`` (hex), where known, is the hash that the file must have, so that the job gets the bytes that
    were permitted. ``environment`` is the one that the order was checked for, empty for none. ``algorithm``
    is set for datasets.
    """

    # The kinds of input that a pod fetches.
    what: Literal["file", "ddo", "raw"]
    job: str
    did: str
    expires: int
    service: str = ""
    file: int = 0
    order: str = ""
    consumer: str = ""
    sha256: str = ""
    # Neither may stand in a log: user data can be a consumer's secret, a source holds URLs and credentials.
    userdata: dict[str, Any] | None = field(default=None, repr=False)
    source: dict[str, Any] | None = field(default=None, repr=False)
    issued: int = 0
    environment: str = ""
    algorithm: GrantedAlgorithm | None = None


DecidedGrants = dict[tuple[str, str, str], float]
"""The time, by the monotonic clock, at which the grants of a job for a service of an asset were last found
good; see :mod:`c2d_box.provider.compute.redeeming`."""


class GrantCipher:
    """Seals grants and opens them again, with a key that only this Provider has."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal_grant(self, grant: InputGrant) -> str:
        """Return the grant as compressed text that only this Provider can open."""
        # 96 random bits: the size that GCM is made for. A nonce that occurs twice would break the key.
        nonce = os.urandom(12)
        # Absent values are left out and the rest is compressed: a job's grants stand in one Secret, whose
        # size Kubernetes limits to 1 MiB.
        plain = {key: value for key, value in asdict(grant).items() if value is not None}
        packed = zlib.compress(json.dumps(plain, separators=(",", ":")).encode())
        sealed = self._cipher.encrypt(nonce, packed, _CONTEXT + _DEFLATED)
        return urlsafe_b64encode(_DEFLATED + nonce + sealed).rstrip(b"=").decode()

    def open_grant(self, token: str) -> InputGrant:
        """Return the grant that the text holds. Raise GrantInvalid, or GrantExpired for a genuine grant whose
        time is over."""
        try:
            # The padding was dropped when it was sealed.
            raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
            version = raw[:1]
            if version not in (_PLAIN, _DEFLATED):
                raise GrantInvalid
            # Grants of the first format were sealed without their version; those of running jobs must still
            # open.
            context = _CONTEXT if version == _PLAIN else _CONTEXT + version
            # Nothing is parsed before this has succeeded, so the parsers below see only what this Provider
            # wrote.
            packed = self._cipher.decrypt(raw[1:13], raw[13:], context)
            plain = json.loads(packed if version == _PLAIN else zlib.decompress(packed))
            if plain.get("algorithm") is not None:
                plain["algorithm"] = GrantedAlgorithm(**plain["algorithm"])
            grant = InputGrant(**plain)
        # TypeError: a grant of a newer Provider, with fields that this one does not know.
        except (ValueError, TypeError, InvalidTag, zlib.error):
            raise GrantInvalid from None
        # After opening: only the holder of a genuine grant is told that its time is over.
        if grant.expires <= time.time():
            raise GrantExpired
        return grant
