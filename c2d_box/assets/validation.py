"""Checks whether a DDO is publishable: the requirements and limits of the published schemas, with helpful
messages.

The original schemas are SHACL over RDF; this is the same set of requirements as one table. It refuses nothing
that they accept: unknown keys pass, empty texts pass where no minimum length is given, null counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from c2d_box.assets.addresses import is_address
from c2d_box.assets.did import did_for

VERSIONS = ("4.0.0", "4.1.0", "4.3.0", "4.5.0")
_LIMITED = frozenset({"4.3.0", "4.5.0"})


@dataclass(frozen=True)
class Rule:
    """One property. ``path`` uses ``[]`` for every item of a list; lengths count characters or items.

    ``longest`` holds from 4.3.0 on; ``shortest`` too, ``shortest_45`` only in 4.5.0.
    """

    path: str
    kind: str = "text"
    required: bool = False
    longest: int | None = None
    shortest: int = 0
    shortest_45: int = 0
    pattern: str = ""


def _parameters(at: str) -> tuple[Rule, ...]:
    item = f"{at}.consumerParameters[]"
    return (
        Rule(f"{at}.consumerParameters", "objects", longest=64),
        Rule(f"{item}.name", required=True, longest=256),
        Rule(f"{item}.type", required=True, longest=256),
        Rule(f"{item}.label", required=True, longest=256),
        Rule(f"{item}.required", "bool", required=True),
        Rule(f"{item}.description", required=True, longest=7000),
        Rule(f"{item}.default", required=True, longest=256),
        Rule(f"{item}.options", "texts"),
    )


def _credentials(which: str) -> tuple[Rule, ...]:
    return (
        Rule(f"credentials.{which}", "objects"),
        Rule(f"credentials.{which}[].type", required=True, longest=256),
        Rule(f"credentials.{which}[].values", "texts", required=True, longest=1024),
    )


_ALGORITHM = "metadata.algorithm"
_CONTAINER = f"{_ALGORITHM}.container"
_TRUSTED = "services[].compute.publisherTrustedAlgorithms"

RULES: tuple[Rule, ...] = (
    Rule("id", required=True, longest=71, pattern=r"did:op:"),
    Rule("version", required=True, longest=16),
    Rule("chainId", "integer", required=True),
    Rule("nftAddress", required=True, longest=42),
    Rule("metadata", "object", required=True),
    Rule("metadata.description", required=True, longest=7000, shortest_45=10),
    Rule("metadata.name", required=True, longest=512, shortest_45=4),
    Rule("metadata.type", required=True, longest=256),
    Rule("metadata.author", required=True, longest=256),
    Rule("metadata.license", required=True, longest=256),
    Rule("metadata.copyrightHolder", longest=512),
    Rule("metadata.contentLanguage", longest=256),
    Rule("metadata.links", "texts", longest=64),
    Rule("metadata.links[]", longest=512),
    Rule("metadata.tags", "texts", longest=64),
    Rule("metadata.tags[]", longest=256),
    Rule("metadata.categories", "texts", longest=64),
    Rule("metadata.categories[]", longest=256),
    Rule(_ALGORITHM, "object"),
    Rule(_CONTAINER, "object", required=True),
    Rule(f"{_CONTAINER}.entrypoint", required=True, longest=256, shortest_45=3),
    Rule(f"{_CONTAINER}.image", required=True, longest=256, shortest_45=1),
    Rule(f"{_CONTAINER}.tag", required=True, longest=256, shortest_45=1),
    Rule(f"{_CONTAINER}.checksum", required=True, longest=512, shortest=7),
    *_parameters(_ALGORITHM),
    Rule("services", "objects", required=True, longest=64),
    Rule("services[].id", required=True, longest=256),
    Rule("services[].type", required=True, longest=256),
    Rule("services[].name", longest=256, shortest=4),
    Rule("services[].description", longest=7000, shortest=10),
    Rule("services[].datatokenAddress", required=True, longest=42),
    Rule("services[].serviceEndpoint", required=True, longest=2048, shortest=10),
    Rule("services[].files", required=True, longest=8192),
    Rule("services[].timeout", "integer", required=True),
    *_parameters("services[]"),
    Rule("services[].compute", "object"),
    Rule("services[].compute.allowRawAlgorithm", "bool", required=True),
    Rule("services[].compute.allowNetworkAccess", "bool", required=True),
    Rule("services[].compute.publisherTrustedAlgorithmPublishers", "texts"),
    Rule(_TRUSTED, "objects"),
    Rule(f"{_TRUSTED}[].did", required=True, longest=256),
    Rule(f"{_TRUSTED}[].filesChecksum", required=True, longest=1024),
    Rule(f"{_TRUSTED}[].containerSectionChecksum", required=True, longest=1024),
    Rule("credentials", "object"),
    *_credentials("allow"),
    *_credentials("deny"),
)

_EXPECTED = {
    "text": "a text",
    "integer": "a whole number",
    "bool": "true or false",
    "object": "an object",
    "objects": "a list of objects",
    "texts": "a list of texts",
}


def validate(document: dict[str, Any]) -> dict[str, str]:
    """Return path → message for everything that keeps ``document`` from being published; empty when nothing
    does."""
    version = document.get("version")
    if not version:
        return {"version": "no version provided for DDO."}
    if version not in VERSIONS:
        return {"version": f"Version {version} is not supported; use one of {', '.join(VERSIONS)}."}
    errors = dict(_identity(document))
    for path, message in breaches(document, str(version)):
        errors.setdefault(path, message)
    return errors


def breaches(document: dict[str, Any], version: str) -> Iterator[tuple[str, str]]:
    """Yield (path, message) of every rule of the table that does not hold."""
    for rule in RULES:
        yield from _check(rule, document, version)


def is_required(rule: Rule, version: str) -> bool:
    """Return whether the key must be there: 4.5.0 does without services."""
    return rule.required and not (rule.path == "services" and version == "4.5.0")


def bounds(rule: Rule, version: str) -> tuple[int, int | None]:
    """Return shortest and longest in ``version``: characters of a text, items of a list."""
    if version not in _LIMITED:
        return 0, None
    return max(rule.shortest, rule.shortest_45 if version == "4.5.0" else 0), rule.longest


def _identity(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Check what no schema says: context, dates, and that the id is the one derived from NFT and chain."""
    if not document.get("@context") or not isinstance(document["@context"], list | dict):
        yield "@context", "Context is missing or invalid."
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        yield "metadata", "Metadata is missing or invalid."
    else:
        for key in ("created", "updated"):
            if metadata.get(key) is not None and not _is_iso(metadata[key]):
                yield f"metadata.{key}", f"{key} is not an ISO 8601 date."
    chain_id, nft = document.get("chainId"), document.get("nftAddress")
    if not chain_id:
        yield "chainId", "chainId is missing or invalid."
    if not is_address(nft):
        yield "nftAddress", "nftAddress is missing or invalid."
    elif isinstance(chain_id, int) and chain_id and document.get("id") != did_for(str(nft), chain_id):
        yield "id", "did is not valid for chain Id and nft address"


