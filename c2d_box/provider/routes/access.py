"""The access service: quoting an order, downloading.

Both check consumer, service and user data in the same order, as what was quoted must also be had. A download
is judged anew with each request: an order alone does not open an asset whose publisher has since denied the
consumer.
"""

from __future__ import annotations

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
    demanded_offering,
    files_of,
    network_text,
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
    # Refusals in the order that clients know: asset, consumer, service, user data, file.
    ddo = await resolve_did(provider.catalog, data["documentId"])
    await _require_consumable(provider, ddo, consumer)
    offered = demanded_offering(provider.ledger, ddo, str(data["serviceId"]))
    if offered.service.type != ACCESS:
        raise ProviderRefusal(
            network_text(provider.ledger, "Use the initializeCompute endpoint to initialize compute jobs.")
        )
    _require_fitting(provider, offered, data)
    # Nobody should pay for a file that cannot be had; without an index no file is looked at.
    if data.get("fileIndex") not in (None, ""):
        await _require_available(provider, offered, int(data["fileIndex"]), data)
    if data.get("transferTxId"):
        try:
            order = await provider.ledger.verified_order(
                order_claim(
                    provider.key.address, offered, str(data["transferTxId"]), consumer, allow_expired=True
                )
            )
            return JSONResponse({"validOrder": order.start_tx})
        # A quote does not refuse an order that is not good: the client makes a new one.
        except OrderInvalid:
            pass
    # The access service takes no fee, but the contract wants a signed one with every order.
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
    ddo = await resolve_did(provider.catalog, data["documentId"])
    await _require_consumable(provider, ddo, caller.address)
    offered = demanded_offering(provider.ledger, ddo, str(data["serviceId"]))
    if offered.service.type != ACCESS and not await provider.consumers.may_download_computed(caller.address):
        text = f"Service with index={str(data['serviceId'])[:64]} is not an access service."
        raise ProviderRefusal(network_text(provider.ledger, text))
    _require_fitting(provider, offered, data)
    await _require_order(provider, offered, str(data["transferTxId"]), caller.address)
    file = _numbered_file(provider, offered, int(data["fileIndex"]))
    try:
        # Opened before the nonce is used: where the source fails, the same request may be sent again.
        opened = await provider.storage.open(
            file, user_data(data.get("userdata")), request.headers.get("range")
        )
    except SourceRejected as problem:
        if problem.status == 416:
            return Response(status_code=416)
        raise _fetch_refusal(provider, problem) from None
    # Outages of the chain or of a service of ours, which are answered as such (503) further out.
    except (ChainAway, OwnAway):
        raise
    except StorageError as problem:
        raise _fetch_refusal(provider, problem) from None
    try:
        caller.use_nonce(provider.nonces)
    # The source's connection must not stay open when another request has used the nonce.
    except BaseException:
        opened.close()
        raise
    return file_response(opened, ranged="range" in request.headers)


def _fetch_refusal(provider: ProviderContext, problem: StorageError) -> ProviderRefusal:
    """Return the refusal for a source that failed. Its cause goes beside the error: the text itself is what
    clients match on."""
    text = network_text(provider.ledger, "The file cannot be fetched from its source.")
    return ProviderRefusal(text, reasons={"problem": problem.text})


async def _require_consumable(provider: ProviderContext, ddo: DDO, consumer: str) -> None:
    """Raise Refusal where credentials or the NFT's state keep the consumer from the asset."""
    if text := await provider.consumers.consumer_refusal(ddo, consumer):
        raise ProviderRefusal(network_text(provider.ledger, text))


def _require_fitting(provider: ProviderContext, offered: ServiceOffering, data: fields.Data) -> None:
    """Raise Refusal where user data does not fit what the service's publisher describes."""
    described = offered.service.consumer_parameters
    if misfits := user_data_problems(provider.settings.user_data, described, user_data(data.get("userdata"))):
        text = f"The user data does not fit the consumer parameters: {'; '.join(misfits)}."
        raise ProviderRefusal(network_text(provider.ledger, text))


async def _require_order(provider: ProviderContext, offered: ServiceOffering, tx: str, consumer: str) -> None:
    """Raise Refusal unless the order is good for this service, this Provider and this consumer now."""
    try:
        await provider.consumers.own_order(order_claim(provider.key.address, offered, tx, consumer))
    except OrderInvalid as problem:
        # Cut: a transaction id has 66 characters, and an error must not be as long as the request.
        text = f"Order with tx_id {tx[:80]} could not be validated due to error: {problem}"
        raise ProviderRefusal(network_text(provider.ledger, text)) from None


def _numbered_file(provider: ProviderContext, offered: ServiceOffering, index: int) -> FileObject:
    """Return one of the service's files by its index, which is part of what was signed. Raise Refusal for
    files that cannot be decrypted, and for an index beyond them."""
    try:
        files = files_of(provider.key, offered)
    except FileObjectError as problem:
        raise ProviderRefusal(network_text(provider.ledger, str(problem))) from None
    if index >= len(files):
        raise ProviderRefusal(network_text(provider.ledger, f"No such fileIndex {index}"))
    return files[index]


async def _require_available(
    provider: ProviderContext, offered: ServiceOffering, index: int, data: fields.Data
) -> None:
    """Raise Refusal where the file's source does not answer now. The text shows the request's own values and
    nothing of the source."""
    file = _numbered_file(provider, offered, index)
    probe = await provider.storage.probe(file, user_data(data.get("userdata")))
    if not probe.valid:
        shown = {key: data[key] for key in ("documentId", "serviceId", "fileIndex") if key in data}
        text = f"Asset URL not found, not available or invalid. \nPayload was: {shown}"
        raise ProviderRefusal(network_text(provider.ledger, text), reasons={"problem": probe.reason})
