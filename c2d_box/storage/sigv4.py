"""AWS Signature Version 4 for one S3 object: a dozen lines of HMAC instead of an SDK with its own
HTTP stack, which would not go through the one fetcher and its address rules.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from c2d_box.storage.addresses import Origin

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
"""The hash of an empty body, which reads and deletions sign."""


@dataclass(frozen=True)
class S3Credentials:
    """A key of an S3 store. ``repr`` shows nothing of it, because requests and settings are logged."""

    access_key_id: str
    secret_access_key: str
    region: str

    def __repr__(self) -> str:
        return "Credentials(…)"


def signed_headers(
    method: str,
    url: str,
    credentials: S3Credentials,
    now: datetime | None = None,
    payload: str = EMPTY_SHA256,
) -> Mapping[str, str]:
    """Return the headers that authorise a request for ``url`` (path already percent-encoded).

    ``payload``: the body's SHA-256; the store refuses any other body.
    """
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    # The store refuses a time that differs from its own by more than 15 minutes, so a captured request dies
    # soon.
    stamp, day = moment.strftime("%Y%m%dT%H%M%SZ"), moment.strftime("%Y%m%d")
    parts = urlsplit(url)
    # As clients write the Host header: without the scheme's own port, in small letters.
    headers = {"host": Origin.from_url(url).netloc, "x-amz-content-sha256": payload, "x-amz-date": stamp}
    # Few headers are signed: proxies and libraries add and change others.
    names = ";".join(sorted(headers))
    # Amazon's canonical request: each part on its line, an empty line after the headers.
    canonical = "\n".join(
        [
            method,
            parts.path or "/",
            parts.query,
            *(f"{name}:{headers[name]}" for name in sorted(headers)),
            "",
            names,
            payload,
        ]
    )
    # The signature is good for this day, region and service only.
    scope = f"{day}/{credentials.region}/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(_signing_key(credentials, day), to_sign.encode(), hashlib.sha256).hexdigest()
    return {
        "x-amz-content-sha256": payload,
        "x-amz-date": stamp,
        "authorization": (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key_id}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        ),
    }


def object_path(bucket: str, key: str = "") -> str:
    """Return the path-style address of an object, or of a bucket, encoded as SigV4 wants it: once, with
    slashes kept."""
    path = f"/{quote(bucket, safe='')}"
    return f"{path}/{quote(key, safe='/~-._')}" if key else path


def _signing_key(credentials: S3Credentials, day: str) -> bytes:
    """Return the key of one day: a chain of HMACs, so that the secret itself signs nothing."""
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in (day, credentials.region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
