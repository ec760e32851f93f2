"""The Provider in the test's own process, without chain, cache or operator: their addresses do not answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from c2d_box.provider.settings import ProviderSettings
from tests.harness.fake_services import PROVIDER_KEY


class ProviderClient:
    """Sends requests to an ASGI application in this process, each in an event loop of its own."""

    def __init__(self, app: Starlette) -> None:
        self.app = app

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://provider") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def services(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self(method, f"/api/services/{path}", **options)


def provider_settings(folder: Path, **changes: Any) -> ProviderSettings:
    (folder / "provider-key").write_text(PROVIDER_KEY)
    (folder / "token-secret").write_text("long enough for a test")
    return ProviderSettings.model_validate(
        {
            "chain": {"id": 8996, "rpcUrl": "http://127.0.0.1:1", "addressFile": str(folder / "none")},
            "cacheUrl": "http://127.0.0.1:1",
            "operatorServiceUrl": "http://127.0.0.1:1",
            "database": str(folder / "provider.sqlite"),
            "secretsDir": str(folder),
            **changes,
        }
    )
