"""The cache as one ASGI application: routes, and the indexer as a task beside them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from c2d_box.chain import Chain, addresses
from c2d_box.errors import C2DError, StateProblem
from c2d_box.metadata.documents import CacheKey, DocumentDecryptor
from c2d_box.metadata.heads import HeadWatcher
from c2d_box.metadata.indexer import ChainIndexer
from c2d_box.metadata.routes import CacheContext, cache_routes
from c2d_box.metadata.settings import MetadataSettings
from c2d_box.metadata.store import MetadataStore
from c2d_box.service.http_server import background_work
from c2d_box.service.request_body import BodyRefused
from c2d_box.storage import AddressRules, Fetcher

log = logging.getLogger("c2d.cache")


def build_cache_app(settings: MetadataSettings) -> Starlette:
    """Build the cache's application. A wrong key file ends the start; without one the cache serves what it
    has and indexes nothing. Node and contracts may come up later."""
    # Opened here and not in the lifespan: a file or key that cannot be used ends the start with its reason.
    cache = CacheContext(settings, MetadataStore(settings.database), _read_cache_key(settings.secrets_dir))

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            # The indexer runs beside the routes, so that a cache that is behind still answers, and says how
            # far it is.
            async with background_work(app, _run_indexer(cache)):
                yield
        finally:
            # Searches that run are not waited for: each may take some seconds.
            cache.threads.shutdown(wait=False, cancel_futures=True)
            cache.store.close()

    # Web clients read the cache from any page, and nothing here depends on who asks.
    cors = Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    refusals = {BodyRefused: _refused_body}
    app = Starlette(routes=cache_routes(), middleware=[cors], exception_handlers=refusals, lifespan=lifespan)
    # Routes are plain functions, and find the cache through the request's application.
    app.state.cache = cache
    return app


async def _refused_body(_: Request, error: Exception) -> Response:
    """Answer a refused body with 400, the one status that Aquarius has for whatever is wrong with a body."""
    assert isinstance(error, BodyRefused)
    return JSONResponse({"error": error.text}, 400)


async def _run_indexer(cache: CacheContext) -> None:
    """Wait until the contracts are deployed and the node answers, then follow the chain until cancelled."""
    settings = cache.settings
    # Without a key no Provider decrypts anything for this cache, so reading blocks would only refuse every
    # asset.
    key = cache.key
    if key is None:
        log.error("without the secret cache-key no document can be decrypted")
        return
    chain = await _await_chain(settings)
    # Decryptors' URLs come from the chain, so they must be public, but for the operator's own Providers.
    rules = AddressRules(settings.endpoint_aliases.values())
    fetcher = Fetcher(rules, aliases=settings.endpoint_aliases)
    decryptor = DocumentDecryptor(
        fetcher,
        key,
        settings.chain.id,
        settings.decrypt_seconds,
        settings.max_document,
        configured=settings.endpoint_aliases,
    )
    # This client only asks the node for its head. Documents come through the fetcher and its address rules.
    async with httpx.AsyncClient(trust_env=False) as client:
        heads = HeadWatcher(client, chain, settings.chain.rpc_url, settings.poll_seconds)
        # From here on ``/readyz`` reports the indexer's progress.
        cache.indexer = ChainIndexer(chain, cache.store, decryptor, heads, settings)
        try:
            await cache.indexer.run()
        finally:
            cache.indexer.close()


async def _await_chain(settings: MetadataSettings) -> Chain:
    """Return the chain once its contracts' addresses are known. In a new box the contracts are deployed
    after the cache has started."""
    told = ""
    while True:
        try:
            # On a thread, as it blocks: the routes answer meanwhile.
            found = await asyncio.to_thread(
                addresses.load_addresses, settings.chain.address_file, settings.chain.id
            )
            return Chain(settings.chain.rpc_url, found)
        except C2DError as error:
            # Once per reason, not three times a second.
            if error.code != told:
                log.info("waiting for the chain", extra={"code": error.code})
                told = error.code
            await asyncio.sleep(0.3)


def _read_cache_key(directory: Path) -> CacheKey | None:
    """Return the cache's key, None where no file is mounted. A file that holds no key raises StateProblem:
    going on without it would look like a cache that has nothing to read."""
    path = directory / "cache-key"
    try:
        return CacheKey.from_text(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise StateProblem(
            "C2D-CACHE-KEY", "the cache's key file cannot be used", "write 32 bytes of hex into cache-key"
        ) from None
