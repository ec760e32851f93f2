"""JSON as a tree that is opened where one looks; what is large grows when it is opened."""

from __future__ import annotations

import json
from typing import Any

from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from tui.text import one_line, plain

MOST, OPEN = 500, 2
"""Children of one node that are shown, and levels that are open at first."""


class JsonTree(Tree[Any]):
    """Nodes hold their value; children come when a node is opened."""

    DEFAULT_CSS = "JsonTree { height: 1fr; background: transparent; }"

    def __init__(self, id: str) -> None:
        super().__init__("", id=id)

    def grow(self, name: str, content: bytes) -> bool:
        """Show this document; False for what is no JSON of objects and lists."""
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            return False
        if not isinstance(value, dict | list):
            return False
        self.clear()
        self.root.set_label(plain(f"{one_line(name)} {_extent(value)}"))
        self.root.data = value
        _fill(self.root, OPEN)
        self.root.expand()
        return True

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Any]) -> None:
        if not event.node.children:
            _fill(event.node, 1)

    def move(self, lines: int) -> None:
        """j and k."""
        if lines > 0:
            self.action_cursor_down()
        else:
            self.action_cursor_up()


def _fill(node: TreeNode[Any], depth: int) -> None:
    value: Any = node.data
    pairs = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for key, child in pairs[:MOST]:
        if isinstance(child, dict | list) and child:
            branch = node.add(plain(f"{one_line(key)} {_extent(child)}"), data=child, expand=depth > 1)
            if depth > 1:
                _fill(branch, depth - 1)
        else:
            node.add_leaf(plain(f"{one_line(key)}: {one_line(json.dumps(child, ensure_ascii=False))}"))
    if len(pairs) > MOST:
        node.add_leaf(plain(f"… and {len(pairs) - MOST} more"))


def _extent(value: Any) -> str:
    return f"{{{len(value)}}}" if isinstance(value, dict) else f"[{len(value)}]"
