"""``python -m c2d_box.pods.judge``: waits for the go-ahead, judges, writes the manifest, reports.

The manifest lists what ``upload`` shall send, in the order of Ocean's result index: outputs, then the
algorithm's log, then ours. Logs are copied through the log gate, so what is sent of them is clean;
outputs are sent as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from c2d_box.pods import engine
from c2d_box.pods.judge.outputs import Accepted, Limits, Refused, examine
from c2d_box.workflow import manifests, names
from c2d_box.workflow.loggate import LogGate

_ALGORITHM_LOG = "algorithm.log"
_FULL = 500
"""A volume is full when less than one part in so many is free: the file system keeps some for itself."""


@dataclass(frozen=True, slots=True)
class Places:
    data: Path
    verdict: Path


def main() -> int:
    os.umask(0o027)
    reporter = engine.from_environment("judge")
    places = Places(Path(names.DATA), Path(names.VERDICT_FOLDER))
    given = json.loads(os.environ["C2D_LIMITS"])
    limits = Limits(given["files"], given["bytes"], given["logBytes"])
    try:
        mandate = reporter.go_ahead()
        manifest, report = judge(mandate, limits, places, given.get("disclosure"))
        reporter.report(report)
    except engine.GivenUp as reason:
        print(f"gave up: {reason}", flush=True)
        return 1
    fresh = places.verdict / "manifest.new"
    fresh.write_text(json.dumps(manifest))
    fresh.replace(places.verdict / Path(names.MANIFEST).name)
    print(f"{len(manifest['files'])} files to send, {len(report['refused'])} refused", flush=True)
    return 0


def judge(
    mandate: dict[str, Any], limits: Limits, places: Places, rules: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifest for ``upload`` and the report for the engine. ``rules``: the inputs' publishers'."""
    outputs, refused = _outputs(limits, places) if mandate["outputs"] else ([], [])
    if rules is not None and not refused:
        outputs, refused = _disclosed(rules, outputs, places.data)
    logs = places.data / names.LOGS / _ALGORITHM_LOG
    if rules is not None and refused:
        logs = places.verdict / "withheld"  # what may not leave as a file may not leave as a line
    files = list(outputs)
    if mandate["logs"]:
        files.append(_log(logs, f"{names.LOGS}/{_ALGORITHM_LOG}", "algorithmLog", limits, places))
    for log, kind in _admin_logs(places.data / names.ADMIN_LOGS):
        files.append(_log(log, f"{names.ADMIN_LOGS}/{log.name}", kind, limits, places))
    report = {
        "refused": [{"path": entry.path, "reason": entry.reason} for entry in refused],
        "files": len(files),
        "exited": _modified(places.data / names.LOGS / _ALGORITHM_LOG) if mandate["outputs"] else None,
        "full": _full(places.data / names.OUTPUTS),
        "manifest": manifests.digest(files),
    }
    return {"files": files}, report


def _disclosed(
    rules: dict[str, Any], outputs: list[dict[str, Any]], data: Path
) -> tuple[list[dict[str, Any]], list[Refused]]:
    from c2d_box.assets.disclosure import parse  # most jobs have no rules and need not wait for their parser
    from c2d_box.pods.judge.disclosure import refusals

    understood = parse(rules)
    refused = refusals(understood, outputs, data) if understood is not None else []
    return ([], refused) if refused else (outputs, [])


def _outputs(limits: Limits, places: Places) -> tuple[list[dict[str, Any]], list[Refused]]:
    """Outputs, then whatever else the algorithm put beside its log: to Ocean both are outputs."""
    found = examine(places.data / names.OUTPUTS, limits)
    used = sum(entry.size for entry in found.accepted)
    rest = Limits(limits.files - len(found.accepted), limits.bytes - used, limits.log_bytes)
    beside = examine(places.data / names.LOGS, rest, skip=frozenset({_ALGORITHM_LOG}))
    refused = [
        Refused(f"{folder}/{entry.path}", entry.reason)
        for folder, verdict in ((names.OUTPUTS, found), (names.LOGS, beside))
        for entry in verdict.refused
    ]
    if refused:
        return [], refused
    return (
        [_output(names.OUTPUTS, entry) for entry in found.accepted]
        + [_output(names.LOGS, entry) for entry in beside.accepted],
        [],
    )


def _output(folder: str, entry: Accepted) -> dict[str, Any]:
    return {
        "source": "data",
        "path": f"{folder}/{entry.path}",
        "filename": entry.path,
        "type": "output",
        "size": entry.size,
        "sha256": entry.sha256,
    }


def _log(source: Path, path: str, kind: str, limits: Limits, places: Places) -> dict[str, Any]:
    """A copy that went through the log gate; empty where there is no log, so that its index is
    always there.
    """
    target = places.verdict / "logs" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    gate, digest, size = LogGate(limits.log_bytes), hashlib.sha256(), 0
    with target.open("wb") as file:
        for piece in _passed(source, gate):
            file.write(piece)
            digest.update(piece)
            size += len(piece)
    return {
        "source": "logs",
        "path": path,
        "filename": Path(path).name,
        "type": kind,
        "size": size,
        "sha256": digest.hexdigest(),
    }


def _passed(source: Path, gate: LogGate) -> Iterator[bytes]:
    try:
        handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return
    with os.fdopen(handle, "rb") as file:
        while not gate.truncated and (chunk := file.read(1 << 16)):
            yield gate.pass_(chunk)
        yield gate.end()


def _admin_logs(folder: Path) -> list[tuple[Path, str]]:
    """Written by our own programs alone; ``configrationLog`` is spelt as clients know it."""
    kinds = {"configure.log": "configrationLog", "publish.log": "publishLog"}
    return [(folder / name, kind) for name, kind in kinds.items() if (folder / name).exists()]


def _modified(log: Path) -> float | None:
    """The gate touches the log as its last act."""
    try:
        return log.lstat().st_mtime
    except OSError:
        return None


def _full(folder: Path) -> bool:
    try:
        facts = os.statvfs(folder)
    except OSError:
        return False
    return facts.f_bavail * _FULL < facts.f_blocks


if __name__ == "__main__":
    sys.exit(main())
