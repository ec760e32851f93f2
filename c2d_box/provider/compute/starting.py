"""Starts a job: every check in the order that clients know, then one call to operator-service that can be
repeated safely.

The job's id is derived from owner, nonce and request. So when the Provider dies between any two steps and
the client sends the same request again, it asks for the same job: what exists of it is found, what does not
is made, and there are never two.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from c2d_box.assets.documents.ddo import COMPUTE
from c2d_box.chain.orders import Order, OrderInvalid
from c2d_box.provider.auth.caller import VerifiedCaller
from c2d_box.provider.auth.nonces import nonce_text
from c2d_box.provider.backends.operator_client import OperatorAnswer, OperatorUnavailable
from c2d_box.provider.compute import outputs
from c2d_box.provider.compute.algorithms import (
    AcceptedAlgorithm,
    accept_algorithm,
    compute_refusal,
    require_container,
)
from c2d_box.provider.compute.datasets import (
    AcceptedDataset,
    NetworkConsent,
    accept_dataset,
    network_consent,
    order_claim,
    paid_order,
    require_few_datasets,
)
from c2d_box.provider.compute.fees import PaidTime, paid_until
from c2d_box.provider.compute.inputs import grants_for
from c2d_box.provider.requests.parameters import user_data
from c2d_box.provider.resolved_services import ServiceOffering, consumer_refusal, require_own_order
from c2d_box.provider.services import ProviderContext


@dataclass(frozen=True)
class AcceptedJob:
    """A request that passed every check."""

    datasets: list[AcceptedDataset]
    algorithm: AcceptedAlgorithm
    environment: Mapping[str, Any]
    paid: PaidTime
    output: Mapping[str, Any]
    network: NetworkConsent


async def start_job(
    services: ProviderContext, data: Mapping[str, Any], caller: VerifiedCaller
) -> OperatorAnswer:
    """Start the job and return the answer of operator-service: an array with one job object. Raise Refusal,
    Invalid or OperatorUnavailable."""
    request = await _accept_job(services, data, caller)
    job = job_id(services.job_key, caller)
    caller.use_nonce(services.nonces)
    assert services.operator is not None
    if caller.repeated:
        known = await services.operator.job_status(caller.address, job, services.chain_id)
        if known.status >= 500:
            raise OperatorUnavailable
        if known.status == 200 and known.body and known.body[0].get("dateFinished"):
            return known
        # The replica that answered before may have died after making the job and before making its grants.
        # So the same call is sent again, and goes on from there.
    return await services.operator.start_job(_job_payload(services, request, caller.address, job))


def job_id(key: bytes, caller: VerifiedCaller) -> str:
    """Return 32 hex characters, the same for the same request of the same owner; others cannot guess them."""
    text = f"{caller.address}\n{nonce_text(caller.nonce)}\n{caller.claim.purpose}"
    return hmac.digest(key, text.encode(), sha256).hex()[:32]


async def _accept_job(
    services: ProviderContext, data: Mapping[str, Any], caller: VerifiedCaller
) -> AcceptedJob:
    consumer = caller.address
    additional = data.get("additionalDatasets") or []
    if not isinstance(additional, list):
        raise compute_refusal("additional_input", "invalid")
    require_few_datasets([data.get("dataset"), *additional])
    algorithm = await accept_algorithm(
        services, data.get("algorithm"), not_algorithm=compute_refusal("algorithm", "not_algo"), anew=True
    )
    if algorithm.offered is not None and (
        text := await consumer_refusal(services, algorithm.offered.ddo, consumer)
    ):
        raise compute_refusal("algorithm.credentials", text)
    name = str(data.get("environment") or "")
    network = await network_consent(services, data.get("networkAccess"), name)
    datasets: list[AcceptedDataset] = []
    orders: list[tuple[str, Order]] = []
    for index, item in enumerate([data.get("dataset"), *additional]):
        dataset = await accept_dataset(
            services, index, item, algorithm, consumer, ordered=True, network=network
        )
        orders.append((dataset.order_tx, await paid_order(services, dataset, consumer, name)))
        datasets.append(dataset)
    if algorithm.offered is not None:
        orders.append(await _algorithm_order(services, algorithm, consumer))
    require_container(algorithm.container)
    assert services.environments is not None
    environment = await services.environments.find_environment(name)
    if environment is None:
        raise compute_refusal("dataset.serviceId", "order_invalid", "Compute environment does not exist")
    enough = _asked_time(data.get("seconds"), await paid_until(services, orders, environment))
    output = outputs.output_section(data.get("output"), datasets)
    return AcceptedJob(datasets, algorithm, environment, enough, output, network)


def _asked_time(seconds: Any, enough: PaidTime) -> PaidTime:
    """Shorten a job's time to the ``seconds`` that the request asks for, where it does. A reused order may
    have been paid for the longer time of another job. Ocean's clients do not send ``seconds``."""
    if seconds is None:
        return enough
    if type(seconds) is not int or seconds <= 0:
        raise compute_refusal("seconds", "invalid")
    return replace(enough, seconds=min(enough.seconds, seconds))


