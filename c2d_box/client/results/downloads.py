"""Fetching the files of an access service, each under a name that stays inside the chosen folder."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from c2d_box.assets.filenames import name_in
from c2d_box.client.payment.quotes import OrderItem
from c2d_box.client.services.provider import Provider, save_response

if TYPE_CHECKING:
    from c2d_box.chain import Signer

_NAME_BYTES = 240
"""The bytes of a name that file systems take, less what is added to it while the file is being written."""


def download_query(item: OrderItem, consumer: str, order: str | None = None) -> dict[str, str]:
    """Return the item as the query of ``initialize`` and ``download``."""
    request = {"documentId": item.ddo.id, "serviceId": item.service.id, "consumerAddress": consumer}
    transfer = order or item.previous
    if transfer:
        request["transferTxId"] = transfer
    if item.userdata is not None:
        request["userdata"] = json.dumps(dict(item.userdata), separators=(",", ":"))
    return request


def fetch_all(provider: Provider, signer: Signer, item: OrderItem, order: str, folder: Path) -> list[Path]:
    """Fetch every file of the service into ``folder``, in its order; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    # The description's files are encrypted; only the Provider knows how many there are.
    count = len(provider.file_info({"did": item.ddo.id, "serviceId": item.service.id}))
    fetched: list[Path] = []
    for index in range(count):
        request = {**download_query(item, signer.address, order), "fileIndex": str(index)}
        with provider.stream_file(signer, request) as response:
            name = name_of(response, f"file-{index}")
            # Distinct among this call's files only: a second download replaces those of the first.
            path = folder / unused_name(name, {path.name for path in fetched})
            fetched.append(save_response(response, path))
    return fetched


def name_of(response: httpx.Response, otherwise: str) -> str:
    """Return the name the Provider gives the file, reduced to its last part and to what a file system
    takes."""
    # The header is the Provider's and may hold any path; name_in keeps the last part.
    name = name_in(response.headers.get("content-disposition", "")) or otherwise
    return name if len(name.encode()) <= _NAME_BYTES else _cut_name(name)


def unused_name(name: str, used: Collection[str]) -> str:
    """Return ``name``, or the same with a number before its extension where a file of this call has it
    already. Names that some file systems take for one count as one."""
    taken = {_folded_name(each) for each in used}
    # A leading dot is no extension: ``.env`` becomes ``.env-2``.
    stem, dot, extension = name.rpartition(".") if "." in name[1:] else (name, "", "")
    number, candidate = 1, name
    while _folded_name(candidate) in taken:
        number += 1
        candidate = f"{stem}-{number}{dot}{extension}"
    return candidate


def _folded_name(name: str) -> str:
    """Return the form in which macOS and Windows compare names: composed, without case."""
    return unicodedata.normalize("NFC", name).casefold()


def _cut_name(name: str) -> str:
    """Cut whole characters off the end of the stem; the extension stays."""
    stem, dot, extension = name.rpartition(".")
    # What is longer than 40 bytes after the last dot is no extension that a program looks at.
    if not dot or len(extension.encode()) > 40:
        stem, dot, extension = name, "", ""
    left = _NAME_BYTES - len(f"{dot}{extension}".encode())
    # The limit counts bytes; a character cut in half is dropped.
    return f"{stem.encode()[:left].decode(errors='ignore')}{dot}{extension}"
