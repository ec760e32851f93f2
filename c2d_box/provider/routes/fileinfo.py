"""Describes files without showing where they are.

Anybody may ask about the files of an asset and about sources that a plain GET reads. A signature is needed
for requests that would make the Provider a relay for calls of the caller's choosing (POST, headers,
credentials, user data). It is needed too for facts about data that never leaves: the hash of a compute-only
dataset would confirm a guess of its content.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from c2d_box.assets.addresses import same_hex
from c2d_box.assets.documents.ddo import ACCESS
from c2d_box.assets.files import FileObject, FileObjectError, parse_file
from c2d_box.chain.orders import OrderInvalid
from c2d_box.provider.auth import signed_texts
from c2d_box.provider.auth.caller import VerifiedCaller
from c2d_box.provider.compute.datasets import order_claim
from c2d_box.provider.errors import ProviderRefusal
from c2d_box.provider.requests import fields
from c2d_box.provider.requests.parameters import read_parameters, user_data
from c2d_box.provider.resolved_services import (
    ServiceOffering,
    demanded_offering,
    files_of,
    network_text,
    reading_audience,
    resolve_did,
)
from c2d_box.provider.services import ProviderContext, provider_context
from c2d_box.storage import FileProbe

# A request without a signature must not make this Provider send more than a bare GET to a place of the
# caller's choice.
UNSIGNED = (
    "A signature is needed to look at a source by POST or GraphQL, with headers, with credentials or with "
    "user data."
)
# Parameters that stand beside a file object in the same request and are no part of it.
_APART = ("checksum", "userdata", "consumerAddress", "nonce", "signature")


async def file_info(request: Request) -> Response:
    """What can be said about each file of a service, or of one plain file object, without showing where
    it is. A plain source that is not read by a bare GET is looked at for signed callers only."""
    provider = provider_context(request)
    data = await read_parameters(request, provider.settings.limits)
    fields.require_fields(data, fields.FILEINFO)
    caller = _optional_caller(provider, data, request.headers.get("authtoken"))
    userdata = user_data(data.get("userdata"))
    offered: ServiceOffering | None = None
    if data.get("did"):
        offered = await _requested_offering(provider, data)
        files, is_hidden, limit = await _files_of_service(provider, offered, data, caller)
    else:
        files, is_hidden, limit = [_plain_file(data)], False, provider.settings.fetch.max_checksum_length
        needs_signature = not provider.settings.compat.unsigned_sources
        if caller is None and needs_signature and files[0].sends_more_than_get(userdata):
            raise ProviderRefusal(UNSIGNED)
    # Right before the sources are asked, which is this call's effect.
    if caller is not None:
        caller.use_nonce(provider.nonces)
    # In a query every value is text, so "false" has to be told from true.
    wanted = data.get("checksum") not in (None, False, "", 0, "0", "false", "False") and not is_hidden
    probes = await provider.storage.probe_all(
        files, userdata, checksum_limit=limit if wanted else 0, audience=reading_audience(offered, userdata)
    )
    return JSONResponse(
        [
            _describe_file(at, file, probe, is_hidden)
            for at, (file, probe) in enumerate(zip(files, probes, strict=True))
        ]
    )


def _optional_caller(
    provider: ProviderContext, data: fields.Data, token: str | None
) -> VerifiedCaller | None:
    """Return the caller who signed the request, None where nobody did."""
    if not data.get("signature") and not (token and data.get("nonce") and data.get("consumerAddress")):
        return None
    return provider.callers.verify_caller(
        data, fields.SIGNED_FILEINFO, signed_texts.fileinfo_claim(data), token
    )


async def _requested_offering(provider: ProviderContext, data: fields.Data) -> ServiceOffering:
    """Return the service that the request names. Raise Refusal where asset or service is not there."""
    ddo = await resolve_did(provider.catalog, data["did"])
    return demanded_offering(provider.ledger, ddo, str(data["serviceId"]))


async def _files_of_service(
    provider: ProviderContext,
    offered: ServiceOffering,
    data: fields.Data,
    caller: VerifiedCaller | None,
) -> tuple[list[FileObject], bool, int]:
    """Return the files, whether their names and hashes are to be hidden from this caller, and the most bytes
    of one file that are hashed."""
    try:
        files = files_of(provider.key, offered)
    except FileObjectError:
        raise ProviderRefusal(network_text(provider.ledger, "Unable to get dataset files")) from None
    fetch = provider.settings.fetch
    if offered.ddo.is_algorithm:
        return files, False, fetch.max_algorithm_length
    # Compute-only data stays with its publisher, and a name or a hash already tells something of it.
    stays = offered.service.type != ACCESS
    is_hidden = stays and not await _is_involved(provider, offered, data, caller)
    return files, is_hidden, fetch.max_checksum_length


async def _is_involved(
    provider: ProviderContext,
    offered: ServiceOffering,
    data: fields.Data,
    caller: VerifiedCaller | None,
) -> bool:
    """Return whether the caller may see names and hashes of compute-only data: its publisher may, and a
    consumer who shows an order of it, to whom the evidence of a job names the hashes too."""
    if caller is None:
        return False
    # The owner as the chain has it now, not the publisher whom the description names.
    if same_hex(await provider.ledger.nft_owner(offered.ddo.nft_address), caller.address):
        return True
    tx = str(data.get("transferTxId") or "")
    if not tx:
        return False
    try:
        await provider.ledger.verified_order(
            order_claim(provider.key.address, offered, tx, caller.address, allow_expired=True)
        )
    except OrderInvalid:
        return False
    return True


def _plain_file(data: fields.Data) -> FileObject:
    """Return the file object that the request itself describes. Raise Refusal with the text for the wire."""
    try:
        return parse_file({key: data[key] for key in data if key not in _APART})
    except FileObjectError as problem:
        raise ProviderRefusal(str(problem)) from None


def _describe_file(index: int, file: FileObject, probe: FileProbe, is_hidden: bool) -> dict[str, object]:
    """Return what is told of one file. Types differ: a contract's result has a number for its length and no
    name, all others have text."""
    if not probe.valid:
        return {"index": index, "valid": False, "type": file.type, "reason": probe.reason}
    length = probe.meta.length
    described: dict[str, object] = {
        "index": index,
        "valid": True,
        "type": file.type,
        "contentLength": length if file.type == "smartcontract" else "" if length is None else str(length),
        "contentType": probe.meta.content_type,
    }
    if file.type != "smartcontract":
        described["filename"] = "" if is_hidden else probe.meta.filename
    if probe.sha256:
        described |= {"checksum": probe.sha256, "checksumType": "sha256"}
    return described
