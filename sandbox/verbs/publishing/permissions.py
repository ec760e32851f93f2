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
class PermissionCell:
    """The answer to whether ``algorithm`` may compute on ``dataset``. ``code`` is the wire's, empty when
    allowed; ``reasons`` are lines of the reason tree, indented by two per level.
    """

    dataset: str
    algorithm: str
    allowed: bool
    code: str
    reasons: tuple[str, ...]


def permission_matrix(box: Box) -> list[PermissionCell]:
    """Return every pair of a dataset and an algorithm in the cache, as of now.

    The rule is the Provider's own function, run here; for n datasets and m algorithms only m sets of facts
    are fetched.
    """
    from c2d_box.client.explanations import algorithm_facts

    with connection_to(box) as connection:
        records = connection.cache.list_assets()
        datasets = [record for record in records if record["metadata"]["type"] == "dataset"]
        cells: list[PermissionCell] = []
        for algorithm in (record["id"] for record in records if record["metadata"]["type"] == "algorithm"):
            try:
                facts = algorithm_facts(connection, algorithm)
            except C2DError as problem:
                # An algorithm whose facts cannot be read would be refused: its column says so, the others
                # stay.
                cells += [_unknown_cell(dataset["id"], algorithm, problem) for dataset in datasets]
                continue
            cells += _decide_column(datasets, facts, cast("EmptyLists", box.settings.trust_empty_lists))
    return cells


def explain_permission(box: Box, dataset: str, algorithm: str) -> PermissionCell:
    """Return the answer the Provider would give for one pair, or for ``raw`` code on ``dataset``, with every
    reason.
    """
    from c2d_box.client import explain_permission as judged

    with connection_to(box) as connection:
        setting = cast("EmptyLists", box.settings.trust_empty_lists)
        verdict = judged(connection, dataset, algorithm, setting)
    return PermissionCell(
        dataset, algorithm, verdict.allowed, verdict.code, tuple(verdict.reasons.text_lines())
    )


def _decide_column(
    datasets: list[dict[str, Any]], facts: PublishedAlgorithm, empty_lists: EmptyLists
) -> Iterator[PermissionCell]:
    """Yield the verdict of each dataset about one algorithm. An asset without a compute service is judged by
    its first.
    """
    from c2d_box.assets.documents.ddo import COMPUTE, DDO
    from c2d_box.assets.permissions import PermissionRequest, decide_permission

    for record in datasets:
        ddo = DDO.parse(record)
        service = ddo.first_service(COMPUTE) or next(iter(ddo.services), None)
        if service is None:
            yield PermissionCell(ddo.id, facts.did, False, "service_unknown", ("no  it offers no service",))
            continue
        verdict = decide_permission(PermissionRequest(ddo.id, service, facts, empty_lists=empty_lists))
        yield PermissionCell(
            ddo.id, facts.did, verdict.allowed, verdict.code, tuple(verdict.reasons.text_lines())
        )


def _unknown_cell(dataset: str, algorithm: str, problem: C2DError) -> PermissionCell:
    """Return a denied cell that names the problem instead of a rule."""
    return PermissionCell(dataset, algorithm, False, problem.code, (f"no  {problem.message}",))
