"""Checks that a grant may still be redeemed: what was permitted at the start must be permitted now.

A queued job may wait for hours. Meanwhile the publisher may revoke the asset, withdraw the algorithm's
permission or deny the consumer, and the chain may take the payment back. Terms that merely expire with time
(a fee's validity, an order's timeout) are judged as of the job's start: they were paid for, and the job did
not choose to wait.
"""

from __future__ import annotations

import time
from dataclasses import replace

from c2d_box.assets.documents.ddo import DDO
from c2d_box.assets.permissions import PermissionRequest, PublishedAlgorithm, RawAlgorithm, decide_permission
from c2d_box.chain.orders import OrderInvalid
from c2d_box.provider.auth.grants import GrantedAlgorithm, InputGrant
from c2d_box.provider.backends.operator_client import OperatorUnavailable
from c2d_box.provider.compute.datasets import order_claim
from c2d_box.provider.errors import ProviderRefusal
from c2d_box.provider.resolved_services import (
    ServiceOffering,
    consumer_refusal,
    find_offering,
    readable_files,
)
from c2d_box.provider.services import ProviderContext

FRESH_SECONDS = 2.0
_REMEMBERED = 10_000


async def require_live_job(services: ProviderContext, grant: InputGrant) -> None:
    """Raise Refusal (410) where the grant's job has ended, OperatorUnavailable where that is not known."""
    if services.liveness is None:
        raise OperatorUnavailable
    if not await services.liveness.is_alive(grant.job, grant.consumer):
        raise ProviderRefusal("The job of this grant has ended.", status=410)


async def require_permitted(services: ProviderContext, grant: InputGrant, ddo: DDO) -> None:
    """Raise Refusal (403) where the grant is not permitted any more. A decision is kept for two seconds, so
    that the many files of one asset in one job are decided once."""
    key = (grant.job, grant.did, grant.service)
    if time.monotonic() - services.decided.get(key, -FRESH_SECONDS) < FRESH_SECONDS:
        return
    asked = time.monotonic()
    await _check_permission(services, grant, ddo)
    if len(services.decided) >= _REMEMBERED:
        services.decided.clear()
    services.decided[key] = asked


async def _check_permission(services: ProviderContext, grant: InputGrant, ddo: DDO) -> None:
    if text := await consumer_refusal(services, ddo, grant.consumer):
        raise ProviderRefusal(f"The asset may not be used any more: {text}", status=403)
    offered = find_offering(ddo, grant.service)
    if offered is None:
        if grant.service:
            raise ProviderRefusal("The service is no longer part of the asset.", status=403)
        return  # a grant for a description, made by an earlier version
    if grant.algorithm is not None:
        await _require_trusted(services, grant, grant.algorithm, offered)
    if grant.order and grant.issued:
        await _require_order(services, grant, offered)


async def _require_trusted(
    services: ProviderContext, grant: InputGrant, granted: GrantedAlgorithm, offered: ServiceOffering
) -> None:
    verdict = decide_permission(
        PermissionRequest(
            dataset=offered.ddo.id,
            service=offered.service,
            algorithm=await _running_algorithm(services, grant, granted),
            empty_lists=services.settings.trust.empty_lists,
            main=granted.main,
            files_readable=readable_files(services, offered) is not None,
            network_wanted=granted.network,
            network_operator=granted.network,
        )
    )
    if not verdict.allowed:
        raise ProviderRefusal(f"The permission was withdrawn: {verdict.code}.", status=403)


async def _running_algorithm(
    services: ProviderContext, grant: InputGrant, granted: GrantedAlgorithm
) -> PublishedAlgorithm | RawAlgorithm:
    """Return the facts of the granted algorithm, for a new decision. Its hashes are those found at the start,
    since that is what runs. Its owner and the consumer's right to use it are read anew."""
    if not granted.did:
        return RawAlgorithm()
    ddo = await services.catalog.find_ddo(granted.did)
    offered = find_offering(ddo, granted.service) if ddo is not None else None
    if ddo is None or offered is None:
        raise ProviderRefusal("The algorithm is no longer published.", status=403)
    if text := await consumer_refusal(services, ddo, grant.consumer):
        raise ProviderRefusal(f"The algorithm may not be used any more: {text}", status=403)
    return PublishedAlgorithm(
        did=granted.did,
        owner=await services.ledger.nft_owner(ddo.nft_address),
        market=await services.ledger.datatoken_market(offered.service.datatoken_address),
        files_checksum=granted.files,
        container_checksum=granted.container,
        service_type=offered.service.type,
        files_readable=granted.readable,
    )


async def _require_order(services: ProviderContext, grant: InputGrant, offered: ServiceOffering) -> None:
    environment = grant.environment or None
    claimed = order_claim(
        services, offered, grant.order, grant.consumer, environment=environment, allow_expired=True
    )
    try:
        await services.ledger.verified_order(replace(claimed, now=float(grant.issued), wait=0))
    except OrderInvalid:
        raise ProviderRefusal("The order of this grant is not on the chain any more.", status=403) from None
