"""The few calls to the Kubernetes API that volumes need, over plain HTTP.

The full client library costs a quarter of a second of start-up and some 40 MB per process; this is a list, a
watch and five writes. Errors of the API are wrapped here once.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from c2d_box.errors import EnvironmentProblem, Failed
from c2d_box.strict_yaml import parse_yaml

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
WATCH_SECONDS = 290
Json = dict[str, Any]
Body = Mapping[str, Any] | list[dict[str, Any]]


class ApiError(Failed):
    """The API server refused or could not be reached. ``status`` is 0 in the second case."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__("C2D-VOLUMES-API", message)
        self.status = status


class Expired(Exception):
    """Raised where the watch is too far behind: list again."""


class Api:
    """Calls to one API server with one identity."""

    def __init__(self, server: str, context: ssl.SSLContext, token: Path | None = None) -> None:
        self._token = token
        timeout = httpx.Timeout(10, read=30)
        self._client = httpx.AsyncClient(base_url=server, verify=context, timeout=timeout, trust_env=False)

    @classmethod
    def in_cluster(cls) -> Api:
        """Connect with the identity of this pod's service account."""
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
        if not host or not (ACCOUNT / "token").exists():
            raise EnvironmentProblem(
                "C2D-VOLUMES-NO-CLUSTER", "not inside a pod with a service account", "name a kubeconfig"
            )
        context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
        return cls(f"https://{host}:{port}", context, ACCOUNT / "token")

    @classmethod
    def from_kubeconfig(cls, path: Path) -> Api:
        """Connect with the client certificate of a kubeconfig's current context."""
        document = parse_yaml(path.read_bytes())
        named = {
            kind: {e["name"]: e[kind[:-1]] for e in document[kind]}
            for kind in ("clusters", "users", "contexts")
        }
        current = named["contexts"][document["current-context"]]
        cluster, user = named["clusters"][current["cluster"]], named["users"][current["user"]]
        context = ssl.create_default_context(cadata=_pem(cluster, "certificate-authority"))
        with tempfile.TemporaryDirectory() as scratch:
            files = [Path(scratch) / "certificate", Path(scratch) / "key"]
            for file, field in zip(files, ("client-certificate", "client-key"), strict=True):
                file.touch(0o600)
                file.write_text(_pem(user, field))
            context.load_cert_chain(files[0], files[1])
        return cls(cluster["server"], context)

    async def close(self) -> None:
        await self._client.aclose()

    async def list(self, path: str) -> tuple[list[Json], str]:
        """Return the items of a collection and the version to watch from."""
        answer = await self.call("GET", path)
        return answer["items"], answer["metadata"]["resourceVersion"]

    async def watch(self, path: str, version: str) -> AsyncIterator[tuple[str, Json]]:
        """Yield changes after ``version``: (ADDED | MODIFIED | DELETED | BOOKMARK, object). Ends when the
        server ends it.
        """
        query: dict[str, str | int] = {
            "watch": 1,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": WATCH_SECONDS,
        }
        timeout = httpx.Timeout(10, read=WATCH_SECONDS + 15)
        try:
            async with self._client.stream(
                "GET", path, params=query, headers=self._headers(), timeout=timeout
            ) as answer:
                if answer.status_code == 410:
                    raise Expired
                if answer.status_code != 200:
                    await answer.aread()
                    raise ApiError(answer.status_code, f"watch {path}: {answer.text[:200]}")
                async for line in answer.aiter_lines():
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise Expired
                    yield event["type"], event["object"]
        except httpx.HTTPError as cause:
            raise ApiError(0, f"watch {path}: {cause!r}") from cause

    async def call(self, method: str, path: str, body: Body | None = None) -> Json:
        """Send one request. ``body`` of a PATCH is a merge patch or, as a list, a JSON patch (RFC 6902)."""
        kind = "application/json"
        if method == "PATCH":
            kind = "application/json-patch+json" if isinstance(body, list) else "application/merge-patch+json"
        try:
            answer = await self._client.request(
                method,
                path,
                headers=self._headers() | {"content-type": kind},
                content=None if body is None else json.dumps(body),
            )
        except httpx.HTTPError as cause:
            raise ApiError(0, f"{method} {path}: {cause!r}") from cause
        if answer.status_code >= 400:
            raise ApiError(answer.status_code, f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        result: Json = answer.json()
        return result

    def _headers(self) -> dict[str, str]:
        """Return the headers of a request. The token is read anew each time: the kubelet replaces it."""
        headers = {"accept": "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token.read_text().strip()}"
        return headers


def _pem(entry: Mapping[str, str], field: str) -> str:
    if inline := entry.get(f"{field}-data"):
        return base64.b64decode(inline).decode()
    return Path(entry[field]).read_text()
