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
"""Versions that the published schemas know."""
_LIMITED = frozenset({"4.3.0", "4.5.0"})
"""Versions whose schemas bound lengths; earlier ones take any."""


@dataclass(frozen=True)
class PropertyRule:
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


def _parameter_rules(at: str) -> tuple[PropertyRule, ...]:
    """Return the rules for consumer parameters, which a service and an algorithm have alike."""
    item = f"{at}.consumerParameters[]"
    return (
        PropertyRule(f"{at}.consumerParameters", "objects", longest=64),
        PropertyRule(f"{item}.name", required=True, longest=256),
        PropertyRule(f"{item}.type", required=True, longest=256),
        PropertyRule(f"{item}.label", required=True, longest=256),
        PropertyRule(f"{item}.required", "bool", required=True),
        PropertyRule(f"{item}.description", required=True, longest=7000),
        PropertyRule(f"{item}.default", required=True, longest=256),
        PropertyRule(f"{item}.options", "texts"),
    )


def _credential_rules(which: str) -> tuple[PropertyRule, ...]:
    """Return the rules for one of the two credential lists."""
    return (
        PropertyRule(f"credentials.{which}", "objects"),
        PropertyRule(f"credentials.{which}[].type", required=True, longest=256),
        PropertyRule(f"credentials.{which}[].values", "texts", required=True, longest=1024),
    )


_ALGORITHM = "metadata.algorithm"
"""Paths that the table has many times."""
_CONTAINER = f"{_ALGORITHM}.container"
_TRUSTED = "services[].compute.publisherTrustedAlgorithms"

RULES: tuple[PropertyRule, ...] = (
    PropertyRule("id", required=True, longest=71, pattern=r"did:op:"),
    PropertyRule("version", required=True, longest=16),
    PropertyRule("chainId", "integer", required=True),
    PropertyRule("nftAddress", required=True, longest=42),
    PropertyRule("metadata", "object", required=True),
    PropertyRule("metadata.description", required=True, longest=7000, shortest_45=10),
    PropertyRule("metadata.name", required=True, longest=512, shortest_45=4),
    PropertyRule("metadata.type", required=True, longest=256),
    PropertyRule("metadata.author", required=True, longest=256),
    PropertyRule("metadata.license", required=True, longest=256),
    PropertyRule("metadata.copyrightHolder", longest=512),
    PropertyRule("metadata.contentLanguage", longest=256),
    PropertyRule("metadata.links", "texts", longest=64),
    PropertyRule("metadata.links[]", longest=512),
    PropertyRule("metadata.tags", "texts", longest=64),
    PropertyRule("metadata.tags[]", longest=256),
    PropertyRule("metadata.categories", "texts", longest=64),
    PropertyRule("metadata.categories[]", longest=256),
    PropertyRule(_ALGORITHM, "object"),
    PropertyRule(_CONTAINER, "object", required=True),
    PropertyRule(f"{_CONTAINER}.entrypoint", required=True, longest=256, shortest_45=3),
    PropertyRule(f"{_CONTAINER}.image", required=True, longest=256, shortest_45=1),
    PropertyRule(f"{_CONTAINER}.tag", required=True, longest=256, shortest_45=1),
    PropertyRule(f"{_CONTAINER}.checksum", required=True, longest=512, shortest=7),
    *_parameter_rules(_ALGORITHM),
    PropertyRule("services", "objects", required=True, longest=64),
    PropertyRule("services[].id", required=True, longest=256),
    PropertyRule("services[].type", required=True, longest=256),
    PropertyRule("services[].name", longest=256, shortest=4),
    PropertyRule("services[].description", longest=7000, shortest=10),
    PropertyRule("services[].datatokenAddress", required=True, longest=42),
    PropertyRule("services[].serviceEndpoint", required=True, longest=2048, shortest=10),
    PropertyRule("services[].files", required=True, longest=8192),
    PropertyRule("services[].timeout", "integer", required=True),
    *_parameter_rules("services[]"),
    PropertyRule("services[].compute", "object"),
    PropertyRule("services[].compute.allowRawAlgorithm", "bool", required=True),
    PropertyRule("services[].compute.allowNetworkAccess", "bool", required=True),
    PropertyRule("services[].compute.publisherTrustedAlgorithmPublishers", "texts"),
    PropertyRule(_TRUSTED, "objects"),
    PropertyRule(f"{_TRUSTED}[].did", required=True, longest=256),
    PropertyRule(f"{_TRUSTED}[].filesChecksum", required=True, longest=1024),
    PropertyRule(f"{_TRUSTED}[].containerSectionChecksum", required=True, longest=1024),
    PropertyRule("credentials", "object"),
    *_credential_rules("allow"),
    *_credential_rules("deny"),
)
"""The table, in the order of the schemas. The JSON Schema is made from it as well."""

