"""The sealed document that hides the file objects of a service in its DDO."""

from __future__ import annotations

import json
from collections.abc import Sequence

from c2d_box.assets.addresses import same_hex
from c2d_box.assets.crypto import ecies
from c2d_box.assets.files.file_object import FileObject, FileObjectError
from c2d_box.assets.files.registry import parse_file
from c2d_box.assets.files.result import ResultFile
from c2d_box.strict_json import parse_json

UNREADABLE = "cannot decrypt files for this service."
"""One text for every cause: a wrong key, another asset or a damaged document are nothing to tell a stranger
apart."""


def files_document(nft: str, datatoken: str, files: Sequence[FileObject]) -> bytes:
    """Return the plaintext of a service's ``files``: bound to its NFT and datatoken, so it serves no other
    asset."""
    value = {"datatokenAddress": datatoken, "nftAddress": nft, "files": [f.to_dict() for f in files]}
    return json.dumps(value, separators=(",", ":")).encode()


def seal_files(key: bytes | str, nft: str, datatoken: str, files: Sequence[FileObject]) -> str:
    """Encrypt ``files`` for the Provider's ``key``; return the 0x hex text that stands in the DDO."""
    return "0x" + ecies.encrypt(key, files_document(nft, datatoken, files)).hex()


def unseal_files(
    key: bytes | str, sealed: str, *, nft: str, datatoken: str, version: str = "4.1.0"
) -> list[FileObject]:
    """Return the file objects of a service. Raise FileObjectError when they are not for ``key`` or not for
    this asset.

    A DDO of version 4.0.0 (or none) holds a bare array that is bound to nothing.
    """
    try:
        value = parse_json(ecies.decrypt(key, bytes.fromhex(sealed.removeprefix("0x"))))
    except ValueError as error:
        raise FileObjectError(UNREADABLE) from error
    # Old documents are still on chains. A result is never taken from one, see below.
    if version in ("", "4.0.0"):
        entries = value
    else:
        # Anybody can copy a sealed text into a DDO of their own and sell it; this is the check against that.
        bound = isinstance(value, dict) and (
            same_hex(value.get("nftAddress"), nft) and same_hex(value.get("datatokenAddress"), datatoken)
        )
        entries = value.get("files") if bound else None
    if not isinstance(entries, list):
        raise FileObjectError(UNREADABLE)
    return [_bound_entry(entry, entries is value, nft, datatoken) for entry in entries]


def _bound_entry(entry: object, loose: bool, nft: str, datatoken: str) -> FileObject:
    """Parse a file of a document; a result is only taken from a document that is bound to its asset."""
    if loose or not isinstance(entry, dict) or entry.get("type") != ResultFile.type:
        return parse_file(entry)
    return ResultFile.from_dict({**entry, "nft": nft, "datatoken": datatoken})
