"""Results as streams: from the IPFS gateway or S3 to the caller, in whatever pieces they come.

What is asked for in S3 lies below the job's own prefix, whatever a report once said. A store that errs is an
error, never an empty file.
"""

from __future__ import annotations

import mimetypes
from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote, unquote

import httpx
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

from c2d_box.assets.filenames import content_disposition
from c2d_box.assets.results import content_path, object_key
from c2d_box.operator_service.arguments import OperatorRefusal
from c2d_box.operator_service.settings import OperatorSettings
from c2d_box.storage.s3_client import S3Endpoint
from c2d_box.storage.sigv4 import S3Credentials
from c2d_box.workflow.resource import JobResult
from c2d_box.workflow.result_store import IpfsStore, S3Store

_GOOD = frozenset({200, 206, 416})
"""206 and 416 are answers to a Range header, which is the caller's; they are passed on."""
_PASSED = ("content-length", "content-range", "accept-ranges", "etag")
"""Headers of the store that are passed on; all others are its own business."""


class StoredResults:
    """Reads results from the store with the operator's own keys."""

    def __init__(self, settings: OperatorSettings) -> None:
        self._store = settings.result_store
        self._secrets = settings.secrets_dir
        # No redirects: a store must not send the operator's signed request elsewhere.
        self._client = httpx.AsyncClient(
            trust_env=False, timeout=httpx.Timeout(10.0, read=60.0), follow_redirects=False
        )

    async def close(self) -> None:
        """Close the connections to the store."""
        await self._client.aclose()

    async def stream_result(self, job: str, result: JobResult, wanted: str | None) -> StreamingResponse:
        """Return a result as a response; ``wanted`` is the caller's Range header."""
        response = await self.open_result(job, result, wanted)
        headers = {key: response.headers[key] for key in _PASSED if key in response.headers}
        return StreamingResponse(
            # Raw: length and ranges are those of the stored bytes.
            response.aiter_raw(),
            response.status_code,
            {**headers, **_disposition_headers(result.filename)},
            media_type=_media_type(result.filename, response.headers),
            # Closes the connection also where the caller hangs up in the middle.
            background=BackgroundTask(response.aclose),
        )

    async def open_result(self, job: str, result: JobResult, wanted: str | None = None) -> httpx.Response:
        """Open a result. Raises OperatorRefusal where the store cannot be
        reached, does not have it, or fails.
        """
        url, headers = self._result_address(job, result)
        if wanted:
            headers["Range"] = wanted
        try:
            request = self._client.build_request("GET", url, headers=headers)
            response = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            text = f"Error getResult: the result store cannot be reached ({type(error).__name__})"
            raise OperatorRefusal(503, text) from error
        if response.status_code in _GOOD:
            return response
        await response.aclose()
        if response.status_code == 404:
            # Gone, for example expired. The answer does not say where it was.
            raise OperatorRefusal(404, "Error getResult: the result store has it no more")
        raise OperatorRefusal(503, f"Error getResult: the result store answered {response.status_code}")

    async def result_content(self, job: str, result: JobResult) -> AsyncIterator[bytes]:
        """Return the whole content as a stream; raises OperatorRefusal before the first byte."""
        response = await self.open_result(job, result)

        async def pieces() -> AsyncIterator[bytes]:
            """Yield the content; the connection is closed also where the reader stops early."""
            try:
                async for chunk in response.aiter_raw():
                    yield chunk
            finally:
                await response.aclose()

        return pieces()

    def _result_address(self, job: str, result: JobResult) -> tuple[str, dict[str, str]]:
        """Return URL and headers to read a result. Raises OperatorRefusal 404 where
        it is not in the present store.
        """
        # Without compression: the length would be another one than the result's.
        headers = {"Accept-Encoding": "identity"}
        store = self._store
        if isinstance(store, IpfsStore):
            # Checked again on every read, whatever the status says: the gateway is
            # called with the operator's access.
            path = content_path(result.url)
            if path is not None:
                return f"{store.gateway.rstrip('/')}/ipfs/{quote(path, safe='/')}", headers
        else:
            key = object_key(result.url, bucket=store.bucket, job=job)
            if key is not None:
                # Signed for this one key, below the job's own prefix.
                request = self._s3_endpoint(store).sign_request("GET", store.bucket, key)
                return request.url, {**headers, **request.headers}
        raise OperatorRefusal(404, "This result is in a store that is not configured any more.")

    def _s3_endpoint(self, store: S3Store) -> S3Endpoint:
        """Return the store's client with the keys as they are in the secrets folder now.

        Read for each request: Kubernetes replaces the mounted files when the Secret changes.
        """
        access, secret = (
            (self._secrets / f"s3-{part}-key").read_text().strip() for part in ("access", "secret")
        )
        return S3Endpoint(store.endpoint, S3Credentials(access, secret, store.region))


def _media_type(filename: str, upstream: Mapping[str, str]) -> str:
    """Return the type by the file's name, since stores seldom know it."""
    return mimetypes.guess_type(filename)[0] or upstream.get("content-type") or "application/octet-stream"


def _disposition_headers(filename: str) -> dict[str, str]:
    """Return headers with the last part of the name, with an extension and harmless in a header."""
    # The last part: browsers would take a path for part of the name, or cut it themselves.
    name = unquote(filename).rsplit("/", 1)[-1]
    if "." not in name:
        name += ".bin"
    return {
        "Content-Disposition": content_disposition(name),
        "Access-Control-Expose-Headers": "Content-Disposition",
    }
