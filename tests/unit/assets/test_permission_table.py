"""permissions.txt against the decision: each line says what a publisher wrote, what is asked, the answer and
the reason. It was written from the rules (design and wire contract) and shares nothing with their code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from c2d_box.assets.documents.ddo import DdoService
from c2d_box.assets.permissions import (
    PermissionReason,
    PermissionRequest,
    PublishedAlgorithm,
    RawAlgorithm,
    decide_permission,
)

TABLE = Path(__file__).with_name("permissions.txt")
DATASET, IT, OTHER = ("did:op:" + letter * 64 for letter in "dab")
OWNER, MARKET, STRANGER = "0x" + "Aa" * 20, "0x" + "Cc" * 20, "0x" + "Ee" * 20
NOW = {"filesChecksum": "f1" * 32, "containerSectionChecksum": "c1" * 32}
PUBLISHERS: dict[str, list[str]] = {"owner": [OWNER], "OWNER": [OWNER.upper().replace("0X", "0x")]}
PUBLISHERS |= {"stranger": [STRANGER], "*": ["*"], "market": [MARKET]}
ALGORITHMS: dict[str, Any] = {
    "it": {"did": IT, **NOW},
    "it unpinned": {"did": IT, "filesChecksum": "", "containerSectionChecksum": ""},
    "it old files": {"did": IT, **NOW, "filesChecksum": "00" * 32},
    "it old container": {"did": IT, **NOW, "containerSectionChecksum": "00" * 32},
    "other": {"did": OTHER, **NOW},
    "broken": {"filesChecksum": "f1" * 32},
    "*": "*",
}
VALUES = {"true": True, "false": False, "'true'": "true", "1": 1, "null": None}


def rows() -> list[dict[str, str]]:
    lines = [line.split("|") for line in TABLE.read_text().splitlines()[1:]]
    head = [cell.strip() for cell in lines[0]]
    return [dict(zip(head, (cell.strip() for cell in line), strict=True)) for line in lines[1:]]


ROWS = rows()


def listed(text: str, known: dict[str, Any]) -> list[Any]:
    found: list[Any] = []
    for name in text.strip("[]").split(","):
        value = known[name] if name else []
        found += value if isinstance(value, list) else [value]
    return found


def request(row: dict[str, str]) -> PermissionRequest:
    wanted, granted, network = (row["network"].split("/") + ["-"] * 2)[:3]
    compute: dict[str, Any] = {}
    if row["publishers"] != "-":
        compute["publisherTrustedAlgorithmPublishers"] = listed(row["publishers"], PUBLISHERS)
    if row["algorithms"] != "-":
        compute["publisherTrustedAlgorithms"] = listed(row["algorithms"], ALGORITHMS)
    if row["raw"] != "-":
        compute["allowRawAlgorithm"] = VALUES[row["raw"]]
    if network != "-":
        compute["allowNetworkAccess"] = VALUES[network]
    more: dict[str, Any] = {}
    if row["markets"] != "-":
        more["trustedMarkets"] = listed(row["markets"], PUBLISHERS)
    if row["all published"] != "-":
        more["trustAllPublished"] = VALUES[row["all published"]]
    asked = row["asked"]
    kind = "access" if "access service" in asked else "other" if "other service" in asked else "compute"
    known = asked != "unknown owner"
    algorithm: Any = PublishedAlgorithm(
        IT,
        OWNER if known else "",
        MARKET if known else "",
        NOW["filesChecksum"],
        NOW["containerSectionChecksum"],
        service_type="compute" if "private" in asked else "access",
        files_readable=asked != "private algorithm elsewhere",
    )
    service = {"id": "s", "type": kind, "compute": compute, "additionalInformation": {"c2d": more}}
    return PermissionRequest(
        DATASET,
        DdoService.model_validate(service),
        RawAlgorithm() if asked.startswith("raw") else algorithm,
        empty_lists="all" if row["empty lists"] == "all" else "none",
        main="second" not in asked,
        files_readable=asked not in ("files elsewhere", "access service second, elsewhere"),
        network_wanted=wanted == "wanted",
        network_operator=granted == "granted",
    )


def leaves(reason: PermissionReason) -> Iterator[PermissionReason]:
    if not reason.because:
        yield reason
    for below in reason.because:
        yield from leaves(below)


def test_there_are_two_hundred_lines_at_least_and_each_once() -> None:
    assert len(ROWS) >= 200 and len({tuple(row.values()) for row in ROWS}) == len(ROWS)
    assert all(row["reason"] for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row.values()).replace(" ", "_")[:100])
def test_the_answer_and_its_reason_are_those_of_the_table(row: dict[str, str]) -> None:
    verdict = decide_permission(request(row))
    assert (verdict.code or "yes") == row["answer"]
    assert verdict.allowed == (row["answer"] == "yes")
    if verdict.allowed:
        assert any(row["reason"] in leaf.text for leaf in leaves(verdict.reasons))
    else:
        assert row["reason"] in verdict.deciding_reason.text


def test_nothing_is_allowed_by_lines_without_a_yes_of_the_publisher() -> None:
    """Of all lines with nothing written, only the Provider's own setting lets anybody in."""
    silent = ("publishers", "algorithms", "markets")
    written = [
        r
        for r in ROWS
        if r["answer"] == "yes"
        and all(r[n] in ("-", "[]") for n in silent)
        and r["all published"] == r["raw"] == "-"
    ]
    assert written and all(r["empty lists"] == "all" for r in written)
