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
"""DDOs that are kept for their ETag. A DDO has some kilobytes."""
READY_SECONDS = 2.0
"""The seconds within which a readiness probe is answered, whatever the cache does."""
_LONGEST_REASON = 600
"""Characters of the cache's reason that go into an error text."""
_SET_ASIDE = ("refused", "failed")
"""States of an update, in the cache's words, which waiting does not change. Keep them equal to
:class:`c2d_box.metadata.store.OutcomeState`."""


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
        """Return whether the cache answers now, for readiness reports. The root is asked: it needs neither
        the cache's chain nor its database."""
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
        # DIDs become a part of the URL, so nothing else may pass.
        if not isinstance(did, str) or not is_did(did):
            return AssetLookup(None, asked=False)
        known = self._known.get(did)
        headers = {"If-None-Match": known[0]} if known else {}
        answer = await self._get_path(f"/api/aquarius/assets/ddo/{did}", headers)
        # 404 is an answer, everything else an outage. A 304 that nobody asked for says nothing.
        if answer.status_code not in (200, 304, 404) or (answer.status_code == 304 and not known):
            raise CatalogUnavailable
        # Our own cache sends block and missing update along; an original Aquarius has neither header.
        block = answer.headers.get("c2d-indexed-block", "")
        return AssetLookup(
            known[1] if answer.status_code == 304 and known else self._parse_ddo(did, answer),
            # The length is bounded: the header is another service's text, and int() refuses very long ones.
            int(block) if block.isdecimal() and len(block) < 20 else await self._last_block(),
            unquote(answer.headers.get("c2d-unread-update", ""))[:_LONGEST_REASON],
        )

    async def _get_path(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        try:
            return await self._client.get(self._base + path, headers=headers or {})
        except httpx.HTTPError:
            raise CatalogUnavailable from None

    def _parse_ddo(self, did: str, answer: httpx.Response) -> DDO | None:
        """Return the DDO of an answer, and remember it; None for every answer that holds none."""
        if answer.status_code != 200:
            return None
        try:
            ddo = DDO.parse(answer.content)
        # A document that cannot be read is no asset here; publishing it anew is the remedy.
        except (ValidationError, ValueError):
            return None
        # A cache that answers with another asset must not decide about this one.
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
        """Keep a DDO under its ETag, the newest last. One without an ETag cannot be confirmed, and is
        forgotten."""
        self._known.pop(did, None)
        if etag:
            self._known[did] = (etag, ddo)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
