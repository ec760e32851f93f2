"""The positive control of the warden's proof: an address that answers the same job at the same time.

Silence from the algorithm's pod says nothing about an address that is dead. So configuration, which has a way
to the engine, connects to it just before it releases the warden, and writes down which address answered and
when; the warden must find that very address silent.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from c2d_box.files import replace_file

CONNECT_SECONDS = 2.0
"""Seconds for one TCP connection to the engine, which is in the same cluster."""
_PAUSE = 0.05
"""Seconds between two rounds of attempts: the algorithm waits for this, so the pause is short."""


@dataclass(frozen=True, slots=True)
class AliveAddresses:
    """The addresses known to be alive: ``ip:port`` that took a connection at ``at`` (Unix seconds)."""

    at: float
    addresses: tuple[str, ...]


def dial_hosts(urls: Iterable[str], patience_seconds: float) -> AliveAddresses:
    """Connect to the host of each URL, again and again until one answered or the time is over."""
    deadline = time.monotonic() + patience_seconds
    # The algorithm cannot start before this has ended, so one address that answers is enough.
    found: list[str] = []
    wanted = [urlsplit(url) for url in urls if url]
    while not found:
        for parts in wanted:
            with contextlib.suppress(OSError):
                found.append(
                    _connected_address(parts.hostname or "", parts.port or _default_port(parts.scheme))
                )
        if found or time.monotonic() >= deadline:
            break
        time.sleep(_PAUSE)
    # Wall clock, because the warden is another process and reports the age of the control.
    return AliveAddresses(time.time(), tuple(dict.fromkeys(found)))


def write_alive(path: Path, alive: AliveAddresses) -> None:
    """Write the control to ``path``, whole or not at all."""
    replace_file(path, json.dumps({"at": alive.at, "addresses": alive.addresses}))


def read_alive(path: Path) -> AliveAddresses | None:
    """Read the control; None where there is none, or where the file cannot be one."""
    try:
        found = json.loads(path.read_text())
        alive = AliveAddresses(float(found["at"]), tuple(str(entry) for entry in found["addresses"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # JSON of Python may hold NaN, and a control of no address would make any silence count as a proof.
    return alive if alive.addresses and math.isfinite(alive.at) else None


def _connected_address(host: str, port: int) -> str:
    """Return the address that took the connection, as the warden spells its targets. It is the peer's own
    address and not the name in the URL: the algorithm's pod resolves no names, so the warden can try
    addresses only."""
    with socket.create_connection((host, port), CONNECT_SECONDS) as connected:
        address, reached, *_ = connected.getpeername()
    return f"[{address}]:{reached}" if ":" in address else f"{address}:{reached}"


def _default_port(scheme: str) -> int:
    """Return the port that a URL of this scheme means where it names none."""
    return 443 if scheme == "https" else 80
