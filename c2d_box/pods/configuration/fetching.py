"""Fetching one granted file: streamed to disk, hashed on the way, resumed where it broke off.

A failure is reported as its cause alone. No address and no token ever gets into a message, since messages end
in a row of the job table and in a log that the consumer reads.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from c2d_box.retry import Backoff
from c2d_box.strict_json import parse_json

CHUNK = 1 << 20
"""Bytes of a file that are in memory at a time: the container may have 256 MiB, with four files in it at
once."""
CONNECT_SECONDS, IDLE_SECONDS = 10.0, 60.0
"""Seconds to connect, and seconds without a byte after which a transfer counts as broken off. A whole
transfer has no limit but the stage's deadline."""
ATTEMPTS = 10
"""Attempts without progress, over 50 seconds: a store that is killed and started again on a busy machine
needs half of that. A transfer that gets on may break off as often as it likes."""
_FIRST_PAUSE = 0.2
"""Seconds before the second attempt; pauses grow up to fifty times of it."""
_FINAL = frozenset({400, 401, 403, 404, 410, 413, 422, 451})
"""Statuses that say no for good: the grant, the file or the request is wrong, and time changes nothing about
it."""
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
"""Anything that looks like a URL. A publisher's address is its secret, and errors of sources tend to quote
it."""


class FetchFailed(Exception):
    """Carries the cause of a failed fetch, in words that anybody may read."""


class _TransferInterrupted(Exception):
    """A failure that is worth another attempt."""


class _ProviderAway(_TransferInterrupted):
    """The Provider answers, and says that a service which it must ask does not: that may take as long as it
    takes, so only the deadline ends it."""


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """The facts of a file that was fetched."""

    size: int
    sha256: str


