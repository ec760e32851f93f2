"""``cid``: reads content by its CID from the box's IPFS node."""

from __future__ import annotations

import re

import httpx

from c2d_box.errors import Failed, Refused, UsageError
from sandbox.box import Box

# Bytes kept in memory for a preview or a file.
LARGEST = 16 << 20
# CIDv0 (base58, 46 characters) or CIDv1 (base32), with a path or not.
_CID = re.compile(r"(Qm[1-9A-HJ-NP-Za-km-z]{44}|b[a-z2-7]{20,100})(/[^\s?#]{1,300})?")


def open_cid(box: Box, cid: str) -> bytes:
    """Return the content of ``cid`` or ``cid/path`` (a leading ``ipfs://`` is allowed), up to 16 MiB."""
    name = cid.strip().removeprefix("ipfs://")
    # The text becomes part of a URL on this machine: nothing but a CID and a plain path may get there.
    if not _CID.fullmatch(name) or ".." in name.split("/"):
        raise UsageError("C2D-CID-INVALID", f"{cid or '…'} is no CID", "give Qm… or b…, with a path or not")
    url = f"{box.service_urls['ipfs-gateway']}/ipfs/{name}"
    try:
        # No redirects: the gateway's answer must not send this client to another server.
        with httpx.stream("GET", url, timeout=10.0, trust_env=False, follow_redirects=False) as answer:
            if not answer.is_success:
                raise Refused(
                    "C2D-CID-UNKNOWN",
                    f"the box's IPFS node has no {name} (status {answer.status_code})",
                    "the node has no peers: it knows what this box has stored",
                )
            return _read_bounded(answer, name)
    except httpx.HTTPError as cause:
        raise Failed(
            "C2D-SERVICE-UNREACHABLE",
            f"the IPFS gateway at {box.service_urls['ipfs-gateway']} does not answer",
            f"see whether it runs: {box.command_line('status')}",
        ) from cause


def _read_bounded(answer: httpx.Response, name: str) -> bytes:
    content = bytearray()
    for piece in answer.iter_bytes():
        content += piece
        # Counted while reading: a length header may be missing or wrong.
        if len(content) > LARGEST:
            raise Refused("C2D-CID-LARGE", f"{name} is larger than {LARGEST >> 20} MiB", "fetch it with curl")
    return bytes(content)
