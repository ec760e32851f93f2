"""The cache's HTTP routes: those of Aquarius v5 that clients use, with the texts they depend on."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from c2d_box.assets.crypto import signatures
from c2d_box.assets.documents.json_schema import ddo_schema
from c2d_box.assets.documents.validation import VERSIONS, validate_ddo
from c2d_box.errors import C2DError
from c2d_box.metadata.description import describe_cache_api
from c2d_box.metadata.documents import CacheKey
from c2d_box.metadata.indexer import ChainIndexer, TooManyTriggers
from c2d_box.metadata.search import Unsupported, search
from c2d_box.metadata.settings import MetadataSettings
from c2d_box.metadata.store import EventOutcome, MetadataStore, OutcomeState, Publication
from c2d_box.service.request_body import parse_body, read_body

BLOCK_HEADER = "c2d-indexed-block"
"""The header with the block up to which an answer is true; Providers read it."""
UNREAD_HEADER = "c2d-unread-update"
"""The header with state and transaction of the asset's newest metadata event and the reason why another one
is served, percent-encoded."""
VERSION = "5.1.5"
"""The version of Aquarius whose routes and texts these are. Clients read it."""
_ROOT = {"plugin": "module", "software": "Aquarius", "version": VERSION}
_ASSETS = "/api/aquarius/assets"
_MOST_SEARCHES = 32
"""Searches that run or wait; more are answered 503."""
_SEARCH_THREADS = 2
"""Searches at the same time. They are pure Python, so more threads would only take turns."""
_TRIGGER_SECONDS = 2.0
"""The seconds for which triggerCaching waits for an outcome, so that a refusal can be told in the answer."""


@dataclass
class CacheContext:
    """The parts of the cache that routes use. ``indexer`` is None until the chain can be read."""

    settings: MetadataSettings
    store: MetadataStore
    key: CacheKey | None
    indexer: ChainIndexer | None = None
    searches: int = 0
    threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_SEARCH_THREADS, "search"), repr=False
    )


def cache_routes() -> list[Route]:
    """Return all routes. The order counts: ``ddo/validate`` must come before ``ddo/{did}``."""
    return [
        Route("/", _root),
        Route("/health", _health),
        Route("/livez", _livez),
        Route("/readyz", _readyz),
        # Another name of the same answer, for probes and clients that ask there.
        Route("/healthz", _readyz),
        Route(f"{_ASSETS}/ddo/validate", _validate, methods=["POST"]),
        Route(f"{_ASSETS}/ddo/{{did}}", _ddo),
        Route(f"{_ASSETS}/metadata/{{did}}", _metadata),
        Route(f"{_ASSETS}/names", _names, methods=["POST"]),
        Route(f"{_ASSETS}/query", _query, methods=["POST"]),
        Route(f"{_ASSETS}/triggerCaching", _trigger, methods=["POST"]),
        Route("/api/c2d/decryptor", _decryptor),
        Route("/api/aquarius/chains/list", _chains),
        Route("/api/aquarius/chains/status/{chain}", _chain_status),
        Route("/api/aquarius/state/ddo", _state),
        Route("/api/aquarius/state/retryQueue", _retry_queue),
        Route("/api/aquarius/validation/schema", _schema),
        Route("/spec", _spec),
    ]


def _cache_of(request: Request) -> CacheContext:
    """Return the context of the application that answers this request."""
    cache: CacheContext = request.app.state.cache
    return cache


async def _root(request: Request) -> Response:
    """What this is; clients ask before anything else."""
    return JSONResponse(_ROOT)


async def _health(request: Request) -> Response:
    """In the words of the original."""
    ready = _is_ready(_cache_of(request))
    return PlainTextResponse("Elasticsearch connected" if ready else "Not connected", 200 if ready else 400)


async def _livez(request: Request) -> Response:
    """Whether this process answers at all; nothing outside it is asked."""
    return JSONResponse({"alive": True})


async def _readyz(request: Request) -> Response:
    """Whether the chain is read up to its head, and if not, how far behind and why."""
    cache = _cache_of(request)
    if cache.indexer is None:
        # The indexer is made once the chain can be read; until then the reason is one of these two.
        reason = "there is no cache-key" if cache.key is None else "the contracts are not deployed yet"
        return JSONResponse({"ready": False, "reason": reason}, 503)
    ready, waiting = cache.indexer.progress.is_ready, cache.indexer.documents.waiting_count
    body = {"ready": ready, **cache.indexer.progress.readiness_report(), "waiting_documents": waiting}
    return JSONResponse(body, 200 if ready else 503)


def _is_ready(cache: CacheContext) -> bool:
    """Return whether the chain is read up to its head."""
    return cache.indexer is not None and cache.indexer.progress.is_ready


async def _ddo(request: Request) -> Response:
    """The decorated DDO; its headers say up to which block it is true, and which update is missing."""
    did = request.path_params["did"]
    store = _cache_of(request).store
    # The stored text goes out as it is, without being parsed and written again.
    text, unread = store.texts.get(did), store.unread_outcome(did)
    headers = _age_headers(store, did, unread)
    if text is None:
        # The original's text, for which clients look; no Elasticsearch is involved.
        error = {"error": f"Asset DID {did[:128]} not found in Elasticsearch."}
        # An addition of ours: the asset may be missing because its document was refused.
        reason = {"reason": outcome_text(unread)} if unread else {}
        return JSONResponse(error | reason, 404, headers)
    return _tagged_response(request, text, headers)


def _age_headers(store: MetadataStore, did: str, unread: EventOutcome | None) -> dict[str, str]:
    """Return the headers that a Provider needs before it acts on permissions: the age of an answer, and an
    update that is missing from it."""
    last = store.last_block()
    headers = {BLOCK_HEADER: str(last[0])} if last else {}
    stale = store.stale_reason(did)
    if unread or stale:
        # The Provider reads the first word, see ``AssetLookup.is_set_aside``.
        reason = f"{unread.state} {unread.tx}: {outcome_text(unread)}" if unread else f"waiting: {stale}."
        # Percent-encoded: the reason holds text from the chain, and a header carries neither line breaks nor
        # Unicode.
        headers[UNREAD_HEADER] = quote(reason, safe=" :;,.()'/")
    return headers


def outcome_text(outcome: EventOutcome) -> str:
    """Return an event's outcome as a sentence; empty where its document is served."""
    if outcome.state is OutcomeState.WAITING:
        return f"The document is still to be read: {outcome.error or 'nobody has tried yet'}."
    if outcome.state is OutcomeState.FAILED:
        return f"The event was set aside: {outcome.error}."
    return outcome.error


