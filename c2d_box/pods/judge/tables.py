"""Reads tables as a stream and checks them against a publisher's rules: rows, columns, cells, sizes of
groups.

Whatever the format, what is counted are parsed records. Every record has to say for itself of how many
individuals its figures are; that it says so truly, nobody can check here.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from c2d_box.assets.disclosure import DisclosureRules
from c2d_box.pods.judge.jsonwalk import NotJson, Scalar, walk_json

CHUNK = 1 << 16
"""Bytes decoded at a time."""
RECORD = 1 << 20
"""Characters of the longest record that is read."""
CELL = 1000
"""Characters of a cell, a name or a line of text, where the number of rows is limited."""


class Unfit(Exception):
    """The reason why a file may not leave. It never has a figure or a text of the algorithm's choice: reasons
    leave, too."""


class _TableLimits:
    """A publisher's rules on tables."""

    def __init__(self, rules: DisclosureRules) -> None:
        self.rules = rules
        self.counted = rules.counted_columns
        self._rows = 0

    def add_rows(self, count: int = 1) -> None:
        """Count rows; raise Unfit at the first one too many, without reading on."""
        self._rows += count
        self.demand_rows(self._rows)

    def demand_rows(self, count: int) -> None:
        """Raise Unfit where so many rows are too many."""
        most = self.rules.max_rows
        if most is not None and count > most:
            raise Unfit(f"it has more than {most} rows")

    def demand_columns(self, count: int) -> None:
        """Raise Unfit where so many columns are too many."""
        most = self.rules.column_limit
        if most is not None and count > most:
            raise Unfit(f"it has more than {most} columns")

    def demand_cell(self, text: str) -> None:
        """Bound a cell where rows are bounded: else one row could hold everything in one cell."""
        if self.rules.max_rows is not None and len(text) > CELL:
            raise Unfit(f"a cell or a line in it is longer than {CELL} characters")

    def demand_count(self, value: object) -> None:
        """Demand that a figure stands for enough individuals. No number, or no finite one, counts as too
        few."""
        if self.rules.min_cell is not None and _individual_count(value) < self.rules.min_cell:
            raise Unfit(f"a figure in it stands for fewer than {self.rules.min_cell} individuals")

    def without_count(self) -> Unfit:
        """Return the exception for a record that does not say of how many individuals it is."""
        return Unfit(f"a record in it has no count column ({', '.join(sorted(self.counted))})")


def check_csv(rules: DisclosureRules, file: BinaryIO, delimiter: str = ",") -> None:
    """Check a CSV file; raise Unfit."""
    limits, source = _TableLimits(rules), _RecordLines(file)
    try:
        # Strict: a lenient reader takes a broken quote for text, and other programs may see other rows in
        # it.
        reader = csv.reader(source, strict=True, delimiter=delimiter)
        head = next(reader, None)
        if head is None:
            return
        columns = _find_count_columns(limits, head)
        for row in reader:
            # The bound is on one record, so it begins anew with each.
            source.used = 0
            # An empty line is no record; readers skip it as well.
            if not row:
                continue
            # A line of another length has cells without a column, of which no rule on columns speaks.
            if len(row) != len(head):
                raise Unfit("its lines have not the columns of its header")
            limits.add_rows()
            for cell in row:
                limits.demand_cell(cell)
            for position in columns:
                limits.demand_count(row[position])
    except (UnicodeDecodeError, csv.Error) as problem:
        raise Unfit("its content is not CSV") from problem


def _find_count_columns(limits: _TableLimits, head: list[str]) -> list[int]:
    """Return the positions of the count columns."""
    names = [name.strip("\ufeff \t").lower() for name in head]  # a byte order mark is none of the name
    limits.demand_columns(len(names))
    for name in names:
        limits.demand_cell(name)
    if limits.rules.min_cell is None:
        return []
    # A reader of the table may take either column for the count.
    if len(set(names)) < len(names):
        raise Unfit("two of its columns have one name")
    found = [position for position, name in enumerate(names) if name in limits.counted]
    if not found:
        raise limits.without_count()
    return found


class _RecordLines:
    """The lines of a file for the CSV reader, which keeps asking for more while a quote is open."""

    def __init__(self, file: BinaryIO) -> None:
        self._lines = _read_lines(file)
        self.used = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.used += len(line)
        if self.used > RECORD:
            raise Unfit("a record in it is too long to be checked")
        return line


def check_text(rules: DisclosureRules, file: BinaryIO) -> None:
    """Check a text file; raise Unfit."""
    limits = _TableLimits(rules)
    if rules.min_cell is not None:
        raise limits.without_count()
    try:
        for line in _read_lines(file):
            limits.add_rows()
            limits.demand_cell(line)
            # No text has these: a binary file under a text's name ends here.
            if any(mark < " " and mark not in "\t\n\f" for mark in line):
                raise Unfit("its content is not text")
    except UnicodeDecodeError as problem:
        raise Unfit("its content is not text") from problem


