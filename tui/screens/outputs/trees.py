"""JSON as a tree; the children of a large node are only made when it is opened."""

from __future__ import annotations

import json
from typing import Any

from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from c2d_box.strict_json import JsonLimits, JsonRefused, parse_json
from tui.widgets.text import one_line, plain_text

MOST, OPEN, AT_FIRST = 500, 2, 1_000
"""Children of one node that are shown; levels that are open at first; nodes of all of these together."""
LABEL = 400
"""Characters of one label."""
# Bounds of the parser: a few bytes of nested brackets can cost far more memory than their length.
PREVIEWED = JsonLimits(size_bytes=2 << 20, values=100_000)


class JsonTree(Tree[Any]):
    """A tree of a JSON document; each node holds its value, children are made when a node is opened."""

    DEFAULT_CSS = "JsonTree { height: 1fr; background: transparent; }"

    def __init__(self, id: str) -> None:
        super().__init__("", id=id)

    def show_document(self, name: str, content: bytes) -> bool:
        """Show this document; return False if it is no JSON object or list."""
        try:
            value = parse_json(content, PREVIEWED)
        except JsonRefused:
            return False
        if not isinstance(value, dict | list):
            return False
        self.clear()
        self.root.set_label(plain_text(f"{one_line(name)} {_extent_text(value)}"))
        self.root.data = value
        _add_children(self.root, OPEN)
        self.root.expand()
        return True

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Any]) -> None:
        """Make the children of a node when it is first opened."""
        if not event.node.children:
            _add_children(event.node, 1)

    def step_cursor(self, lines: int) -> None:
        """Move the cursor one line down or up (keys j and k)."""
        if lines > 0:
            self.action_cursor_down()
        else:
            self.action_cursor_up()


def _add_children(node: TreeNode[Any], depth: int, room: int = AT_FIRST) -> int:
    """Add the children of ``node``, and their children while the number of nodes stays below ``room``; return
    the room that is left.
    """
    value: Any = node.data
    pairs = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    room -= min(len(pairs), MOST)
    # Cut before it is shown: a key may be as long as the document.
    for key, child in pairs[:MOST]:
        label = one_line(str(key)[:LABEL])
        if isinstance(child, dict | list) and child:
            # Opened at once only if all its children still fit: a half-filled node would look complete.
            opens = depth > 1 and room >= min(len(child), MOST)
            branch = node.add(plain_text(f"{label} {_extent_text(child)}"), data=child, expand=opens)
            if opens:
                room = _add_children(branch, depth - 1, room)
        else:
            node.add_leaf(plain_text(f"{label}: {_value_text(child)}"))
    if len(pairs) > MOST:
        node.add_leaf(plain_text(f"… and {len(pairs) - MOST} more"))
    return room


def _value_text(value: Any) -> str:
    """Return a value as JSON; long strings are cut before they are encoded."""
    text = json.dumps(value[:LABEL] if isinstance(value, str) else value, ensure_ascii=False)
    return one_line(text) + ("…" if isinstance(value, str) and len(value) > LABEL else "")


def _extent_text(value: Any) -> str:
    """Return the number of children, in the brackets of an object or a list."""
    return f"{{{len(value)}}}" if isinstance(value, dict) else f"[{len(value)}]"
