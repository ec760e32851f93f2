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
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from c2d_box import limits as agreed
from c2d_box.files import replace_file
from c2d_box.pods import engine
from c2d_box.pods.judge.outputs import AcceptedFile, Limits, OutputsVerdict, RefusedFile, examine_folders
from c2d_box.workflow import listing, manifests, names
from c2d_box.workflow.loggate import LogGate

if TYPE_CHECKING:
    from c2d_box.assets.disclosure import DisclosureRules

_ALGORITHM_LOG = "algorithm.log"
"""The log that the gate writes; everything else beside it counts as an output."""
_WITHHELD = b"The log stays in: a rule of a dataset's publisher.\n"
"""The one text that stands in place of a log that stays in. It is fixed: a text that depended on the log
would say something about it."""
_LISTING_SPARE = 4000
"""The part of the list of results that is kept free for logs and our own files."""
_FULL = 500
"""A volume is full when less than one part in so many is free: the file system keeps some for itself."""


@dataclass(frozen=True, slots=True)
class Places:
    """The folders that the judge works in."""

    data: Path
    verdict: Path


def main() -> int:
    # Upload has another user and reads the copied logs through the job's group.
    """Judge the outputs once the engine says so, and return the exit status. The manifest is written last:
    upload waits for it, and must not send anything that the engine does not know to be judged."""
    os.umask(0o027)
    reporter = engine.from_environment("judge")
    places = Places(Path(names.DATA), Path(names.VERDICT_FOLDER))
    given = json.loads(os.environ["C2D_LIMITS"])
    limits = Limits(given["files"], given["bytes"], given["logBytes"])
    try:
        mandate = reporter.await_go_ahead()
        manifest, report = judge(mandate, limits, places, given.get("disclosure"))
        reporter.send_report(report)
    except engine.GivenUp as reason:
        print(f"gave up: {reason}", flush=True)
        return 1
    replace_file(places.verdict / Path(names.MANIFEST).name, json.dumps(manifest))
    print(f"{len(manifest['files'])} files to send, {report['refusedCount']} refused", flush=True)
    return 0


