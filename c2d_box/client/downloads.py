"""Fetching the files of an access service, each under a name that stays inside the chosen folder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from c2d_box.client.ordering import Item
from c2d_box.client.provider import Provider, save

if TYPE_CHECKING:
    from c2d_box.chain import Signer

_DISPOSITION = re.compile(r"filename=\"?([^\";]+)\"?")
_UNSAFE = re.compile(r"[\x00-\x1f/\\]")


def query(item: Item, consumer: str, order: str | None = None) -> dict[str, str]:
    """The item as the query of ``initialize`` and ``download``."""
    request = {"documentId": item.ddo.id, "serviceId": item.service.id, "consumerAddress": consumer}
    transfer = order or item.previous
    if transfer:
        request["transferTxId"] = transfer
    if item.userdata is not None:
        request["userdata"] = json.dumps(dict(item.userdata), separators=(",", ":"))
    return request


def fetch_all(provider: Provider, signer: Signer, item: Item, order: str, folder: Path) -> list[Path]:
    """Every file of the service, in its order."""
    folder.mkdir(parents=True, exist_ok=True)
    count = len(provider.file_info({"did": item.ddo.id, "serviceId": item.service.id}))
    fetched: list[Path] = []
    for index in range(count):
        request = {**query(item, signer.address, order), "fileIndex": str(index)}
        with provider.download(signer, request) as response:
            name = name_of(response, f"file-{index}")
            path = folder / (name if folder / name not in fetched else f"{index}-{name}")
            fetched.append(save(response, path))
    return fetched


def name_of(response: httpx.Response, otherwise: str) -> str:
    """The name the Provider gives the file, reduced to its last part."""
    found = _DISPOSITION.search(response.headers.get("content-disposition", ""))
    name = _UNSAFE.split(found.group(1))[-1].strip() if found else ""
    return otherwise if name in ("", ".", "..") else name[:200]
