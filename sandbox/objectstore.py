"""Puts a publisher's file into the box's private S3, and lists and reads what is there.

Makes the few S3 calls the box needs, signed by :mod:`c2d_box.storage.sigv4`, so that no cloud SDK is a
dependency. Path-style addressing, as versitygw serves it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote
from xml.etree import ElementTree

import httpx

from c2d_box.errors import Failed, StateProblem
from c2d_box.proxies import may_use_proxy
from c2d_box.storage.sigv4 import EMPTY_SHA256, Credentials, signed_headers

CHUNK = 1 << 20


@dataclass(frozen=True)
class StoredObject:
    """The address of an object; the shape an ``s3`` file object of a DDO needs besides the credentials."""

    endpoint: str
    region: str
    bucket: str
    key: str
    size: int
    sha256: str


@dataclass(frozen=True)
class ReadingKey:
    """Read-only credentials for the objects of one bucket."""

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class ObjectStore:
    """One S3 endpoint, accessed with one pair of credentials."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    timeout: float = 60.0

    def ensure_bucket(self, bucket: str) -> None:
        """Create ``bucket`` unless it is there already."""
        answer = self._sent("PUT", f"/{bucket}")
        if answer.status_code not in (200, 409):
            raise _refused(f"create bucket {bucket}", answer)

    def reader_of(self, bucket: str) -> ReadingKey:
        """Return the key that may read the objects of ``bucket`` and do nothing else; make it where it is
        missing.

        The key is derived from the store's own secret, which cannot be found from it: nothing more has to be
        kept, and every call for the same bucket gives the same key.
        """
        seed = hmac.new(self.secret_key.encode(), f"reader of {bucket}".encode(), hashlib.sha512).hexdigest()
        key = ReadingKey(f"READ{seed[:20].upper()}", seed[20:84])
        account = {"Access": key.access_key, "Secret": key.secret_key, "Role": "user"}
        fields = "".join(f"<{name}>{value}</{name}>" for name, value in account.items())
        answer = self._sent("PATCH", "/create-user", f"<Account>{fields}</Account>".encode())
        if answer.status_code not in (201, 409):
            raise _refused(f"make the reading key of {bucket}", answer)
        answer = self._sent("PUT", f"/{bucket}", _policy(bucket, key.access_key), {"policy": ""})
        if answer.status_code not in (200, 204):
            raise _refused(f"let the reading key read {bucket}", answer)
        return key

    def put_file(self, bucket: str, key: str, path: Path) -> StoredObject:
        """Stream the file at ``path`` to ``bucket/key``; the store checks the SHA-256 on arrival."""
        digest, size = _digest(path)
        answer = self._send("PUT", f"/{bucket}/{key}", digest, _chunks(path), size)
        if answer.status_code != 200:
            raise _refused(f"store {path.name} as {bucket}/{key}", answer)
        return StoredObject(self.endpoint, self.region, bucket, key, size, digest)

    def content(self, bucket: str, key: str) -> bytes:
        """Return the bytes of ``bucket/key``."""
        answer = self._sent("GET", f"/{bucket}/{key}")
        if answer.status_code != 200:
            raise _refused(f"give {bucket}/{key}", answer)
        return answer.content

    def exists(self, bucket: str, key: str) -> bool:
        """Return whether ``bucket/key`` is there."""
        return self._sent("HEAD", f"/{bucket}/{key}").status_code == 200

    def _sent(
        self, method: str, path: str, body: bytes = b"", query: Mapping[str, str] | None = None
    ) -> httpx.Response:
        return self._send(method, path, hashlib.sha256(body).hexdigest(), body, query=query)

    def buckets(self) -> list[str]:
        """Return the buckets this key may see."""
        return _texts(self._asked("GET", "/"), "Name")

    def keys(self, bucket: str) -> list[str]:
        """Return every key of ``bucket``, however many pages that takes."""
        found: list[str] = []
        page = {"encoding-type": "url", "list-type": "2"}
        while True:
            answer = self._asked("GET", f"/{bucket}", page)
            found += [unquote(key) for key in _texts(answer, "Key")]
            following = _texts(answer, "NextContinuationToken")
            if not following:
                return found
            page["continuation-token"] = following[0]

    def delete(self, bucket: str, key: str) -> None:
        """Delete ``bucket/key``; succeed also where it was not there."""
        self._asked("DELETE", f"/{bucket}/{key}")

    def _asked(self, method: str, path: str, query: Mapping[str, str] | None = None) -> str:
        answer = self._send(method, path, EMPTY_SHA256, b"", query=query)
        if not answer.is_success:
            raise _refused(f"answer {method} {path}", answer)
        return answer.text

    def _send(
        self,
        method: str,
        path: str,
        digest: str,
        body: bytes | Iterator[bytes],
        size: int = 0,
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        quoted = quote(path, safe="/-_.~")
        asked = "&".join(
            f"{name}={quote(value, safe='-_.~')}" for name, value in sorted((query or {}).items())
        )
        url = f"{self.endpoint}{quoted}?{asked}" if asked else self.endpoint + quoted
        key = Credentials(self.access_key, self.secret_key, self.region)
        length = str(size or (len(body) if isinstance(body, bytes) else 0))
        headers = {**signed_headers(method, url, key, payload=digest), "content-length": length}
        try:
            return httpx.request(
                method, url, headers=headers, content=body, timeout=self.timeout, trust_env=may_use_proxy(url)
            )
        except httpx.TransportError as cause:
            what, next_step = _told(cause)
            raise StateProblem(
                "C2D-S3-UNREACHABLE", f"{method} {self.endpoint}{quoted} failed: {what}", next_step
            ) from cause


def _told(problem: httpx.TransportError) -> tuple[str, str]:
    """Return what happened, from the network error below httpx's, and the step that fits."""
    causes: list[BaseException] = [problem]
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


def _texts(document: str, tag: str) -> list[str]:
    """Return the texts of every ``tag`` of an S3 answer, whatever its namespace."""
    root = ElementTree.fromstring(document)
    return [element.text or "" for element in root.iter() if element.tag.rpartition("}")[2] == tag]


def _policy(bucket: str, access_key: str) -> bytes:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": [access_key]},
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/*"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _digest(path: Path) -> tuple[str, int]:
    hashed, size = hashlib.sha256(), 0
    for chunk in _chunks(path):
        hashed.update(chunk)
        size += len(chunk)
    return hashed.hexdigest(), size


def _refused(what: str, answer: httpx.Response) -> Failed:
    return Failed(
        "C2D-S3-REFUSED",
        f"the object store refused to {what} (HTTP {answer.status_code})",
        "c2d-box logs s3",
        answer=answer.text[:300],
    )
