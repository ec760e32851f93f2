"""S3 as it is spoken here: path-style addresses, requests signed with SigV4, XML answers.

An :class:`S3Endpoint` only signs, because its requests are sent in several ways: by the guarded fetcher where
a stranger named the address, as an asynchronous stream, by a pod that holds no key. An :class:`S3Client`
sends its requests itself and waits for the answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import httpx

from c2d_box.proxies import may_use_proxy
from c2d_box.storage.http1 import HttpRequest
from c2d_box.storage.sigv4 import EMPTY_SHA256, S3Credentials, object_path, signed_headers

_CHUNK = 1 << 20
"""Bytes of a file that are in memory at once."""
_UNRESERVED = "-_.~"
"""The characters that SigV4 leaves as they are in a query (RFC 3986)."""


# S3Error
# +- S3Unreachable  no answer: the same call may succeed later
# +- S3Refused      an answer: its status says whether to try again
class S3Error(Exception):
    """A call of the store failed."""


class S3Unreachable(S3Error):
    """The store could not be reached; the cause is httpx's error."""


class S3Refused(S3Error):
    """The store answered, and not with success.

    ``answer`` is kept for callers that tell statuses apart. The text holds 200 characters of the body, where
    S3 names its error code.
    """

    def __init__(self, answer: httpx.Response) -> None:
        request = answer.request
        super().__init__(f"{request.method} {request.url.path}: {answer.status_code} {answer.text[:200]}")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class S3Endpoint:
    """The address of a store and the key that its requests are signed with.

    It holds no connection, so that it can be made for one request with keys that were just read.
    """

    address: str
    credentials: S3Credentials

    def sign_request(
        self,
        method: str,
        bucket: str = "",
        key: str = "",
        query: Mapping[str, str] | None = None,
        digest: str = EMPTY_SHA256,
    ) -> HttpRequest:
        """Return the signed request for an object, for a bucket, or for the store itself. It has no body;
        the store accepts only one with the SHA-256 ``digest``. Redirects are not to be followed: a signature
        is for one host, and the key must not travel.
        """
        # Sorted and encoded as in the signature's canonical query, which must equal the one that is sent.
        asked = "&".join(
            f"{name}={quote(value, safe=_UNRESERVED)}" for name, value in sorted((query or {}).items())
        )
        # Path-style addresses: names of buckets would need DNS entries and certificates of their own
        # otherwise.
        path = object_path(bucket, key) if bucket else "/"
        url = f"{self.address.rstrip('/')}{path}{'?' if asked else ''}{asked}"
        headers = signed_headers(method, url, self.credentials, payload=digest)
        return HttpRequest(method, url, headers, follow=False)


