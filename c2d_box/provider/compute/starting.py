"""Starts a job: every check in the order that clients know, then one call to operator-service that can be
repeated safely.

The job's id is derived from owner, nonce and request. So when the Provider dies between any two steps and
the client sends the same request again, it asks for the same job: what exists of it is found, what does not
is made, and there are never two.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from c2d_box.assets.documents.ddo import COMPUTE, DdoContainer
from c2d_box.chain.orders import Order, OrderInvalid
from c2d_box.provider.auth.caller import VerifiedCaller
from c2d_box.provider.auth.grants import GrantCipher
from c2d_box.provider.auth.nonces import nonce_text
from c2d_box.provider.backends.operator_client import OperatorAnswer, OperatorClient, OperatorUnavailable
from c2d_box.provider.compute import outputs
from c2d_box.provider.compute.algorithms import AcceptedAlgorithm, accept_algorithm, require_container
from c2d_box.provider.compute.context import ComputeContext
from c2d_box.provider.compute.datasets import (
    AcceptedDataset,
    NetworkConsent,
    accept_dataset,
    network_consent,
    order_claim,
    paid_order,
)
from c2d_box.provider.compute.fees import PaidTime, paid_until
from c2d_box.provider.compute.inputs import grants_for
from c2d_box.provider.errors import compute_refusal
from c2d_box.provider.requests.compute_requests import StartRequest
from c2d_box.provider.resolved_services import ServiceOffering
from c2d_box.provider.settings import ProviderSettings


@dataclass(frozen=True)
class AcceptedJob:
    """A request that passed every check, with what the checks have found out. Nothing of it is looked up
    again for the submission, so what was decided on is what is submitted."""

    datasets: list[AcceptedDataset]
    algorithm: AcceptedAlgorithm
    environment: str
    paid: PaidTime
    output: Mapping[str, object]
    network: NetworkConsent


async def accept_job(context: ComputeContext, request: StartRequest, consumer: str) -> AcceptedJob:
    """Return the job that the request asks for. Raise Refusal where a check fails.

    The order of the checks is part of the API: of several faults clients know which one is told. It has no
    effect of its own, so a refused request can be sent again with the same nonce.
    """
    # Who may use the algorithm, before any dataset is looked at.
    algorithm = await accept_algorithm(
        context, request.algorithm, not_algorithm=compute_refusal("algorithm", "not_algo"), anew=True
    )
    if algorithm.offered is not None and (
        text := await context.consumers.consumer_refusal(algorithm.offered.ddo, consumer)
    ):
        raise compute_refusal("algorithm.credentials", text)
    name = request.environment
    network = await network_consent(context.environments, request.network_access, name)
    datasets: list[AcceptedDataset] = []
    orders: list[tuple[str, Order]] = []
    for index, reference in enumerate(request.datasets):
        # Dataset by dataset, each with its order: a fault of the first is told before one of the second.
        dataset = await accept_dataset(
            context, index, reference, algorithm, consumer, ordered=True, network=network
        )
        orders.append((reference.order_tx, await paid_order(context, dataset, consumer, name)))
        datasets.append(dataset)
    if algorithm.offered is not None:
        # The algorithm's order comes last, which makes it the agreement where it pays (see ``paid_until``).
        order = await _algorithm_order(context, algorithm, algorithm.offered, consumer)
        orders.append((request.algorithm.asset.order_tx, order))
    # From here on everything is about the environment and the time, which the orders have to cover.
    require_container(algorithm.container)
    environment = await context.environments.find_environment(name)
    if environment is None:
        raise compute_refusal("dataset.serviceId", "order_invalid", "Compute environment does not exist")
    paid = await paid_until(context.ledger, context.settings.fee_token, orders, environment)
    enough = _asked_time(request.seconds, paid)
    output = outputs.output_section(request.output, datasets)
    return AcceptedJob(datasets, algorithm, name, enough, output, network)


async def submit_job(
    operator: OperatorClient,
    cipher: GrantCipher,
    settings: ProviderSettings,
    accepted: AcceptedJob,
    caller: VerifiedCaller,
    job: str,
) -> OperatorAnswer:
    """Submit the job and return the answer of operator-service: an array with one job object. Raise
    OperatorUnavailable."""
    # The same request again. A job that has ended is answered as it is: nothing of it is left to be made.
    if caller.repeated:
        known = await operator.job_status(caller.address, job, settings.chain.id)
        if known.status >= 500:
            raise OperatorUnavailable
        if known.status == 200 and known.body and known.body[0].get("dateFinished"):
            return known
        # The replica that answered before may have died after making the job and before making its grants.
        # So the same call is sent again, and goes on from there.
    return await operator.start_job(_job_payload(cipher, settings, accepted, caller.address, job))


def job_id(key: bytes, caller: VerifiedCaller) -> str:
    """Return 32 hex characters, the same for the same request of the same owner; others cannot guess them.

    A keyed hash and not a random number: the id of a repeated request has to be found again without any
    record of the first. The claim's purpose holds the digest of the request, so a changed request under the
    same nonce is another job.
    """
    text = f"{caller.address}\n{nonce_text(caller.nonce)}\n{caller.claim.purpose}"
    return hmac.digest(key, text.encode(), sha256).hex()[:32]


def _asked_time(seconds: int | None, enough: PaidTime) -> PaidTime:
    """Shorten a job's time to the ``seconds`` that the request asks for, where it does. A reused order may
    have been paid for the longer time of another job. Ocean's clients do not send ``seconds``."""
    if seconds is None:
        return enough
    # ``parse_start_request`` has turned whatever is no whole number into 0.
    if seconds <= 0:
        raise compute_refusal("seconds", "invalid")
    return replace(enough, seconds=min(enough.seconds, seconds))