def _tagged_response(request: Request, text: str, headers: dict[str, str]) -> Response:
    """Return the text with an ETag, or 304 where the client has it already: a Provider asks each time and
    rarely has to transfer it."""
    # A hash of the text, so that the tag survives restarts and is the same on each replica.
    tag = f'"{sha256(text.encode()).hexdigest()[:32]}"'
    headers = {**headers, "etag": tag}
    # The headers go with the 304: the block up to which it is true has changed although the text has not.
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(text, media_type="application/json", headers=headers)


async def _metadata(request: Request) -> Response:
    """A DDO's ``metadata``."""
    did = request.path_params["did"]
    record = _cache_of(request).store.records.get(did)
    if record is None or not isinstance(record.get("metadata"), dict):
        text = f"Error encountered while retrieving metadata: Asset DID {did[:128]} not found."
        return JSONResponse({"error": text}, 404)
    return JSONResponse(record["metadata"])


async def _names(request: Request) -> Response:
    """Names by DID, empty for an unknown one."""
    body = await _read_json(request)
    if not isinstance(body, dict) or "didList" not in body:
        return JSONResponse({"error": "`didList` is required in the request payload."}, 400)
    dids = body["didList"]
    if not dids:
        return JSONResponse({"error": "The requested didList can not be empty."}, 400)
    if not isinstance(dids, list):
        return JSONResponse({"error": "The didList must be a list."}, 400)
    records = _cache_of(request).store.records
    names = {}
    # As many as one search may return.
    for did in dids[:10_000]:
        metadata = records.get(str(did), {}).get("metadata")
        # Only an object has a name; a stranger's document may hold anything under ``metadata``.
        names[str(did)] = metadata.get("name", "") if isinstance(metadata, dict) else ""
    return JSONResponse(names)


