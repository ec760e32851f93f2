"""Type ``s3``: an object of S3 or anything that speaks it, read with the publisher's key, path-style.

Redirects are not followed: a signature is for one host, and the key must not travel.
"""

from __future__ import annotations

from c2d_box.assets.files import S3File
from c2d_box.storage.http1 import HttpRequest
from c2d_box.storage.sigv4 import Credentials, object_path, signed_headers


def request(file: S3File, endpoint: str, method: str) -> HttpRequest:
    """``endpoint`` is the file's after aliases: what is signed is the host that is asked."""
    url = endpoint.rstrip("/") + object_path(file.bucket, file.object_key)
    credentials = Credentials(file.access_key_id, file.secret_access_key, file.region)
    return HttpRequest(method, url, signed_headers(method, url, credentials), follow=False)
