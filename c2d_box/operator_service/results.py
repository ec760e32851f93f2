"""Results as streams: from the IPFS gateway or S3 to the caller, in whatever pieces they come."""

from __future__ import annotations

import mimetypes
from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote, unquote, urlsplit

import httpx
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

from c2d_box.operator_service.arguments import Refusal
from c2d_box.operator_service.settings import Settings
from c2d_box.storage.sigv4 import Credentials, signed_headers
from c2d_box.workflow.resource import Result
from c2d_box.workflow.stores import IpfsStore, S3Store

_PASSED = ("content-length", "content-range", "accept-ranges", "etag")


class Results:
    def __init__(self, settings: Settings) -> None:
        self._store = settings.result_store
        self._secrets = settings.secrets_dir
        self._client = httpx.AsyncClient(
            trust_env=False, timeout=httpx.Timeout(10.0, read=60.0), follow_redirects=False
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def stream(self, result: Result, wanted: str | None) -> StreamingResponse:
        """``wanted``: the caller's Range header. The store's status is passed through."""
        response = await self.open(result, wanted)
        headers = {key: response.headers[key] for key in _PASSED if key in response.headers}
        return StreamingResponse(
            response.aiter_raw(),
            response.status_code,
            {**headers, **_disposition(result.filename)},
            media_type=_media_type(result.filename, response.headers),
            background=BackgroundTask(response.aclose),
        )

    async def open(self, result: Result, wanted: str | None = None) -> httpx.Response:
        """Raises Refusal where the store cannot be reached."""
        url, headers = self._address(result)
        if wanted:
            headers["Range"] = wanted
        try:
            request = self._client.build_request("GET", url, headers=headers)
            return await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            text = f"Error getResult: the result store cannot be reached ({type(error).__name__})"
            raise Refusal(400, text) from error

    async def content(self, result: Result) -> AsyncIterator[bytes]:
        response = await self.open(result)
        try:
            if response.status_code == 200:
                async for chunk in response.aiter_raw():
                    yield chunk
        finally:
            await response.aclose()

    def _address(self, result: Result) -> tuple[str, dict[str, str]]:
        parts = urlsplit(result.url)
        headers = {"Accept-Encoding": "identity"}
        if parts.scheme == "ipfs" and isinstance(self._store, IpfsStore):
            return f"{self._store.gateway.rstrip('/')}/ipfs/{parts.netloc}{parts.path}", headers
        if parts.scheme == "s3" and isinstance(self._store, S3Store):
            url = f"{self._store.endpoint.rstrip('/')}/{parts.netloc}{parts.path}"
            return url, {**headers, **signed_headers("GET", url, self._credentials(self._store))}
        raise Refusal(404, "This result is in a store that is not configured any more.")

    def _credentials(self, store: S3Store) -> Credentials:
        access = (self._secrets / "s3-access-key").read_text().strip()
        return Credentials(access, (self._secrets / "s3-secret-key").read_text().strip(), store.region)


def _media_type(filename: str, upstream: Mapping[str, str]) -> str:
    return mimetypes.guess_type(filename)[0] or upstream.get("content-type") or "application/octet-stream"


def _disposition(filename: str) -> dict[str, str]:
    """The last part of the name; with an extension, and harmless in a header."""
    name = unquote(filename).rsplit("/", 1)[-1]
    if "." not in name:
        name += ".bin"
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in name)
    extended = "" if plain == name else f";filename*=UTF-8''{quote(name, safe='')}"
    return {
        "Content-Disposition": f"attachment;filename={plain}{extended}",
        "Access-Control-Expose-Headers": "Content-Disposition",
    }
