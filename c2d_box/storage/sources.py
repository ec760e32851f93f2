"""The port's one real implementation: from a file object of any type to an open stream."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from c2d_box.assets.files import (
    ArweaveFile,
    FileObject,
    GraphqlFile,
    IpfsFile,
    S3File,
    SmartContractFile,
    UrlFile,
)
from c2d_box.storage import arweave, graphql, ipfs, s3, smartcontract, url
from c2d_box.storage.errors import Rejected, StorageError, TooLarge, Unreachable
from c2d_box.storage.fetcher import Fetcher, Response
from c2d_box.storage.http1 import HttpRequest
from c2d_box.storage.port import Meta, OpenFile, Probe
from c2d_box.storage.smartcontract import ContractReader

UserData = Mapping[str, Any] | None

_RANGE = re.compile(r"bytes=(\d*-\d*)(,\s*\d*-\d*)*\Z")
_CONTENT_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)/(\d+|\*)\Z")


@dataclass(frozen=True)
class Gateways:
    ipfs: str | None = None
    arweave: str | None = None


class Storage:
    """Opens and probes file objects of every type, all through one :class:`Fetcher`."""

    def __init__(
        self, fetcher: Fetcher, gateways: Gateways | None = None, contracts: ContractReader | None = None
    ) -> None:
        self._fetcher = fetcher
        self._gateways = gateways or Gateways()
        self._contracts = contracts

    async def open(
        self, file: FileObject, userdata: UserData = None, byte_range: str | None = None
    ) -> OpenFile:
        """The file's bytes, or those of ``byte_range`` (a Range header) where the source honours it.

        Raises StorageError; Rejected when the source answers with anything but success.
        """
        if isinstance(file, SmartContractFile):
            return _from_memory(await smartcontract.read(file, userdata, self._contracts))
        request = self._request(file, userdata, "GET")
        if byte_range is not None and _RANGE.match(byte_range):
            request = replace(request, headers={**request.headers, "range": byte_range})
        response = await self._successful(request)
        return OpenFile(_meta(response, file), _counted(response), response.close)

    async def probe(self, file: FileObject, userdata: UserData = None, *, checksum_limit: int = 0) -> Probe:
        """Never raises for an unreachable file. ``checksum_limit``: hash the file if it has at most so
        many bytes."""
        try:
            if checksum_limit or isinstance(file, SmartContractFile):
                return await self._read_probe(file, userdata, checksum_limit)
            return await self._head_probe(file, userdata)
        except StorageError:
            return Probe(valid=False)

    async def sha256(self, file: FileObject, userdata: UserData, limit: int) -> str:
        """The hash of the file's bytes; TooLarge when there are more than ``limit``."""
        opened = await self.open(file, userdata)
        try:
            return await _hash(opened, limit)
        finally:
            opened.close()

    async def _head_probe(self, file: FileObject, userdata: UserData) -> Probe:
        request = self._request(file, userdata, "HEAD")
        if request.method == "HEAD":
            response = await self._fetcher.fetch(request)
            response.close()
            if response.status == 200 and "content-length" in response.headers:
                return Probe(True, _meta(response, file))
        response = await self._successful(self._request(file, userdata, "GET"))
        response.close()
        return Probe(True, _meta(response, file))

    async def _read_probe(self, file: FileObject, userdata: UserData, limit: int) -> Probe:
        opened = await self.open(file, userdata)
        try:
            digest = await _hash(opened, limit) if limit else None
        except TooLarge:
            digest = None
        finally:
            opened.close()
        return Probe(True, opened.meta, digest)

    def _request(self, file: FileObject, userdata: UserData, method: str) -> HttpRequest:
        """``method`` is GET or HEAD; a POST stays one."""
        match file:
            case UrlFile():
                request = url.request(file, userdata)
            case IpfsFile():
                request = ipfs.request(file, self._gateways.ipfs)
            case ArweaveFile():
                request = arweave.request(file, self._gateways.arweave)
            case GraphqlFile():
                request = graphql.request(file, userdata)
            case S3File():
                return s3.request(file, self._fetcher.renamed(file.endpoint), method)
            case SmartContractFile():
                raise AssertionError("a contract call is no HTTP request")
        return replace(request, method="HEAD") if method == "HEAD" and request.method == "GET" else request

    async def _successful(self, request: HttpRequest) -> Response:
        response = await self._fetcher.fetch(request)
        if response.status not in (200, 206):
            response.close()
            raise Rejected(response.status)
        return response


def _meta(response: Response, file: FileObject) -> Meta:
    headers = response.headers
    length = headers.get("content-length", "")
    content_range = headers.get("content-range")
    if not length.isdigit() and content_range and (found := _CONTENT_RANGE.match(content_range)):
        length = str(int(found[2]) - int(found[1]) + 1)
    return Meta(
        status=response.status,
        length=int(length) if length.isdigit() else None,
        content_type=headers.get("content-type", "").split(";")[0].strip(),
        filename=_filename(file),
        content_range=content_range if response.status == 206 else None,
    )


def _filename(file: FileObject) -> str:
    match file:
        case UrlFile():
            return url.filename(file)
        case IpfsFile():
            return ipfs.filename(file)
        case S3File():
            return s3.filename(file)
        case _:
            return ""


async def _counted(response: Response) -> AsyncIterator[bytes]:
    """The body, which must be as long as it was announced to be."""
    announced = response.headers.get("content-length", "")
    count = 0
    async for chunk in response.chunks():
        count += len(chunk)
        yield chunk
    if announced.isdigit() and count != int(announced):
        raise Unreachable("the source sent fewer bytes than it announced")


async def _hash(opened: OpenFile, limit: int) -> str:
    if opened.meta.length is not None and opened.meta.length > limit:
        raise TooLarge("the file is too large for a checksum")
    digest, count = hashlib.sha256(), 0
    async for chunk in opened.chunks:
        count += len(chunk)
        if count > limit:
            raise TooLarge("the file is too large for a checksum")
        digest.update(chunk)
    return digest.hexdigest()


def _from_memory(data: bytes) -> OpenFile:
    async def once() -> AsyncIterator[bytes]:
        yield data

    return OpenFile(Meta(length=len(data), content_type="application/json"), once(), close=lambda: None)
