"""The access service: looking at files, quoting an order, downloading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from c2d_box.assets.ddo import ACCESS, DDO
from c2d_box.assets.files import FileObject, FileObjectError, parse_file
from c2d_box.chain.orders import OrderInvalid
from c2d_box.provider import fields
from c2d_box.provider.caller import Claim, joined, owner_in
from c2d_box.provider.compute.datasets import claim
from c2d_box.provider.errors import Invalid, Refusal
from c2d_box.provider.incoming import parameters, user_data
from c2d_box.provider.offerings import (
    Offering,
    consumable,
    files_of,
    network_text,
    offering,
    resolved,
    unfit,
)
from c2d_box.provider.services import Services, services
from c2d_box.provider.streaming import file_response
from c2d_box.storage import Probe, Rejected, StorageError


async def fileinfo(request: Request) -> Response:
    """What can be said about each file of a service, or of one plain file object, without showing where
    it is."""
    provider = services(request)
    data = await parameters(request, provider.settings.limits)
    checked = fields.check(data, fields.FILEINFO)
    if checked.errors:
        raise Invalid(checked.errors)
    files = await _files_of_service(provider, data) if data.get("did") else [_plain_file(data)]
    wanted = data.get("checksum") not in (None, False, "", 0, "0", "false", "False")
    limit = provider.settings.fetch.max_checksum_length if wanted else 0
    userdata = user_data(data.get("userdata"))
    probes = [await provider.storage.probe(file, userdata, checksum_limit=limit) for file in files]
    return JSONResponse(
        [_described(at, file, probe) for at, (file, probe) in enumerate(zip(files, probes, strict=True))]
    )


async def initialize(request: Request) -> Response:
    """A zero provider fee to order with, or the order that is still good."""
    provider = services(request)
    data = await parameters(request, provider.settings.limits)
    checked = fields.check(data, fields.INITIALIZE)
    if checked.errors:
        raise Invalid(checked.errors)
    consumer = owner_in(data)
    ddo = await resolved(provider, data["documentId"])
    await _require_consumable(provider, ddo, consumer)
    offered = _offered(provider, ddo, data["serviceId"])
    if offered.service.type != ACCESS:
        raise Refusal(
            network_text(provider, "Use the initializeCompute endpoint to initialize compute jobs.")
        )
    _require_fitting(provider, offered, data)
    if data.get("fileIndex") not in (None, ""):
        await _require_available(provider, offered, int(data["fileIndex"]), data)
    if data.get("transferTxId"):
        try:
            order = await provider.ledger.order(
                claim(provider, offered, str(data["transferTxId"]), consumer, allow_expired=True)
            )
            return JSONResponse({"validOrder": order.start_tx})
        except OrderInvalid:
            pass
    fee = await provider.ledger.quote(
        provider.key.private_key,
        datatoken=offered.service.datatoken_address,
        service_id=offered.service.id,
        token=provider.settings.fee_token,
    )
    nonce = provider.nonces.stored_or_none(consumer)
    return JSONResponse({"datatoken": offered.service.datatoken_address, "nonce": nonce, "providerFee": fee})


async def download(request: Request) -> Response:
    """One file of an ordered service, streamed."""
    provider = services(request)
    data = await parameters(request, provider.settings.limits)
    caller = provider.callers.verified(
        data,
        fields.DOWNLOAD,
        Claim(owner_in(data), joined(data, "documentId")),
        request.headers.get("authtoken"),
    )
    ddo = await resolved(provider, data["documentId"])
    await _require_consumable(provider, ddo, caller.address)
    offered = _offered(provider, ddo, data["serviceId"])
    if offered.service.type != ACCESS and not await _is_environment(provider, caller.address):
        text = f"Service with index={str(data['serviceId'])[:64]} is not an access service."
        raise Refusal(network_text(provider, text))
    _require_fitting(provider, offered, data)
    await _require_order(provider, offered, str(data["transferTxId"]), caller.address)
    file = _numbered(provider, offered, int(data["fileIndex"]))
    try:
        opened = await provider.storage.open(
            file, user_data(data.get("userdata")), request.headers.get("range")
        )
    except Rejected as problem:
        if problem.status == 416:
            return Response(status_code=416)
        raise Refusal(network_text(provider, "The file cannot be fetched from its source.")) from None
    except StorageError:
        raise Refusal(network_text(provider, "The file cannot be fetched from its source.")) from None
    try:
        caller.use_nonce(provider.nonces)
    except BaseException:
        opened.close()
        raise
    return file_response(opened, ranged="range" in request.headers)


async def _files_of_service(provider: Services, data: Mapping[str, Any]) -> list[FileObject]:
    ddo = await resolved(provider, data["did"])
    offered = _offered(provider, ddo, data["serviceId"])
    try:
        return files_of(provider, offered)
    except FileObjectError:
        raise Refusal(network_text(provider, "Unable to get dataset files")) from None


def _plain_file(data: Mapping[str, Any]) -> FileObject:
    try:
        return parse_file({key: data[key] for key in data if key not in ("checksum", "userdata")})
    except FileObjectError as problem:
        raise Refusal(str(problem)) from None


def _described(index: int, file: FileObject, probe: Probe) -> dict[str, Any]:
    if not probe.valid:
        return {"index": index, "valid": False, "type": file.type}
    length = probe.meta.length
    described: dict[str, Any] = {
        "index": index,
        "valid": True,
        "type": file.type,
        "contentLength": length if file.type == "smartcontract" else "" if length is None else str(length),
        "contentType": probe.meta.content_type,
    }
    if file.type != "smartcontract":
        described["filename"] = probe.meta.filename
    if probe.sha256:
        described |= {"checksum": probe.sha256, "checksumType": "sha256"}
    return described


async def _require_consumable(provider: Services, ddo: DDO, consumer: str) -> None:
    if text := await consumable(provider, ddo, consumer):
        raise Refusal(network_text(provider, text))


def _offered(provider: Services, ddo: DDO, service_id: Any) -> Offering:
    offered = offering(ddo, service_id)
    if offered is None:
        raise Refusal(network_text(provider, "Invalid serviceId."))
    return offered


def _require_fitting(provider: Services, offered: Offering, data: Mapping[str, Any]) -> None:
    described = offered.service.consumer_parameters
    if misfits := unfit(provider, described, user_data(data.get("userdata"))):
        text = f"The user data does not fit the consumer parameters: {'; '.join(misfits)}."
        raise Refusal(network_text(provider, text))


async def _is_environment(provider: Services, address: str) -> bool:
    if provider.environments is None:
        return False
    return address.lower() in {entry.lower() for entry in await provider.environments.consumers()}


async def _require_order(provider: Services, offered: Offering, tx: str, consumer: str) -> None:
    try:
        await provider.ledger.order(claim(provider, offered, tx, consumer))
    except OrderInvalid as problem:
        text = f"Order with tx_id {tx[:80]} could not be validated due to error: {problem}"
        raise Refusal(network_text(provider, text)) from None


def _numbered(provider: Services, offered: Offering, index: int) -> FileObject:
    try:
        files = files_of(provider, offered)
    except FileObjectError as problem:
        raise Refusal(network_text(provider, str(problem))) from None
    if index >= len(files):
        raise Refusal(network_text(provider, f"No such fileIndex {index}"))
    return files[index]


async def _require_available(
    provider: Services, offered: Offering, index: int, data: Mapping[str, Any]
) -> None:
    file = _numbered(provider, offered, index)
    probe = await provider.storage.probe(file, user_data(data.get("userdata")))
    if not probe.valid:
        shown = {key: data[key] for key in ("documentId", "serviceId", "fileIndex") if key in data}
        text = f"Asset URL not found, not available or invalid. \nPayload was: {shown}"
        raise Refusal(network_text(provider, text))
