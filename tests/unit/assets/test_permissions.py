"""Who may compute on what. The table below was written from the rules' text, not from their code."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.assets.documents.ddo import DdoService
from c2d_box.assets.permissions import (
    PermissionReason,
    PermissionRequest,
    PermissionVerdict,
    PublishedAlgorithm,
    RawAlgorithm,
    decide_permission,
)

DATASET = "did:op:" + "d" * 64
ALGORITHM, OTHER = "did:op:" + "a" * 64, "did:op:" + "b" * 64
OWNER, MARKET, STRANGER = "0x" + "Aa" * 20, "0x" + "Cc" * 20, "0x" + "Ee" * 20
FILES, CONTAINER = "f1" * 32, "c1" * 32
PUBLISHED = PublishedAlgorithm(ALGORITHM, OWNER, MARKET, FILES, CONTAINER)


def entry(did: str = ALGORITHM, files: str = FILES, container: str = CONTAINER) -> dict[str, str]:
    return {"did": did, "filesChecksum": files, "containerSectionChecksum": container}


def ask(
    compute: Any = None, c2d: Any = None, algorithm: Any = PUBLISHED, kind: str = "compute", **more: Any
) -> PermissionVerdict:
    service: dict[str, Any] = {"id": "s", "type": kind}
    if compute is not None:
        service["compute"] = compute
    if c2d is not None:
        service["additionalInformation"] = {"c2d": c2d}
    return decide_permission(
        PermissionRequest(DATASET, DdoService.model_validate(service), algorithm, **more)
    )


# Each list as published, whether it counts as filled, and the code it refuses with (None: it is content).
Row = tuple[Any, bool, str | None]
PUBLISHERS: dict[str, Row] = {
    "absent": (None, False, None),
    "empty": ([], False, None),
    "the owner": ([OWNER], True, None),
    "the owner in lower case, among others": ([STRANGER, OWNER.lower()], True, None),
    "another": ([STRANGER], True, "not_trusted_algo_publisher"),
    "everybody": (["*"], True, None),
    "no list": ("0x", True, "not_trusted_algo_publisher"),
}
ALGORITHMS: dict[str, Row] = {
    "absent": (None, False, None),
    "empty": ([], False, None),
    "it": ([entry()], True, None),
    "it, checksum in upper case": ([entry(files=FILES.upper())], True, None),
    "it, nothing compared": ([entry(files="", container="")], True, None),
    "it, only named": ([{"did": ALGORITHM}], True, None),
    "it with other files": ([entry(files="00" * 32)], True, "algorithm_file_checksum_mismatch"),
    "it with another container": (
        [entry(container="00" * 32)],
        True,
        "algorithm_container_checksum_mismatch",
    ),
    "container in upper case": (
        [entry(container=CONTAINER.upper())],
        True,
        "algorithm_container_checksum_mismatch",
    ),
    "two versions of it": ([entry(files="00" * 32), entry()], True, None),
    "another": ([entry(OTHER)], True, "not_trusted_algo"),
    "everything": (["*"], True, None),
    "everything, as an entry": ([entry("*", "", "")], True, None),
    "an entry without did": ([{"filesChecksum": FILES}, entry()], True, "no_publisherTrustedAlgorithms"),
    "a bare did": ([ALGORITHM], True, "no_publisherTrustedAlgorithms"),
    "no list": ({"did": ALGORITHM}, True, "no_publisherTrustedAlgorithms"),
}
MARKETS: dict[str, Row] = {
    "absent": (None, False, None),
    "its market": ([MARKET.lower()], True, None),
    "another": ([STRANGER], True, "not_trusted_algo"),
}
TABLE = list(itertools.product(PUBLISHERS, ALGORITHMS, MARKETS, (True, False, "true"), ("none", "all")))


def test_the_table_is_large_enough() -> None:
    assert len(TABLE) >= 200


@pytest.mark.parametrize(("publishers", "algorithms"), itertools.product(PUBLISHERS, ALGORITHMS))
def test_every_combination_of_lists(publishers: str, algorithms: str) -> None:
    """Filled lists restrict one another, publishers first; only where none is filled do the settings
    speak.
    """
    rows = [row for row in TABLE if row[:2] == (publishers, algorithms)]
    for _publishers, _algorithms, markets, trust_all, empty_lists in rows:
        lists = (PUBLISHERS[publishers], ALGORITHMS[algorithms], MARKETS[markets])
        filled = [code for _value, is_filled, code in lists if is_filled]
        nobody = trust_all is not True and empty_lists == "none"
        expected = next((c for c in filled if c), "") if filled else ("not_trusted_algo" if nobody else "")
        compute = {
            "publisherTrustedAlgorithmPublishers": lists[0][0],
            "publisherTrustedAlgorithms": lists[1][0],
        }
        c2d = {"trustAllPublished": trust_all, "trustedMarkets": lists[2][0]}
        verdict = ask(compute, c2d, empty_lists=empty_lists)
        assert (verdict.allowed, verdict.code) == (expected == "", expected), (
            markets,
            trust_all,
            empty_lists,
        )
        names = [
            name for name, row in zip(("publishers", "algorithms", "markets"), lists, strict=True) if row[1]
        ]
        trust = next(r for r in verdict.reasons.because if r.rule == "trust")
        assert [r.rule for r in trust.because] == (names or [_setting(trust_all)])
        assert consistent(verdict.reasons)


def _setting(trust_all: object) -> str:
    return "all published" if trust_all is True else "empty lists"


def consistent(reason: PermissionReason) -> bool:
    """A rule that rests on others says yes exactly when all of them do."""
    below = all(r.allowed for r in reason.because)
    return (not reason.because or reason.allowed == below) and all(map(consistent, reason.because))


REASONS = [
    ({}, None, "nobody may compute until its owner permits"),
    ({"publisherTrustedAlgorithms": [entry(OTHER)]}, None, "is not among 1 trusted algorithms"),
    ({"publisherTrustedAlgorithms": [entry(files="99" * 32)]}, None, "999999999999… then, f1f1f1f1f1f1… now"),
    ({"publisherTrustedAlgorithms": [entry(container="99" * 32)]}, None, "its container changed"),
    ({"publisherTrustedAlgorithmPublishers": [STRANGER]}, None, f"its owner {OWNER} is not among"),
    ({}, {"trustedMarkets": [STRANGER]}, f"its marketplace {MARKET} is not among"),
]


@pytest.mark.parametrize(("compute", "c2d", "text"), REASONS)
def test_the_deciding_reason_says_what_was_compared(compute: Any, c2d: Any, text: str) -> None:
    verdict = ask(compute, c2d)
    assert not verdict.allowed
    assert text in verdict.deciding_reason.text
    assert verdict.deciding_reason.text in " ".join(verdict.reasons.text_lines())
    assert str(verdict.reasons.as_dict()).count("'allowed': False") == 3


@pytest.mark.parametrize("value", [None, False, "true", 1, "yes", [], {"a": 1}])
def test_raw_algorithms_need_the_literal_true(value: Any) -> None:
    compute = {"allowRawAlgorithm": value, "publisherTrustedAlgorithms": ["*"]}
    verdict = ask(compute, {"trustAllPublished": True}, RawAlgorithm(), empty_lists="all")
    assert (verdict.allowed, verdict.code) == (False, "no_raw_algo_allowed")


def test_raw_algorithms_run_where_they_are_allowed_whatever_the_lists_say() -> None:
    compute = {"allowRawAlgorithm": True, "publisherTrustedAlgorithms": [entry(OTHER)]}
    assert ask(compute, None, RawAlgorithm()).allowed


def test_raw_permission_does_not_extend_to_published_algorithms() -> None:
    assert ask({"allowRawAlgorithm": True}).code == "not_trusted_algo"


def test_trust_rules_hold_for_access_services_too() -> None:
    assert ask(None, None, kind="access", main=False).code == "not_trusted_algo"
    assert ask({"publisherTrustedAlgorithms": [entry()]}, None, kind="access", main=False).allowed
    assert ask(None, None, RawAlgorithm(), kind="access", main=False).code == "no_raw_algo_allowed"


@pytest.mark.parametrize(
    ("kind", "more", "code", "suffix"),
    [
        ("", {}, "service_not_access_compute", ".serviceId"),
        ("other", {"main": False}, "service_not_access_compute", ".serviceId"),
        ("access", {}, "main_service_compute", ".serviceId"),
        ("compute", {"files_readable": False}, "compute_services_not_in_same_provider", ".serviceId"),
    ],
)
def test_the_service_is_judged_before_trust(kind: str, more: Any, code: str, suffix: str) -> None:
    verdict = ask({}, None, kind=kind, **more)
    assert (verdict.code, verdict.suffix, verdict.about) == (code, suffix, "dataset")


def test_an_access_service_may_belong_to_another_provider() -> None:
    compute = {"publisherTrustedAlgorithms": ["*"]}
    assert ask(compute, None, kind="access", main=False, files_readable=False).allowed


def test_a_private_algorithm_runs_only_where_its_provider_is() -> None:
    private = PublishedAlgorithm(
        ALGORITHM, OWNER, MARKET, FILES, CONTAINER, service_type="compute", files_readable=False
    )
    verdict = ask({"publisherTrustedAlgorithms": [entry()]}, None, private)
    assert (verdict.code, verdict.about) == ("compute_services_not_in_same_provider", "algorithm")


@pytest.mark.parametrize(("wanted", "operator"), itertools.product([True, False], repeat=2))
@pytest.mark.parametrize("publisher", [True, False, None, "true", 1])
def test_network_needs_three_yeses(wanted: bool, operator: bool, publisher: Any) -> None:
    compute = {"publisherTrustedAlgorithms": ["*"], "allowNetworkAccess": publisher}
    verdict = ask(compute, None, network_wanted=wanted, network_operator=operator)
    agreed = operator and publisher is True
    assert verdict.allowed == (not wanted or agreed)
    assert verdict.network == (wanted and agreed)
    assert verdict.code == ("" if verdict.allowed else "network_not_allowed")


def test_an_unknown_owner_or_market_is_never_on_a_list() -> None:
    nobody = PublishedAlgorithm(ALGORITHM, "", "", FILES, CONTAINER)
    assert not ask({"publisherTrustedAlgorithmPublishers": [""]}, None, nobody).allowed
    assert not ask({}, {"trustedMarkets": [""]}, nobody).allowed


addresses = st.sampled_from([OWNER, MARKET, STRANGER, ""])
algorithms = st.one_of(
    st.just(RawAlgorithm()),
    st.builds(PublishedAlgorithm, st.sampled_from([ALGORITHM, OTHER, "*"]), addresses, addresses),
)


@given(algorithms, st.sampled_from([None, [], {}, "", 0]), st.sampled_from([None, [], ""]), st.booleans())
def test_by_default_no_algorithm_whatever_may_run(
    algorithm: Any, trusted: Any, owners: Any, main: bool
) -> None:
    compute = {"publisherTrustedAlgorithms": trusted, "publisherTrustedAlgorithmPublishers": owners}
    assert not ask(compute, {}, algorithm, main=main).allowed
    assert not ask(None, None, algorithm, main=main).allowed


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([OWNER, ALGORITHM]),
    lambda c: (
        st.lists(c, max_size=3)
        | st.dictionaries(st.sampled_from(["did", "filesChecksum", "x"]), c, max_size=3)
    ),
    max_leaves=6,
)


@given(junk, junk, junk, algorithms)
def test_whatever_was_published_there_is_a_verdict_with_reasons(
    a: Any, b: Any, c: Any, algorithm: Any
) -> None:
    compute = {"publisherTrustedAlgorithms": a, "publisherTrustedAlgorithmPublishers": b}
    verdict = ask(compute, {"trustedMarkets": c, "trustAllPublished": c}, algorithm)
    assert verdict.allowed == (verdict.code == "")
    assert consistent(verdict.reasons)
    if verdict.allowed:
        assert "*" in str((a, b, c)) or OWNER in str((a, b, c)) or ALGORITHM in str(a) or c is True


@given(st.lists(st.sampled_from([OWNER, STRANGER, OWNER.upper()]), min_size=1, max_size=4))
def test_the_order_and_case_of_publishers_change_nothing(listed: list[str]) -> None:
    verdicts = {
        ask({"publisherTrustedAlgorithmPublishers": order}).allowed
        for order in (listed, listed[::-1], [a.lower() for a in listed])
    }
    assert verdicts == {any(a.lower() == OWNER.lower() for a in listed)}
