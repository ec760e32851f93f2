"""A publisher's disclosure rules: reads them from a file, checks them, writes them into the dataset's
description.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from c2d_box.assets.disclosure import CHECKABLE, InvalidRules, parse_set, unchecked_types
from c2d_box.errors import UsageError
from c2d_box.strict_json import JsonRefused
from c2d_box.strict_yaml import parse_yaml
from sandbox.box import Box
from sandbox.progress import Progress, run_step
from sandbox.verbs.publishing.assets import short_did
from sandbox.verbs.sdk_connections import open_publisher

LIFTED = "none"
"""The word in place of a file that removes all rules."""


def read_rules(source: str) -> dict[str, Any]:
    """Return the rules of a YAML or JSON file in the form of a description; ``none``: empty. Raises
    UsageError.
    """
    if source == LIFTED:
        return {}
    try:
        found = parse_yaml(Path(source).read_bytes())
        rules = parse_set(found if isinstance(found, Mapping) else [])
    except OSError as problem:
        text = f"{source} cannot be read: {problem.strerror}"
        raise UsageError("C2D-DISCLOSURE-INVALID", text, "name a YAML file, or none") from problem
    except (JsonRefused, InvalidRules) as problem:
        text = f"{source}: {problem}"
        raise UsageError("C2D-DISCLOSURE-INVALID", text, "docs/disclosure.md lists all rules") from problem
    # An empty file would lift all rules by mistake; lifting them takes the word ``none``.
    if rules is None or not rules.as_dict():
        raise UsageError("C2D-DISCLOSURE-INVALID", f"{source} holds no rule", "docs/disclosure.md lists all")
    # Refused here rather than at the first job: a file that cannot be checked never leaves (fails closed).
    if unchecked := unchecked_types(rules):
        raise UsageError(
            "C2D-DISCLOSURE-INVALID",
            f"files of type {', '.join(unchecked)} cannot be checked, so none would ever leave",
            f"allow some of {', '.join(CHECKABLE)}",
        )
    return rules.as_dict()


def write_rules(box: Box, who: str, did: str, rules: Mapping[str, Any]) -> Progress[None]:
    """Write the rules into the dataset's description, on the chain; empty rules remove them. Signed by
    ``who``.
    """
    text = "rules for results" if rules else "no rules for results"
    with open_publisher(box, who) as party:
        yield from run_step(
            "disclosure",
            f"publishing {short_did(did)} with {text}",
            lambda: party.govern_results(did, disclosure=rules),
        )
