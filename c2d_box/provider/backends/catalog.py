"""Reads DDOs from the metadata cache: it asks each time, but a DDO is transferred only when it has changed
(ETag).

A publisher who has just withdrawn a permission must not be overruled by a copy of ours.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import unquote

import httpx
from pydantic import ValidationError

from c2d_box.assets.did import is_did
from c2d_box.assets.documents.ddo import DDO
from c2d_box.strict_json import JsonRefused, parse_object

_KEPT = 256
READY_SECONDS = 2.0
_LONGEST_REASON = 600
_SET_ASIDE = ("refused", "failed")


class CatalogUnavailable(Exception):
    """The metadata cache does not answer."""


@dataclass(frozen=True)
class AssetLookup:
    """The cache's answer about one asset. ``block`` is the block up to which it holds; ``unread`` is the
    state, transaction and reason of a newer update that is not in it. ``asked`` is false for what is no DID
    at all."""

    ddo: DDO | None
    block: int | None = None
    unread: str = ""
    asked: bool = True

    @property
    def is_set_aside(self) -> bool:
        """True when waiting is of no use, since the update was refused or is not tried any more."""
        return self.unread.startswith(_SET_ASIDE)


class AssetCatalog:
    """The client of the metadata cache. Copies are kept only to be confirmed by their ETag, never used
    without asking. ``chain_id`` is that of the chain whose blocks the answers count."""

    def __init__(self, client: httpx.AsyncClient, cache_url: str, chain_id: int) -> None:
        self._client = client
        self._base = cache_url.rstrip("/")
        self._chain_id = chain_id
        self._known: OrderedDict[str, tuple[str, DDO]] = OrderedDict()

    async def is_ready(self) -> bool:
        """Return whether the cache answers now, for readiness reports."""
        try:
            answer = await self._client.get(f"{self._base}/", timeout=READY_SECONDS)
        except httpx.HTTPError:
            return False
        return answer.is_success

    async def find_ddo(self, did: object) -> DDO | None:
        """Return the decorated DDO, None when there is none. Raise CatalogUnavailable when the cache cannot
        say."""
        return (await self.look_up_asset(did)).ddo

    async def look_up_asset(self, did: object) -> AssetLookup:
        """Return the decorated DDO with the block up to which it holds. Raise CatalogUnavailable."""
        if not isinstance(did, str) or not is_did(did):
            return AssetLookup(None, asked=False)
        known = self._known.get(did)
        headers = {"If-None-Match": known[0]} if known else {}
        answer = await self._get_path(f"/api/aquarius/assets/ddo/{did}", headers)
        if answer.status_code not in (200, 304, 404) or (answer.status_code == 304 and not known):
            raise CatalogUnavailable
        block = answer.headers.get("c2d-indexed-block", "")
        return AssetLookup(
            known[1] if answer.status_code == 304 and known else self._parse_ddo(did, answer),
            int(block) if block.isdecimal() and len(block) < 20 else await self._last_block(),
            unquote(answer.headers.get("c2d-unread-update", ""))[:_LONGEST_REASON],
        )

    async def _get_path(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        try:
            return await self._client.get(self._base + path, headers=headers or {})
        except httpx.HTTPError:
            raise CatalogUnavailable from None

    def _parse_ddo(self, did: str, answer: httpx.Response) -> DDO | None:
        if answer.status_code != 200:
            return None
        try:
            ddo = DDO.parse(answer.content)
        except (ValidationError, ValueError):
            return None
        if ddo.id != did:
            return None
        self._remember_ddo(did, answer.headers.get("etag"), ddo)
        return ddo

    async def _last_block(self) -> int | None:
        """Return the last block that the cache has read, from a route of its own: Aquarius does not send it
        with each asset. None where that route does not say it either."""
        answer = await self._get_path(f"/api/aquarius/chains/status/{self._chain_id}")
        try:
            block = parse_object(answer.content).get("last_block") if answer.status_code == 200 else None
        except JsonRefused:
            return None
        return block if isinstance(block, int) else None

    def _remember_ddo(self, did: str, etag: str | None, ddo: DDO) -> None:
        self._known.pop(did, None)
        if etag:
            self._known[did] = (etag, ddo)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
