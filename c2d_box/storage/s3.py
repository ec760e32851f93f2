"""Reads files of type ``s3``: an object of S3 or anything that speaks it, with the publisher's key."""

from __future__ import annotations

from c2d_box.assets.files import S3File
from c2d_box.storage.http1 import HttpRequest
from c2d_box.storage.s3_client import S3Endpoint
from c2d_box.storage.sigv4 import S3Credentials


def build_request(file: S3File, endpoint: str, method: str) -> HttpRequest:
    """Return the signed request for the file's object. ``endpoint`` is the file's after aliases, because
    what is signed is the host that is asked."""
    credentials = S3Credentials(file.access_key_id, file.secret_access_key, file.region)
    return S3Endpoint(endpoint, credentials).sign_request(method, file.bucket, file.object_key.lstrip("/"))
