"""Draws the Provider's reason tree, a rule per line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from tui.widgets.text import plain_text


def reason_tree(tree: Any, depth: int = 0) -> Text:
    """Return the tree as text; empty if ``tree`` is not a mapping. The tree arrives over HTTP, so its shape
    is not taken for granted, and its texts hold names that strangers chose.
    """
    if not isinstance(tree, Mapping):
        return Text()
    drawn = plain_text(f"\n{'  ' * depth}{'✓' if tree.get('allowed') else '✗'} {tree.get('text', '')}")
    # The depth is bounded by the client, which parses the answer with a limit of nesting.
    for inner in tree.get("because", []):
        drawn.append_text(reason_tree(inner, depth + 1))
    return drawn