class _PartialFile:
    """The part of a file that is on disk already, with its hash."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hash = hashlib.sha256()
        self.size = 0
        # The hash covers the whole file, so the part that an earlier run of this container left is read
        # again.
        if path.exists():
            with path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    self.hash.update(chunk)
                    self.size += len(chunk)

    def discard_part(self) -> None:
        """Begin anew: the bytes so far are not a beginning of the file that is being sent now."""
        self.path.unlink(missing_ok=True)
        self.hash, self.size = hashlib.sha256(), 0


def fetch_file(
    provider: str, token: str, target: Path, deadline: float, pause: float = _FIRST_PAUSE
) -> FetchedFile:
    """Fetch the file behind ``token`` into ``target``; raise FetchFailed. ``deadline``: monotonic seconds.
    The file gets its name only when it is complete and its checksum right, so a half one is never taken for
    an input."""
    part = _PartialFile(target.with_name(target.name + ".part"))
    failures, backoff = 0, Backoff(pause, pause * 50)
    while True:
        before = part.size
        try:
            expected = _fetch_part(provider, token, part)
            break
        except _TransferInterrupted as interruption:
            # Only attempts without any progress count: a long transfer over a bad line ends as long as each
            # attempt brings something.
            if not isinstance(interruption, _ProviderAway):
                failures = 0 if part.size > before else failures + 1
            if part.size > before:
                backoff.reset()
            wait = backoff.next_pause()
            if failures >= ATTEMPTS or time.monotonic() + wait >= deadline:
                raise FetchFailed(str(interruption)) from None
            time.sleep(wait)
        except OSError as error:
            raise FetchFailed(f"writing it failed: {os.strerror(error.errno or 0)}") from None
    digest = part.hash.hexdigest()
    # The part is dropped, since resuming from wrong bytes could never give the right checksum.
    if expected and expected.lower() != digest:
        # The Provider ignored the range, or has none: the whole file follows.
        part.discard_part()
        raise FetchFailed("its checksum is not the one the Provider gave")
    # An empty file of a 200 without a body has written no part.
    if not part.path.exists():
        part.path.touch()
    part.path.replace(target)
    return FetchedFile(part.size, digest)


def _fetch_part(provider: str, token: str, part: _PartialFile) -> str | None:
    """Make one request and keep what arrives; return the checksum that the Provider announced."""
    parts = urlsplit(provider)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=CONNECT_SECONDS)
    # ``identity``: a compressed answer has no stable byte positions, and the checksum is that of the file
    # itself.
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
    try:
        with contextlib.closing(connection):
            response = _request_grant(connection, f"{parts.path.rstrip('/')}/api/c2d/grant", headers)
            _judge_status(response, part)
            _receive_body(response, part)
            return response.headers.get("X-Checksum-Sha256")
    except http.client.HTTPException:
        raise _TransferInterrupted("the Provider broke off the transfer") from None


def _request_grant(
    connection: http.client.HTTPConnection, path: str, headers: dict[str, str]
) -> http.client.HTTPResponse:
    """Send the request; any failure here is one of the connection and worth another attempt. The exception's
    text is left out, because it names the host."""
    try:
        connection.request("GET", path, headers=headers)
        assert connection.sock is not None
        # From here on the limit is between two reads, no longer for connecting.
        connection.sock.settimeout(IDLE_SECONDS)
        return connection.getresponse()
    except OSError as error:
        raise _TransferInterrupted(f"the Provider could not be reached ({type(error).__name__})") from None


def _judge_status(response: http.client.HTTPResponse, part: _PartialFile) -> None:
    """Judge the status: 200 starts again, 206 goes on where it was asked to; anything else is not
    the file."""
    status = response.status
    if status == 200:
        # Appending another part would give a wrong file, and where no checksum is announced nobody would
        # notice.
        part.discard_part()
    elif status == 206:
        start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        if start is None or int(start[1]) != part.size:
            part.discard_part()
            raise _TransferInterrupted("the Provider sent another part than was asked for")
    elif status == 416:
        part.discard_part()
        raise _TransferInterrupted("the Provider does not know the part that was asked for")
    else:
        cause = f"the Provider answered {status}{_refusal_reason(response)}"
        if status in _FINAL:
            raise FetchFailed(cause)
        # 503: the Provider waits for another service itself. Its wait counts as no failure.
        raise _ProviderAway(cause) if status == 503 else _TransferInterrupted(cause)


def _receive_body(response: http.client.HTTPResponse, part: _PartialFile) -> None:
    """Append the body to the part; a connection that ends early is an interruption."""
    # One buffer for the whole file, so that no megabyte is allocated anew for each chunk.
    buffer = memoryview(bytearray(CHUNK))
    awaited = response.length
    _demand_room(part, awaited or 0)
    received = 0
    with part.path.open("ab") as file:
        while True:
            try:
                count = response.readinto(buffer)
            except (OSError, http.client.HTTPException):
                raise _TransferInterrupted("the Provider broke off the transfer") from None
            if count == 0:
                break
            file.write(buffer[:count])
            part.hash.update(buffer[:count])
            part.size += count
            received += count
    # ``readinto`` returns 0 at an early end without an exception, unlike ``read`` of a whole body.
    if awaited is not None and received < awaited:
        raise _TransferInterrupted("the Provider broke off the transfer")


def _demand_room(part: _PartialFile, size: int) -> None:
    """Raise FetchFailed for what cannot fit, before it is begun: the job's volume is of one size, for all
    inputs and outputs together."""
    facts = os.statvfs(part.path.parent)
    # ``f_bavail`` and not ``f_bfree``: the rest is root's, and this program is not.
    room = facts.f_bavail * facts.f_frsize
    if size > room:
        raise FetchFailed(f"it has {size} bytes more, and the job's volume has room for {room}")


def _refusal_reason(response: http.client.HTTPResponse) -> str:
    """Return the Provider's own words, without anything that looks like an address."""
    with contextlib.suppress(ValueError, OSError, http.client.HTTPException, AttributeError):
        # A source could send any amount in place of an error: 4 KiB are enough for a sentence.
        text = parse_json(response.read(4096)).get("error")
        if isinstance(text, str) and text:
            return ": " + _ADDRESS.sub("(address)", text)[:200]
    return ""