@dataclass(frozen=True, slots=True)
class S3Client:
    """Synchronous calls, which raise S3Error.

    For tools, and for setting up a store. Services stream through their own asynchronous client, with
    requests that an :class:`S3Endpoint` has signed.
    """

    endpoint: S3Endpoint
    timeout_seconds: float = 60.0
    uses_proxies: bool = True
    """True where a proxy of the environment may be used for an address outside."""

    def create_bucket(self, bucket: str) -> None:
        """Create ``bucket``; succeed also where it exists."""
        # 409: the bucket exists.
        _check_answer(self.send_request("PUT", bucket), 200, 409)

    def create_account(self, key: S3Credentials) -> None:
        """Create a user of the store with this key (a call of versitygw); succeed also where it exists."""
        account = {"Access": key.access_key_id, "Secret": key.secret_access_key, "Role": "user"}
        # Escaped: a secret may hold ``&`` or ``<``.
        fields = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in account.items())
        # The admin calls of versitygw are paths like buckets, signed in the same way.
        answer = self.send_request("PATCH", "create-user", body=f"<Account>{fields}</Account>".encode())
        _check_answer(answer, 201, 409)

    def put_policy(self, bucket: str, actions: Mapping[str, Sequence[str]]) -> None:
        """Let the users of the access keys in ``actions`` do these with the objects of ``bucket``."""
        _check_answer(
            self.send_request("PUT", bucket, body=bucket_policy(bucket, actions), query={"policy": ""}),
            200,
            204,
        )

    def put_file(self, bucket: str, key: str, path: Path) -> None:
        """Stream a file to ``bucket/key``; the store checks its SHA-256 on arrival."""
        # The file is read twice, once for its hash, because the signature precedes the body.
        digest, size = hashlib.sha256(), 0
        for chunk in _file_chunks(path):
            digest.update(chunk)
            size += len(chunk)
        # A file that changes between the two readings does not match its hash, and the store refuses it.
        request = self.endpoint.sign_request("PUT", bucket, key, digest=digest.hexdigest())
        _check_answer(self._send_signed(request, _file_chunks(path), size), 200)

    def read_object(self, bucket: str, key: str) -> bytes:
        """Return an object's bytes, all of them in memory.

        Raise S3Refused for a missing object and for one that this key may not read.
        """
        return _check_answer(self.send_request("GET", bucket, key), 200).content

    def has_object(self, bucket: str, key: str) -> bool:
        """Return whether ``bucket/key`` exists and may be read. Without the right to list, a store answers
        403 for a missing object too."""
        return self.send_request("HEAD", bucket, key).status_code == 200

    def delete_object(self, bucket: str, key: str) -> None:
        """Delete ``bucket/key``; succeed also where it is missing."""
        _check_answer(self.send_request("DELETE", bucket, key))

    def list_buckets(self) -> list[str]:
        """Return the buckets that this key may see."""
        return _element_texts(_check_answer(self.send_request("GET")), "Name")

    def list_keys(self, bucket: str) -> list[str]:
        """Return every key of ``bucket``, however many pages that takes."""
        found: list[str] = []
        # URL-encoded keys: XML cannot hold every character that a key may have.
        page = {"encoding-type": "url", "list-type": "2"}
        while True:
            answer = _check_answer(self.send_request("GET", bucket, query=page))
            # Stores may ignore the wish, and then say nothing.
            is_encoded = _element_texts(answer, "EncodingType") == ["url"]
            found += [unquote(key) if is_encoded else key for key in _element_texts(answer, "Key")]
            following = _element_texts(answer, "NextContinuationToken")
            if not following:
                return found
            # The token replaces that of the page before; all other parameters must stay the same.
            page["continuation-token"] = following[0]

    def send_request(
        self,
        method: str,
        bucket: str = "",
        key: str = "",
        body: bytes = b"",
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request and return the answer, whatever its status."""
        request = self.endpoint.sign_request(method, bucket, key, query, hashlib.sha256(body).hexdigest())
        return self._send_signed(request, body, len(body))

    def _send_signed(self, request: HttpRequest, body: bytes | Iterator[bytes], size: int) -> httpx.Response:
        """Send a signed request. The headers are those that were signed; the content length is not among
        them."""
        try:
            return httpx.request(
                request.method,
                request.url,
                headers={**request.headers, "content-length": str(size)},
                content=body,
                timeout=self.timeout_seconds,
                # A store inside the cluster must not be asked through a proxy of the environment.
                trust_env=self.uses_proxies and may_use_proxy(request.url),
            )
        except httpx.TransportError as cause:
            # Without the query, which can hold a signature.
            raise S3Unreachable(f"{request.method} {request.url.partition('?')[0]} failed") from cause


def bucket_policy(bucket: str, actions: Mapping[str, Sequence[str]]) -> bytes:
    """Return the policy that lets the users of some access keys do some things with a bucket's objects."""
    statements: list[dict[str, Any]] = [
        {
            "Effect": "Allow",
            "Principal": {"AWS": [access_key]},
            "Action": list(allowed),
            # The objects and not the bucket: nobody may list.
            "Resource": [f"arn:aws:s3:::{bucket}/*"],
        }
        for access_key, allowed in actions.items()
    ]
    # The version is that of the policy language, not a date of ours.
    return json.dumps({"Version": "2012-10-17", "Statement": statements}).encode()


def _check_answer(answer: httpx.Response, *statuses: int) -> httpx.Response:
    """Return the answer if it has one of these statuses, by default any of success; else raise S3Refused."""
    if answer.status_code in statuses or (not statuses and answer.is_success):
        return answer
    raise S3Refused(answer)


def _element_texts(answer: httpx.Response, tag: str) -> list[str]:
    """Return the texts of every ``tag`` of an answer, whatever its namespace."""
    # The store is the operator's own, so its XML is not guarded like strangers'.
    root = ElementTree.fromstring(answer.text)
    # ElementTree writes a namespace as ``{uri}tag``, and stores differ in whether they send one.
    return [element.text or "" for element in root.iter() if element.tag.rpartition("}")[2] == tag]


def _file_chunks(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes in pieces."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
