"""The port's one real implementation: opens and probes file objects of any type."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from c2d_box.assets.filenames import name_in
from c2d_box.assets.files import FileObject, IpfsFile, ResultFile, S3File, SmartContractFile
from c2d_box.storage import s3, smartcontract
from c2d_box.storage.codings import coding_of, is_packed, unpack_chunks
from c2d_box.storage.errors import (
    ChainAway,
    FileUnusable,
    OwnAway,
    SourceRejected,
    SourceUnreachable,
    StorageError,
    TooLarge,
)
from c2d_box.storage.fetcher import Fetcher, SourceResponse
from c2d_box.storage.gateways import gateway_url
from c2d_box.storage.http1 import NO_ANSWER, HttpRequest
from c2d_box.storage.port import FileMeta, FileProbe, OpenFile
from c2d_box.storage.readings import ProbeCache
from c2d_box.storage.resultstore import ResultStore
from c2d_box.storage.smartcontract import ContractReader

UserData = Mapping[str, Any] | None

# Only ranges of bytes are handed on; anything else in the header is ignored, as HTTP allows (RFC 9110).
_RANGE = re.compile(r"bytes=(\d*-\d*)(,\s*\d*-\d*)*\Z")
_AWAY = (502, 503)
"""Statuses by which an operator's own store or gateway tells that it is away itself."""
_AT_ONCE = 8
"""Files of one service that are looked at together."""
_CONTENT_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)/(\d+|\*)\Z")


