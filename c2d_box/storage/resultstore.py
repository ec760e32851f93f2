"""The store of jobs' results as the Provider reads it: for result assets, not for everybody who knows a name.

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
"""The largest block of an IPFS node that is looked at, in bytes; nodes do not exchange larger ones."""
_UNPROVEN = "this asset may not show that result"
"""One text for every reason, so that a guess is confirmed to nobody."""


@dataclass(frozen=True)
class IpfsResults:
    """Results in IPFS, read through a gateway."""

    gateway: str

    @property
    def origin(self) -> str:
        """The address that the store's fetcher may reach."""
        return self.gateway


@dataclass(frozen=True)
class S3Results:
    """Results in an S3 bucket. ``credentials`` read the bucket's objects and do nothing else; None where
    the Provider has no key."""

    endpoint: str
    bucket: str
    credentials: S3Credentials | None = field(repr=False)

    @property
    def origin(self) -> str:
        """The address that the store's fetcher may reach."""
        return self.endpoint


class ResultStore:
    """Builds requests for results, and tells results from other content of the same node."""

    def __init__(self, place: IpfsResults | S3Results, secret: str | None, fetcher: Fetcher) -> None:
        """Connect the store. ``secret`` is the one shared with the engine, None where no asset is made of
        results. ``fetcher`` may reach the store, which files of other types may not."""
        self.place = place
        self.fetcher = fetcher
        self._secret = secret

    def is_gateway(self, gateway: str | None) -> bool:
        """Return whether plain IPFS files are read from the node that also has the results."""
        if gateway is None or not isinstance(self.place, IpfsResults):
            return False
        return Origin.from_url(gateway) == Origin.from_url(self.place.gateway)

    def build_request(self, file: ResultFile, method: str) -> HttpRequest:
        """Return the request that reads a result. Raise FetchForbidden for a file that the engine has not
        sealed for this asset, FileUnusable where the Provider has no key."""
        # The proof first: without it nothing about the place may be found out.
        if not self._secret or not results.is_proven(self._secret, file):
            raise FetchForbidden(_UNPROVEN)
        if isinstance(self.place, IpfsResults):
            # The place is part of what was proven, and its form is checked all the same.
            path = results.content_path(file.place)
            if path is None:
                raise FetchForbidden(_UNPROVEN)
            return HttpRequest(method, self._content_url(path), {}, follow=False)
        # Below the prefix of the very job, in the very bucket.
        key = results.object_key(file.place, bucket=self.place.bucket, job=file.job)
        if key is None:
            raise FetchForbidden(_UNPROVEN)
        if self.place.credentials is None:
            raise FileUnusable("this Provider has no key of the result store")
        return S3Endpoint(self.place.endpoint, self.place.credentials).sign_request(
            method, self.place.bucket, key
        )

    async def require_foreign(self, file: IpfsFile) -> None:
        """Raise FetchForbidden where ``file`` is a result, StorageError where that cannot be told."""
        assert isinstance(self.place, IpfsResults)
        plain = gateway_url(file, self.place.gateway, file.source_request(None).url)
        # The raw block is small, and shows the salt that marks results; the file itself would have to be read
        # whole.
        request = HttpRequest("GET", f"{plain}?format=raw", {"accept": "application/vnd.ipld.raw"})
        response = await self.fetcher.fetch(request)
        try:
            if response.status != 200:
                raise SourceRejected(response.status)
            # A gateway without raw blocks would answer with the file, in which the mark cannot be seen. Fails
            # closed.
            if response.headers.get("content-type", "").split(";")[0] != "application/vnd.ipld.raw":
                raise SourceUnreachable("the gateway does not show blocks")
            block = bytearray()
            async for chunk in response.chunks():
                block += chunk
                # While it is read, since the gateway's announcement proves nothing.
                if len(block) > _BLOCK:
                    raise FetchForbidden("the block is too large")
        finally:
            response.close()
        if salted_blocks.is_result(bytes(block)):
            raise FetchForbidden("results of jobs are not read by their name")

    def _content_url(self, path: str) -> str:
        """Return the address of a result at the gateway."""
        assert isinstance(self.place, IpfsResults)
        return f"{self.place.gateway.rstrip('/')}/ipfs/{quote(path, safe='/')}"
