"""What the cache adds to a published document: facts of the chain that clients read beside it.

Values an editing client re-published with the document are always overwritten, never trusted.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from c2d_box.assets.addresses import ZERO, same
from c2d_box.chain import Chain, nfts
from c2d_box.chain.orders import offer_for
from c2d_box.errors import C2DError
from c2d_box.metadata.store import Version

ADDED = ("event", "nft", "datatokens", "stats", "purgatory")
GONE = frozenset({2, 3})  # deprecated, revoked: only what the chain says is left of the record


class Names:
    """Names of tokens, read once: they never change."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._known: dict[str, dict[str, str]] = {}

    def token(self, address: str) -> dict[str, str]:
        key = address.lower()
        if key not in self._known:
            details = nfts.token_details(self._chain, address)
            self._known[key] = {name: str(value) for name, value in details.items()}
        return dict(self._known[key])


def record(chain: Chain, names: Names, versions: list[Version], orders: int) -> dict[str, Any]:
    """The decorated DDO of these versions of one asset (oldest first). Blocking: reads the chain."""
    latest, first = versions[-1], versions[0]
    published = next((v for v in reversed(versions) if v.document is not None), None)
    document: dict[str, Any] = json.loads(published.document or "{}") if published else {}
    added = {
        "event": _event(published or latest),
        "nft": {**nfts.details(chain, latest.nft), "state": latest.state, "created": _iso(first.timestamp)},
        "datatokens": _datatokens(names, document),
        "stats": {"allocated": 0, "orders": orders, "price": _price(chain, names, document)},
        "purgatory": {"state": False},
    }
    if latest.state in GONE:
        return {"id": latest.did, **{key: added[key] for key in ("event", "nft", "datatokens", "stats")}}
    return {**document, **added}


def _event(version: Version) -> dict[str, Any]:
    """``tx`` is what ocean.py waits for, ``txid`` what ocean.js waits for."""
    return {
        "tx": version.tx,
        "txid": version.tx,
        "block": version.block,
        "from": version.author,
        "contract": version.nft,
        "datetime": _iso(version.timestamp),
    }


def _datatokens(names: Names, document: dict[str, Any]) -> list[dict[str, Any]]:
    tokens = []
    for service in document.get("services") or []:
        address = str(service.get("datatokenAddress", ""))
        try:
            details = names.token(address)
        except (C2DError, ValueError):
            details = {"address": address, "name": "", "symbol": ""}
        tokens.append({**details, "serviceId": service.get("id")})
    return tokens


def _price(chain: Chain, names: Names, document: dict[str, Any]) -> dict[str, Any]:
    """Of the first service's datatoken; an object in any case, empty where nobody offers it."""
    services = document.get("services") or []
    if not services:
        return {}
    try:
        offer = offer_for(chain, str(services[0].get("datatokenAddress", "")))
        if offer is None:
            return {}
        if offer.is_free or same(offer.token, ZERO):
            return {"value": 0}
        decimals = chain.decimals(offer.token)
        value = offer.amount / 10**decimals
        symbol = names.token(offer.token)["symbol"]
    except (C2DError, ValueError):
        return {}
    plain = int(value) if value == int(value) else value
    return {"value": plain, "tokenAddress": offer.token, "tokenSymbol": symbol}


def _iso(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%S")
