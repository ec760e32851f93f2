"""Checks the ``values:`` of the box file against the chart's own schema, so that helm is never the first to
refuse them.

Only the words of JSON Schema that the chart's schema uses are known (a test holds that).

A full validator would be another package in every bundle, for a dozen words of JSON Schema. helm checks
the same schema during an ``up``, and knows no line of the box file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from sandbox.box_file.key_lines import KeyPath
from sandbox.install.chart_values import chart_folder

Problem = tuple[KeyPath, str]
BOX_KEYS: dict[str, str] = {
    "chain.allowedOrigins": "origins",
    "chain.enabled": "chain.rpc",
    "chain.rpcUrl": "chain.rpc",
    "chain.addresses": "chain.address_file",
    "chain.addressFile": "chain.address_file",
    "operatorEngine.requireIsolation": "existing.run_unproven_jobs",
    "provider.trust.emptyLists": "trust.empty_lists",
    "resultStore": "result_store",
}
"""Values of the chart that have a key of their own in the box file, on which the rest of the box relies."""
BOX_OWNED = (
    "chain.id",
    "chain.mnemonic",
    "clusterIPs",
    "global",
    "images",
    "namespaces",
    "nodePorts",
    "operatorService.allowedProviders",
    "provider.publicUrl",
    "provisioner.devices",
    "provisioner.enabled",
    "provisioner.root",
    "runtimeClasses",
    "secrets",
    "storage.className",
)
"""Values that must be what the box made: it would not find its own services with others."""
TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
JSON_TYPES = (dict, list, str, int, float, type(None))


@cache
def _chart_schema() -> dict[str, Any]:
    """Return the schema of the chart, read once: it is part of the package and cannot change meanwhile."""
    schema: dict[str, Any] = json.loads((chart_folder() / "values.schema.json").read_text())
    return schema


def chart_problems(values: Mapping[str, Any], limit_places: Mapping[str, tuple[str, ...]]) -> list[Problem]:
    """Return what is wrong with the values, each with its place below ``values``."""
    # Each limit of the box file is a value of the chart too; two places for one value could disagree.
    owners = {**BOX_KEYS, **{".".join(place): f"limits.{name}" for name, place in limit_places.items()}}
    problems = []
    # Sections are compared as well as leaves: setting a whole owned section is refused at its head.
    for path in _all_paths(values, ()):
        name = ".".join(path)
        if name in owners:
            problems.append((path, f"has a key of the box file: {owners[name]}"))
        elif name in BOX_OWNED:
            problems.append((path, "is set by the box itself"))
    return [*problems, *_schema_problems(values, _chart_schema(), ())]


def _all_paths(values: Mapping[str, Any], path: KeyPath) -> Iterator[KeyPath]:
    """Yield the path of each section and each value."""
    for key, value in values.items():
        place = (*path, str(key))
        yield place
        if isinstance(value, Mapping):
            yield from _all_paths(value, place)


def _schema_problems(value: Any, schema: Any, path: KeyPath) -> Iterator[Problem]:
    """Yield what the schema does not allow in ``value`` and below."""
    is_finite = not isinstance(value, float) or math.isfinite(value)
    if not isinstance(value, JSON_TYPES) or not is_finite:
        # YAML knows dates, bytes and infinity too, which cannot be handed to helm.
        yield path, "is no text, number, list or section"
        return
    # A schema may be ``true``, or missing for the items of a list: everything is allowed then.
    if not isinstance(schema, dict):
        schema = {}
    # References of the chart's schema all point into its own ``definitions``.
    if reference := schema.get("$ref"):
        schema = _chart_schema()["definitions"][reference.rpartition("/")[2]]
    if "anyOf" in schema and not any(_fits_schema(value, each, path) for each in schema["anyOf"]):
        yield path, "is none of the values that the chart knows"
    if reason := _scalar_problem(value, schema):
        yield path, reason
    elif isinstance(value, Mapping):
        known = schema.get("properties", {})
        if missing := [name for name in schema.get("required", ()) if name not in value]:
            yield path, f"lacks {', '.join(missing)}"
        for key, inner in value.items():
            # JSON Schema allows further keys by default; the chart forbids them where a slip could hide.
            further = known.get(key, schema.get("additionalProperties", True))
            # YAML reads a bare ``8030:`` as a number, and keys of JSON are texts.
            if not isinstance(key, str):
                yield (*path, str(key)), "is no name: put it in quotes"
            elif further is False:
                yield (*path, str(key)), f"is no value of the chart; it knows {', '.join(known)}"
            else:
                yield from _schema_problems(inner, further, (*path, str(key)))
    elif isinstance(value, list):
        # Numbers of a list are parts of the path, as in :mod:`sandbox.box_file.key_lines`.
        for number, item in enumerate(value):
            yield from _schema_problems(item, schema.get("items"), (*path, str(number)))


def _fits_schema(value: Any, schema: Any, path: KeyPath) -> bool:
    """Return whether the schema allows the value; stops at the first problem."""
    return not any(True for _ in _schema_problems(value, schema, path))


def _scalar_problem(value: Any, schema: Mapping[str, Any]) -> str:
    """Return what is wrong with ``value`` itself; empty where nothing is."""
    kind = schema.get("type")
    # ``type`` is one name or a list of them.
    kinds = [kind] if isinstance(kind, str) else kind
    if kinds and not any(_is_of_type(value, each) for each in kinds):
        return f"must be of type {' or '.join(kinds)}"
    if "enum" in schema and value not in schema["enum"]:
        return f"must be one of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, str):
        # ``search``, not ``match``: a pattern of JSON Schema is not anchored.
        if "pattern" in schema and not re.search(schema["pattern"], value):
            return f"must match {schema['pattern']}"
        if len(value) > schema.get("maxLength", len(value)):
            return f"must have at most {schema['maxLength']} characters"
    if isinstance(value, list) and len(value) < schema.get("minItems", 0):
        return f"must have at least {schema['minItems']} entries"
    # ``bool`` is a subclass of ``int`` in Python; true has no range.
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _range_problem(value, schema)
    return ""


def _range_problem(number: float, schema: Mapping[str, Any]) -> str:
    """Return which bound the number breaks; empty where none. A missing bound is the number itself."""
    if number < schema.get("minimum", number):
        return f"must be {schema['minimum']} or more"
    if number > schema.get("maximum", number):
        return f"must be {schema['maximum']} or less"
    if "exclusiveMinimum" in schema and number <= schema["exclusiveMinimum"]:
        return f"must be more than {schema['exclusiveMinimum']}"
    return ""


def _is_of_type(value: Any, kind: str) -> bool:
    """Return whether the value has a type of JSON Schema, whose types are not quite Python's."""
    # True is an integer to Python, and 1.0 one to JSON Schema.
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[kind])