async def _query(request: Request) -> Response:
    """A search in the language of Elasticsearch."""
    body = await _read_json(request)
    if not isinstance(body, dict):
        return JSONResponse(
            {"error": "Invalid payload. The request could not be converted into a dict."}, 400
        )
    cache = _cache_of(request)
    # Refused before any work: a queue of searches would keep its clients waiting for answers that come too
    # late.
    if cache.searches >= _MOST_SEARCHES:
        return JSONResponse({"error": "Too many searches at once, try again."}, 503, {"retry-after": "1"})
    # A copy on the event loop: the indexer may change the dictionary while the search runs on its thread.
    records = list(cache.store.records.values())
    cache.searches += 1
    try:
        found = await asyncio.get_running_loop().run_in_executor(cache.threads, search, body, records)
    except Unsupported as problem:
        return JSONResponse({"error": f"Not supported in a query: {problem}"}, 400)
    finally:
        cache.searches -= 1
    return JSONResponse(found)


async def _validate(request: Request) -> Response:
    """Whether a document may be published: its hash and a signature over it, or what is wrong."""
    # The signature is over the exact bytes, so the document comes raw and not as parsed JSON.
    if request.headers.get("content-type") != "application/octet-stream":
        text = "Invalid request content type: should be application/octet-stream"
        return JSONResponse({"error": text}, 400)
    raw = await _read_raw_body(request)
    ddo = parse_body(raw)
    if not isinstance(ddo, dict):
        text = "Invalid payload. The request could not be converted into a dict."
        return JSONResponse({"error": text}, 400)
    if not ddo.get("version"):
        return JSONResponse([{"message": "no version provided for DDO."}], 400)
    # The rules that the indexer applies before it serves a document.
    if problems := validate_ddo(ddo):
        return JSONResponse({"errors": problems}, 400)
    return JSONResponse(document_proof(_cache_of(request).key, raw))


def document_proof(key: CacheKey | None, raw: bytes) -> dict[str, Any]:
    """Return hash and signature of a document; r and s are one-element lists, as clients read them."""
    # Empty values instead of an error: the document was judged all the same.
    if key is None:
        return dict.fromkeys(("hash", "publicKey", "v", "r", "s"), "")
    # Of the exact bytes: the chain will hold this hash, and the document that is published must match it.
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
    """Read a transaction's metadata events again; a refusal comes with its reason."""
    cache, body = _cache_of(request), await _read_json(request)
    # Strangers call this route, so no type is taken for granted.
    tx = body.get("transactionId") if isinstance(body, dict) else None
    # Clients of both spellings exist.
    chain_id = (body.get("chainId") or body.get("chain_id")) if isinstance(body, dict) else None
    well_formed = isinstance(tx, str) and len(tx) == 66 and str(chain_id) == str(cache.settings.chain.id)
    if not well_formed or cache.indexer is None:
        return JSONResponse({"error": "Invalid transactionId or chain_id"}, 400)
    position = body.get("logIndex")
    try:
        found = await cache.indexer.trigger_transaction(
            str(tx).lower(), position if isinstance(position, int) else None
        )
    except TooManyTriggers:
        error = "Too many transactions are being read again, try again."
        return JSONResponse({"error": error}, 503, {"retry-after": "1"})
    except (C2DError, ValueError):
        return JSONResponse({"error": "Invalid transactionId or chain_id"}, 400)
    # Only outcomes that are known by now are told; "Queued" promises nothing about the others.
    for outcome in await _await_outcomes(cache.store, found):
        if outcome.state in (OutcomeState.REFUSED, OutcomeState.FAILED):
            return JSONResponse({"error": outcome_text(outcome)}, 400)
    return PlainTextResponse("Queued")


