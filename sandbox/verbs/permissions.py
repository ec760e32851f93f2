"""``permissions`` and ``permit --explain``: lists which algorithm may compute on which dataset, for all pairs
at once or for one, judged by the Provider's own rule.

The facts about an algorithm (owner, market, checksums) are read once, not once per dataset: they cost
requests to the Provider and the chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from c2d_box.errors import C2DError
from sandbox.box import Box
from sandbox.verbs.sdk_connections import connection_to

if TYPE_CHECKING:
    from c2d_box.assets.permissions import EmptyLists, PublishedAlgorithm


@dataclass(frozen=True, slots=True)
class Cell:
    """The answer to whether ``algorithm`` may compute on ``dataset``. ``code`` is the wire's, empty when
    allowed; ``reasons`` are lines of the reason tree, indented by two per level.
    """

    dataset: str
    algorithm: str
    allowed: bool
    code: str
    reasons: tuple[str, ...]


def permissions(box: Box) -> list[Cell]:
    """Return every pair of a dataset and an algorithm in the cache, as of now."""
    from c2d_box.client.explanations import algorithm_facts

    with connection_to(box) as connection:
        records = connection.cache.assets()
        datasets = [record for record in records if record["metadata"]["type"] == "dataset"]
        cells: list[Cell] = []
        for algorithm in (record["id"] for record in records if record["metadata"]["type"] == "algorithm"):
            try:
                facts = algorithm_facts(connection, algorithm)
            except C2DError as problem:
                cells += [_unknown(dataset["id"], algorithm, problem) for dataset in datasets]
                continue
            cells += _column(datasets, facts, cast("EmptyLists", box.settings.trust_empty_lists))
    return cells


def explain(box: Box, dataset: str, algorithm: str) -> Cell:
    """Return the answer the Provider would give for one pair, or for ``raw`` code on ``dataset``, with every
    reason.
    """
    from c2d_box.client import explain as judged

    with connection_to(box) as connection:
        setting = cast("EmptyLists", box.settings.trust_empty_lists)
        verdict = judged(connection, dataset, algorithm, setting)
    return Cell(dataset, algorithm, verdict.allowed, verdict.code, tuple(verdict.reasons.lines()))


def _column(
    datasets: list[dict[str, Any]], facts: PublishedAlgorithm, empty_lists: EmptyLists
) -> Iterator[Cell]:
    from c2d_box.assets.ddo import COMPUTE, DDO
    from c2d_box.assets.permissions import PermissionRequest, decide

    for record in datasets:
        ddo = DDO.parse(record)
        service = ddo.first(COMPUTE) or next(iter(ddo.services), None)
        if service is None:
            yield Cell(ddo.id, facts.did, False, "service_unknown", ("no  it offers no service",))
            continue
        verdict = decide(PermissionRequest(ddo.id, service, facts, empty_lists=empty_lists))
        yield Cell(ddo.id, facts.did, verdict.allowed, verdict.code, tuple(verdict.reasons.lines()))


def _unknown(dataset: str, algorithm: str, problem: C2DError) -> Cell:
    return Cell(dataset, algorithm, False, problem.code, (f"no  {problem.message}",))
