"""The list of a job's results in the status: plain, or packed where it is long.

Names may take a kilobyte each and there may be thousands, while Kubernetes keeps the whole job in one object
of limited size. Packed, a list takes some forty bytes a file beside what is new in each name. Addresses are
not repeated: each is the store's address and the file's path, and a content address follows from them.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from c2d_box import limits
from c2d_box.workflow.manifests import SEALED

_COLUMNS = ("filename", "filesize", "type", "sha256", "encryption")
"""Keys of a result that are packed as they are. Addresses and content addresses follow from the rest."""
_UNPACKED = 64 << 20
"""Bytes that a packed list may unpack to; ours are far below."""


def stored_listing(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the two keys of the status that hold the list; one of them is null."""
    plain = [dict(result) for result in results]
    # Short lists stay readable in ``kubectl get -o yaml``.
    if limits.stored_bytes(plain) <= limits.LISTING_INLINE_BYTES:
        return {"results": plain, "packedResults": None}
    # Null, because a merge patch deletes a key only where it is named.
    return {"results": None, "packedResults": pack_listing(plain)}


def pack_listing(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the list as Base64 of a compressed table, column by column."""
    # By columns: values of one kind beside each other compress well.
    columns: dict[str, Any] = {name: [result.get(name) for result in results] for name in _COLUMNS}
    urls = [str(result.get("url") or "") for result in results]
    # Cut at a slash: the common prefix of two names would be a part of them.
    base = _common(urls).rpartition("/")[0]
    columns["base"] = base
    columns["leads"] = [_lead(url, base, result) for url, result in zip(urls, results, strict=True)]
    text = json.dumps(columns, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode("utf-8", "surrogatepass"), 9)).decode()


def unpack_listing(text: str) -> list[dict[str, Any]]:
    """Return the list. Raises ValueError for a text that :func:`pack_listing` has not made."""
    try:
        unpacker = zlib.decompressobj()
        # Bounded: the status is the engine's, but whoever may edit it could write a bomb into it.
        data = unpacker.decompress(base64.b64decode(text, validate=True), _UNPACKED)
        if not unpacker.eof:
            raise ValueError("a packed list is cut off or too long")
        columns = json.loads(data.decode("utf-8", "surrogatepass"))
        rows = zip(*(columns[name] for name in _COLUMNS), columns["leads"], strict=True)
        return [_row(dict(zip((*_COLUMNS, "lead"), row, strict=True)), columns["base"]) for row in rows]
    except (zlib.error, KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a packed list of results") from error


def _common(texts: Sequence[str]) -> str:
    """Return the longest common prefix."""
    # Of sorted texts the first and the last differ earliest, so they stand for all.
    first, last = min(texts, default=""), max(texts, default="")
    length = next((n for n, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), None)
    return first[: min(len(first), len(last)) if length is None else length]


def _lead(url: str, base: str, result: Mapping[str, Any]) -> str | list[str]:
    """Return the folders between the store's address and the file's name; in a list, the whole address where
    these do not lead back to it.
    """
    path = unquote(url[len(base) :])
    lead = path.removesuffix(_plain(result))
    if lead != path and base + quote(lead + _plain(result)) == url:
        return lead
    return [url]


def _plain(result: Mapping[str, Any]) -> str:
    """Return a result's name as it is in the store's address, which has no suffix for encryption."""
    name = str(result.get("filename") or "")
    return name.removesuffix(SEALED) if result.get("encryption") else name


def _row(row: dict[str, Any], base: str) -> dict[str, Any]:
    """Return a result from a row of the table, with its address put together again."""
    lead = row.pop("lead")
    url = lead[0] if isinstance(lead, list) else base + quote(lead + _plain(row))
    return {**row, "url": url}
