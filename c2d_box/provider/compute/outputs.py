"""Decides what a request may ask for its results, as far as the publisher of every input agrees.

Two things are asked for: to publish the results as an asset, which gives them to others, and to encrypt them
for the consumer, which needs nobody's consent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from c2d_box.assets.disclosure import as_section, distinct_sets
from c2d_box.provider.compute.datasets import AcceptedDataset
from c2d_box.provider.errors import compute_refusal

ALLOWED = "allowPublishedResults"
"""The key of ``services[].additionalInformation.c2d`` by which a publisher agrees that results are published;
only literal true does."""
_ASKED = ("publish", "encrypt")


def output_section(
    asked: Mapping[str, object] | None, datasets: Sequence[AcceptedDataset]
) -> dict[str, object]:
    """Return the stage's output section: the parts of the request that we know, and the publishers' rules.
    Raise Refusal."""
    if asked is None:
        raise compute_refusal("output", "invalid")
    # Keys that are not known are dropped: nothing in this section may reach the engine unchecked.
    found = {key: asked[key] for key in _ASKED if asked.get(key)}
    if "publish" in found:
        for dataset in datasets:
            # Every publisher has to agree. The one who has not is named, with the setting that is missing.
            if dataset.offered.service.trust_settings.get(ALLOWED) is not True:
                raise compute_refusal(
                    "output",
                    "publishing_not_allowed",
                    {"dataset": dataset.offered.ddo.id, "missing": f"additionalInformation.c2d.{ALLOWED}"},
                )
    # The rules are the publishers' and always go along. A request cannot ask for fewer.
    rules = as_section(distinct_sets(dataset.rules for dataset in datasets))
    return found if rules is None else {**found, "disclosure": rules}