def judge(
    mandate: dict[str, Any], limits: Limits, places: Places, rules: object = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the manifest for ``upload`` and the report for the engine. ``rules`` are those of the inputs'
    publishers."""
    # Rules that cannot be understood are found before anything of the algorithm's is read.
    ruled = _PublisherRules.from_section(rules, limits)
    full = _full(places.data / names.OUTPUTS)
    # A failed job on a full volume has written as much as there was room for, so its outputs are cut off at
    # any point: only its log leaves. A job that ended well on a full volume has a result.
    wanted = mandate["outputs"] and not (full and mandate.get("failed"))
    verdict = examine_outputs(places.data, limits) if wanted else OutputsVerdict()
    # Publishers' rules come second: they read contents, and only of files that passed the general checks.
    outputs = [_output_entry(entry) for entry in verdict.accepted]
    verdict = ruled.judge_outputs(verdict, outputs, places.data)
    # One output that may not leave keeps all in. Logs leave anyway: the consumer learns from them why.
    files = [] if verdict.refused else list(outputs)
    if mandate["logs"]:
        files.append(_algorithm_log(ruled.log_gate(verdict), places))
    # Our own programs write these; they go through a gate all the same, because they quote other servers'
    # answers.
    for log, kind in _admin_logs(places.data / names.ADMIN_LOGS):
        gate = LogGate(limits.log_bytes)
        files.append(_copy_log(log, f"{names.ADMIN_LOGS}/{log.name}", kind, gate, places))
    modified = _modified_time(places.data / names.LOGS / _ALGORITHM_LOG) if mandate["logs"] else None
    report = {
        "refused": [entry.as_report() for entry in verdict.refused],
        "refusedCount": verdict.refused_count,
        "files": len(files),
        # With rules a moment of the algorithm's choice would be a channel: 19 bits in a second.
        "exited": None if ruled.has_rules else modified,
        "full": full,
        "manifest": manifests.manifest_digest(files),
    }
    return {"files": files}, report


@dataclass(frozen=True, slots=True)
class _PublisherRules:
    """The publishers' sets of rules. Their parser (pydantic) is imported only where there are rules: most
    jobs have none and need not wait for it."""

    limits: Limits
    sets: tuple[DisclosureRules, ...] = ()
    problem: str | None = None
    """The reason why the rules cannot be understood; nothing leaves then."""

    @classmethod
    def from_section(cls, section: object, limits: Limits) -> _PublisherRules:
        """Parse the rules of a job's output section; a section that cannot be parsed lets nothing leave."""
        if section is None:
            return cls(limits)
        from c2d_box.assets.disclosure import InvalidRules, parse_sets

        try:
            return cls(limits, parse_sets(section))
        except InvalidRules as problem:
            return cls(limits, problem=str(problem))

    @property
    def has_rules(self) -> bool:
        return bool(self.sets) or self.problem is not None

    def judge_outputs(
        self, verdict: OutputsVerdict, outputs: list[dict[str, Any]], data: Path
    ) -> OutputsVerdict:
        """Return the verdict under the rules. Reasons are made anonymous even where the general checks
        refused already: a refused name would carry data out just as well."""
        if not self.has_rules:
            return verdict
        from c2d_box.pods.judge.disclosure import anonymous_verdict, disclosure_verdict

        if self.problem is not None:
            return OutputsVerdict([], [RefusedFile("outputs", self.problem)], 1)
        return anonymous_verdict(verdict if verdict.refused else disclosure_verdict(self.sets, outputs, data))

    def log_gate(self, verdict: OutputsVerdict) -> LogGate | None:
        """Return the gate for the algorithm's log; None where it stays in. What may not leave as a file may
        not leave as a line."""
        if not self.has_rules:
            return LogGate(self.limits.log_bytes)
        from c2d_box.assets.disclosure import log_budget

        size, lines = log_budget(self.sets)
        if verdict.refused or not size:
            return None
        return LogGate(min(size, self.limits.log_bytes), lines)


def _algorithm_log(gate: LogGate | None, places: Places) -> dict[str, Any]:
    """Copy the algorithm's log, or the fixed line in its place: the index of each result stays the same."""
    path, log = f"{names.LOGS}/{_ALGORITHM_LOG}", places.data / names.LOGS / _ALGORITHM_LOG
    if gate is None:
        gate, log = LogGate(len(_WITHHELD)), places.verdict / "withheld"
        log.write_bytes(_WITHHELD)
    return _copy_log(log, path, "algorithmLog", gate, places)


def examine_outputs(data: Path, limits: Limits) -> OutputsVerdict:
    """Examine the outputs, then everything else that the algorithm put beside its log: to Ocean both are
    outputs."""
    verdict = examine_folders(
        [
            (data / names.OUTPUTS, names.OUTPUTS, frozenset()),
            (data / names.LOGS, names.LOGS, frozenset({_ALGORITHM_LOG})),
        ],
        limits,
    )
    if (
        # The list has to fit into the WorkFlow's status. After the upload would be too late: results would
        # be stored then.
        len(listing.pack_listing([_listing_entry(entry) for entry in verdict.accepted]))
        > agreed.LISTING_PACKED_CHARACTERS - _LISTING_SPARE
    ):
        verdict.add_refusal(
            RefusedFile(names.OUTPUTS, "the names of all outputs together are too long to be listed")
        )
        verdict.accepted = []
    return verdict


def _listing_entry(entry: AcceptedFile) -> dict[str, Any]:
    """Return the entry about as it will stand in the status."""
    return {**_output_entry(entry), "filesize": entry.size, "url": f"store:/{quote(entry.path)}"}


def _output_entry(entry: AcceptedFile) -> dict[str, Any]:
    """Return the manifest's line of an output. ``filename`` begins below the outputs' folder; ``onDisk`` is
    given only where normalisation changed the name, so that upload still finds the file."""
    line = {
        "source": "data",
        "path": entry.path,
        "filename": entry.path.partition("/")[2],
        "type": "output",
        "size": entry.size,
        "sha256": entry.sha256,
    }
    return line if entry.on_disk == entry.path else {**line, "onDisk": entry.on_disk}


def _copy_log(source: Path, path: str, kind: str, gate: LogGate, places: Places) -> dict[str, Any]:
    """Copy a log through the log gate; the copy is empty where there is no log, so that its index is always
    there."""
    target = places.verdict / "logs" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as file:
        for piece in _read_through_gate(source, gate):
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


def _read_through_gate(source: Path, gate: LogGate) -> Iterator[bytes]:
    """Yield a log through the gate; nothing where there is no log or something else in its place. The
    algorithm owns the folder: a link could lead to a file of ours, and a pipe would be read for ever."""
    try:
        handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return
    with os.fdopen(handle, "rb") as file:
        # Past the budget nothing leaves, so the rest of a log of gigabytes is not even read.
        while not gate.truncated and (chunk := file.read(1 << 16)):
            yield gate.filter_bytes(chunk)
        yield gate.finish_log()


def _admin_logs(folder: Path) -> list[tuple[Path, str]]:
    """Return the logs that our own programs alone write; ``configrationLog`` is spelt as clients know it."""
    kinds = {"configure.log": "configrationLog", "publish.log": "publishLog"}
    return [(folder / name, kind) for name, kind in kinds.items() if (folder / name).exists()]


def _modified_time(log: Path) -> float | None:
    """Return when the log was last touched: the gate does so as its last act."""
    try:
        return log.lstat().st_mtime
    except OSError:
        return None


def _full(folder: Path) -> bool:
    """Return whether the volume is full. A volume that cannot be asked counts as not full, which loses no
    result."""
    try:
        facts = os.statvfs(folder)
    except OSError:
        return False
    return facts.f_bavail * _FULL < facts.f_blocks


if __name__ == "__main__":
    sys.exit(main())
