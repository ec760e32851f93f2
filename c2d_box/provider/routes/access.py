"""The access service: quoting an order, downloading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from c2d_box.assets.documents.ddo import ACCESS, DDO
from c2d_box.assets.files import FileObject, FileObjectError
from c2d_box.chain.orders import OrderInvalid
from c2d_box.provider.auth import signed_texts
from c2d_box.provider.auth.caller import owner_in
from c2d_box.provider.compute.datasets import order_claim
from c2d_box.provider.errors import ProviderRefusal
from c2d_box.provider.requests import fields
from c2d_box.provider.requests.parameters import read_parameters, user_data
from c2d_box.provider.resolved_services import (
    ServiceOffering,
    consumer_refusal,
    demanded_offering,
    files_of,
    network_text,
    require_own_order,
    resolve_did,
    user_data_problems,
)
from c2d_box.provider.services import ProviderContext, provider_context
from c2d_box.provider.streaming import file_response
from c2d_box.storage import ChainAway, OwnAway, SourceRejected, StorageError


async def initialize(request: Request) -> Response:
    """A zero provider fee to order with, or the order that is still good."""
    provider = provider_context(request)
    data = await read_parameters(request, provider.settings.limits)
    fields.require_fields(data, fields.INITIALIZE)
    consumer = owner_in(data)
    ddo = await resolve_did(provider, data["documentId"])
    await _require_consumable(provider, ddo, consumer)
    offered = demanded_offering(provider, ddo, data["serviceId"])
    if offered.service.type != ACCESS:
        raise ProviderRefusal(
            network_text(provider, "Use the initializeCompute endpoint to initialize compute jobs.")
        )
    _require_fitting(provider, offered, data)
    if data.get("fileIndex") not in (None, ""):
        await _require_available(provider, offered, int(data["fileIndex"]), data)
    if data.get("transferTxId"):
        try:
            order = await provider.ledger.verified_order(
                order_claim(provider, offered, str(data["transferTxId"]), consumer, allow_expired=True)
            )
            return JSONResponse({"validOrder": order.start_tx})
        except OrderInvalid:
            pass
    fee = await provider.ledger.quote_fee(
        provider.key.private_key,
        datatoken=offered.service.datatoken_address,
        service_id=offered.service.id,
        token=provider.settings.fee_token,
    )
    nonce = provider.nonces.last_used_or_none(consumer)
    return JSONResponse({"datatoken": offered.service.datatoken_address, "nonce": nonce, "providerFee": fee})


async def download_file(request: Request) -> Response:
    """One file of an ordered service, streamed."""
    provider = provider_context(request)
    data = await read_parameters(request, provider.settings.limits)
    caller = provider.callers.verify_caller(
        data,
        fields.DOWNLOAD,
        signed_texts.download_claim(data),
        request.headers.get("authtoken"),
    )
    ddo = await resolve_did(provider, data["documentId"])
    await _require_consumable(provider, ddo, caller.address)
    offered = demanded_offering(provider, ddo, data["serviceId"])
    if offered.service.type != ACCESS and not await _is_environment(provider, caller.address):
        text = f"Service with index={str(data['serviceId'])[:64]} is not an access service."
        raise ProviderRefusal(network_text(provider, text))
    _require_fitting(provider, offered, data)
    await _require_order(provider, offered, str(data["transferTxId"]), caller.address)
    file = _numbered_file(provider, offered, int(data["fileIndex"]))
    try:
        opened = await provider.storage.open(
            file, user_data(data.get("userdata")), request.headers.get("range")
        )
    except SourceRejected as problem:
        if problem.status == 416:
            return Response(status_code=416)
        raise _fetch_refusal(provider, problem) from None
    except (ChainAway, OwnAway):
        raise
    except StorageError as problem:
        raise _fetch_refusal(provider, problem) from None
    try:
        caller.use_nonce(provider.nonces)
    except BaseException:
        opened.close()
        raise
    return file_response(opened, ranged="range" in request.headers)


def _fetch_refusal(provider: ProviderContext, problem: StorageError) -> ProviderRefusal:
    text = network_text(provider, "The file cannot be fetched from its source.")
    return ProviderRefusal(text, reasons={"problem": problem.text})


async def _require_consumable(provider: ProviderContext, ddo: DDO, consumer: str) -> None:
    if text := await consumer_refusal(provider, ddo, consumer):
        raise ProviderRefusal(network_text(provider, text))


def _require_fitting(provider: ProviderContext, offered: ServiceOffering, data: Mapping[str, Any]) -> None:
    described = offered.service.consumer_parameters
    if misfits := user_data_problems(provider, described, user_data(data.get("userdata"))):
        text = f"The user data does not fit the consumer parameters: {'; '.join(misfits)}."
        raise ProviderRefusal(network_text(provider, text))


async def _is_environment(provider: ProviderContext, address: str) -> bool:
    """Return whether the caller may download what was ordered for computing: an environment may, where the
    settings allow it. Only the pods of the original do that."""
    if provider.environments is None or not provider.settings.compat.environment_downloads:
        return False
    return await provider.environments.has_consumer(address)


async def _require_order(provider: ProviderContext, offered: ServiceOffering, tx: str, consumer: str) -> None:
    try:
        order = await provider.ledger.verified_order(order_claim(provider, offered, tx, consumer))
        await require_own_order(provider, order, consumer)
    except OrderInvalid as problem:
        text = f"Order with tx_id {tx[:80]} could not be validated due to error: {problem}"
        raise ProviderRefusal(network_text(provider, text)) from None


def _numbered_file(provider: ProviderContext, offered: ServiceOffering, index: int) -> FileObject:
    try:
        files = files_of(provider, offered)
    except FileObjectError as problem:
        raise ProviderRefusal(network_text(provider, str(problem))) from None
    if index >= len(files):
        raise ProviderRefusal(network_text(provider, f"No such fileIndex {index}"))
    return files[index]


async def _require_available(
    provider: ProviderContext, offered: ServiceOffering, index: int, data: Mapping[str, Any]
) -> None:
    file = _numbered_file(provider, offered, index)
    probe = await provider.storage.probe(file, user_data(data.get("userdata")))
    if not probe.valid:
        shown = {key: data[key] for key in ("documentId", "serviceId", "fileIndex") if key in data}
        text = f"Asset URL not found, not available or invalid. \nPayload was: {shown}"
        raise ProviderRefusal(network_text(provider, text), reasons={"problem": probe.reason})
