"""To S3: one object per file below the job's prefix, path-style, each with a signature of the engine's.

The judged hash is part of what is signed, so the store itself refuses other bytes, and there is no key here
with which anything else could be written.
"""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from c2d_box.pods.upload.sending import SendFailed, SendInterrupted, SentFile, UploadEntry, entry_content

_FINAL = frozenset({400, 401, 404, 405, 411, 413})
"""Statuses after which another try would not help. 403 is not among them: a signature may have grown too old
while a file was sent."""
IDLE_SECONDS = 60.0
"""Seconds without progress of the connection after which it counts as broken."""
BATCH = 20
"""Signatures asked for at once: they are good for a quarter of an hour."""


Ask = Callable[[list[UploadEntry]], Mapping[str, Mapping[str, str]]]
"""Asks the engine for the headers of each entry's PUT, by its path."""


class S3Sender:
    """Sends to S3 and remembers what is stored already, so that a try that broke off is taken up where it
    did."""

    def __init__(self, store: dict[str, Any], job: str, ask: Ask) -> None:
        self._store = store
        self._job = job
        self._ask = ask
        self._done: dict[str, SentFile] = {}

    def send_files(self, entries: list[UploadEntry]) -> list[SentFile]:
        """Store the entries and return the results. Raises SendFailed or SendInterrupted."""
        # A try that broke off had stored some already; the caller calls again with all of them.
        left = [entry for entry in entries if entry.path not in self._done]
        for start in range(0, len(left), BATCH):
            batch = left[start : start + BATCH]
            slots = self._ask(batch)
            for entry in batch:
                sent = _put_object(entry, self._store, f"{self._job}/{entry.path}", slots[entry.path])
                self._done[entry.path] = sent
        return [self._done[entry.path] for entry in entries]


def _put_object(entry: UploadEntry, store: dict[str, Any], key: str, headers: Mapping[str, str]) -> SentFile:
    """Store one object; raise SendFailed or SendInterrupted. The headers are the engine's signature for this
    very file."""
    parts = urlsplit(store["endpoint"])
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    # The same quoting as in the signature: a path that differs in one escape is refused by the store.
    path = f"{parts.path.rstrip('/')}/{quote(store['bucket'], safe='')}/{quote(key, safe='/~-._')}"
    connection = kind(parts.hostname or "", parts.port, timeout=IDLE_SECONDS)
    with contextlib.closing(connection):
        try:
            connection.request(
                "PUT",
                path,
                body=entry_content(entry),
                # S3 answers 411 to a body of unknown length.
                headers={**headers, "Content-Length": str(entry.size)},
            )
            response = connection.getresponse()
            # The body may quote keys and signatures: it is read and not told.
            response.read(1 << 16)
        except (OSError, http.client.HTTPException) as error:
            raise SendInterrupted(f"S3 could not be reached ({type(error).__name__})") from None
    if response.status not in (200, 204):
        problem = f"S3 answered {response.status} for {entry.filename}"
        raise SendFailed(problem) if response.status in _FINAL else SendInterrupted(problem)
    return SentFile(entry, f"s3://{store['bucket']}/{quote(key)}")
