"""Merges several logs into one: lines that are new since the last read, ordered by the times they carry."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from c2d_box.errors import C2DError
from c2d_box.strict_json import JsonRefused, parse_json
from tui.backend.port import BackendPort

# Times in the box's logs: RFC 3339, Unix seconds in JSON, and klog (Kubernetes), which has no year.
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:[.,]\d+)?)")
_UNIX = re.compile(r'"(?:time|ts|at)": ?(\d{10}(?:\.\d+)?)')
_LOGFMT = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')
# Fields that the worded line begins with, or that say nothing to a reader.
_SAID = ("time", "ts", "level", "message", "msg", "logger", "caller", "color_message")
_UNDATED = "~"
"""Sort key of a line in a log without times, behind every time: the line is as new as the read
that found it.
"""
_KLOG = re.compile(r"^[IWEF](\d\d)(\d\d) (\d\d:\d\d:\d\d\.\d+)")


def gather_logs(source: BackendPort, lines: int = 200) -> dict[str, list[str]]:
    """Return the last lines of every source. A source that cannot be read now is left out; if none can be,
    raise the last problem.
    """
    found: dict[str, list[str]] = {}
    problem: C2DError | None = None
    for name in source.log_sources():
        try:
            found[name] = source.read_logs(name, lines)
        except C2DError as missing:
            problem = missing
    if problem is not None and not found:
        raise problem
    return found


def line_stamp(line: str) -> str:
    """Return a line's time as text that sorts within a year; empty if it has none."""
    # Only the beginning: a time inside a message is not the line's own.
    if found := _RFC3339.search(line[:200]):
        # The year is cut off, as klog has none.
        return f"{found[1][5:]} {found[2].replace(',', '.')}"
    if found := _KLOG.match(line):
        return f"{found[1]}-{found[2]} {found[3]}"
    if found := _UNIX.search(line[:200]):
        seconds, _, fraction = found[1].partition(".")
        return time.strftime("%m-%d %H:%M:%S", time.gmtime(int(seconds))) + (
            f".{fraction}" if fraction else ""
        )
    return ""


def worded_line(line: str) -> str:
    """Return a structured line (JSON or logfmt) as its time, level, message and the rest, so that it fits on
    a screen; other lines as they are. Our services write ``message``, etcd and containerd ``msg``.
    """
    entry = _parse_entry(line)
    message = entry.get("message", entry.get("msg"))
    # JSON without a message is somebody's output and no log entry: it stays as it is.
    if message is None:
        return line
    rest = (f"{name}={value}" for name, value in entry.items() if name not in _SAID)
    words = (line_stamp(line), str(entry.get("level", "")).upper(), str(message), *rest)
    return " ".join(word for word in words if word).replace("\n", " ")


def _parse_entry(line: str) -> dict[str, object]:
    """Return the fields of a JSON or logfmt line; empty for any other line."""
    if line.startswith("time="):
        return {name: _unquote_value(value) for name, value in _LOGFMT.findall(line)}
    try:
        entry = parse_json(line) if line.startswith("{") else None
    except JsonRefused:
        return {}
    return entry if isinstance(entry, dict) else {}


def _unquote_value(value: str) -> str:
    return value[1:-1].replace('\\"', '"') if value.startswith('"') else value


def fresh_lines(before: list[str], now: list[str]) -> list[str]:
    """Return the lines of ``now`` that follow the end of ``before``: both are tails of one log.

    Line numbers do not help, as the tails move. Where the two do not overlap, all lines of ``now`` are new.
    """
    if not before:
        return now
    last = before[-1]
    # From the end, because a log repeats itself: the last place where all common lines agree is the right
    # one.
    for end in range(len(now) - 1, -1, -1):
        if now[end] != last:
            continue
        common = min(end + 1, len(before))
        if now[end + 1 - common : end + 1] == before[-common:]:
            return now[end + 1 :]
    return now


def merge_lines(news: Mapping[str, list[str]]) -> list[str]:
    """Return the new lines of all sources, each with its source's name, by time. A line without a time keeps
    the time of the line before it, or of the source's first line that has one.
    """
    timed = []
    for source, lines in news.items():
        last = next((when for line in lines if (when := line_stamp(line))), _UNDATED)
        for line in lines:
            last = line_stamp(line) or last
            timed.append((last, f"{source:<18.18} {worded_line(line)}"))
    return [line for _, line in sorted(timed, key=lambda pair: pair[0])]