async def _await_outcomes(store: MetadataStore, found: list[Publication]) -> list[EventOutcome]:
    """Return the outcomes of the publications, after waiting up to ``_TRIGGER_SECONDS`` for them."""
    # A limit, not a promise: documents of slow decryptors come later.
    deadline = time.monotonic() + _TRIGGER_SECONDS
    while True:
        known = [store.event_outcome(*publication.event_key) for publication in found]
        outcomes = [outcome for outcome in known if outcome is not None]
        settled = all(outcome.state is not OutcomeState.WAITING for outcome in outcomes)
        if settled or time.monotonic() > deadline:
            return outcomes
        # The store has no events to wait for, and a document takes longer than this to come.
        await asyncio.sleep(0.05)


async def _decryptor(request: Request) -> Response:
    """Whether documents can be had from the Provider at ``url``: asked before anything is published."""
    cache, url = _cache_of(request), request.query_params.get("url", "")
    if cache.indexer is None:
        return JSONResponse({"error": "The chain is not known yet, try again."}, 503, {"retry-after": "1"})
    problem = await cache.indexer.documents.source.problem_of(url)
    return JSONResponse({"usable": not problem, "reason": problem})


async def _chains(request: Request) -> Response:
    """The chains that are indexed."""
    return JSONResponse({str(_cache_of(request).settings.chain.id): True})


async def _chain_status(request: Request) -> Response:
    """How far a chain is indexed."""
    cache = _cache_of(request)
    if request.path_params["chain"] != str(cache.settings.chain.id):
        return JSONResponse({"error": "Chain is not indexed."}, 404)
    last = cache.store.last_block()
    return JSONResponse({"last_block": last[0] if last else 0, "version": VERSION})


async def _state(request: Request) -> Response:
    """What became of the last metadata event of an asset, and why."""
    given = {name: request.query_params.get(name) for name in ("nft", "did", "txId")}
    # Without a condition the newest outcome of any asset would be the answer.
    if not any(given.values()):
        return JSONResponse({"error": "You need to specify one of: nft, txId, did"}, 400)
    cache = _cache_of(request)
    found = cache.store.find_outcome(given["nft"], given["did"], given["txId"])
    if found is None:
        return JSONResponse({"error": "Nothing is known about it: no metadata event was seen."}, 404)
    stale = cache.store.stale_reason(found.did)
    valid = found.state is OutcomeState.SERVED and not stale
    return JSONResponse(
        {
            "nft": found.nft,
            "did": found.did,
            "chain_id": cache.settings.chain.id,
            "tx_id": found.tx,
            "valid": valid,
            "error": "" if valid else outcome_text(found) or stale,
        }
    )


async def _retry_queue(request: Request) -> Response:
    """Documents that could not be read yet."""
    rows = _cache_of(request).store.select_rows(
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
    return JSONResponse(ddo_schema(version))


async def _spec(request: Request) -> Response:
    """This description."""
    return JSONResponse(describe_cache_api(cache_routes(), VERSION))


async def _read_json(request: Request) -> Any:
    """Return the request's body as JSON, by the guard for strangers' JSON."""
    return parse_body(await _read_raw_body(request))


async def _read_raw_body(request: Request) -> bytes:
    """Return the request's body. Raise BodyRefused where it is larger than a document may be."""
    return await read_body(request, _cache_of(request).settings.max_document)
