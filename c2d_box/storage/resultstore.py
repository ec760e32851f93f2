"""The store of jobs' results as the Provider reads it: for result assets, not for whoever knows a name.

A result asset's file names a place; the key is the operator's, and the proof in the file says that the engine
made this very asset of this result. On an IPFS node that also serves publishers' content every other file
object is looked at first: a block that carries the mark of results is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote

from c2d_box.assets import results
from c2d_box.assets.crypto import salted_blocks
from c2d_box.assets.files import IpfsFile, ResultFile
from c2d_box.storage.addresses import Origin
from c2d_box.storage.errors import FetchForbidden, FileUnusable, SourceRejected, SourceUnreachable
from c2d_box.storage.fetcher import Fetcher
from c2d_box.storage.gateways import gateway_url
from c2d_box.storage.http1 import HttpRequest
from c2d_box.storage.s3_client import S3Endpoint
from c2d_box.storage.sigv4 import S3Credentials

_BLOCK = 2 << 20
"""Bytes that a block of an IPFS node may have."""
_UNPROVEN = "this asset may not show that result"


@dataclass(frozen=True)
class IpfsResults:
    gateway: str

    @property
    def origin(self) -> str:
        return self.gateway


@dataclass(frozen=True)
class S3Results:
    """``credentials``: a key that reads the bucket's objects and does nothing else."""

    endpoint: str
    bucket: str
    credentials: S3Credentials | None = field(repr=False)

    @property
    def origin(self) -> str:
        return self.endpoint


class ResultStore:
    def __init__(self, place: IpfsResults | S3Results, secret: str | None, fetcher: Fetcher) -> None:
        """``secret``: the one shared with the engine, None where no asset is made of results. ``fetcher``:
        may reach the store, which files of other types may not.
        """
        self.place = place
        self.fetcher = fetcher
        self._secret = secret

    def is_gateway(self, gateway: str | None) -> bool:
        """Whether plain IPFS files are read from the node that has the results, too."""
        if gateway is None or not isinstance(self.place, IpfsResults):
            return False
        return Origin.from_url(gateway) == Origin.from_url(self.place.gateway)

    def build_request(self, file: ResultFile, method: str) -> HttpRequest:
        """Raises Forbidden for a file that the engine has not sealed for this asset."""
        if not self._secret or not results.is_proven(self._secret, file):
            raise FetchForbidden(_UNPROVEN)
        if isinstance(self.place, IpfsResults):
            path = results.content_path(file.place)
            if path is None:
                raise FetchForbidden(_UNPROVEN)
            return HttpRequest(method, self._content_url(path), {}, follow=False)
        key = results.object_key(file.place, bucket=self.place.bucket, job=file.job)
        if key is None:
            raise FetchForbidden(_UNPROVEN)
        if self.place.credentials is None:
            raise FileUnusable("this Provider has no key of the result store")
        return S3Endpoint(self.place.endpoint, self.place.credentials).sign_request(
            method, self.place.bucket, key
        )

    async def require_foreign(self, file: IpfsFile) -> None:
        """Raises Forbidden where ``file`` is a result, StorageError where that cannot be told."""
        assert isinstance(self.place, IpfsResults)
        plain = gateway_url(file, self.place.gateway, file.source_request(None).url)
        request = HttpRequest("GET", f"{plain}?format=raw", {"accept": "application/vnd.ipld.raw"})
        response = await self.fetcher.fetch(request)
        try:
            if response.status != 200:
                raise SourceRejected(response.status)
            if response.headers.get("content-type", "").split(";")[0] != "application/vnd.ipld.raw":
                raise SourceUnreachable("the gateway does not show blocks")
            block = bytearray()
            async for chunk in response.chunks():
                block += chunk
                if len(block) > _BLOCK:
                    raise FetchForbidden("the block is too large")
        finally:
            response.close()
        if salted_blocks.is_result(bytes(block)):
            raise FetchForbidden("results of jobs are not read by their name")

    def _content_url(self, path: str) -> str:
        assert isinstance(self.place, IpfsResults)
        return f"{self.place.gateway.rstrip('/')}/ipfs/{quote(path, safe='/')}"
