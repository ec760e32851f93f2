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
from c2d_box.provider.auth.grants import DecidedGrants, GrantedAlgorithm, InputGrant
from c2d_box.provider.backends.job_liveness import JobLiveness
from c2d_box.provider.backends.operator_client import OperatorUnavailable
from c2d_box.provider.compute.context import ComputeContext
from c2d_box.provider.compute.datasets import order_claim
from c2d_box.provider.errors import ProviderRefusal
from c2d_box.provider.resolved_services import ServiceOffering, find_offering, readable_files

# A revocation takes effect within this time, while the files of one asset come in one burst.
FRESH_SECONDS = 2.0
# Bounds the memory of decisions. They are cheap to make again, so all are dropped at once.
_REMEMBERED = 10_000


async def require_live_job(liveness: JobLiveness | None, grant: InputGrant) -> None:
    """Raise Refusal (410) where the grant's job has ended, OperatorUnavailable where that is not known."""
    # Without a compute backend nobody knows the job. That is an outage and must not look like its end: the
    # pod asks again after an outage.
    if liveness is None:
        raise OperatorUnavailable
    if not await liveness.is_alive(grant.job, grant.consumer):
        raise ProviderRefusal("The job of this grant has ended.", status=410)


async def require_permitted(
    context: ComputeContext, decided: DecidedGrants, grant: InputGrant, ddo: DDO
) -> None:
    """Raise Refusal (403) where the grant is not permitted any more. A decision is kept for two seconds, so
    that the many files of one asset in one job are decided once."""
    key = (grant.job, grant.did, grant.service)
    if time.monotonic() - decided.get(key, -FRESH_SECONDS) < FRESH_SECONDS:
        return
    # Taken before the decision: what changes while it is being made is seen two seconds after its begin.
    asked = time.monotonic()
    await _check_permission(context, grant, ddo)
    if len(decided) >= _REMEMBERED:
        decided.clear()
    decided[key] = asked


async def _check_permission(context: ComputeContext, grant: InputGrant, ddo: DDO) -> None:
    """Raise Refusal (403) where the consumer, the service, the algorithm's permission or the order is not
    good any more."""
    if text := await context.consumers.consumer_refusal(ddo, grant.consumer):
        raise ProviderRefusal(f"The asset may not be used any more: {text}", status=403)
    offered = find_offering(ddo, grant.service)
    if offered is None:
        if grant.service:
            raise ProviderRefusal("The service is no longer part of the asset.", status=403)
        return  # a grant for a description, made by an earlier version
    if grant.algorithm is not None:
        # The algorithm's own files have no such permission: ``algorithm`` is set in grants of datasets only.
        await _require_trusted(context, grant, grant.algorithm, offered)
    if grant.order and grant.issued:
        await _require_order(context, grant, offered)


async def _require_trusted(
    context: ComputeContext, grant: InputGrant, granted: GrantedAlgorithm, offered: ServiceOffering
) -> None:
    """Decide the permission of the start again, on the dataset as it is published now. Raise Refusal
    (403)."""
    verdict = decide_permission(
        PermissionRequest(
            dataset=offered.ddo.id,
            service=offered.service,
            algorithm=await _running_algorithm(context, grant, granted),
            empty_lists=context.settings.trust.empty_lists,
            main=granted.main,
            files_readable=readable_files(context.key, offered) is not None,
            network_wanted=granted.network,
            # The operator's consent was given at the start, to a job that runs by it already.
            network_operator=granted.network,
        )
    )
    if not verdict.allowed:
        raise ProviderRefusal(f"The permission was withdrawn: {verdict.code}.", status=403)


async def _running_algorithm(
    context: ComputeContext, grant: InputGrant, granted: GrantedAlgorithm
) -> PublishedAlgorithm | RawAlgorithm:
    """Return the facts of the granted algorithm, for a new decision. Its hashes are those found at the start,
    since that is what runs. Its owner and the consumer's right to use it are read anew."""
    if not granted.did:
        return RawAlgorithm()
    ddo = await context.catalog.find_ddo(granted.did)
    offered = find_offering(ddo, granted.service) if ddo is not None else None
    if ddo is None or offered is None:
        raise ProviderRefusal("The algorithm is no longer published.", status=403)
    if text := await context.consumers.consumer_refusal(ddo, grant.consumer):
        raise ProviderRefusal(f"The algorithm may not be used any more: {text}", status=403)
    return PublishedAlgorithm(
        did=granted.did,
        owner=await context.ledger.nft_owner(ddo.nft_address),
        market=await context.ledger.datatoken_market(offered.service.datatoken_address),
        files_checksum=granted.files,
        container_checksum=granted.container,
        service_type=offered.service.type,
        files_readable=granted.readable,
    )


async def _require_order(context: ComputeContext, grant: InputGrant, offered: ServiceOffering) -> None:
    """Raise Refusal (403) where the chain does not have the order any more, as after a reorganisation.
    ``wait=0``: the order was confirmed once, so a missing one is gone and not late."""
    environment = grant.environment or None
    claimed = order_claim(
        context.key.address,
        offered,
        grant.order,
        grant.consumer,
        environment=environment,
        allow_expired=True,
    )
    try:
        await context.ledger.verified_order(replace(claimed, now=float(grant.issued), wait=0))
    except OrderInvalid:
        raise ProviderRefusal("The order of this grant is not on the chain any more.", status=403) from None
