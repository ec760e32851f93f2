"""Limits on which two parts of a job must agree: each is defined here once and imported by both sides.

Where one part was stricter than another, an honest job that had done all its work ended as a failure. What is
too much for a record is therefore cut, with a count of all and the first ones kept; what is too much for a
result is refused by the judge, with its reason, before anything is stored.

Everything that Kubernetes keeps of a job is one object in etcd, which takes 1.5 MiB:

===============================  ==========
spec                               600,000
list of the results, packed        400,000
transactions of a result asset     260,000
staged inputs and refused names    120,000
the rest of status and metadata     60,000
===============================  ==========

Plain constants and pure functions: the pods' programs load this on a job's hot path.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

ETCD_BYTES: Final = 1_572_864
"""The largest object that etcd stores in its default configuration."""

# -- files that leave

OUTPUT_FILES: Final = 2000
"""Outputs of a job, folders included; an operator may set up to :data:`OUTPUT_FILES_MOST`."""
OUTPUT_FILES_MOST: Final = 5000
NAME_BYTES: Final = 255
"""The longest name of one file, in bytes of UTF-8: what a file system takes."""
PATH_BYTES: Final = 1024
"""The longest path below the outputs, in bytes of UTF-8."""
URL_CHARACTERS: Final = 3 * (PATH_BYTES + 64) + 1024
"""The longest address of a stored result: each byte of its path may become three characters."""
LISTED_FILES: Final = OUTPUT_FILES_MOST + 100
"""The most lines of a manifest or a report, which lists outputs, logs and our own files."""
LISTING_INLINE_BYTES: Final = 32_000
"""A list of results up to this size stands in the status as it is; a longer one is packed."""
LISTING_PACKED_CHARACTERS: Final = 400_000
"""The longest packed list of results. The judge refuses outputs whose list would be longer."""

# -- inputs

JOB_DATASETS: Final = 64
"""The most datasets of one job. Each is looked up, checked for permission and quoted for anybody who asks,
before anybody signs or pays."""

# -- records: cut, never refused

REFUSED_LISTED: Final = 50
"""The most refused outputs that a record names; all of them are counted."""
REFUSED_LISTED_UNDER_RULES: Final = 5
"""The most refused outputs that a record names where a publisher's disclosure rules hold: there each line of
the record is itself information that leaves the job."""
REFUSED_PATH_CHARACTERS: Final = 400
"""The longest path of a refused output in a record; see :func:`shortened_text`."""
REASON_CHARACTERS: Final = 1000
"""The longest reason of a job's end."""
TEXT_CHARACTERS: Final = 2000
"""The longest of any other short text in a report."""
STAGED_LISTED: Final = 500
"""The most staged inputs that are listed one by one; all are counted, and all are in the list's digest."""
RECORD_BYTES: Final = 60_000
"""The largest size of such a list as it is stored, however few its lines are."""

# -- bodies

REPORT_BYTES: Final = 24 << 20
"""The largest report of a pod to the engine, and the largest answer of the engine to it."""
SPEC_BYTES: Final = 600_000
"""The largest spec of a WorkFlow as it is stored."""
CARRIED_BYTES: Final = 500_000
"""The largest size, as it is stored, of what a job carries itself: raw code and custom data. The rest of its
spec fits beside it, so a job that a Provider has quoted is not refused by operator-service for its size once
it is paid."""
TRANSACTION_CHARACTERS: Final = 200_000
"""The longest signed transaction of a result asset."""
TRANSACTIONS_CHARACTERS: Final = 260_000
"""The largest sum of the transactions of one result asset."""


def carries_code(rawcode: object) -> bool:
    """Return whether a job carries its algorithm's code itself: any text but the empty one, however short.

    The original treated a code of up to ten characters as no code, after it had been ordered and paid.
    """
    return isinstance(rawcode, str) and rawcode != ""


def stored_bytes(value: Any) -> int:
    """Return the bytes of a JSON value as Kubernetes writes it to etcd: ``<``, ``>`` and ``&`` take six
    each."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # Go's encoding/json escapes these by default, as ``\u003c``: a limit counted without it would be passed
    # at the API server.
    escaped = sum(text.count(character) for character in "<>&\u2028\u2029")
    return len(text.encode("utf-8", "replace")) + 5 * escaped


def shortened_text(text: str, characters: int) -> str:
    """Return the text, without its middle where it is longer: beginning and end of a path say most."""
    if len(text) <= characters:
        return text
    half = (characters - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def fitting_lines(lines: Sequence[Any], count: int, size: int) -> list[Any]:
    """Return the first lines: at most ``count``, and together at most ``size`` bytes as they are stored."""
    kept: list[Any] = []
    for line in lines[:count]:
        # One byte for the comma.
        size -= stored_bytes(line) + 1
        if size < 0:
            break
        kept.append(line)
    return kept
