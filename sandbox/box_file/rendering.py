"""Writes a box file as text, every key with its comment; the comments are those of the schema.

``config show`` prints it, and ``config set`` starts from it where a box has no file yet.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import yaml

from sandbox.box_file.schema import BoxFile, FileSection

HEAD = """\
# c2d-box.yaml: what this box is. `c2d-box up` applies it, also to a running box, and says what it changes.
# A key that is left out has the default shown by `c2d-box config show --defaults`. Options of `up` win over
# this file for that one time. After an edit: c2d-box config check
"""
BESIDE = 12
"""Characters up to which a comment stands behind its value."""


def render_box_file(file: BoxFile) -> str:
    """Return the text of the file, complete, with comments."""
    return HEAD + "\n".join(_section_lines(file, "")) + "\n"


def value_as_yaml(value: Any) -> str:
    """Return a value in one line of YAML; empty for None."""
    if value is None:
        return ""
    # Flow style and no width: whatever the value is, it stays on its line, as editing demands.
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1 << 20)
    # A document of one scalar ends with a mark of its own.
    return text.removesuffix("...\n").strip()


def _section_lines(section: FileSection, indent: str) -> Iterator[str]:
    """Yield the lines of a section's keys."""
    for name, field in type(section).model_fields.items():
        value, comment = getattr(section, name), field.description or ""
        # A blank line before each top-level key; sections inside stay together.
        if not indent:
            yield ""
        if len(comment) > BESIDE:
            yield f"{indent}# {comment}"
        if isinstance(value, FileSection):
            yield f"{indent}{name}:"
            yield from _section_lines(value, f"{indent}  ")
        # Values of the chart, nested at will: a block reads better than one long line.
        elif isinstance(value, dict) and value:
            yield f"{indent}{name}:"
            block = yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=1 << 20)
            yield textwrap.indent(block.rstrip(), f"{indent}  ")
        else:
            beside = f"  # {comment}" if 0 < len(comment) <= BESIDE else ""
            yield f"{indent}{name}: {value_as_yaml(value)}".rstrip() + beside
