"""DDOs from the metadata cache, asked for anew each time but transferred only when they changed (ETag).

A publisher who has just withdrawn a permission must not be overruled by a copy of ours.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import unquote

import httpx
from pydantic import ValidationError

from c2d_box.assets.ddo import DDO
from c2d_box.assets.did import is_did
from c2d_box.strict_json import JsonRefused, parse_object

_KEPT = 256
READY_SECONDS = 2.0
_LONGEST_REASON = 600
_SET_ASIDE = ("refused", "failed")


class CatalogUnavailable(Exception):
    """The metadata cache does not answer."""


@dataclass(frozen=True)
class LookedUp:
    """A cache's answer about one asset: up to which block it holds, and the state, transaction and reason of
    a newer update that is not in it. ``asked`` is false for what is no DID at all."""

    ddo: DDO | None
    block: int | None = None
    unread: str = ""
    asked: bool = True

    @property
    def is_set_aside(self) -> bool:
        """Whether waiting is of no use: the update was refused, or is not tried any more."""
        return self.unread.startswith(_SET_ASIDE)


class Catalog:
    """``chain_id``: of the chain whose blocks are counted."""

    def __init__(self, client: httpx.AsyncClient, cache_url: str, chain_id: int) -> None:
        self._client = client
        self._base = cache_url.rstrip("/")
        self._chain_id = chain_id
        self._known: OrderedDict[str, tuple[str, DDO]] = OrderedDict()

    async def ready(self) -> bool:
        """Whether the cache answers now."""
        try:
            answer = await self._client.get(f"{self._base}/", timeout=READY_SECONDS)
        except httpx.HTTPError:
            return False
        return answer.is_success

    async def ddo(self, did: object) -> DDO | None:
        """The decorated DDO, None when there is none; CatalogUnavailable when nobody can say."""
        return (await self.looked_up(did)).ddo

    async def looked_up(self, did: object) -> LookedUp:
        """The decorated DDO and its age. Raises CatalogUnavailable."""
        if not isinstance(did, str) or not is_did(did):
            return LookedUp(None, asked=False)
        known = self._known.get(did)
        headers = {"If-None-Match": known[0]} if known else {}
        answer = await self._got(f"/api/aquarius/assets/ddo/{did}", headers)
        if answer.status_code not in (200, 304, 404) or (answer.status_code == 304 and not known):
            raise CatalogUnavailable
        block = answer.headers.get("c2d-indexed-block", "")
        return LookedUp(
            known[1] if answer.status_code == 304 and known else self._parsed(did, answer),
            int(block) if block.isdecimal() and len(block) < 20 else await self._last_block(),
            unquote(answer.headers.get("c2d-unread-update", ""))[:_LONGEST_REASON],
        )

    async def _got(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        try:
            return await self._client.get(self._base + path, headers=headers or {})
        except httpx.HTTPError:
            raise CatalogUnavailable from None

    def _parsed(self, did: str, answer: httpx.Response) -> DDO | None:
        if answer.status_code != 200:
            return None
        try:
            ddo = DDO.parse(answer.content)
        except (ValidationError, ValueError):
            return None
        if ddo.id != did:
            return None
        self._remember(did, answer.headers.get("etag"), ddo)
        return ddo

    async def _last_block(self) -> int | None:
        """Of a cache that does not say it beside each asset (Aquarius), None where it says nothing."""
        answer = await self._got(f"/api/aquarius/chains/status/{self._chain_id}")
        try:
            block = parse_object(answer.content).get("last_block") if answer.status_code == 200 else None
        except JsonRefused:
            return None
        return block if isinstance(block, int) else None

    def _remember(self, did: str, etag: str | None, ddo: DDO) -> None:
        self._known.pop(did, None)
        if etag:
            self._known[did] = (etag, ddo)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
