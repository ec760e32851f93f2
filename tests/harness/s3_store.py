"""An S3 store in this process that checks signatures, bodies and policies, and lists two keys a page."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from c2d_box.storage.sigv4 import S3Credentials, signed_headers

_ACTIONS = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}
_PAGE = 2


@dataclass
class S3Server:
    """``root`` may do everything, another account what a bucket's policy lets it do with the objects."""

    root: S3Credentials
    accounts: dict[str, S3Credentials] = field(default_factory=dict)
    buckets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    policies: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def app(self) -> Starlette:
        methods = ["GET", "HEAD", "PUT", "PATCH", "DELETE"]
        return Starlette(routes=[Route("/{path:path}", self._serve, methods=methods)])

    async def _serve(self, request: Request) -> Response:
        body = await request.body()
        bucket, _, key = unquote(request.scope["raw_path"].decode()).removeprefix("/").partition("/")
        if not self._may(request, bucket, key):
            return Response(status_code=403)
        if hashlib.sha256(body).hexdigest() != request.headers["x-amz-content-sha256"]:
            return Response(status_code=400)
        if bucket == "create-user":
            return self._create_account(body)
        if not bucket:
            return _xml("".join(f"<Bucket><Name>{name}</Name></Bucket>" for name in self.buckets))
        if request.method == "PUT" and not key:
            return self._put_bucket(request, bucket, body)
        if bucket not in self.buckets:
            return Response(status_code=404)
        if not key:
            return self._list(request, self.buckets[bucket])
        return _serve_object(request, self.buckets[bucket], key, body)

    def _may(self, request: Request, bucket: str, key: str) -> bool:
        name = request.headers["authorization"].partition("Credential=")[2].partition("/")[0]
        account = self.root if name == self.root.access_key_id else self.accounts.get(name)
        stamp = request.headers["x-amz-date"]
        if account is None or not _is_signed(request, account, stamp):
            return False
        allowed = self.policies.get(bucket, {}).get(name, []) if key else []
        return account is self.root or _ACTIONS.get(request.method) in allowed

    def _create_account(self, body: bytes) -> Response:
        fields = {element.tag: element.text or "" for element in ElementTree.fromstring(body)}
        known = fields["Access"] in self.accounts
        self.accounts.setdefault(
            fields["Access"], S3Credentials(fields["Access"], fields["Secret"], self.root.region)
        )
        return Response(status_code=409 if known else 201)

    def _put_bucket(self, request: Request, bucket: str, body: bytes) -> Response:
        if "policy" in request.query_params:
            statements = json.loads(body)["Statement"]
            self.policies[bucket] = {each["Principal"]["AWS"][0]: each["Action"] for each in statements}
            return Response(status_code=204)
        known = bucket in self.buckets
        self.buckets.setdefault(bucket, {})
        return Response(status_code=409 if known else 200)

    def _list(self, request: Request, objects: dict[str, bytes]) -> Response:
        start = int(request.query_params.get("continuation-token", "0"))
        names = sorted(objects)[start : start + _PAGE]
        text = "<EncodingType>url</EncodingType>"
        text += "".join(f"<Contents><Key>{quote(name)}</Key></Contents>" for name in names)
        if start + _PAGE < len(objects):
            text += f"<NextContinuationToken>{start + _PAGE}</NextContinuationToken>"
        return _xml(text)


def _is_signed(request: Request, account: S3Credentials, stamp: str) -> bool:
    moment = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    query = request.scope["query_string"].decode()
    url = f"http://{request.headers['host']}{request.scope['raw_path'].decode()}{'?' if query else ''}{query}"
    payload = request.headers["x-amz-content-sha256"]
    expected = signed_headers(request.method, url, account, moment, payload)
    return expected["authorization"] == request.headers["authorization"]


def _serve_object(request: Request, objects: dict[str, bytes], key: str, body: bytes) -> Response:
    if request.method == "PUT":
        objects[key] = body
        return Response()
    if request.method == "DELETE":
        objects.pop(key, None)
        return Response(status_code=204)
    if key not in objects:
        return Response(status_code=404)
    wanted = request.headers.get("range")
    if wanted is None:
        return Response(objects[key])
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    return Response(objects[key][int(first) : int(last) + 1], 206)


def _xml(content: str) -> Response:
    return Response(f'<Result xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{content}</Result>')