def _check(rule: Rule, document: dict[str, Any], version: str) -> Iterator[tuple[str, str]]:
    required = is_required(rule, version)
    for path, value in _values(document, rule.path):
        if value is None:
            if required:
                yield path, f"{_leaf(path)} is required: {_EXPECTED[rule.kind]}."
        elif not _has_kind(value, rule.kind):
            yield path, f"{_leaf(path)} has to be {_EXPECTED[rule.kind]}."
        elif message := _out_of_bounds(rule, value, required, version):
            yield path, f"{_leaf(path)} {message}."


def _out_of_bounds(rule: Rule, value: Any, required: bool, version: str) -> str:
    if rule.pattern and not re.match(rule.pattern, value):
        return f"has to start with {rule.pattern}"
    if required and rule.kind in ("objects", "texts") and not value:
        return "needs at least one item"
    if rule.kind not in ("text", "objects", "texts"):
        return ""
    unit = "characters" if rule.kind == "text" else "items"
    shortest, longest = bounds(rule, version)
    length = 1 if rule.kind == "texts" and isinstance(value, str) else len(value)
    if length < shortest:
        return f"is too short: {length} {unit}, at least {shortest}"
    if longest is not None and length > longest:
        return f"is too long: {length} {unit}, at most {longest}"
    return ""


def _has_kind(value: Any, kind: str) -> bool:
    """Return whether the value is of this kind. RDF knows no lists of one: a single text or object stands for
    the list that holds only it."""
    match kind:
        case "text":
            return isinstance(value, str)
        case "integer":
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return whole and not isinstance(value, bool)
        case "bool":
            return isinstance(value, bool)
        case "object":
            return isinstance(value, dict)
        case "objects":
            return isinstance(value, dict) or (
                isinstance(value, list) and all(isinstance(v, dict) for v in value)
            )
        case _:
            return isinstance(value, str) or (
                isinstance(value, list) and all(isinstance(v, str) for v in value)
            )


def _values(document: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """Yield every (concrete path, value) that ``path`` names; a missing leaf of an existing parent yields
    None."""
    nodes: list[tuple[str, Any]] = [("", document)]
    for part in path.split("."):
        key, many = part.removesuffix("[]"), part.endswith("[]")
        nodes = [
            (f"{at}.{key}" if at else key, node.get(key)) for at, node in nodes if isinstance(node, dict)
        ]
        if many:
            nodes = [
                (f"{at}[{i}]", item)
                for at, node in nodes
                if isinstance(node, list | dict)
                for i, item in enumerate(node if isinstance(node, list) else [node])
            ]
    yield from nodes


def _leaf(path: str) -> str:
    return path.rsplit(".", 1)[-1]


def _is_iso(value: object) -> bool:
    text = value.removesuffix("Z") if isinstance(value, str) else ""
    if not text:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