class Storage:
    """Opens and probes file objects of every type, all through one :class:`Fetcher`."""

    def __init__(
        self,
        fetcher: Fetcher,
        gateways: Mapping[str, str | None] | None = None,
        contracts: ContractReader | None = None,
        results: ResultStore | None = None,
        *,
        probe_seconds: float = 30.0,
        spend: Callable[[int], None] = lambda count: None,
    ) -> None:
        """Connect the storage. ``gateways``: the operator's, by type of file. ``results``: where jobs'
        results are; without it result assets cannot be read. ``probe_seconds``: what looking at a file or
        hashing it may take in all. ``spend`` is told of all bytes that are read for a hash, as they come;
        what it raises ends the reading."""
        self._readings = ProbeCache()
        self._spend = spend
        self._results = results
        self._fetcher = fetcher
        self._probe_seconds = probe_seconds
        self._gateways = gateways or {}
        self._contracts = contracts

    async def open(
        self, file: FileObject, userdata: UserData = None, byte_range: str | None = None
    ) -> OpenFile:
        """Return the file's bytes, or those of ``byte_range`` (a Range header) where the source honours it.

        Raise StorageError; SourceRejected when the source answers with anything but success. Close what is
        returned.
        """
        if isinstance(file, SmartContractFile):
            return _from_memory(await smartcontract.read_contract(file, userdata, self._contracts))
        await self._require_permitted(file)
        # The request without a range is kept for a source whose range cannot be used.
        whole = request = self._build_request(file, userdata, "GET")
        if byte_range is not None and _RANGE.match(byte_range):
            request = replace(request, headers={**request.headers, "range": byte_range})
        response = await self._fetch_successful(request, self._fetcher_for(file))
        if response.status == 206 and is_packed(response.headers):
            response.close()  # a part of what is packed cannot be unpacked
            response = await self._fetch_successful(whole, self._fetcher_for(file))
        try:
            coding = coding_of(response.headers)
        except StorageError:
            response.close()
            raise
        chunks = unpack_chunks(_counted_chunks(response), coding) if coding else _counted_chunks(response)
        return OpenFile(_file_meta(response, file), chunks, response.close)

    async def probe(
        self,
        file: FileObject,
        userdata: UserData = None,
        *,
        checksum_limit: int = 0,
        audience: str = "",
        anew: bool = False,
    ) -> FileProbe:
        """Return what can be said of a file. An unreachable file is an answer and raises nothing; OwnAway
        or ChainAway are raised where that is no fault of the file's. ``checksum_limit``: hash the file if
        it has at most so many bytes. A hash may be some seconds old, except ``anew``; those of one
        ``audience`` share a reading."""
        # A look without a hash costs the source a HEAD, which is not worth remembering.
        if not checksum_limit:
            return await self._probe_source(file, userdata, 0)
        # All that is sent to the source and who may share the answer, hashed because it holds credentials.
        sent = [audience, file.type, asdict(file), userdata, checksum_limit]
        key = hashlib.sha256(json.dumps(sent).encode()).digest()
        return await self._readings.probe_once(
            key, lambda: self._probe_source(file, userdata, checksum_limit), anew=anew
        )

    async def _probe_source(self, file: FileObject, userdata: UserData, checksum_limit: int) -> FileProbe:
        """Look at the source once, within the time of a probe."""
        try:
            async with asyncio.timeout(self._probe_seconds):
                if checksum_limit or isinstance(file, SmartContractFile):
                    return await self._read_probe(file, userdata, checksum_limit)
                return await self._head_probe(file, userdata)
        except TimeoutError:
            return FileProbe(valid=False, reason="the source did not deliver in time")
        # Before StorageError, of which both are kinds.
        except (OwnAway, ChainAway):
            raise
        except StorageError as problem:
            return FileProbe(valid=False, reason=problem.text)

    async def probe_all(
        self,
        files: Sequence[FileObject],
        userdata: UserData = None,
        *,
        checksum_limit: int = 0,
        audience: str = "",
        anew: bool = False,
    ) -> list[FileProbe]:
        """Probe a few files at a time, all of them within twice the time of one. Files that are not
        reached in that time are reported as such."""
        look = partial(
            self.probe, userdata=userdata, checksum_limit=checksum_limit, audience=audience, anew=anew
        )
        if len(files) == 1 and not checksum_limit:  # a task of its own would cost a tenth of the answer
            return [await look(files[0])]
        places = asyncio.Semaphore(_AT_ONCE)

        async def probed(file: FileObject) -> FileProbe:
            async with places:
                return await look(file)

        running = [asyncio.create_task(probed(file)) for file in files]
        if not running:
            return []
        try:
            # FIRST_EXCEPTION: an outage decides for all files, so the others need not be waited for.
            await asyncio.wait(running, timeout=2 * self._probe_seconds, return_when=asyncio.FIRST_EXCEPTION)
            late = FileProbe(
                valid=False, reason="the files of this service could not all be looked at in time"
            )
            failed = next((task for task in running if task.done() and task.exception()), None)
            if failed is not None:
                failed.result()
            return [task.result() if task.done() else late for task in running]
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _head_probe(self, file: FileObject, userdata: UserData) -> FileProbe:
        """Look at a file without reading it: by HEAD, else by a GET whose body is not read."""
        await self._require_permitted(file)
        request, fetcher = self._build_request(file, userdata, "HEAD"), self._fetcher_for(file)
        if request.method == "HEAD":
            response = await self._fetch_response(request, fetcher)
            response.close()
            # Many servers refuse HEAD or leave the length out, which says nothing about the file.
            if response.status == 200 and "content-length" in response.headers:
                return FileProbe(True, _file_meta(response, file))
        response = await self._fetch_successful(self._build_request(file, userdata, "GET"), fetcher)
        response.close()
        return FileProbe(True, _file_meta(response, file))

    async def _read_probe(self, file: FileObject, userdata: UserData, limit: int) -> FileProbe:
        """Open a file and hash it up to ``limit`` bytes. One that is too large is readable all the same,
        without a hash."""
        opened = await self.open(file, userdata)
        try:
            digest = await _hash_file(opened, limit, self._spend) if limit else None
        except TooLarge:
            digest = None
        finally:
            opened.close()
        return FileProbe(True, opened.meta, digest)

    def _build_request(self, file: FileObject, userdata: UserData, method: str) -> HttpRequest:
        """Return the request that reads a file. ``method`` is GET or HEAD; a POST of the file object stays
        one."""
        match file:
            case S3File():
                return s3.build_request(file, self._fetcher.apply_aliases(file.endpoint), method)
            case ResultFile():
                if self._results is None:
                    raise FileUnusable("this Provider knows no result store")
                return self._results.build_request(file, method)
            case SmartContractFile():
                # ``open`` and ``_probe_source`` have taken these before.
                raise AssertionError("a contract call is no HTTP request")
        wanted = file.source_request(userdata)
        url = gateway_url(file, self._gateways.get(file.type), wanted.url) if file.gateway else wanted.url
        return HttpRequest(
            method if wanted.method == "GET" else wanted.method, url, wanted.headers, wanted.body
        )

    def _fetcher_for(self, file: FileObject) -> Fetcher:
        """Return the fetcher for a file. The result store is behind one of its own: no other file object
        leads there."""
        if self._results is None:
            return self._fetcher
        # Where publishers' IPFS content is on the same node, that fetcher reads it too, after
        # ``_require_permitted``.
        inside = isinstance(file, ResultFile) or (
            isinstance(file, IpfsFile) and self._results.is_gateway(self._gateways.get(file.type))
        )
        return self._results.fetcher if inside else self._fetcher

    async def _require_permitted(self, file: FileObject) -> None:
        """Raise FetchForbidden for a result of a job that is asked for by its mere name."""
        gateway = self._gateways.get(IpfsFile.type)
        if isinstance(file, IpfsFile) and self._results and self._results.is_gateway(gateway):
            await self._results.require_foreign(file)

    async def _fetch_response(self, request: HttpRequest, fetcher: Fetcher) -> SourceResponse:
        """Send a request. A gateway that is silent is looking for content that nobody has, which is the
        file's fault; a store that is silent is away."""
        try:
            return await fetcher.fetch(request)
        except OwnAway as problem:
            gateways = [gateway for gateway in self._gateways.values() if gateway]
            if problem.text == NO_ANSWER and any(request.url.startswith(gateway) for gateway in gateways):
                raise SourceUnreachable("the gateway does not find it in time") from None
            raise

    async def _fetch_successful(self, request: HttpRequest, fetcher: Fetcher) -> SourceResponse:
        """Send a request and return the answer if it is a success. Raise SourceRejected, or OwnAway where
        the operator's own store reports an outage of itself."""
        response = await self._fetch_response(request, fetcher)
        if response.status not in (200, 206):
            response.close()
            if response.status in _AWAY and fetcher.is_own(request.url):
                raise OwnAway(f"it answers with status {response.status}")
            raise SourceRejected(response.status)
        return response


