"""The cache's HTTP routes: those of Aquarius v5 that clients use, with the texts they depend on."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from c2d_box.assets import signatures
from c2d_box.assets.schema import schema
from c2d_box.assets.validation import VERSIONS, validate
from c2d_box.errors import C2DError
from c2d_box.metadata.description import document
from c2d_box.metadata.documents import CacheKey
from c2d_box.metadata.indexer import Indexer
from c2d_box.metadata.search import Unsupported, search
from c2d_box.metadata.settings import Settings
from c2d_box.metadata.store import Store

VERSION = "5.1.5"
_ROOT = {"plugin": "module", "software": "Aquarius", "version": VERSION}
_ASSETS = "/api/aquarius/assets"


@dataclass
class Cache:
    """What the routes work with; ``indexer`` appears once the chain can be read."""

    settings: Settings
    store: Store
    key: CacheKey | None
    indexer: Indexer | None = None


def routes() -> list[Route]:
    return [
        Route("/", _root),
        Route("/health", _health),
        Route("/healthz", _healthz),
        Route(f"{_ASSETS}/ddo/validate", _validate, methods=["POST"]),
        Route(f"{_ASSETS}/ddo/{{did}}", _ddo),
        Route(f"{_ASSETS}/metadata/{{did}}", _metadata),
        Route(f"{_ASSETS}/names", _names, methods=["POST"]),
        Route(f"{_ASSETS}/query", _query, methods=["POST"]),
        Route(f"{_ASSETS}/triggerCaching", _trigger, methods=["POST"]),
        Route("/api/aquarius/chains/list", _chains),
        Route("/api/aquarius/chains/status/{chain}", _chain_status),
        Route("/api/aquarius/state/ddo", _state),
        Route("/api/aquarius/state/retryQueue", _retry_queue),
        Route("/api/aquarius/validation/schema", _schema),
        Route("/spec", _spec),
    ]


def _cache(request: Request) -> Cache:
    cache: Cache = request.app.state.cache
    return cache


async def _root(request: Request) -> Response:
    """What this is; clients ask before anything else."""
    return JSONResponse(_ROOT)


async def _health(request: Request) -> Response:
    """In the words of the original."""
    ready = _ready(_cache(request))
    return PlainTextResponse("Elasticsearch connected" if ready else "Not connected", 200 if ready else 400)


async def _healthz(request: Request) -> Response:
    """Whether the chain is read up to its head, and which block that is."""
    cache = _cache(request)
    ready = _ready(cache)
    block = cache.indexer.last_block if cache.indexer else None
    return JSONResponse({"ready": ready, "block": block}, 200 if ready else 503)


def _ready(cache: Cache) -> bool:
    return cache.indexer is not None and cache.indexer.caught_up.is_set()


async def _ddo(request: Request) -> Response:
    """The decorated DDO."""
    did = request.path_params["did"]
    text = _cache(request).store.texts.get(did)
    if text is None:
        return JSONResponse({"error": f"Asset DID {did[:128]} not found in Elasticsearch."}, 404)
    return _tagged(request, text)


def _tagged(request: Request, text: str) -> Response:
    """With an ETag, so that a Provider may ask each time and rarely read."""
    tag = f'"{sha256(text.encode()).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"etag": tag})
    return Response(text, media_type="application/json", headers={"etag": tag})


async def _metadata(request: Request) -> Response:
    """A DDO's ``metadata``."""
    did = request.path_params["did"]
    record = _cache(request).store.records.get(did)
    if record is None or not isinstance(record.get("metadata"), dict):
        text = f"Error encountered while retrieving metadata: Asset DID {did[:128]} not found."
        return JSONResponse({"error": text}, 404)
    return JSONResponse(record["metadata"])


async def _names(request: Request) -> Response:
    """Names by DID, empty for an unknown one."""
    body = await _json(request)
    if not isinstance(body, dict) or "didList" not in body:
        return JSONResponse({"error": "`didList` is required in the request payload."}, 400)
    dids = body["didList"]
    if not dids:
        return JSONResponse({"error": "The requested didList can not be empty."}, 400)
    if not isinstance(dids, list):
        return JSONResponse({"error": "The didList must be a list."}, 400)
    records = _cache(request).store.records
    names = {}
    for did in dids[:10_000]:
        metadata = records.get(str(did), {}).get("metadata")
        names[str(did)] = metadata.get("name", "") if isinstance(metadata, dict) else ""
    return JSONResponse(names)


async def _query(request: Request) -> Response:
    """A search in the language of Elasticsearch."""
    body = await _json(request)
    if not isinstance(body, dict):
        return JSONResponse(
            {"error": "Invalid payload. The request could not be converted into a dict."}, 400
        )
    records = list(_cache(request).store.records.values())
    try:
        found = await asyncio.to_thread(search, body, records)
    except Unsupported as problem:
        return JSONResponse({"error": f"Not supported in a query: {problem}"}, 400)
    return JSONResponse(found)