async def _algorithm_order(
    context: ComputeContext, algorithm: AcceptedAlgorithm, offered: ServiceOffering, consumer: str
) -> Order:
    """Return the order of a published algorithm, checked for this consumer. It is bound to no environment:
    only a dataset's order names one."""
    # A compute service whose files this Provider cannot decrypt belongs to another Provider.
    if offered.service.type == COMPUTE and not algorithm.files:
        raise compute_refusal("algorithm", "compute_services_not_in_same_provider")
    claim = order_claim(context.key.address, offered, algorithm.reference.asset.order_tx, consumer)
    try:
        return await context.consumers.own_order(claim)
    except OrderInvalid as problem:
        raise compute_refusal("algorithm", "in_use_or_not_on_chain", str(problem)) from None


def _job_payload(
    cipher: GrantCipher, settings: ProviderSettings, accepted: AcceptedJob, owner: str, job: str
) -> dict[str, object]:
    """Return the body for operator-service: that of the reference, with the job's id and its grants added. It
    holds no URL of a source."""
    stage = {
        "index": 0,
        "input": [_input_entry(dataset) for dataset in accepted.datasets],
        "compute": {
            "Instances": 1,
            "namespace": accepted.environment,
            "maxtime": accepted.paid.seconds,
            "permissions": _permission_evidence(settings.trust.empty_lists, accepted.datasets),
            # Job, environment and publishers have all agreed: anything else has been refused by now.
            **({"networkAccess": True} if accepted.network.wanted else {}),
        },
        "algorithm": _algorithm_section(accepted.algorithm),
        "output": dict(accepted.output),
    }
    return {
        "workflow": {"stages": [stage]},
        "agreementId": accepted.paid.agreement,
        "orders": list(accepted.paid.orders),
        "owner": owner,
        "environment": accepted.environment,
        "validUntil": accepted.paid.valid_until,
        "chainId": settings.chain.id,
        "jobId": job,
        "maxtime": accepted.paid.seconds,
        "grants": grants_for(
            cipher,
            settings,
            accepted.datasets,
            accepted.algorithm,
            job,
            owner,
            accepted.environment,
            network=accepted.network.wanted,
        ),
    }


def _input_entry(dataset: AcceptedDataset) -> dict[str, object]:
    """Return a dataset as the engine sees it: how many files, and no word of where they are."""
    return {
        "index": dataset.index,
        "id": dataset.offered.ddo.id,
        "files": len(dataset.files),
        "remote": _remote_section(dataset.offered, dataset.reference.order_tx),
    }


def _remote_section(offered: ServiceOffering, tx: str) -> dict[str, object]:
    """Return the order, and the transaction that published the description on which the decision was made."""
    event = offered.ddo.raw.get("event")
    found: dict[str, object] = {"txId": tx, "serviceId": offered.service.id}
    return {**found, "metadataTx": event["tx"]} if isinstance(event, dict) and event.get("tx") else found


def _permission_evidence(empty_lists: str, datasets: Sequence[AcceptedDataset]) -> dict[str, object]:
    """Return the reasons for which each dataset permitted the algorithm: they are part of the job's
    evidence."""
    return {
        "emptyLists": empty_lists,
        "datasets": {dataset.offered.ddo.id: list(dataset.reasons) for dataset in datasets},
    }


def _algorithm_section(algorithm: AcceptedAlgorithm) -> dict[str, object]:
    """Return the algorithm's part of the stage: code that the request carried, the container, and the data
    for the algorithm where there is any. Files come by grants."""
    reference = algorithm.reference
    section: dict[str, object] = {
        "id": algorithm.did,
        "rawcode": algorithm.rawcode,
        "container": algorithm.container.model_dump(include=set(DdoContainer.model_fields)),
    }
    if algorithm.offered is not None:
        section["remote"] = _remote_section(algorithm.offered, reference.asset.order_tx)
    if reference.stage_data is not None:
        section["userdata"] = reference.stage_data
    if reference.custom_data is not None:
        section["algocustomdata"] = reference.custom_data
    return section
