"""Adds to a published document the facts of the chain that clients read beside it.

An editing client may have re-published such values with the document: they are always overwritten, never
trusted.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from c2d_box.assets.addresses import ZERO, checksum_address, is_address, same_hex
from c2d_box.chain import Chain
from c2d_box.chain.abis import DATATOKEN, NFT
from c2d_box.chain.failures import UNREACHABLE
from c2d_box.chain.orders import offer_for
from c2d_box.chain.views import ViewCall
from c2d_box.errors import C2DError
from c2d_box.metadata.publications import services_of
from c2d_box.metadata.store import AssetVersion

ADDED = ("event", "nft", "datatokens", "stats", "purgatory")
"""The keys that the cache adds to a document. Clients that edit an asset send them back, see above."""
# Characters of a name or symbol, and of a tokenURI (often an image as data URL).
_LONGEST_NAME, _LONGEST_URI = 512, 64 << 10
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999, the latest time that Python's calendar and those of clients can express."""
GONE = frozenset({2, 3})  # deprecated, revoked: only what the chain says is left of the record


class ChainFacts:
    """Reads the facts of the chain. Names of tokens never change, so they are read once; everything else is
    read in one request per record."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._names: dict[str, dict[str, str]] = {}

    def nft_facts(self, address: str, datatokens: list[str]) -> dict[str, Any]:
        """Return name, symbol, tokenURI and owner of an NFT. The names of its ``datatokens`` are read in the
        same request and kept for :meth:`token_facts`."""
        # A document may name anything as a datatoken; a text that is no address is not asked for.
        # Lower case throughout: documents spell addresses with and without EIP-55 checksums.
        unknown = [token for token in datatokens if is_address(token) and token.lower() not in self._names]
        views = [
            ViewCall(NFT, address, "name"),
            ViewCall(NFT, address, "symbol"),
            ViewCall(NFT, address, "tokenURI", (1,)),
            ViewCall(NFT, address, "ownerOf", (1,)),
            *_token_views(unknown),
        ]
        # In the order of the questions above; a contract that refuses one of them answers None there.
        name, symbol, uri, owner, *rest = self._chain.read_many(views)
        self._keep_names(unknown, rest)
        return {
            "address": checksum_address(address),
            "name": _short_text(name),
            "symbol": _short_text(symbol),
            "tokenURI": str(uri or "")[:_LONGEST_URI],
            "owner": owner or "",
        }

    def token_facts(self, address: str) -> dict[str, str]:
        """Return address, name and symbol of a token; empty texts for what is no token."""
        if not is_address(address):
            return {"address": address, "name": "", "symbol": ""}
        if address.lower() not in self._names:
            self._keep_names([address], self._chain.read_many(_token_views([address])))
        return dict(self._names[address.lower()])

    def token_price(self, datatoken: str) -> dict[str, Any]:
        """Return the rate without fees, in whole tokens. The answer is an object in any case, empty where
        nobody offers the datatoken."""
        try:
            # A dispenser gives it away, or a fixed-rate exchange sells it.
            offer = offer_for(self._chain, datatoken)
            if offer is None:
                return {}
            if offer.is_free or same_hex(offer.token, ZERO):
                return {"value": 0}
        except (C2DError, ValueError) as problem:
            if isinstance(problem, C2DError) and problem.code == UNREACHABLE:
                raise  # an outage is not the absence of a price
            return {}
        # Whole rates as integers: JSON clients show 5, not 5.0.
        plain = int(offer.rate) if offer.rate == int(offer.rate) else offer.rate
        symbol = self.token_facts(offer.token)["symbol"]
        return {"value": plain, "tokenAddress": offer.token, "tokenSymbol": symbol}

    def _keep_names(self, tokens: list[str], answers: list[Any]) -> None:
        """Keep the names of tokens for as long as the process runs, since they never change."""
        # Two answers per token, as ``_token_views`` asks.
        pairs = zip(answers[::2], answers[1::2], strict=True)
        for token, (name, symbol) in zip(tokens, pairs, strict=True):
            details = {
                "address": checksum_address(token),
                "name": _short_text(name),
                "symbol": _short_text(symbol),
            }
            self._names[token.lower()] = details


def _short_text(value: Any) -> str:
    """Return a token's name or symbol, cut: the token's contract is its publisher's and may answer with text
    of any length."""
    return str(value or "")[:_LONGEST_NAME]


def _token_views(tokens: list[str]) -> list[ViewCall]:
    """Return the questions for name and symbol of each token, in this order."""
    return [ViewCall(DATATOKEN, token, function) for token in tokens for function in ("name", "symbol")]


def record(facts: ChainFacts, versions: list[AssetVersion], orders: int) -> dict[str, Any]:
    """Return the decorated DDO made of these versions of one asset (oldest first). Blocks: reads the
    chain."""
    # The caller has made sure that there is a version.
    latest, first = versions[-1], versions[0]
    # A change of state is a version without a document; the last document counts on.
    published = next((v for v in reversed(versions) if v.document is not None), None)
    document: dict[str, Any] = json.loads(published.document or "{}") if published else {}
    services = services_of(document)
    tokens = [str(service.get("datatokenAddress", "")) for service in services]
    added = {
        "event": _event_section(published or latest),
        "nft": {
            **facts.nft_facts(latest.nft, tokens),
            "state": latest.state,
            "created": _iso_time(first.timestamp),
        },
        "datatokens": [
            {**facts.token_facts(token), "serviceId": service.get("id")}
            for token, service in zip(tokens, services, strict=True)
        ],
        "stats": {
            # Part of Aquarius' shape. Nothing is allocated here, and nobody is listed in a purgatory.
            "allocated": 0,
            "orders": orders,
            "price": facts.token_price(tokens[0]) if tokens else {},
        },
        "purgatory": {"state": False},
    }
    # As in the original: clients see that the asset was there and is gone, but not what it was.
    if latest.state in GONE:
        left = ("event", "nft", "datatokens", "stats")
        return {"id": latest.did, **{key: added[key] for key in left}}
    # The chain's facts last, so that they win over what the publisher wrote under the same keys.
    return {**document, **added}


def _event_section(version: AssetVersion) -> dict[str, Any]:
    """Return the event that published a version. ocean.py waits for its ``tx``, ocean.js for its ``txid``."""
    return {
        "tx": version.tx,
        "txid": version.tx,
        "block": version.block,
        "from": version.author,
        "contract": version.nft,
        "datetime": _iso_time(version.timestamp),
    }


def _iso_time(timestamp: int) -> str:
    """Return a time as clients read it, in UTC. A test chain may give a block any time, and a year that
    the calendar lacks would raise."""
    return datetime.fromtimestamp(min(max(timestamp, 0), _LAST_SECOND), UTC).strftime("%Y-%m-%dT%H:%M:%S")
