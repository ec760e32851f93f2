"""Replaces one value in the text of a YAML file; every other character stays, comments among them.

The parser's marks say where the old value stands. What comes out is parsed again and compared with what was
wanted, so that an unusual way of writing is refused and never damaged.

A parser that keeps comments would rewrite indentation and quotes of the whole file, and be another package
in every bundle (ADR 0045).
"""

from __future__ import annotations

import copy
from typing import Any

import yaml

from c2d_box.errors import UsageError
from c2d_box.strict_json import JsonRefused
from c2d_box.strict_yaml import compose_yaml
from sandbox.box_file.key_lines import KeyPath
from sandbox.box_file.reading import FILE_LIMITS
from sandbox.box_file.rendering import value_as_yaml


def text_with_value(text: str, path: KeyPath, value: Any) -> str:
    """Return ``text`` with the value at ``path``; raise ``C2D-BOXFILE-EDIT`` where that cannot be done
    without touching the rest.
    """
    document, root = compose_yaml(text, FILE_LIMITS)
    wanted = _document_with_value(document, path, value)
    edited = _replaced_text(text, root, path, value)
    # The proof: the new text must parse to the old document with this one value changed. Anchors, keys given
    # twice and other rare forms fail here, whatever the code below made of them.
    if edited is not None and _parsed_document(edited) == wanted:
        return edited
    raise UsageError(
        "C2D-BOXFILE-EDIT",
        f"{'.'.join(path)} cannot be set in the way this file is written",
        "change it by hand: c2d-box config edit",
    )


def _parsed_document(text: str) -> Any:
    """Return the parsed text; None where it is no YAML."""
    try:
        return compose_yaml(text, FILE_LIMITS)[0]
    except JsonRefused:
        return None


def _document_with_value(document: Any, path: KeyPath, value: Any) -> dict[str, Any]:
    """Return a copy of the parsed document with the value."""
    result: dict[str, Any] = copy.deepcopy(document) if isinstance(document, dict) else {}
    section = result
    for name in path[:-1]:
        inner = section.get(name)
        # An absent or empty section is made.
        section[name] = inner = inner if isinstance(inner, dict) else {}
        section = inner
    section[path[-1]] = value
    return result


def _replaced_text(text: str, root: yaml.Node | None, path: KeyPath, value: Any) -> str | None:
    """Return the text with the value; None where the nodes do not say how."""
    # The text is empty, or holds comments only.
    if root is None:
        return _with_lines(text, len(text), "", path, value)
    # Go down along the path as far as the text has it; the rest of the path has to be written.
    node, key_end = root, 0
    for depth, name in enumerate(path):
        if not isinstance(node, yaml.MappingNode):
            return None
        found = _key_and_value(node, name)
        if found is None:
            return _with_new_key(text, node, path[depth:], value)
        key_end, inner = found[0].end_mark.index, found[1]
        # A section whose keys are all comments is null to YAML, and has no mapping to add a key to.
        if _is_null(inner) and depth < len(path) - 1:
            return _with_section(text, node, inner, path[depth + 1 :], value)
        node = inner
    start, end = node.start_mark.index, _content_end(node)
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        # What stands behind the colon of a block is a comment, which stays.
        colon = text.index(":", key_end) + 1
        return f"{text[:colon]} {value_as_yaml(value)}{text[colon : text.index(chr(10), colon)]}{text[end:]}"
    if start == end:
        # Nothing stands there, and YAML wants a blank behind the colon.
        return f"{text[:start]} {value_as_yaml(value)}{text[start:]}"
    # None is spelt out: an old value stood here, perhaps between the commas of a flow mapping.
    return text[:start] + (value_as_yaml(value) or "null") + text[end:]


def _key_and_value(node: yaml.MappingNode, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    """Return the nodes of a key and its value in this mapping, None where it has no such key."""
    return next(((key, value) for key, value in node.value if key.value == name), None)


def _is_null(node: yaml.Node) -> bool:
    """Return whether the node says nothing, by its tag in YAML: empty, ``~`` and ``null`` are one."""
    return node.tag == "tag:yaml.org,2002:null"


def _content_end(node: yaml.Node) -> int:
    """Return where a node's text ends. A block's own mark lies behind the comments that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        # A block ends where its last entry does, which may be a block itself.
        last = node.value[-1]
        return _content_end(last[1] if isinstance(last, tuple) else last)
    return node.end_mark.index


def _with_new_key(text: str, node: yaml.MappingNode, path: KeyPath, value: Any) -> str:
    """Return the text with a key added at the end of the mapping ``node``."""
    if node.flow_style:
        # ``{a: 1}`` stays on its line: the new key goes before the closing brace.
        entry: Any = value
        for name in reversed(path):
            entry = {name: entry}
        inside = yaml.safe_dump(entry, default_flow_style=True, width=1 << 20).strip()[1:-1]
        end = node.end_mark.index - 1
        comma = ", " if node.value else ""
        return text[:end].rstrip() + comma + inside + text[end:]
    return _with_lines(text, _content_end(node), " " * node.start_mark.column, path, value)


def _with_section(text: str, outer: yaml.MappingNode, null: yaml.Node, path: KeyPath, value: Any) -> str:
    """Return the text with a first key in a section that has none, or says ``null``."""
    # The word ``null`` goes; two more columns than the section are this file's own indentation.
    before, after = text[: null.start_mark.index].rstrip(" "), text[null.end_mark.index :]
    return _with_lines(before + after, len(before), " " * (outer.start_mark.column + 2), path, value)


def _with_lines(text: str, place: int, indent: str, path: KeyPath, value: Any) -> str:
    """Return the text with the key on lines of its own, after the line on which ``place`` lies."""
    lines = [f"{indent}{'  ' * depth}{name}:" for depth, name in enumerate(path)]
    lines[-1] = f"{lines[-1]} {value_as_yaml(value)}".rstrip()
    end = text.find("\n", place)
    # A file may end without a line break, which the new lines then bring.
    before, after = (text[:end], text[end + 1 :]) if end >= 0 else (text.removesuffix("\n"), "")
    return (f"{before}\n" if before else "") + "\n".join(lines) + "\n" + after
