"""How old the permissions may be on which a job is started.

The metadata cache knows up to which block it has read and which update of an asset it could not read. A
cache that stands (or whose node does) would otherwise let a withdrawn permission count for ever. Therefore
a description is believed only as long as the oldest block that the cache has missed is younger than the
bound. Ages are told by the chain's clock only where it agrees with ours: a missed block from the future
proves nothing, and then nothing may be missing at all.
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
_PAUSE_SECONDS = 0.1
_CLOCK_ERROR_SECONDS = 5.0


@dataclass(frozen=True)
class CurrentAsset:
    """``ddo`` is None where there is no such asset. ``head`` is the chain's head against which its age was
    held: who asks the chain about the same moment need not ask for the head again."""

    ddo: DDO | None
    head: ChainHead | None


async def current_asset(
    catalog: AssetCatalog, ledger: ChainGateway, bounds: FreshnessSection, did: str
) -> CurrentAsset:
    """The asset's description as of now. A cache that is a little behind is waited for; raises Away (503)
    when it stays behind, or cannot read the asset's newest update."""
    deadline = time.monotonic() + bounds.wait_seconds
    while True:
        found, head = await _look_up_asset(catalog, ledger, did)
        problem = await _staleness_problem(ledger, bounds, found, head)
        if problem is None or await _is_withdrawn(ledger, found):
            return CurrentAsset(found.ddo, head)
        if time.monotonic() >= deadline or found.is_set_aside:
            raise ServiceUnavailable("metadata cache", f"{CODE}: {problem}")
        await asyncio.sleep(_PAUSE_SECONDS)


async def _look_up_asset(
    catalog: AssetCatalog, ledger: ChainGateway, did: str
) -> tuple[AssetLookup, ChainHead | None]:
    """The cache and the chain are asked at the same time: each answer takes as long as the other."""
    if not is_did(did):
        return await catalog.look_up_asset(did), None
    head = asyncio.ensure_future(ledger.current_head())
    try:
        return await catalog.look_up_asset(did), await head
    finally:  # where the cache is away, that is the answer, whatever the chain says
        head.cancel()
        await asyncio.gather(head, return_exceptions=True)


async def _is_withdrawn(ledger: ChainGateway, found: AssetLookup) -> bool:
    """Whether the chain itself says that nobody may use the asset: then an old description decides nothing.
    The Provider does not decrypt what such an asset publishes, so the cache would be behind for ever, and a
    job's pod would wait for a permission that cannot come.
    """
    if found.ddo is None:
        return False
    return await ledger.nft_state(found.ddo.nft_address) not in credentials.USABLE_STATES


async def _staleness_problem(
    ledger: ChainGateway, bounds: FreshnessSection, found: AssetLookup, head: ChainHead | None
) -> str | None:
    """Why this answer may not be acted upon."""
    if head is None:
        return None
    if found.unread:
        return (
            "The newest update of this asset is not known, and what it permits may have changed: "
            f"{found.unread} The publisher can publish it again; "
            "triggerCaching makes the metadata cache read it once more."
        )
    if found.block is None:
        return "The metadata cache does not say up to which block it has read. See its log, then try again."
    due = found.block + 1 + bounds.blocks
    if due > head.number:
        return None
    age = time.time() - await ledger.block_time(due)
    if -_CLOCK_ERROR_SECONDS <= age <= bounds.seconds:
        return None
    return (
        f"The metadata cache has read up to block {found.block} and the chain is at block {head.number}: "
        f"no job is started on permissions older than {bounds.seconds:g} s. "
        "Try again; its /readyz says why it stands."
    )
