"""Redeeming a grant: the only way by which inputs reach a job.

The caller is a pod, which holds no signature of the consumer, so everything that the consumer was entitled to
at the start is checked again here. Inputs go through this process as a stream; the pod never learns their
source.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response

from c2d_box.assets.documents.ddo import DDO
from c2d_box.assets.files import FileObject, FileObjectError, parse_file
from c2d_box.provider.auth.grants import GrantExpired, GrantInvalid, InputGrant
from c2d_box.provider.compute.redeeming import require_live_job, require_permitted
from c2d_box.provider.errors import ProviderRefusal
from c2d_box.provider.resolved_services import files_of, find_offering
from c2d_box.provider.routes.compute import required_compute
from c2d_box.provider.services import ProviderContext, provider_context
from c2d_box.provider.streaming import file_response
from c2d_box.storage import ChainAway, FileMeta, OpenFile, OwnAway, SourceRejected, StorageError


async def grant(request: Request) -> Response:
    """401 no grant of ours, 410 over, 403 no longer to be had, 502 the source fails, 503 a service of ours is
    away, else the bytes."""
    provider = provider_context(request)
    # Bearer, RFC 6750: the scheme's name is not case sensitive.
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise GrantInvalid
        permitted = provider.grants.open_grant(token.strip())
    except GrantInvalid:
        raise ProviderRefusal("This is not a grant of this Provider.", status=401) from None
    except GrantExpired:
        raise ProviderRefusal("The grant has expired.", status=410) from None
    # Before any lookup: a grant that leaked from an ended job must not cause requests to a source.
    await require_live_job(provider.liveness, permitted)
    byte_range = request.headers.get("range")
    opened = await _open_granted(provider, permitted, byte_range)
    ranged = opened.meta.status == 206
    # The pod is told the hash as well: only whole files are checked on the way, and it may ask for ranges.
    extra = {"x-checksum-sha256": permitted.sha256} if permitted.sha256 else {}
    return file_response(opened, ranged=ranged, sha256=permitted.sha256, extra=extra)


async def _open_granted(provider: ProviderContext, permitted: InputGrant, byte_range: str | None) -> OpenFile:
    """Return the bytes that the grant is for, opened. Raise Refusal where the source fails: 416 for a range
    that it does not have, 502 otherwise."""
    if permitted.what == "ddo":
        return _in_memory(await _ddo_bytes(provider, permitted))
    file = await _source_file(provider, permitted)
    try:
        return await provider.storage.open(file, permitted.userdata, byte_range)
    except SourceRejected as problem:
        # A range beyond the file is the pod's question; whatever else a source answers is the source's
        # failure.
        status = 416 if problem.status == 416 else 502
        raise ProviderRefusal(
            f"The file's source answered with status {problem.status}.", status=status
        ) from None
    # Not the source's fault: outages of our own services are answered with 503 further out.
    except (ChainAway, OwnAway):
        raise
    except StorageError as problem:
        raise ProviderRefusal(f"The file cannot be fetched: {problem.text}.", status=502) from None


async def _source_file(provider: ProviderContext, permitted: InputGrant) -> FileObject:
    """Return the file that the grant names. Raise Refusal (403) where the asset does not have it any more."""
    try:
        if permitted.what == "raw":
            return parse_file(permitted.source)
        ddo = await _permitted_ddo(provider, permitted)
        offered = find_offering(ddo, permitted.service)
        files = files_of(provider.key, offered) if offered is not None else []
        return files[permitted.file]
    except (FileObjectError, IndexError):
        raise ProviderRefusal("The file is no longer part of the asset.", status=403) from None


async def _ddo_bytes(provider: ProviderContext, permitted: InputGrant) -> bytes:
    """Return the asset's description as the pod gets it: as published now, without escapes for non-ASCII
    text."""
    ddo = await _permitted_ddo(provider, permitted)
    return json.dumps(ddo.raw, separators=(",", ":"), ensure_ascii=False).encode()


async def _permitted_ddo(provider: ProviderContext, permitted: InputGrant) -> DDO:
    """Return the asset's description if the grant is still permitted. Raise Refusal (403) otherwise."""
    context = required_compute(provider)
    ddo = (await context.current_asset(permitted.did)).ddo
    if ddo is None:
        raise ProviderRefusal("The asset is no longer published.", status=403)
    await require_permitted(context, provider.decided, permitted, ddo)
    return ddo


def _in_memory(data: bytes) -> OpenFile:
    """Return bytes as an open file, so that descriptions go out the same way as files."""

    async def once() -> AsyncIterator[bytes]:
        yield data

    meta = FileMeta(length=len(data), content_type="application/json", filename="ddo.json")
    return OpenFile(meta, once(), lambda: None)