def _file_meta(response: SourceResponse, file: FileObject) -> FileMeta:
    """Return what the answer's headers say of the file."""
    headers = response.headers
    length = headers.get("content-length", "")
    content_range = headers.get("content-range")
    # A part sent in chunks announces no length, but its bounds do.
    if not length.isdigit() and content_range and (found := _CONTENT_RANGE.match(content_range)):
        length = str(int(found[2]) - int(found[1]) + 1)
    return FileMeta(
        status=response.status,
        # The length of the packed form is not the file's.
        length=int(length) if length.isdigit() and not is_packed(headers) else None,
        content_type=headers.get("content-type", "").split(";")[0].strip(),
        filename=_suggest_filename(file, headers.get("content-disposition", "")),
        content_range=content_range if response.status == 206 else None,
    )


def _suggest_filename(file: FileObject, disposition: str) -> str:
    """Return the source's own name for a file, else the last part of its address. Of content that is
    addressed by its hash a gateway's name could be that hash, which must stay the publisher's secret."""
    if file.names_itself and (given := name_in(disposition)):
        return given
    return file.file_name()


async def _counted_chunks(response: SourceResponse) -> AsyncIterator[bytes]:
    """Yield the body, which must be as long as it was announced to be: an answer cut off in between would
    otherwise pass as the whole file."""
    announced = response.headers.get("content-length", "")
    count = 0
    async for chunk in response.chunks():
        count += len(chunk)
        yield chunk
    if announced.isdigit() and count != int(announced):
        raise SourceUnreachable("the source sent fewer bytes than it announced")


async def _hash_file(opened: OpenFile, limit: int, spend: Callable[[int], None]) -> str:
    """Return the sha256 of a file of at most ``limit`` bytes. Raise TooLarge for a larger one, and what
    ``spend`` raises."""
    # Without reading, where the source announces it.
    if opened.meta.length is not None and opened.meta.length > limit:
        raise TooLarge("the file is too large for a checksum")
    digest, count = hashlib.sha256(), 0
    async for chunk in opened.chunks:
        spend(len(chunk))
        count += len(chunk)
        # And while reading, because the announcement may be missing.
        if count > limit:
            raise TooLarge("the file is too large for a checksum")
        digest.update(chunk)
    return digest.hexdigest()


def _from_memory(data: bytes) -> OpenFile:
    """Return bytes in memory as an open file. There is nothing to close."""

    async def once() -> AsyncIterator[bytes]:
        yield data

    return OpenFile(FileMeta(length=len(data), content_type="application/json"), once(), close=lambda: None)
