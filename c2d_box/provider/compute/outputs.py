"""What a request may ask for its results, as far as every input's publisher agrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from c2d_box.assets.disclosure import as_section, strictest
from c2d_box.provider.compute.algorithms import refuse
from c2d_box.provider.compute.datasets import Dataset
from c2d_box.strict_json import JsonRefused, parse_json

ALLOWED = "allowPublishedResults"
"""Of ``services[].additionalInformation.c2d``; only literal true is a yes."""
_ASKED = ("publish", "encrypt")


def section(output: Any, datasets: Sequence[Dataset]) -> dict[str, Any]:
    """The stage's output section: ours of what was asked for, and the publishers' rules. Raises Refusal."""
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
