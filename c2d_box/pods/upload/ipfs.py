"""To IPFS: one ``add`` call of Kubo's RPC for all files, wrapped in one folder, CIDv1, pinned.

The call either comes back with the folder's CID or leaves nothing pinned; being addressed by content, a
repeated one gives the same CID, so nothing is published twice.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

from c2d_box.pods.upload.sending import Entry, SendFailed, SendInterrupted, Sent, content

_ADD = "/api/v0/add?pin=true&cid-version=1&raw-leaves=true&wrap-with-directory=true&progress=false"
_FINAL = frozenset({400, 401, 403, 404, 405, 413})
IDLE_SECONDS = 60.0


def send(entries: list[Entry], store: dict[str, Any]) -> list[Sent]:
    """Raises SendFailed or SendInterrupted."""
    if not entries:
        return []
    boundary = secrets.token_hex(16)
    parts = urlsplit(store["api"])
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    if store.get("token"):
        headers["Authorization"] = f"Bearer {store['token']}"
    connection = kind(parts.hostname or "", parts.port, timeout=IDLE_SECONDS)
    with contextlib.closing(connection):
        try:
            connection.request(
                "POST",
                parts.path.rstrip("/") + _ADD,
                body=_multipart(entries, boundary),
                headers=headers,
                encode_chunked=True,
            )
            response = connection.getresponse()
            body = response.read(16 << 20)
        except (OSError, http.client.HTTPException) as error:
            raise SendInterrupted(f"IPFS could not be reached ({type(error).__name__})") from None
    if response.status != 200:
        problem = f"IPFS answered {response.status}"
        raise SendFailed(problem) if response.status in _FINAL else SendInterrupted(problem)
    return _sent(entries, body)


def _multipart(entries: list[Entry], boundary: str) -> Iterator[bytes]:
    """Each folder before what is in it; names percent-encoded, as Kubo expects them."""
    known: set[PurePosixPath] = set()
    for entry in entries:
        for folder in reversed(PurePosixPath(entry.path).parents):
            if folder.name and folder not in known:
                known.add(folder)
                yield _head(boundary, str(folder), "application/x-directory") + b"\r\n"
        yield _head(boundary, entry.path, "application/octet-stream")
        yield from content(entry)
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _head(boundary: str, path: str, kind: str) -> bytes:
    name = quote(path, safe="")
    lines = (
        f"--{boundary}",
        f'Content-Disposition: form-data; name="file"; filename="{name}"',
        f"Content-Type: {kind}",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


def _sent(entries: list[Entry], body: bytes) -> list[Sent]:
    """Kubo answers with a line per file and folder; the wrapping folder has no name."""
    hashes: dict[str, str] = {}
    try:
        for line in body.splitlines():
            if line.strip():
                found = json.loads(line)
                if found.get("Type") == "error" or "Message" in found:
                    raise SendInterrupted("IPFS reported an error while adding")
                hashes[found["Name"]] = found["Hash"]
        root = hashes[""]
        return [
            Sent(entry, f"ipfs://{root}/{quote(entry.path)}", hashes.get(entry.path, root))
            for entry in entries
        ]
    except (ValueError, KeyError):
        raise SendInterrupted("IPFS gave an answer that cannot be understood") from None
