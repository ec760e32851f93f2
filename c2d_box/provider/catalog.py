"""DDOs from the metadata cache, asked for anew each time but transferred only when they changed (ETag).

A publisher who has just withdrawn a permission must not be overruled by a copy of ours.
"""

from __future__ import annotations

from collections import OrderedDict

import httpx
from pydantic import ValidationError

from c2d_box.assets.ddo import DDO
from c2d_box.assets.did import is_did

_KEPT = 256


class CatalogUnavailable(Exception):
    """The metadata cache does not answer."""


class Catalog:
    def __init__(self, client: httpx.AsyncClient, cache_url: str) -> None:
        self._client = client
        self._base = cache_url.rstrip("/")
        self._known: OrderedDict[str, tuple[str, DDO]] = OrderedDict()

    async def ddo(self, did: object) -> DDO | None:
        """The decorated DDO, None when there is none; CatalogUnavailable when nobody can say."""
        if not isinstance(did, str) or not is_did(did):
            return None
        known = self._known.get(did)
        headers = {"If-None-Match": known[0]} if known else {}
        try:
            answer = await self._client.get(f"{self._base}/api/aquarius/assets/ddo/{did}", headers=headers)
        except httpx.HTTPError:
            raise CatalogUnavailable from None
        if answer.status_code == 304 and known:
            return known[1]
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise CatalogUnavailable
        try:
            ddo = DDO.parse(answer.content)
        except (ValidationError, ValueError):
            return None
        if ddo.id != did:
            return None
        self._remember(did, answer.headers.get("etag"), ddo)
        return ddo

    def _remember(self, did: str, etag: str | None, ddo: DDO) -> None:
        self._known.pop(did, None)
        if etag:
            self._known[did] = (etag, ddo)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
