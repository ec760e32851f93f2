"""To IPFS: one ``dag/import`` call of Kubo's RPC for all files, in one folder, its root pinned.

Every block is salted, see :mod:`c2d_box.assets.crypto.salted_blocks`: what is stored cannot be confirmed by
guessing it. The salts come from the stage's token, so a repeated call stores the same blocks, nothing twice.
"""

from __future__ import annotations

import contextlib
import http.client
import secrets
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

from c2d_box.assets.crypto import salted_blocks
from c2d_box.pods.upload.dag import DagBuilder
from c2d_box.pods.upload.sending import SendFailed, SendInterrupted, SentFile, UploadEntry, entry_content
from c2d_box.strict_json import parse_json

_IMPORT = "/api/v0/dag/import?pin-roots=true&stats=false&allow-big-block=true"
"""Kubo's call. ``pin-roots``: what is not pinned is collected as garbage. ``allow-big-block``: a block of a
full leaf and its salt is larger than 1 MiB, Kubo's usual limit."""
_FINAL = frozenset({400, 401, 403, 404, 405, 413})
"""Statuses after which another try would not help."""
IDLE_SECONDS = 60.0
"""Seconds without progress of the connection after which it counts as broken."""


def send_to_ipfs(entries: list[UploadEntry], store: dict[str, Any], secret: bytes) -> list[SentFile]:
    """Send all entries in one call. ``secret``: known to this job alone. Raises SendFailed or
    SendInterrupted."""
    # A tree of no files has no root that anybody could ask for.
    if not entries:
        return []
    # The stream begins with its root, so the whole tree is computed before the first byte is sent.
    planter = DagBuilder({entry.path: partial(entry_content, entry) for entry in entries}, secret)
    tree = planter.plan_tree()
    # By chance, so that no result can hold the boundary and end the part.
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
                parts.path.rstrip("/") + _IMPORT,
                body=_multipart_body(planter.car_stream(tree.root), boundary),
                headers=headers,
                # The length of the stream is not known before: files are read as they are sent.
                encode_chunked=True,
            )
            response = connection.getresponse()
            # Bounded, although the node is the operator's own: its answer is a line or two.
            body = response.read(16 << 20)
        except (OSError, http.client.HTTPException) as error:
            raise SendInterrupted(f"IPFS could not be reached ({type(error).__name__})") from None
    if response.status != 200:
        problem = f"IPFS answered {response.status}"
        raise SendFailed(problem) if response.status in _FINAL else SendInterrupted(problem)
    root = salted_blocks.cid_text(tree.root)
    # Kubo answers 200 also where it could not pin.
    if not _is_pinned(root, body):
        raise SendInterrupted("IPFS gave an answer that cannot be understood")
    return [
        SentFile(entry, f"ipfs://{root}/{quote(entry.path)}", tree.cid_of(entry.path)) for entry in entries
    ]


def _multipart_body(stream: Iterator[bytes], boundary: str) -> Iterator[bytes]:
    """Yield the stream as one file of a form, the only way in which Kubo's RPC takes data."""
    yield (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="results.car"\r\n'
        "Content-Type: application/vnd.ipld.car\r\n\r\n"
    ).encode()
    yield from stream
    yield f"\r\n--{boundary}--\r\n".encode()


def _is_pinned(root: str, body: bytes) -> bool:
    """Return whether the root is pinned. Kubo answers with a line for it; where it could not be pinned the
    line says why."""
    try:
        lines = [parse_json(line) for line in body.splitlines() if line.strip()]
        pinned = [line["Root"] for line in lines if "Root" in line]
        return any(entry["Cid"]["/"] == root and not entry.get("PinErrorMsg") for entry in pinned)
    except (ValueError, KeyError, TypeError):
        return False