def _read_lines(file: BinaryIO) -> Iterator[str]:
    """Yield the lines; each ends with a line feed, whichever end of line it had."""
    # The csv module counts ``\r`` as an end of line as well, so both have to agree on what a line is.
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("strict"), translate=True)
    held = ""
    while data := file.read(CHUNK):
        *whole, held = (held + decoder.decode(data)).split("\n")
        for line in whole:
            yield f"{line}\n"
        if len(held) > RECORD:
            raise Unfit("a line in it is too long to be checked")
    *whole, held = (held + decoder.decode(b"", final=True)).split("\n")
    yield from (f"{line}\n" for line in whole)
    if held:
        yield held


def check_json(rules: DisclosureRules, file: BinaryIO, *, many: bool = False) -> None:
    """Check a JSON file; raise Unfit. ``many``: one document a line."""
    shape = _JsonTable(_TableLimits(rules))
    try:
        if many:
            shape.open_container("[")
        walk_json(file, shape, many=many)
        if many:
            shape.close_container()
    except NotJson as problem:
        raise Unfit("its content is not JSON (which has no NaN and no Infinity)") from problem


@dataclass(slots=True)
class _OpenContainer:
    """An array or object that is being read."""

    kind: str
    in_array: bool
    size: int = 0
    scalars: int = 0
    name: str = ""
    counts: int = 0
    lengths: set[int] = field(default_factory=set)
    """Lengths of the arrays of plain values in it: columns of a table."""
    counted_columns: int = 0


class _JsonTable:
    """Records of a document: its objects but the outermost, and the arrays within arrays. An array of plain
    values elsewhere is a column, as long as it has rows.
    """

    def __init__(self, limits: _TableLimits) -> None:
        self._limits = limits
        self._stack: list[_OpenContainer] = []

    def open_container(self, kind: str) -> None:
        """Begin a container; one that is a record counts as a row."""
        outer = self._stack[-1] if self._stack else None
        in_array = outer is not None and outer.kind == "["
        if outer is not None:
            self._count_member(outer)
            # Objects but the outermost, and arrays in arrays: see the class.
            if kind == "{" or in_array:
                self._limits.add_rows()
        self._stack.append(_OpenContainer(kind, in_array))

    def take_name(self, name: str) -> None:
        """Take the name of the next value. Names are cells too: an algorithm chooses them."""
        self._limits.demand_cell(name)
        self._stack[-1].name = name.strip().lower()

    def take_value(self, found: Scalar) -> None:
        """Take a plain value; one in a count column has to be large enough."""
        if isinstance(found, str):
            self._limits.demand_cell(found)
        # A document that is one plain value has no record that could name a count.
        if not self._stack:
            if self._limits.rules.min_cell is not None:
                raise self._limits.without_count()
            return
        outer = self._stack[-1]
        self._count_member(outer)
        outer.scalars += 1
        column = outer.name if outer.kind == "{" else self._column_name(outer)
        if column in self._limits.counted:
            self._limits.demand_count(found)
            outer.counts += 1

    def _column_name(self, array: _OpenContainer) -> str | None:
        """Return the name of the column that an array of plain values is."""
        if array.in_array or len(self._stack) < 2:
            return None
        return self._stack[-2].name

    def _count_member(self, outer: _OpenContainer) -> None:
        """Count a member: members of an object are its columns."""
        outer.size += 1
        if outer.kind == "{":
            self._limits.demand_columns(outer.size)

    def close_container(self) -> None:
        """End a container: an array of plain values in an array was a row, elsewhere a column."""
        done = self._stack.pop()
        if done.kind == "[" and done.scalars:
            if done.in_array:
                self._limits.demand_columns(done.scalars)
            else:
                self._limits.demand_rows(done.scalars)
        if self._limits.rules.min_cell is not None:
            self._close_counted(done)

    def _close_counted(self, done: _OpenContainer) -> None:
        """Demand that a container counts individuals, or holds those that do. An empty one does neither, and
        a tree of empty ones would spell out any text: only the document itself and an array directly in it
        may be empty."""
        if not done.size and len(self._stack) > (0 if done.in_array or done.kind == "{" else 1):
            raise self._limits.without_count()
        if done.kind == "[":
            if not done.scalars:
                return
            outer = self._stack[-1] if self._stack else None
            if outer is None or outer.kind != "{" or done.scalars != done.size:
                raise self._limits.without_count()
            # Columns of one table have one length; a longer one would hold rows without a count.
            outer.lengths.add(done.scalars)
            outer.counted_columns += outer.name in self._limits.counted
        elif (done.scalars and not done.counts) or (
            done.lengths and (len(done.lengths) > 1 or not done.counted_columns)
        ):
            raise self._limits.without_count()


def _individual_count(value: object) -> float:
    """Return the number of individuals; -1 for what is no number: it counts nobody, and fails."""
    try:
        found = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        return -1.0
    return found if found == found and found != float("inf") else -1.0


__all__ = ["Unfit", "check_csv", "check_json", "check_text"]