async def _algorithm_order(
    services: ProviderContext, algorithm: AcceptedAlgorithm, consumer: str
) -> tuple[str, Order]:
    offered = algorithm.offered
    assert offered is not None
    if offered.service.type == COMPUTE and not algorithm.files:
        raise compute_refusal("algorithm", "compute_services_not_in_same_provider")
    tx = str(algorithm.item.get("transferTxId") or "")
    try:
        order = await services.ledger.verified_order(order_claim(services, offered, tx, consumer))
        await require_own_order(services, order, consumer)
    except OrderInvalid as problem:
        raise compute_refusal("algorithm", "in_use_or_not_on_chain", str(problem)) from None
    return tx, order


def _job_payload(services: ProviderContext, request: AcceptedJob, owner: str, job: str) -> dict[str, Any]:
    """Return the body for operator-service: that of the reference, with the job's id and its grants added. It
    holds no URL of a source."""
    environment = request.environment["id"]
    stage = {
        "index": 0,
        "input": [_input_entry(dataset) for dataset in request.datasets],
        "compute": {
            "Instances": 1,
            "namespace": environment,
            "maxtime": request.paid.seconds,
            "permissions": _permission_evidence(services, request),
            # Job, environment and publishers have all agreed: anything else has been refused by now.
            **({"networkAccess": True} if request.network.wanted else {}),
        },
        "algorithm": _algorithm_section(request.algorithm),
        "output": dict(request.output),
    }
    return {
        "workflow": {"stages": [stage]},
        "agreementId": request.paid.agreement,
        "orders": list(request.paid.orders),
        "owner": owner,
        "environment": environment,
        "validUntil": request.paid.valid_until,
        "chainId": services.chain_id,
        "jobId": job,
        "maxtime": request.paid.seconds,
        "grants": grants_for(
            services,
            request.datasets,
            request.algorithm,
            job,
            owner,
            environment,
            network=request.network.wanted,
        ),
    }


def _input_entry(dataset: AcceptedDataset) -> dict[str, Any]:
    return {
        "index": dataset.index,
        "id": dataset.offered.ddo.id,
        "files": len(dataset.files),
        "remote": _remote_section(dataset.offered, dataset.order_tx),
    }


def _remote_section(offered: ServiceOffering, tx: str) -> dict[str, Any]:
    """Return the order, and the transaction that published the description on which the decision was made."""
    event = offered.ddo.raw.get("event")
    found = {"txId": tx, "serviceId": offered.service.id}
    return {**found, "metadataTx": event["tx"]} if isinstance(event, dict) and event.get("tx") else found


def _permission_evidence(services: ProviderContext, request: AcceptedJob) -> dict[str, Any]:
    """Return the reasons for which each dataset permitted the algorithm: they are part of the job's
    evidence."""
    return {
        "emptyLists": services.settings.trust.empty_lists,
        "datasets": {dataset.offered.ddo.id: list(dataset.reasons) for dataset in request.datasets},
    }


def _algorithm_section(algorithm: AcceptedAlgorithm) -> dict[str, Any]:
    section: dict[str, Any] = {
        "id": algorithm.did,
        "rawcode": algorithm.rawcode,
        "container": algorithm.container,
    }
    if algorithm.offered is not None:
        section["remote"] = _remote_section(algorithm.offered, str(algorithm.item.get("transferTxId") or ""))
    userdata = user_data(algorithm.item.get("algouserdata")) or user_data(algorithm.item.get("userdata"))
    custom = user_data(algorithm.item.get("algocustomdata"))
    if userdata is not None:
        section["userdata"] = userdata
    if custom is not None:
        section["algocustomdata"] = custom
    return section
