"""Decides what a request may ask for its results, as far as the publisher of every input agrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from c2d_box.assets.disclosure import as_section, strictest
from c2d_box.provider.compute.algorithms import refuse
from c2d_box.provider.compute.datasets import Dataset
from c2d_box.strict_json import JsonRefused, parse_json

ALLOWED = "allowPublishedResults"
"""The key of ``services[].additionalInformation.c2d`` by which a publisher agrees that results are published;
only literal true does."""
_ASKED = ("publish", "encrypt")


def section(output: Any, datasets: Sequence[Dataset]) -> dict[str, Any]:
    """Return the stage's output section: the parts of the request that we know, and the publishers' rules.
    Raise Refusal."""
    asked = _parsed(output)
    found = {key: asked[key] for key in _ASKED if asked.get(key)}
    if "publish" in found:
        for dataset in datasets:
            if dataset.offered.service.trust.get(ALLOWED) is not True:
                raise refuse(
                    "output",
                    "publishing_not_allowed",
                    {"dataset": dataset.offered.ddo.id, "missing": f"additionalInformation.c2d.{ALLOWED}"},
                )
    rules = as_section(strictest(dataset.rules for dataset in datasets))
    return found if rules is None else {**found, "disclosure": rules}


def _parsed(output: Any) -> Mapping[str, Any]:
    if isinstance(output, str) and output:
        try:
            output = parse_json(output)
        except JsonRefused:
            raise refuse("output", "invalid") from None
    return output if isinstance(output, Mapping) else {}
