"""The validation rules as JSON Schema, for tools that check a DDO before they publish it.

It is made from the same table as :mod:`c2d_box.assets.documents.validation`, which adds what no schema can
say: the id is derived from NFT and chain, dates are dates, the context is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from c2d_box.assets.documents.validation import RULES, PropertyRule, is_required, length_bounds

Schema = dict[str, Any]

_TYPES = {"text": "string", "integer": "integer", "bool": "boolean", "object": "object"}
"""Names of JSON Schema for the kinds of the table."""


@dataclass
class _SchemaNode:
    """The rules of one key: its own rule, the rule of its items, and the keys inside it (or its items)."""

    rule: PropertyRule | None = None
    item: PropertyRule | None = None
    inside: dict[str, _SchemaNode] = field(default_factory=dict)


def ddo_schema(version: str) -> Schema:
    """Return the JSON Schema (2020-12) of a DDO of this ``version``."""
    root = _SchemaNode()
    for rule in RULES:
        node = root
        # The table is flat and a schema nested: the paths become a tree first.
        for part in rule.path.split("."):
            # ``a[].b`` becomes key b inside a's items, so the brackets are no part of a key.
            node = node.inside.setdefault(part.removesuffix("[]"), _SchemaNode())
        if rule.path.endswith("[]"):
            node.item = rule
        else:
            node.rule = rule
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"DDO {version}",
        **_object_schema(root, version),
    }


def _object_schema(node: _SchemaNode, version: str) -> Schema:
    """Return an object's schema. Further keys are allowed, as the original schemas allow them."""
    required = [name for name, entry in node.inside.items() if _is_required(entry, version)]
    properties = {name: _value_schema(entry, version) for name, entry in node.inside.items()}
    return {"type": "object", "properties": properties, "required": required}


def _value_schema(node: _SchemaNode, version: str) -> Schema:
    """Return a value's schema: one text or object stands for the list that holds only it, null for what is
    absent."""
    rule = node.rule
    assert rule is not None, "every key has a rule of its own"
    least, most = length_bounds(rule, version)
    match rule.kind:
        case "text":
            found: Schema = {"type": "string", **_size_limits("Length", least, most)}
            if rule.pattern:
                # Patterns of JSON Schema are searched anywhere; the table's match at the beginning.
                found["pattern"] = f"^{rule.pattern}"
        case "object":
            found = _object_schema(node, version)
        case "objects" | "texts":
            found = _list_schema(node, version, max(least, int(_is_required(node, version))), most)
        case kind:
            found = {"type": _TYPES[kind]}
    # The validator takes null for absent, so the schema has to say so.
    return found if _is_required(node, version) else {"anyOf": [found, {"type": "null"}]}


def _list_schema(node: _SchemaNode, version: str, least: int, most: int | None) -> Schema:
    """Return a list's schema, with the single value that stands for a list of one."""
    assert node.rule is not None
    if node.rule.kind == "objects":
        item = _object_schema(node, version)
        single = {**item, "minProperties": 1} if least else item
    else:
        shortest, longest = length_bounds(node.item, version) if node.item else (0, None)
        item = {"type": "string", **_size_limits("Length", shortest, longest)}
        single = {"type": "string", **_size_limits("Length", min(least, 1), None)}
    return {"anyOf": [single, {"type": "array", "items": item, **_size_limits("Items", least, most)}]}


def _size_limits(what: str, least: int, most: int | None) -> Schema:
    """Return ``min...`` and ``max...`` of Length or Items, where there is a limit."""
    return {
        **({f"min{what}": least} if least else {}),
        **({f"max{what}": most} if most is not None else {}),
    }


def _is_required(node: _SchemaNode, version: str) -> bool:
    """Return whether the key must be there; a node that only has items has no rule of its own."""
    return node.rule is not None and is_required(node.rule, version)
