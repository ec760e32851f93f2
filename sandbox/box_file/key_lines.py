"""Finds the lines of a YAML text on which its keys stand, and keys that are given twice.

pydantic and the chart's schema know keys, not lines; this is what turns their complaints into places that
an editor can jump to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

KeyPath = tuple[str, ...]
"""A key within the file: names of mappings, numbers of lists."""


@dataclass(frozen=True, slots=True)
class KeyLines:
    """The line of each key, counted from 1, and the keys that stand in the text again."""

    lines: dict[KeyPath, int] = field(default_factory=dict)
    repeated: list[tuple[KeyPath, int]] = field(default_factory=list)

    def line_of(self, path: KeyPath) -> int:
        """Return the line of ``path``, or of the section in which it would stand."""
        # A missing key has no line; the nearest section that has one is the place to write it.
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def find_key_lines(root: yaml.Node | None) -> KeyLines:
    """Return the lines of all keys below ``root``."""
    found = KeyLines()
    for path, line in _walk_keys(root, ()):
        # YAML's parsers keep the last of two; which of them the user means cannot be known.
        if path in found.lines:
            found.repeated.append((path, line))
        found.lines.setdefault(path, line)
    return found


def _walk_keys(node: yaml.Node | None, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    """Yield each key below ``node`` with its line."""
    if isinstance(node, yaml.MappingNode):
        # Marks of PyYAML count from 0, editors from 1.
        for key, value in node.value:
            place = (*path, str(key.value))
            yield place, key.start_mark.line + 1
            yield from _walk_keys(value, place)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            place = (*path, str(number))
            yield place, item.start_mark.line + 1
            yield from _walk_keys(item, place)
