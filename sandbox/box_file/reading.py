"""Reads ``c2d-box.yaml`` and refuses a bad one with line, key and reason, before anything is changed.

All problems are told at once and in the order of lines: a user corrects the file once, not once per fault.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from c2d_box.errors import UsageError
from c2d_box.strict_json import JsonLimits, JsonRefused
from c2d_box.strict_yaml import compose_yaml
from sandbox.box_file.chart_check import chart_problems
from sandbox.box_file.key_lines import KeyLines, KeyPath, find_key_lines
from sandbox.box_file.schema import BoxFile
from sandbox.install.external_chain import choose_chain
from sandbox.install.user_values import LIMIT_PLACES
from sandbox.settings import HIGHEST_PORT, BoxPorts

# Far above any real file. One in a cloned repository is a stranger's, and YAML's aliases make much of little.
FILE_LIMITS = JsonLimits(size_bytes=256 << 10, depth=32, values=10_000)


@dataclass(frozen=True, slots=True)
class BoxFileProblem:
    """One thing that is wrong with a box file."""

    line: int
    key: str
    reason: str


def read_box_file(path: Path) -> BoxFile:
    """Return the file at ``path``; raise ``C2D-BOXFILE-UNREADABLE`` or ``C2D-BOXFILE-INVALID``."""
    return parse_box_file(read_box_text(path), path)


def read_box_text(path: Path) -> str:
    """Return the text at ``path``, without a byte order mark."""
    try:
        with path.open("rb") as stream:
            # One byte more than allowed, so that the parser sees that it is too much.
            return stream.read(FILE_LIMITS.size_bytes + 1).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as cause:
        raise UsageError(
            "C2D-BOXFILE-UNREADABLE",
            f"{path} cannot be read: {cause}",
            "c2d-box config show prints a good one",
        ) from cause


def parse_box_file(text: str, path: Path) -> BoxFile:
    """Return the file whose text is ``text``; ``path`` is named in a refusal, and relative paths in the text
    are seen from its folder.
    """
    try:
        document, root = compose_yaml(text, FILE_LIMITS)
    except JsonRefused as cause:
        raise UsageError(
            "C2D-BOXFILE-UNREADABLE",
            f"{path} cannot be read: {cause}",
            "c2d-box config show prints a good one",
        ) from cause
    keys = find_key_lines(root)
    # An empty file is a valid one: everything has its default.
    file, found = _validated_file({} if document is None else document, keys)
    # Rules that look at several keys need a file whose single keys are right.
    if file is not None:
        found += _placed(keys, _contradictions(file, path.absolute().parent))
        found += _placed(
            keys, ((("values", *p), reason) for p, reason in chart_problems(file.values, LIMIT_PLACES))
        )
    # Also where the rest is fine: the parser kept the last value, and the user may mean the first.
    found += [BoxFileProblem(line, ".".join(place), "is given twice") for place, line in keys.repeated]
    if file is None or found:
        raise invalid_file(path, sorted(found, key=lambda problem: problem.line))
    return file


def invalid_file(path: Path, problems: list[BoxFileProblem]) -> UsageError:
    """Return the refusal of a file with these problems."""
    lines = [f"{path}, line {each.line}: {each.key}: {each.reason}" for each in problems]
    return UsageError(
        "C2D-BOXFILE-INVALID",
        "\n".join(lines),
        "correct it (c2d-box config edit); c2d-box config show prints every key with its meaning",
    )


def _validated_file(document: Any, keys: KeyLines) -> tuple[BoxFile | None, list[BoxFileProblem]]:
    """Return the document as a file, or what is wrong with its keys and types."""
    if not isinstance(document, dict):
        return None, [BoxFileProblem(1, "the file", "is no list of keys with values")]
    try:
        # Strict: the quotes around "8030" are the user's, and a text is not taken for a port.
        return BoxFile.model_validate(document), []
    except ValidationError as refused:
        problems = []
        for error in refused.errors():
            path = tuple(map(str, error["loc"]))
            reason = (
                unknown_key_text(path) if error["type"] == "extra_forbidden" else _reason_text(dict(error))
            )
            problems.append((path, reason))
        return None, _placed(keys, problems)


def _reason_text(error: dict[str, Any]) -> str:
    """Return pydantic's words in the form of the other reasons: "must be …"."""
    return re.sub("^(Input|String) should", "must", str(error["msg"]))


def unknown_key_text(path: KeyPath) -> str:
    """Return why a key is refused: there is no such key; perhaps another one was meant."""
    # Down to the section that the unknown key stands in: its siblings are what may have been meant.
    section: Any = BoxFile
    for name in path[:-1]:
        section = section.model_fields[name].annotation
    known = list(section.model_fields) if isinstance(section, type) and issubclass(section, BaseModel) else []
    # One guess at most: a list of guesses is longer than the list of the section's keys.
    close = difflib.get_close_matches(path[-1], known, 1)
    return f"there is no such key; {f'did you mean {close[0]}' if close else 'there are ' + ', '.join(known)}"


def _placed(keys: KeyLines, problems: Any) -> list[BoxFileProblem]:
    """Return problems with their lines."""
    return [BoxFileProblem(keys.line_of(path), ".".join(path), reason) for path, reason in problems]


def _contradictions(file: BoxFile, folder: Path) -> Iterator[tuple[KeyPath, str]]:
    """Yield what each key by itself may say, but not beside the others: nothing is set without an effect."""
    existing = file.existing
    # Compared with the defaults: a section that says nothing but defaults has no effect to lose.
    if existing != type(existing)() and file.cluster != "existing":
        yield ("existing",), "is for a cluster of somebody else: cluster: existing"
    if existing.pull_secret and existing.pull_by_login:
        yield ("existing", "pull_by_login"), "excludes existing.pull_secret"
    if file.chain.rpc is None and file.chain.address_file:
        yield ("chain", "address_file"), "is for a chain outside the box: chain.rpc"
    if file.chain.rpc is not None and file.origins:
        yield ("origins",), "are for the box's own chain, and chain.rpc names another"
    if file.chain.rpc is not None:
        address_file = file.chain.address_file
        try:
            # The rules that an ``up`` applies, asked now. Nothing of the answer is kept.
            choose_chain(file.chain.rpc, folder / address_file if address_file else None)
        except UsageError as problem:
            # The error names the file or the URL in its text; its line is that of the key at fault.
            wrong = "address_file" if address_file and address_file in problem.message else "rpc"
            yield ("chain", wrong), problem.message
    yield from _port_problems(file)


def _port_problems(file: BoxFile) -> Iterator[tuple[KeyPath, str]]:
    """Yield ports that do not exist, and pairs of services with the same one."""
    taken: dict[int, str] = {}
    for name, port in file_ports(file).items():
        # A port that was only moved is the fault of ``offset``, whose line the user has to look at.
        key = ("ports", name) if getattr(file.ports, name) is not None else ("ports", "offset")
        if not 0 < port <= HIGHEST_PORT:
            yield key, f"moves {name} to {port}, which is no port"
        elif port in taken:
            yield key, f"{name} and {taken[port]} have the same port {port}"
        taken[port] = name


def file_ports(file: BoxFile) -> dict[str, int]:
    """Return the port of each service; they are not checked."""
    # A port of its own wins; all others are the usual ones, moved by the offset.
    usual = BoxPorts().as_dict()
    chosen = {name: getattr(file.ports, name) for name in usual}
    return {name: chosen[name] or usual[name] + file.ports.offset for name in usual}
