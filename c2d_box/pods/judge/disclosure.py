"""The publishers' own rules, on top of what every job's outputs must be: sizes, types, tables.

Fails closed: what a rule speaks about and what cannot be checked may not leave. A type is believed from the
content, never from the name alone.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from c2d_box.assets.disclosure import Rules
from c2d_box.pods.judge.outputs import Refused

READABLE = 32 << 20
"""Bytes of a file that is read to be checked; a larger one cannot be."""
_MAGIC = {
    "png": b"\x89PNG\r\n\x1a\n",
    "jpg": b"\xff\xd8\xff",
    "jpeg": b"\xff\xd8\xff",
    "gif": b"GIF8",
    "pdf": b"%PDF-",
}


class _Unfit(Exception):
    """Why a file may not leave."""


def refusals(rules: Rules, outputs: Sequence[dict[str, Any]], data: Path) -> list[Refused]:
    """What of the accepted ``outputs`` (the manifest's lines) the rules refuse."""
    found = []
    total = sum(int(line["size"]) for line in outputs)
    if rules.max_files is not None and len(outputs) > rules.max_files:
        found.append(Refused("", f"more than {rules.max_files} files: the publisher's disclosure rule"))
    if rules.max_bytes is not None and total > rules.max_bytes:
        found.append(Refused("", f"more than {rules.max_bytes} bytes: the publisher's disclosure rule"))
    for line in outputs:
        try:
            _check(rules, data / line["path"], int(line["size"]))
        except _Unfit as reason:
            found.append(Refused(str(line["path"]).encode("unicode_escape").decode()[:1024], str(reason)))
    return found


def _check(rules: Rules, path: Path, size: int) -> None:
    if rules.types is None and rules.max_rows is None and rules.min_cell is None:
        return
    kind = path.suffix.lstrip(".").lower()
    if rules.types is not None and kind not in rules.types:
        raise _Unfit(f"its type is not among {', '.join(rules.types) or '(none)'}")
    if size > READABLE:
        raise _Unfit("it is too big to be checked against the publisher's disclosure rules")
    content = path.read_bytes()
    if kind in _MAGIC:
        _image(rules, kind, content)
    elif kind in _READERS:
        _table(rules, _READERS[kind](content))
    else:
        raise _Unfit("its type cannot be checked against the publisher's disclosure rules")


def _image(rules: Rules, kind: str, content: bytes) -> None:
    if not content.startswith(_MAGIC[kind]):
        raise _Unfit(f"its content is not {kind}")
    if rules.min_cell is not None:
        raise _Unfit("the publisher lets only tables with a count column leave")


def _csv(content: bytes) -> tuple[int, list[tuple[str, Any]]]:
    try:
        lines = list(csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as problem:
        raise _Unfit("its content is not CSV") from problem
    if not lines:
        return 0, []
    head, rows = lines[0], [line for line in lines[1:] if line]
    if any(len(line) != len(head) for line in rows):
        raise _Unfit("its lines have not the columns of its header")
    cells = [(name.strip().lower(), value) for row in rows for name, value in zip(head, row, strict=True)]
    return len(rows), cells


def _json(content: bytes) -> tuple[int, list[tuple[str, Any]]]:
    try:
        value = json.loads(content.decode("utf-8"))
        walked = list(_walk(value))
    except (ValueError, RecursionError) as problem:
        raise _Unfit("its content is not JSON") from problem
    longest = max((length for length, _ in walked), default=0)
    return longest, [cell for _, cell in walked if cell is not None]


def _walk(value: Any) -> Iterator[tuple[int, tuple[str, Any] | None]]:
    """Lengths of arrays, and each named value."""
    if isinstance(value, list):
        yield len(value), None
        for item in value:
            yield from _walk(item)
    elif isinstance(value, dict):
        yield len(value), None
        for name, item in value.items():
            yield 0, (name.strip().lower(), item)
            yield from _walk(item)


def _text(content: bytes) -> tuple[int, list[tuple[str, Any]]]:
    try:
        return len(content.decode("utf-8").splitlines()), []
    except UnicodeDecodeError as problem:
        raise _Unfit("its content is not text") from problem


_READERS: dict[str, Callable[[bytes], tuple[int, list[tuple[str, Any]]]]] = {
    "csv": _csv,
    "json": _json,
    "txt": _text,
    "md": _text,
}


def _table(rules: Rules, read: tuple[int, list[tuple[str, Any]]]) -> None:
    rows, cells = read
    if rules.max_rows is not None and rows > rules.max_rows:
        raise _Unfit(f"it has {rows} rows, the publisher allows {rules.max_rows}")
    if rules.min_cell is None:
        return
    counts = [value for name, value in cells if name in rules.counted]
    if not counts:
        raise _Unfit(f"it has no count column ({', '.join(sorted(rules.counted))})")
    if any(_number(value) < rules.min_cell for value in counts):
        raise _Unfit(f"a figure in it stands for fewer than {rules.min_cell} individuals")


def _number(value: Any) -> float:
    """What is no number counts nobody: it fails."""
    try:
        found = float(value) if not isinstance(value, bool) else -1.0
    except (TypeError, ValueError):
        return -1.0
    return found if found == found else -1.0
