"""Checks YAML files before they are parsed: kubeconfigs and lists of assets that others may have written.

PyYAML builds nested values by recursion and lets an alias repeat what it names, so a file of one kilobyte
can end the process or fill the memory as soon as its value is written out. The parser's events come without
recursion: depth and the number of values, aliases counted as what they stand for, are bounded on them
before anything is built.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from c2d_box.strict_json import MALFORMED, TOO_DEEP, TOO_LARGE, TOO_MANY_VALUES, JsonLimits, JsonRefused

YAML_LIMITS = JsonLimits(size_bytes=4 << 20, depth=32, values=100_000)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's loader where PyYAML was built with it: the same safe types, several times as fast."""


def parse_yaml(text: str | bytes, limits: JsonLimits = YAML_LIMITS) -> Any:
    """Return the one document of ``text``, as ``yaml.safe_load`` reads it. Raise ``JsonRefused`` and nothing
    else."""
    if len(text) > limits.size_bytes:
        raise JsonRefused(TOO_LARGE, f"The YAML has more than {limits.size_bytes} bytes.")
    try:
        # The text is parsed twice; the first time builds nothing, which is the point.
        _check_events(yaml.parse(text, Loader=_LOADER), limits)
        return yaml.load(text, Loader=_LOADER)  # a safe loader
    except JsonRefused:
        raise
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise JsonRefused(MALFORMED, f"It is not valid YAML: {_mark_text(error)}.") from None


def compose_yaml(text: str, limits: JsonLimits = YAML_LIMITS) -> tuple[Any, yaml.Node | None]:
    """Return the value of ``text`` like :func:`parse_yaml`, and its nodes, whose marks say where each value
    stands; None for a text without a document."""
    value = parse_yaml(text, limits)
    # Not libyaml's loader: its marks do not count a byte order mark.
    return value, yaml.compose(text, Loader=yaml.SafeLoader)


def _check_events(events: Iterator[Any], limits: JsonLimits) -> None:
    """Refuse a document with too much depth or too many values, an alias counted as all that it repeats.

    ``stack`` holds the open collections, each with its anchor and the number of values before it.
    """
    stack: list[tuple[str | None, int]] = []
    sizes: dict[str, int] = {}
    count = 0
    for event in events:
        match event:
            case yaml.AliasEvent():
                count += sizes.get(str(event.anchor), 1)
            case yaml.ScalarEvent():
                count += 1
                if event.anchor:
                    sizes[event.anchor] = 1
            case yaml.CollectionStartEvent():
                stack.append((event.anchor, count))
                count += 1
                if len(stack) > limits.depth:
                    raise JsonRefused(TOO_DEEP, f"It is nested deeper than {limits.depth} levels.")
            case yaml.CollectionEndEvent():
                # An alias repeats all that is between; nested aliases are in the number already, so a bomb
                # multiplies here.
                anchor, before = stack.pop()
                if anchor:
                    sizes[anchor] = count - before
        if count > limits.values:
            raise JsonRefused(TOO_MANY_VALUES, f"It has more than {limits.values} values.")


def _mark_text(error: Exception) -> str:
    """Return the parser's description of a problem, with line and column, on one line."""
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or type(error).__name__)[:200]
    return f"{problem} in line {mark.line + 1}, column {mark.column + 1}" if mark else problem