_EXPECTED = {
    "text": "a text",
    "integer": "a whole number",
    "bool": "true or false",
    "object": "an object",
    "objects": "a list of objects",
    "texts": "a list of texts",
}
"""Kinds in the words of a message."""


def validate_ddo(document: dict[str, Any]) -> dict[str, str]:
    """Return path → message for everything that keeps ``document`` from being published; empty when nothing
    does."""
    version = document.get("version")
    if not version:
        return {"version": "no version provided for DDO."}
    if version not in VERSIONS:
        return {"version": f"Version {version} is not supported; use one of {', '.join(VERSIONS)}."}
    # All breaches at once: a publisher should not have to find them one by one.
    errors = dict(_identity_breaches(document))
    # Identity comes first: of two messages for one path, its own is the one that says why.
    for path, message in rule_breaches(document, str(version)):
        errors.setdefault(path, message)
    return errors


def rule_breaches(document: dict[str, Any], version: str) -> Iterator[tuple[str, str]]:
    """Yield (path, message) of every rule of the table that does not hold."""
    for rule in RULES:
        yield from _check_rule(rule, document, version)


def is_required(rule: PropertyRule, version: str) -> bool:
    """Return whether the key must be there: 4.5.0 does without services."""
    return rule.required and not (rule.path == "services" and version == "4.5.0")


def length_bounds(rule: PropertyRule, version: str) -> tuple[int, int | None]:
    """Return shortest and longest in ``version``: characters of a text, items of a list."""
    if version not in _LIMITED:
        return 0, None
    return max(rule.shortest, rule.shortest_45 if version == "4.5.0" else 0), rule.longest


def _identity_breaches(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
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
    # Only where both parts are usable; otherwise their own messages say what is wrong.
    elif isinstance(chain_id, int) and chain_id and document.get("id") != did_for(str(nft), chain_id):
        yield "id", "did is not valid for chain Id and nft address"


def _check_rule(rule: PropertyRule, document: dict[str, Any], version: str) -> Iterator[tuple[str, str]]:
    """Yield a breach for each value at the rule's path: missing, of another kind, too short or too long."""
    required = is_required(rule, version)
    for path, value in _values_at(document, rule.path):
        if value is None:
            if required:
                yield path, f"{_leaf_key(path)} is required: {_EXPECTED[rule.kind]}."
        elif not _has_kind(value, rule.kind):
            yield path, f"{_leaf_key(path)} has to be {_EXPECTED[rule.kind]}."
        elif message := _out_of_bounds(rule, value, required, version):
            yield path, f"{_leaf_key(path)} {message}."


def _out_of_bounds(rule: PropertyRule, value: Any, required: bool, version: str) -> str:
    """Return in words which bound the value breaks; empty where it breaks none."""
    if rule.pattern and not re.match(rule.pattern, value):
        return f"has to start with {rule.pattern}"
    # To RDF an empty list is the same as an absent one.
    if required and rule.kind in ("objects", "texts") and not value:
        return "needs at least one item"
    if rule.kind not in ("text", "objects", "texts"):
        return ""
    unit = "characters" if rule.kind == "text" else "items"
    shortest, longest = length_bounds(rule, version)
    # A single text is a list of one; its characters are not its length.
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
            # JSON has one kind of number, so 1.0 is whole; true is none, although Python's bool is an int.
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


def _values_at(document: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """Yield every (concrete path, value) that ``path`` names; a missing leaf of an existing parent yields
    None."""
    # All nodes of one depth at a time. A node that is no object has no keys, which another rule complains
    # about.
    nodes: list[tuple[str, Any]] = [("", document)]
    for part in path.split("."):
        key, many = part.removesuffix("[]"), part.endswith("[]")
        nodes = [
            (f"{at}.{key}" if at else key, node.get(key)) for at, node in nodes if isinstance(node, dict)
        ]
        # A single object stands for a list of one here, too.
        if many:
            nodes = [
                (f"{at}[{i}]", item)
                for at, node in nodes
                if isinstance(node, list | dict)
                for i, item in enumerate(node if isinstance(node, list) else [node])
            ]
    yield from nodes


def _leaf_key(path: str) -> str:
    """Return the last key of a path, by which messages name the property."""
    return path.rsplit(".", 1)[-1]


def _is_iso(value: object) -> bool:
    """Return whether the value is a date or time in ISO 8601, with or without ``Z``."""
    text = value.removesuffix("Z") if isinstance(value, str) else ""
    if not text:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
