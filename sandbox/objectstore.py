"""Puts a publisher's file into the box's private S3, and lists and reads what is there; its errors say what
to do next.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from c2d_box.errors import Failed, StateProblem
from c2d_box.storage.s3_client import S3Client, S3Endpoint, S3Refused, S3Unreachable
from c2d_box.storage.sigv4 import S3Credentials


@dataclass(frozen=True)
class ReadingKey:
    """Read-only credentials for the objects of one bucket. They are published inside a dataset's DDO,
    encrypted for the Provider.
    """

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class ObjectStore:
    """One S3 endpoint, accessed with one pair of credentials.

    ``timeout`` is in seconds per request. Every method raises ``C2D-S3-UNREACHABLE`` or ``C2D-S3-REFUSED``.
    """

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    timeout: float = 60.0

    @property
    def client(self) -> S3Client:
        """Return a client with these credentials; it is cheap and keeps no connection."""
        credentials = S3Credentials(self.access_key, self.secret_key, self.region)
        return S3Client(S3Endpoint(self.endpoint, credentials), self.timeout)

    def ensure_bucket(self, bucket: str) -> None:
        """Create ``bucket`` unless it is there already."""
        with _coded_error(f"create bucket {bucket}"):
            self.client.create_bucket(bucket)

    def reader_of(self, bucket: str) -> ReadingKey:
        """Return the key that may read the objects of ``bucket`` and do nothing else; make it where it is
        missing.

        The key is derived from the store's own secret, which cannot be found from it: nothing more has to be
        kept, and every call for the same bucket gives the same key.
        """
        seed = hmac.new(self.secret_key.encode(), f"reader of {bucket}".encode(), hashlib.sha512).hexdigest()
        # 128 hexadecimal digits: 20 make the name, 64 others the secret, so the name tells nothing about it.
        key = ReadingKey(f"READ{seed[:20].upper()}", seed[20:84])
        with _coded_error(f"make the reading key of {bucket}"):
            self.client.create_account(S3Credentials(key.access_key, key.secret_key, self.region))
        with _coded_error(f"let the reading key read {bucket}"):
            # GetObject alone: without ListBucket the holder reads what he can name and cannot look around.
            self.client.put_policy(bucket, {key.access_key: ["s3:GetObject"]})
        return key

    def put_file(self, bucket: str, key: str, path: Path) -> None:
        """Stream the file at ``path`` to ``bucket/key``; the store checks the SHA-256 on arrival."""
        with _coded_error(f"store {path.name} as {bucket}/{key}"):
            self.client.put_file(bucket, key, path)

    def read_object(self, bucket: str, key: str) -> bytes:
        """Return the bytes of ``bucket/key``."""
        with _coded_error(f"give {bucket}/{key}"):
            return self.client.read_object(bucket, key)

    def has_object(self, bucket: str, key: str) -> bool:
        """Return whether ``bucket/key`` is there."""
        with _coded_error(f"show {bucket}/{key}"):
            return self.client.has_object(bucket, key)

    def list_buckets(self) -> list[str]:
        """Return the buckets this key may see."""
        with _coded_error("answer GET /"):
            return self.client.list_buckets()

    def list_keys(self, bucket: str) -> list[str]:
        """Return every key of ``bucket``, however many pages that takes."""
        with _coded_error(f"answer GET /{bucket}"):
            return self.client.list_keys(bucket)

    def delete_object(self, bucket: str, key: str) -> None:
        """Delete ``bucket/key``; succeed also where it was not there."""
        with _coded_error(f"answer DELETE /{bucket}/{key}"):
            self.client.delete_object(bucket, key)


@contextmanager
def _coded_error(what: str) -> Iterator[None]:
    """Give the store's errors a code and a next step; ``what`` was to be done."""
    try:
        yield
    except S3Unreachable as problem:
        cause = problem.__cause__ or problem
        reason, next_step = _explain_failure(cause)
        raise StateProblem("C2D-S3-UNREACHABLE", f"{problem}: {reason}", next_step) from cause
    except S3Refused as problem:
        # The store's own exception holds the signed request; it would only fill the error's details.
        raise Failed(
            "C2D-S3-REFUSED",
            f"the object store refused to {what} (HTTP {problem.answer.status_code})",
            "c2d-box logs s3",
            answer=problem.answer.text[:300],
        ) from None


def _explain_failure(problem: BaseException) -> tuple[str, str]:
    """Return what happened, from the network error below httpx's, and the step that fits."""
    causes = [problem]
    # httpx wraps httpcore, which wraps the socket's error: the innermost known one says most.
    while below := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(below)
    for cause in reversed(causes):
        match cause:
            case ConnectionRefusedError():
                return "nothing listens there", "c2d-box status shows its state; c2d-box up starts it"
            case socket.gaierror():
                return "its name has no address", "check the name of the object store, and this machine's DNS"
            case ssl.SSLError():
                return (
                    f"TLS was not agreed on ({cause.reason or cause})",
                    "check whether the object store speaks https, and who signed its certificate",
                )
            case httpx.TimeoutException():
                return (
                    "no answer came in time",
                    "try again; c2d-box logs s3 shows what it does, c2d-box doctor what is short",
                )
            case httpx.ProxyError():
                return "the proxy refused", "name the object store in NO_PROXY, or check the proxy"
    text = f"the connection broke ({type(problem).__name__})"
    return text, "try again; c2d-box logs s3 may say why"
