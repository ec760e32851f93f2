"""The metadata cache as its clients see it (Aquarius' routes)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx

from c2d_box.assets.documents.ddo import DDO
from c2d_box.client.services.http_errors import (
    answer_of,
    client_for,
    demand_success,
    json_of,
    reaching_service,
)
from c2d_box.errors import Failed, Refused
from c2d_box.retry import Backoff

# Ocean's routes take DDO and document as bare bytes: what is hashed is what was sent.
_OCTETS = {"Content-Type": "application/octet-stream"}
_ROOT = "/api/aquarius/assets"


class MetadataCache:
    """A metadata cache over HTTP: DDOs by DID, all of them, and whether one may be published."""

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url
        self._http = client_for(url, 30, transport)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def read_ddo(self, did: str) -> DDO:
        """Return the asset's DDO with what the cache adds to it; Refused C2D-ASSET-UNKNOWN when there is
        none."""
        return DDO.parse(self.read_record(did))

    def read_record(self, did: str) -> dict[str, Any]:
        """Return what :meth:`read_ddo` returns, as the plain object."""
        found = self._find_record(did)
        if found is None:
            raise Refused(
                "C2D-ASSET-UNKNOWN",
                f"the metadata cache knows no asset {did}",
                "see them all: c2d-box assets",
            )
        return found

    def list_assets(self, size: int = 1000, fields: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return every DDO the cache knows, newest first, at most ``size``; with ``fields`` these parts only.

        The query is Elasticsearch's, as Aquarius' clients send it.
        """
        query: dict[str, Any] = {
            "from": 0,
            "size": size,
            "query": {"match_all": {}},
            "sort": {"event.block": "desc"},
        }
        if fields:
            query["_source"] = list(fields)
        with reaching_service("metadata cache", self.url):
            response = self._http.post(f"{_ROOT}/query", json=query)
        demand_success(response, "metadata cache", "listing assets")
        found = answer_of(response, "metadata cache", dict)
        # The address may be that of another service that answers JSON too.
        try:
            return [hit["_source"] for hit in found["hits"]["hits"]]
        except (KeyError, TypeError):
            raise Failed(
                "C2D-ANSWER-INVALID", "the metadata cache gave no list of assets", "see its log"
            ) from None

    def validate_ddo(self, document: bytes) -> dict[str, Any]:
        """Return the validator's proof for the exact bytes of a DDO: ``hash, publicKey, v, r, s``.

        Refused C2D-DDO-INVALID names every field that keeps it from being published.
        """
        with reaching_service("metadata cache", self.url):
            response = self._http.post(f"{_ROOT}/ddo/validate", content=document, headers=_OCTETS)
        body = json_of(response)
        # A list of wrong fields is an answer for the publisher, not a failure of the service.
        if response.status_code == 400 and isinstance(body, dict) and "errors" in body:
            text = "; ".join(f"{path}: {message}" for path, message in body["errors"].items())
            raise Refused("C2D-DDO-INVALID", f"the DDO is not valid: {text}", "correct it and publish again")
        demand_success(response, "metadata cache", "validating the DDO")
        return answer_of(response, "metadata cache", dict)

    def demand_decryptor(self, provider_url: str) -> None:
        """Raise Refused C2D-PROVIDER-NOT-FOR-CACHE where the cache could never read what that Provider
        encrypts; asked before the NFT is made. A cache that does not know the route is believed to be able
        to."""
        with reaching_service("metadata cache", self.url):
            response = self._http.get("/api/c2d/decryptor", params={"url": provider_url})
        # Aquarius does not have this route: a 404 says nothing about its Provider.
        body = json_of(response) if response.status_code == 200 else None
        if isinstance(body, dict) and body.get("usable") is False:
            raise Refused(
                "C2D-PROVIDER-NOT-FOR-CACHE",
                f"the metadata cache cannot read documents from {provider_url}: {body.get('reason')}",
                "publish with the address under which the cache knows this Provider",
            )

    def wait_for(self, did: str, tx: str, timeout: float = 60) -> dict[str, Any]:
        """Return the record once the cache has indexed transaction ``tx``; Failed C2D-ASSET-NOT-INDEXED
        after ``timeout`` seconds."""
        deadline, backoff = time.monotonic() + timeout, Backoff(0.03, 1.0, 1.5)
        while True:
            found = self._find_record(did)
            # The DID alone would match the version before an edit.
            if found is not None and (found.get("event") or {}).get("tx", "").lower() == tx.lower():
                return found
            if time.monotonic() > deadline:
                raise Failed(
                    "C2D-ASSET-NOT-INDEXED",
                    f"the metadata cache has not indexed {did} for {timeout:.0f} s: "
                    f"{self._indexing_problem(tx)}",
                    f"look at {self.url}/api/aquarius/state/ddo?txId={tx}",
                )
            time.sleep(backoff.next_pause())

    def _find_record(self, did: str) -> dict[str, Any] | None:
        """Return the cache's record of an asset, or None where it has none."""
        with reaching_service("metadata cache", self.url):
            response = self._http.get(f"{_ROOT}/ddo/{quote(did, safe=':')}")
        if response.status_code == 404:
            return None
        demand_success(response, "metadata cache", "looking an asset up")
        return answer_of(response, "metadata cache", dict)

    def _indexing_problem(self, tx: str) -> str:
        """Return what the cache itself says about a transaction it did not index."""
        try:
            body = json_of(self._http.get("/api/aquarius/state/ddo", params={"txId": tx}))
        except httpx.HTTPError:
            return "and it does not answer any more"
        return (
            str(body.get("error") or "it gives no reason") if isinstance(body, dict) else "it gives no reason"
        )