async def _validate(request: Request) -> Response:
    """Whether a document may be published: its hash and a signature over it, or what is wrong."""
    if request.headers.get("content-type") != "application/octet-stream":
        text = "Invalid request content type: should be application/octet-stream"
        return JSONResponse({"error": text}, 400)
    raw = await _body(request)
    ddo = _parsed(raw)
    if not isinstance(ddo, dict):
        text = "Invalid payload. The request could not be converted into a dict."
        return JSONResponse({"error": text}, 400)
    if not ddo.get("version"):
        return JSONResponse([{"message": "no version provided for DDO."}], 400)
    if problems := validate(ddo):
        return JSONResponse({"errors": problems}, 400)
    return JSONResponse(proof(_cache(request).key, raw or b""))


def proof(key: CacheKey | None, raw: bytes) -> dict[str, Any]:
    """Hash and signature of a document; r and s are one-element lists, as clients read them."""
    if key is None:
        return dict.fromkeys(("hash", "publicKey", "v", "r", "s"), "")
    digest = sha256(raw).digest()
    signature = signatures.sign_hash(key.private_key, digest)
    return {
        "hash": "0x" + digest.hex(),
        "publicKey": key.address,
        "v": signature.v,
        "r": [signature.r],
        "s": [signature.s],
    }


async def _trigger(request: Request) -> Response:
    """Read a transaction's metadata events again."""
    cache, body = _cache(request), await _json(request)
    tx = body.get("transactionId") if isinstance(body, dict) else None
    chain_id = (body.get("chainId") or body.get("chain_id")) if isinstance(body, dict) else None
    well_formed = isinstance(tx, str) and len(tx) == 66 and str(chain_id) == str(cache.settings.chain.id)
    if not well_formed or cache.indexer is None:
        return JSONResponse({"error": "Invalid transactionId or chain_id"}, 400)
    position = body.get("logIndex")
    try:
        await cache.indexer.trigger(str(tx).lower(), position if isinstance(position, int) else None)
    except (C2DError, ValueError):
        return JSONResponse({"error": "Invalid transactionId or chain_id"}, 400)
    return PlainTextResponse("Queued")


async def _chains(request: Request) -> Response:
    """The chains that are indexed."""
    return JSONResponse({str(_cache(request).settings.chain.id): True})


async def _chain_status(request: Request) -> Response:
    """How far a chain is indexed."""
    cache = _cache(request)
    if request.path_params["chain"] != str(cache.settings.chain.id):
        return JSONResponse({"error": "Chain is not indexed."}, 404)
    last = cache.store.last_block()
    return JSONResponse({"last_block": last[0] if last else 0, "version": VERSION})


async def _state(request: Request) -> Response:
    """What became of the last metadata event of an asset, and why."""
    given = {name: request.query_params.get(name) for name in ("nft", "did", "txId")}
    if not any(given.values()):
        return JSONResponse({"error": "You need to specify one of: nft, txId, did"}, 400)
    cache = _cache(request)
    rows = cache.store.rows(
        "SELECT nft, did, tx, valid, error FROM outcomes WHERE (? IS NULL OR lower(nft) = lower(?)) "
        "AND (? IS NULL OR did = ?) AND (? IS NULL OR tx = lower(?)) ORDER BY at DESC LIMIT 1",
        *(value for name in given for value in (given[name], given[name])),
    )
    if not rows:
        return JSONResponse({"error": "Nothing is known about it: no metadata event was seen."}, 404)
    nft, did, tx, valid, error = rows[0]
    state = {"nft": nft, "did": did, "chain_id": cache.settings.chain.id, "tx_id": tx}
    return JSONResponse({**state, "valid": bool(valid), "error": error})


async def _retry_queue(request: Request) -> Response:
    """Documents that could not be read yet."""
    rows = _cache(request).store.rows(
        "SELECT tx, position, nft, block, attempts, next, error FROM retries ORDER BY next LIMIT 1000"
    )
    names = ("tx_id", "log_index", "nft_address", "block", "number_retries", "next_retry", "error")
    entries = [dict(zip(names, row, strict=True)) for row in rows]
    hits = [{"_id": f"{entry['tx_id']}-{entry['log_index']}", "_source": entry} for entry in entries]
    return JSONResponse({"hits": {"total": {"value": len(hits), "relation": "eq"}, "hits": hits}})


async def _schema(request: Request) -> Response:
    """The rules for a DDO of a version as JSON Schema."""
    version = request.query_params.get("version") or VERSIONS[-1]
    if version not in VERSIONS:
        text = f"Can't find schema {version[:32]}; there are {', '.join(VERSIONS)}."
        return JSONResponse({"error": text}, 404)
    return JSONResponse(schema(version))


async def _spec(request: Request) -> Response:
    """This description."""
    return JSONResponse(document(routes(), VERSION))


async def _json(request: Request) -> Any:
    return _parsed(await _body(request))


def _parsed(raw: bytes | None) -> Any:
    try:
        return json.loads(raw or b"")
    except (ValueError, RecursionError):
        return None


async def _body(request: Request) -> bytes | None:
    """The request's body, or None when there is more of it than a document may have."""
    limit, received = _cache(request).settings.max_document, bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > limit:
            return None
    return bytes(received)
