"""The publishers' own rules, on top of what every job's outputs must be: names, sizes, types, tables.

Fails closed: what a rule speaks about and what cannot be checked may not leave. A type is believed from the
content, read to its end as a stream, never from the name alone. Reasons are outputs too: they say which rule
was broken and nothing that the algorithm chose; files are told apart by a number and by the beginning of the
SHA-256 of their path, which whoever wrote the algorithm can compare with the names that it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from c2d_box.assets.disclosure import DisclosureRules
from c2d_box.limits import REFUSED_LISTED_UNDER_RULES
from c2d_box.pods.judge import pictures, tables
from c2d_box.pods.judge.outputs import OutputsVerdict, RefusedFile
from c2d_box.pods.judge.tables import Unfit

CHECKED_BYTES = 256 << 20
"""The most bytes of a file that is read to be checked: a larger one would take minutes."""
_PICTURES: Mapping[str, Callable[[BinaryIO], None]] = {
    "png": pictures.check_png,
    "jpg": pictures.check_jpeg,
    "jpeg": pictures.check_jpeg,
    "gif": pictures.check_gif,
}
"""Checks by file name extension. A new type also belongs in ``CHECKABLE`` of ``assets/disclosure.py``."""
_TABLES: Mapping[str, Callable[[DisclosureRules, BinaryIO], None]] = {
    "csv": tables.check_csv,
    "tsv": partial(tables.check_csv, delimiter="\t"),
    "json": tables.check_json,
    "ndjson": partial(tables.check_json, many=True),
    "jsonl": partial(tables.check_json, many=True),
    "txt": tables.check_text,
    "md": tables.check_text,
}


def disclosure_verdict(
    sets: Sequence[DisclosureRules], outputs: Sequence[dict[str, Any]], data: Path
) -> OutputsVerdict:
    """Return what of the accepted ``outputs`` (the manifest's lines) any of the sets of rules refuses."""
    verdict = OutputsVerdict()
    # Totals first: they need no file to be read.
    for rules in sets:
        for reason in _all_together(rules, outputs):
            verdict.add_refusal(RefusedFile("", f"{reason}: the publisher's disclosure rule"))
    for line in outputs:
        try:
            # Each set by itself. Merged rules could allow what one of the publishers refuses.
            for rules in sets:
                _check_output(rules, data / line.get("onDisk", line["path"]), line)
        except Unfit as reason:
            verdict.add_refusal(RefusedFile(str(line["path"]), str(reason), str(line["path"])))
    return verdict


def anonymous_verdict(verdict: OutputsVerdict) -> OutputsVerdict:
    """Return the verdict without names and figures of the algorithm's choice, and with few lines."""
    told = [
        RefusedFile(
            f"file {number} (SHA-256 of its path begins {entry.path_digest[:8]})"
            if entry.name
            else "outputs",
            entry.reason if entry.figures is None else entry.figures,
        )
        # A few lines and eight digits each: every further one would be a name by which an algorithm can tell
        # something.
        for number, entry in enumerate(verdict.refused[:REFUSED_LISTED_UNDER_RULES], 1)
    ]
    return OutputsVerdict([], told, verdict.refused_count)


def _all_together(rules: DisclosureRules, outputs: Sequence[dict[str, Any]]) -> list[str]:
    """Return which limits on all outputs together are broken, in words that hold no figure of the
    algorithm's."""
    found = []
    names = sum(len(str(line["filename"]).encode()) for line in outputs)
    if rules.max_files is not None and len(outputs) > rules.max_files:
        found.append(f"more than {rules.max_files} files")
    if rules.max_bytes is not None and sum(int(line["size"]) for line in outputs) > rules.max_bytes:
        found.append(f"more than {rules.max_bytes} bytes")
    if names > rules.name_bytes:
        found.append(f"more than {rules.name_bytes} bytes of names")
    return found


def _check_output(rules: DisclosureRules, path: Path, line: Mapping[str, Any]) -> None:
    """Check one output against one set; raise Unfit. The cheap checks come first, and the content is read
    only where a rule speaks of content."""
    if not rules.allows_name(str(line["filename"])):
        raise Unfit("its name is not one that the publisher's disclosure rule allows")
    if not rules.speaks_of_content:
        return
    kind = Path(str(line["filename"])).suffix.lstrip(".").lower()
    if rules.types is not None and kind not in rules.types:
        raise Unfit(f"its type is not among {', '.join(rules.types) or '(none)'}")
    if int(line["size"]) > CHECKED_BYTES:
        raise Unfit("it is too big to be checked against the publisher's disclosure rules")
    with path.open("rb") as file:
        if kind in _PICTURES:
            _PICTURES[kind](file)
            # A picture says of nobody how many individuals it shows.
            if rules.min_cell is not None:
                raise Unfit("the publisher lets only tables with a count column leave")
        elif kind in _TABLES:
            _TABLES[kind](rules, file)
        else:
            # Also for a type that the rules name: a rule cannot be kept that nothing here can check.
            raise Unfit("its type cannot be checked against the publisher's disclosure rules")
