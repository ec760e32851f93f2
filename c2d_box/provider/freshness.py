"""Bounds the age of the permissions on which a job is started.

The metadata cache knows up to which block it has read and which update of an asset it could not read. A cache
that stands (or whose node does) would otherwise let a withdrawn permission count for ever. Therefore a
description is believed only as long as the oldest block that the cache has missed is younger than the bound.
Ages are told by the chain's clock only where it agrees with ours: a missed block from the future proves
nothing, and then nothing may be missing at all.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from c2d_box.assets import credentials
from c2d_box.assets.did import is_did
from c2d_box.assets.documents.ddo import DDO
from c2d_box.provider.backends.catalog import AssetCatalog, AssetLookup
from c2d_box.provider.backends.chain_gateway import ChainGateway, ChainHead
from c2d_box.provider.errors import ServiceUnavailable
from c2d_box.provider.settings import FreshnessSection

CODE = "C2D-PERMISSIONS-STALE"
"""The stable code of this refusal, by which clients and pods recognise it in the error text
(docs/errors.md)."""
_PAUSE_SECONDS = 0.1
"""The pause between two looks at a cache that is a little behind."""
_CLOCK_ERROR_SECONDS = 5.0
"""The seconds by which a block's time may be ahead of our clock before the chain's clock is not believed."""


@dataclass(frozen=True)
class CurrentAsset:
    """An asset's description together with the moment it was checked against. ``ddo`` is None where there
    is no such asset. ``head`` is the chain's head at that moment: a caller who has more questions to the
    chain passes it on and saves a round trip."""

    ddo: DDO | None
    head: ChainHead | None


async def current_asset(
    catalog: AssetCatalog, ledger: ChainGateway, bounds: FreshnessSection, did: str
) -> CurrentAsset:
    """Return the asset's description as of now. Wait for a cache that is a little behind. Raise
    ServiceUnavailable (503) when it stays behind, or cannot read the asset's newest update: that is an
    outage and no refusal, since the same request may be good a moment later."""
    deadline = time.monotonic() + bounds.wait_seconds
    while True:
        found, head = await _look_up_asset(catalog, ledger, did)
        problem = await _staleness_problem(ledger, bounds, found, head)
        # A withdrawn asset is passed on although its description is old: the caller refuses it by its state
        # anyway.
        if problem is None or await _is_withdrawn(ledger, found):
            return CurrentAsset(found.ddo, head)
        # An update that was set aside will not be read by waiting, so the client is told at once.
        if time.monotonic() >= deadline or found.is_set_aside:
            raise ServiceUnavailable("metadata cache", f"{CODE}: {problem}")
        await asyncio.sleep(_PAUSE_SECONDS)


async def _look_up_asset(
    catalog: AssetCatalog, ledger: ChainGateway, did: str
) -> tuple[AssetLookup, ChainHead | None]:
    """Ask the cache and the chain at the same time: each answer takes about as long as the other."""
    if not is_did(did):
        # A text that is no DID names no asset, so the chain need not be asked.
        return await catalog.look_up_asset(did), None
    head = asyncio.ensure_future(ledger.current_head())
    try:
        return await catalog.look_up_asset(did), await head
    finally:  # where the cache is away, that is the answer, whatever the chain says
        head.cancel()
        await asyncio.gather(head, return_exceptions=True)


async def _is_withdrawn(ledger: ChainGateway, found: AssetLookup) -> bool:
    """Return whether the chain itself says that nobody may use the asset: then an old description decides
    nothing. The Provider does not decrypt what such an asset publishes, so the cache would be behind for
    ever, and a job's pod would wait for a permission that cannot come."""
    if found.ddo is None:
        return False
    return await ledger.nft_state(found.ddo.nft_address) not in credentials.USABLE_STATES


async def _staleness_problem(
    ledger: ChainGateway, bounds: FreshnessSection, found: AssetLookup, head: ChainHead | None
) -> str | None:
    """Return the reason why this answer may not be acted upon, or None where it may."""
    # No DID was asked for, so there is nothing whose age could matter.
    if head is None:
        return None
    if found.unread:
        return (
            "The newest update of this asset is not known, and what it permits may have changed: "
            f"{found.unread} The publisher can publish it again; "
            "triggerCaching makes the metadata cache read it once more."
        )
    # An unknown age counts as too old.
    if found.block is None:
        return "The metadata cache does not say up to which block it has read. See its log, then try again."
    # The first block that the cache lacks and should have by now. Its age counts, not that of the last block
    # read: on a quiet chain the last block may be hours old and the cache still complete.
    due = found.block + 1 + bounds.blocks
    if due > head.number:
        return None
    age = time.time() - await ledger.block_time(due)
    # A block from the future would make every age negative, so a node with a wrong clock could keep a
    # withdrawn permission alive. Such a block counts as too old.
    if -_CLOCK_ERROR_SECONDS <= age <= bounds.seconds:
        return None
    return (
        f"The metadata cache has read up to block {found.block} and the chain is at block {head.number}: "
        f"no job is started on permissions older than {bounds.seconds:g} s. "
        "Try again; its /readyz says why it stands."
    )
