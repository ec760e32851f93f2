"""The Cluster port over the Kubernetes API itself.

Plain HTTP with one pooled client instead of the generated client library: eight calls are needed, each
answers in about five milliseconds, and the library would add a thread per call, 250 ms of imports and a
model per object.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx

from c2d_box.kubernetes.kubeconfig import ClusterConnection
from c2d_box.kubernetes.port import (
    AlreadyExists,
    ClusterError,
    Object,
    ObjectGone,
    ResourceKind,
    VersionConflict,
    WatchEvent,
)

# JSON merge patches (RFC 7386) work on every kind. Strategic merge patches do not exist for custom resources,
# so WorkFlows could not be patched with them.
_MERGE = {"Content-Type": "application/merge-patch+json"}
_JSON_PATCH = {"Content-Type": "application/json-patch+json"}
_JSON = {"Content-Type": "application/json"}
WATCH_SECONDS = 300
"""Seconds after which the API server is to end a watch, which is then resumed; else the server chooses."""
_PAGE = 500
"""Objects per page of a list, as client-go asks for them."""


class HttpCluster:
    """One namespace of one cluster, over one pooled HTTP client."""

    def __init__(self, connection: ClusterConnection, namespace: str) -> None:
        self._namespace = namespace
        self._client = httpx.AsyncClient(
            base_url=connection.server,
            verify=connection.tls,
            auth=connection.authorize_request,
            # A proxy of the environment is for the way out of the cluster, not to its API server.
            trust_env=False,
            timeout=httpx.Timeout(10.0, pool=30.0),
            # Each watch and each followed log holds a connection for as long as it lasts.
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=40),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, resource: ResourceKind, name: str) -> Object | None:
        """Return the object, None where there is none."""
        try:
            return await self._call("GET", self._path(resource, name))
        except ObjectGone:
            return None

    async def list(self, resource: ResourceKind, selector: str = "") -> tuple[list[Object], str]:
        items: list[Object] = []
        params = {"limit": str(_PAGE), **({"labelSelector": selector} if selector else {})}
        while True:
            # The server reads all pages from one version, which is therefore the version to watch from. A
            # page that comes too late for it is refused with 410 (ObjectGone); the caller then lists anew.
            page = await self._call("GET", self._path(resource), params=params)
            items += page.get("items") or []
            token = page["metadata"].get("continue")
            if not token:
                return items, page["metadata"]["resourceVersion"]
            params["continue"] = token

    async def has_several(self, resource: ResourceKind) -> bool:
        page = await self._call("GET", self._path(resource), params={"limit": "2"})
        return len(page.get("items") or []) > 1

    async def watch(
        self, resource: ResourceKind, version: str, selector: str = ""
    ) -> AsyncIterator[WatchEvent]:
        params = {
            "watch": "1",
            "resourceVersion": version,
            # Bookmarks move the version on while no object changes, so that a resume rarely comes too late.
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
            **({"labelSelector": selector} if selector else {}),
        }
        # The server ends the watch itself. Another 30 s of silence mean that the connection died unnoticed.
        async for line in self._lines(self._path(resource), params, read=WATCH_SECONDS + 30):
            change = json.loads(line)
            # A version that is too old is answered with 200: the 410 is in the first event of the stream.
            if change["type"] == "ERROR":
                code = change["object"].get("code", 0)
                message = change["object"].get("message", "the watch failed")
                raise ObjectGone(message, 410) if code == 410 else ClusterError(message, code)
            yield WatchEvent(change["type"], change["object"])

    async def create(self, resource: ResourceKind, body: Object) -> Object:
        return await self._call("POST", self._path(resource), body=body)

    async def patch(
        self, resource: ResourceKind, name: str, patch: Object, *, status: bool = False
    ) -> Object:
        # Kubernetes ignores `status` in a patch of the object, and all else in a patch of its subresource.
        path = self._path(resource, name) + ("/status" if status else "")
        return await self._call("PATCH", path, body=patch, headers=_MERGE)

    async def patch_json(self, resource: ResourceKind, name: str, steps: Sequence[Object]) -> Object:
        """Apply a JSON patch, all of its steps or none; see the port."""
        return await self._call("PATCH", self._path(resource, name), body=steps, headers=_JSON_PATCH)

    async def delete(
        self, resource: ResourceKind, name: str, *, grace: int | None = None, uid: str | None = None
    ) -> bool:
        # Background: the call does not wait for objects that this one owns; the garbage collector follows.
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        # With the uid as a precondition an object made anew under this name survives: the answer is 409.
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        try:
            await self._call("DELETE", self._path(resource, name), body=body)
        except (ObjectGone, VersionConflict):
            return False
        return True

    async def logs(self, pod: str, container: str, *, follow: bool = False) -> AsyncIterator[bytes]:
        params = {"container": container, **({"follow": "true"} if follow else {})}
        path = f"/api/v1/namespaces/{self._namespace}/pods/{pod}/log"
        try:
            # A followed container may be silent for as long as its job runs: no limit between two chunks.
            request = self._request("GET", path, params=params, read=None if follow else 30.0)
            response = await self._client.send(request, stream=True)
            try:
                if response.status_code >= 400:
                    # The reason of the refusal is in the body, which a streamed response has not read yet.
                    await response.aread()
                    raise _error(response)
                async for chunk in response.aiter_raw():
                    yield chunk
            # Also where the consumer stops in the middle: an open stream keeps its connection from the pool.
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise ClusterError(f"The log of {pod} broke off: {type(error).__name__}") from error

    # -- one exchange

    def _path(self, resource: ResourceKind, name: str = "") -> str:
        scope = f"/namespaces/{self._namespace}" if resource.namespaced else ""
        path = f"{resource.prefix}{scope}/{resource.plural}"
        return f"{path}/{name}" if name else path

    def _request(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: Object | Sequence[Object] | None = None,
        headers: dict[str, str] | None = None,
        read: float | None = 10.0,
    ) -> httpx.Request:
        return self._client.build_request(
            method,
            path,
            params=params,
            content=None if body is None else json.dumps(body, separators=(",", ":")),
            headers={**(_JSON if body is not None else {}), **(headers or {})},
            timeout=httpx.Timeout(10.0, read=read, pool=30.0),
        )

    async def _call(self, method: str, path: str, **parts: Any) -> Object:
        try:
            response = await self._client.send(self._request(method, path, **parts))
        # Only the error's type and text are kept; neither holds the request's headers, where the token is.
        except httpx.HTTPError as error:
            raise ClusterError(f"{method} {path}: {type(error).__name__} {error}".rstrip()) from error
        if response.status_code >= 400:
            raise _error(response)
        answer: Object = response.json()
        return answer

    async def _lines(self, path: str, params: dict[str, str], read: float) -> AsyncIterator[str]:
        try:
            response = await self._client.send(
                self._request("GET", path, params=params, read=read), stream=True
            )
            try:
                if response.status_code >= 400:
                    await response.aread()
                    raise _error(response)
                async for line in response.aiter_lines():
                    if line:
                        yield line
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise ClusterError(f"The watch of {path} broke off: {type(error).__name__}") from error


def _error(response: httpx.Response) -> ClusterError:
    """Map a response to an error. Both conflicts are 409: Kubernetes' ``reason`` tells an existing object
    (AlreadyExists) from a changed one (Conflict).
    """
    status = response.status_code
    try:
        body = response.json()
        reason, message = body.get("reason", ""), body.get("message", "")
    # A proxy or a load balancer in front of the API server answers with text of its own.
    except ValueError:
        reason, message = "", response.text[:300]
    text = message or f"The API server answered {status}."
    if status in (404, 410):
        return ObjectGone(text, status)
    if status == 409:
        return AlreadyExists(text, status) if reason == "AlreadyExists" else VersionConflict(text, status)
    return ClusterError(text, status)
