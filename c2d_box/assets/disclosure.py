"""The rules that a publisher sets for everything that is computed on a dataset before it may leave.

They stand in ``services[].additionalInformation.c2d.disclosure`` of a DDO. A rule that cannot be understood
is not a rule that may be skipped: parsing is strict. Where several inputs have rules, what leaves has to obey
each set as it stands; merged into one, two sets could allow what either of them refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

_Positive = Annotated[int, Field(ge=1, le=2**53)]
"""2**53: the largest number that every JSON parser keeps exactly."""
_Amount = Annotated[int, Field(ge=0, le=2**53)]
_Type = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,10}$")]
_Column = Annotated[str, StringConstraints(min_length=1, max_length=100)]
_Pattern = Annotated[str, StringConstraints(min_length=1, max_length=200)]
COUNT_COLUMNS = ("count", "n")
"""Names of count columns where the publisher gives none."""
CHECKABLE = ("csv", "gif", "jpeg", "jpg", "json", "jsonl", "md", "ndjson", "png", "tsv", "txt")
"""File name extensions whose content can be checked; no other type may leave where a rule speaks of content.
"""
NAME_BYTES = 1024
"""The most bytes of the names of all outputs together, where the publisher sets no other number."""
NAME_PART = 64
"""The most characters of a part of a name, where the publisher sets no pattern."""
MAX_COLUMNS = 50
"""The most columns of a table whose rows are limited, where the publisher sets no other number."""
LINE_BYTES = 200
"""Bytes of a log for each line that may leave, where the publisher sets no other number."""
_HARMLESS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
"""Letters and digits of ASCII, and three marks."""


class InvalidRules(Exception):
    """The section is no set of rules."""


class DisclosureRules(BaseModel):
    """One publisher's set. None means no such limit, but for names and the log, which never leave unlimited.

    ``names``: patterns (``*``, ``?``, ``[…]``) of which each output's path has to match one; without any,
    letters, digits, ``._-`` and 64 characters a part. ``max_name_bytes``: of all names together. ``types``:
    file name extensions, each checked by parsing the whole content. ``max_rows`` and ``max_columns``: of any
    table (lines of a CSV without its header, records of a JSON document, lines of a text). ``min_cell``: the
    smallest number of individuals that a published figure may stand for; every record then needs one of the
    ``count_columns``, and nothing but tables may leave. ``log_lines`` and ``log_bytes``: what may leave of
    the algorithm's log; without either of them it stays in.
    """

    # Strict: ``"10"`` for 10 is a mistake to be seen, and an unknown key a rule that would not hold.
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True
    )

    max_files: _Positive | None = None
    max_bytes: _Positive | None = None
    max_rows: _Positive | None = None
    max_columns: _Positive | None = None
    min_cell: _Positive | None = None
    types: Annotated[list[_Type], Field(max_length=50)] | None = None
    count_columns: Annotated[list[_Column], Field(max_length=50)] | None = None
    names: Annotated[list[_Pattern], Field(max_length=50)] | None = None
    max_name_bytes: _Positive | None = None
    log_lines: _Amount | None = None
    log_bytes: _Amount | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the rules without what is not limited; :func:`parse_set` reads them again."""
        return self.model_dump(by_alias=True, exclude_none=True)

    @property
    def counted_columns(self) -> frozenset[str]:
        """The columns that hold numbers of individuals, in lower case."""
        return frozenset(name.strip().lower() for name in self.count_columns or COUNT_COLUMNS)

    @property
    def column_limit(self) -> int | None:
        """The most columns of a table; None where the rules say nothing of tables."""
        return self.max_columns or (MAX_COLUMNS if self.max_rows else None)

    @property
    def speaks_of_content(self) -> bool:
        """Return whether files have to be read to be checked against the rules."""
        spoken = (self.types, self.max_rows, self.max_columns, self.min_cell)
        return any(rule is not None for rule in spoken)

    @property
    def name_bytes(self) -> int:
        """The most bytes of the names of all outputs together."""
        return self.max_name_bytes or NAME_BYTES

    def allows_name(self, path: str) -> bool:
        """Return whether an output may have this name; ``path`` is relative to the outputs' folder."""
        if self.names is not None:
            # Case counts, and ``*`` matches slashes too: the pattern is for the whole path.
            return any(fnmatchcase(path, pattern) for pattern in self.names)
        # Without patterns a name must not carry data: few letters, short parts.
        return all(len(part) <= NAME_PART and _HARMLESS.issuperset(part) for part in path.split("/"))

    @property
    def log_allowance(self) -> tuple[int, int | None]:
        """Bytes and lines of the algorithm's log that may leave; with no bytes the log stays in."""
        if self.log_bytes is None:
            return LINE_BYTES * (self.log_lines or 0), self.log_lines
        # A publisher who lets no line leave means none, whatever number of bytes stands beside.
        return self.log_bytes if self.log_lines != 0 else 0, self.log_lines


def parse_set(section: object) -> DisclosureRules | None:
    """Return one set of rules; None where there is no section. Raise InvalidRules for one that cannot be
    understood."""
    if section is None:
        return None
    try:
        return DisclosureRules.model_validate(section)
    except ValidationError as problem:
        # The place and not the value: the message reaches consumers and ends in a job's status.
        where = ".".join(str(part) for part in problem.errors()[0]["loc"])
        raise InvalidRules(f"the disclosure rule {where or 'section'} cannot be understood") from None


def parse_sets(section: object) -> tuple[DisclosureRules, ...]:
    """Parse the rules in a job's output section: one set, or a list of them. Raises InvalidRules."""
    found = [parse_set(entry) for entry in (section if isinstance(section, list) else [section])]
    return tuple(entry for entry in found if entry is not None)


def unchecked_types(rules: DisclosureRules) -> list[str]:
    """Return the types that the rules allow and nothing can check: such a file would never leave."""
    return sorted(set(rules.types or ()) - set(CHECKABLE))


def distinct_sets(rules: Iterable[DisclosureRules | None]) -> tuple[DisclosureRules, ...]:
    """Return all sets that have to hold, each once; empty where nobody has any."""
    found: list[DisclosureRules] = []
    for entry in rules:
        if entry is not None and entry not in found:
            found.append(entry)
    return tuple(found)


def as_section(rules: Sequence[DisclosureRules]) -> dict[str, Any] | list[dict[str, Any]] | None:
    """Return the sets as they stand in a job; :func:`parse_sets` reads them again. One set stands there by
    itself, more of them as a list."""
    sets = [entry.as_dict() for entry in rules]
    return None if not sets else sets[0] if len(sets) == 1 else sets


def log_budget(rules: Iterable[DisclosureRules]) -> tuple[int, int | None]:
    """Return the smallest allowance of all sets: bytes and lines of the algorithm's log."""
    # The smallest of each, because the log has to obey every set; it cannot be told which line is about
    # which input.
    budgets = [entry.log_allowance for entry in rules]
    lines = [count for _, count in budgets if count is not None]
    return min((size for size, _ in budgets), default=0), min(lines, default=None)
