"""To S3: one object per file below the job's prefix, path-style, signed with SigV4 over the judged hash.

The hash is part of what is signed, so the store itself refuses bytes that are not what was judged.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import time
from typing import Any
from urllib.parse import quote, urlsplit

from c2d_box.pods.upload.sending import Entry, SendFailed, SendInterrupted, Sent, content

_FINAL = frozenset({400, 401, 403, 404, 405, 411, 413})
IDLE_SECONDS = 60.0


def send(entries: list[Entry], store: dict[str, Any], job: str) -> list[Sent]:
    """Raises SendFailed or SendInterrupted. Objects that are there already are written again, the same."""
    return [_put(entry, store, f"{job}/{entry.path}") for entry in entries]


def _put(entry: Entry, store: dict[str, Any], key: str) -> Sent:
    parts = urlsplit(store["endpoint"])
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    path = f"{parts.path.rstrip('/')}/{quote(store['bucket'], safe='')}/{quote(key, safe='/~-._')}"
    headers = sign("PUT", parts.netloc, path, entry.sha256, store, time.time())
    connection = kind(parts.hostname or "", parts.port, timeout=IDLE_SECONDS)
    with contextlib.closing(connection):
        try:
            connection.request(
                "PUT",
                path,
                body=content(entry),
                headers={**headers, "Content-Length": str(entry.size)},
            )
            response = connection.getresponse()
            response.read(1 << 16)
        except (OSError, http.client.HTTPException) as error:
            raise SendInterrupted(f"S3 could not be reached ({type(error).__name__})") from None
    if response.status not in (200, 204):
        problem = f"S3 answered {response.status} for {entry.filename}"
        raise SendFailed(problem) if response.status in _FINAL else SendInterrupted(problem)
    return Sent(entry, f"s3://{store['bucket']}/{quote(key)}")


def sign(
    method: str, host: str, path: str, payload: str, store: dict[str, Any], now: float
) -> dict[str, str]:
    """AWS Signature Version 4 in headers, for a request without query; ``payload``: the body's SHA-256."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    scope = f"{stamp[:8]}/{store['region']}/s3/aws4_request"
    names = "host;x-amz-content-sha256;x-amz-date"
    canonical = (
        f"{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{payload}\nx-amz-date:{stamp}\n\n"
        f"{names}\n{payload}"
    )
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{store['secretKey']}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return {
        "Host": host,
        "x-amz-content-sha256": payload,
        "x-amz-date": stamp,
        "Authorization": (
            f"AWS4-HMAC-SHA256 Credential={store['accessKey']}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        ),
    }
