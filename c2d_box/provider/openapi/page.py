"""The API's description as one HTML page: no script, no style sheet, no font from anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--dim:#767676;--code:#8881}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font:14px/1.45 ui-monospace,monospace;background:var(--code);border-radius:4px}
code{padding:.1em .3em}pre{padding:.7em;overflow-x:auto}
h2{margin-top:2.5em;border-bottom:1px solid var(--line)}
h3{margin:2em 0 .3em}h3 b{display:inline-block;min-width:4.5em}table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.25em .6em .25em 0;border-bottom:1px solid var(--line)}
small{color:var(--dim)}nav a{margin-right:1em;white-space:nowrap}summary{cursor:pointer}
"""
_METHODS = ("get", "post", "put", "delete")
Described = Mapping[str, Any]


def render_api_page(document: Described) -> str:
    """Return the page for a ``document`` as it is served at ``/spec``."""
    # In the order of the route table, where endpoints of a group may stand apart.
    groups: dict[str, list[tuple[str, str, Described]]] = {}
    for path, entry in document["paths"].items():
        for method in _METHODS:
            if method in entry:
                groups.setdefault(entry[method]["tags"][0], []).append((path, method, entry[method]))
    # Everything is escaped, although the document is ours: descriptions hold < and & in patterns and texts.
    info = document["info"]
    title, version = escape(info["title"]), escape(info["version"])
    return "".join(
        [
            # Closing tags that HTML lets authors omit are omitted; the whole is one file with nothing to
            # load.
            f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>",
            "<meta name=viewport content='width=device-width'>",
            f"<style>{_STYLE}</style><h1>{title} <small>{version}</small></h1>",
            f"<p>{escape(info['description'])}",
            "<p>For programs: <a href=/spec><code>/spec</code></a> (OpenAPI).",
            "<nav>",
            *(f"<a href='#{escape(tag)}'>{escape(tag)}</a>" for tag in groups),
            "<a href='#shapes'>Shapes</a></nav>",
            *(part for tag, each in groups.items() for part in _group_html(tag, each)),
            "<h2 id=shapes>Shapes</h2>",
            *(_schema_section(name, schema) for name, schema in document["components"]["schemas"].items()),
        ]
    )


def _group_html(tag: str, operations: list[tuple[str, str, Described]]) -> Iterator[str]:
    """Yield the HTML of one group's endpoints."""
    yield f"<h2 id='{escape(tag)}'>{escape(tag)}</h2>"
    for path, method, operation in operations:
        name = escape(operation["operationId"])
        yield f"<h3 id='{name}'><b>{method.upper()}</b><code>{escape(path)}</code></h3>"
        yield f"<p><b>{escape(operation['summary'])}.</b> {escape(operation['description'])}"
        yield from _parameter_table(operation)
        yield from _body_html(operation)
        yield "<table><tr><th>Status<th>Answer"
        for status, answer in operation["responses"].items():
            yield f"<tr><td>{status}<td>{escape(answer['description'])} {_content_html(answer)}"
        yield "</table>"


def _parameter_table(operation: Described) -> Iterator[str]:
    """Yield the table of an endpoint's query parameters; nothing where it has none."""
    if operation.get("parameters"):
        yield "<table><tr><th>In the query<th>Type<th>"
        for entry in operation["parameters"]:
            name = f"<b>{escape(entry['name'])}</b>" if entry["required"] else escape(entry["name"])
            yield f"<tr><td>{name}<td>{_type_html(entry['schema'])}<td>{escape(entry.get('description', ''))}"
        yield "</table><p><small>Bold ones are required.</small>"


def _body_html(operation: Described) -> Iterator[str]:
    """Yield the schema of the request's body, folded."""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<details><summary>Body, <code>{escape(kind)}</code></summary>"
        yield f"{_json_html(content['schema'])}</details>"


def _content_html(answer: Described) -> str:
    """Return media type and shape of an answer."""
    shown = []
    for kind, content in answer.get("content", {}).items():
        schema = content.get("schema")
        shown.append(f"<code>{escape(kind)}</code> {_type_html(schema) if schema else ''}")
    return " ".join(shown)


def _type_html(schema: Described) -> str:
    """Return a schema in a few words, with a link to the shape that it refers to."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#shape-{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_type_html(entry) for entry in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type_html(schema['items'])}"
    kind = schema.get("type", "anything")
    pattern = f" <code>{escape(schema['pattern'])}</code>" if "pattern" in schema else ""
    return escape(" or ".join(kind) if isinstance(kind, list) else kind) + pattern


def _schema_section(name: str, schema: Described) -> str:
    """Return a shape with the anchor that :func:`_type_html` links to."""
    return f"<h3 id='shape-{escape(name)}'>{escape(name)}</h3>{_json_html(schema)}"


def _json_html(schema: Described) -> str:
    """Return a schema as escaped, indented JSON."""
    return f"<pre>{escape(json.dumps(schema, indent=2))}</pre>"
