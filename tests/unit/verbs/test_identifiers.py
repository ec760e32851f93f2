"""What users call things, and the one thing each of them means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.client.jobs import JobDetails
from c2d_box.errors import C2DError, Refused, UsageError
from sandbox.box import Box, open_box
from sandbox.identifier_match import Candidate, bare_id, choose_candidate, short_ids
from sandbox.install import images
from sandbox.install.images import ContainerImage, find_image
from sandbox.verbs import identifiers
from sandbox.verbs.accounts import ADDRESSES, MNEMONIC, ROLES, account_address, account_name, signer
from sandbox.verbs.identifiers import IdentifierResolver
from sandbox.verbs.publishing.asset_heads import AssetHead

PATIENTS = "did:op:" + "ab12cd34" * 8
MEAN = "did:op:" + "ab12ffff" * 8
OTHER = "did:op:" + "77770000" * 8
ENDED = "did:op:" + "12345678" * 8
JOBS = ["1234abcd" * 4, "1234ffff" * 4, "99990000" * 4]
OWNER = ADDRESSES[ROLES["publisher"]]


def head(did: str, name: str, kind: str = "dataset", active: bool = True) -> AssetHead:
    return AssetHead(did, kind, name, OWNER, active, 0.0)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> IdentifierResolver:
    heads = [
        head(PATIENTS, "Patients 2026"),
        head(MEAN, "mean", "algorithm"),
        head(OTHER, "mean"),
        head(ENDED, "Patients 2026", active=False),
    ]
    jobs = [JobDetails.parse({"jobId": each, "statusText": "Job finished"}) for each in JOBS]
    monkeypatch.setattr(identifiers, "list_asset_heads", lambda _box: heads)
    monkeypatch.setattr(identifiers, "list_jobs", lambda _box, _who: jobs)
    offered = [{"id": "ocean-compute", "desc": "Compute-to-Data"}, {"id": "ocean-large", "desc": ""}]
    monkeypatch.setattr(identifiers, "list_environments", lambda _box: offered)
    return IdentifierResolver(open_box(tmp_path), "consumer")


@pytest.mark.parametrize(
    ("kind", "given_name", "meant"),
    [
        ("asset", PATIENTS, PATIENTS),
        ("asset", "did:op:ab12c", PATIENTS),
        ("asset", "ab12cd34", PATIENTS),
        ("asset", "AB12CD", PATIENTS),
        ("asset", f"{PATIENTS[:14]}…{PATIENTS[-4:]}", PATIENTS),
        ("asset", "did:op:ab12cd3...cd34", PATIENTS),
        ("asset", "Patients 2026", PATIENTS),
        ("asset", "patients 2026", PATIENTS),
        ("asset", "1234", ENDED),
        ("dataset", "mean", OTHER),
        ("algorithm", "mean", MEAN),
        ("algorithm", "raw", "raw"),
        ("algorithm", "Patients 2026", PATIENTS),
        ("job", JOBS[0], JOBS[0]),
        ("job", "1234a", JOBS[0]),
        ("job", "99990000", JOBS[2]),
        ("environment", "ocean-large", "ocean-large"),
        ("environment", "ocean-l", "ocean-large"),
        ("environment", "compute-to-data", "ocean-compute"),
        ("account", "publisher", OWNER),
        ("account", "3", OWNER),
        ("account", OWNER[:8].lower(), OWNER),
        ("account", "0x" + "9" * 40, "0x" + "9" * 40),
    ],
)
def test_a_beginning_or_a_name_means_one_thing(
    resolver: IdentifierResolver, kind: str, given_name: str, meant: str
) -> None:
    assert resolver.resolve(kind, given_name) == meant


@pytest.mark.parametrize(
    ("kind", "given_name", "listed"),
    [
        ("asset", "ab12", {PATIENTS, MEAN}),
        ("asset", "mean", {MEAN, OTHER}),
        ("job", "1234", {JOBS[0], JOBS[1]}),
        ("environment", "ocean", {"ocean-compute", "ocean-large"}),
    ],
)
def test_what_may_mean_several_is_refused_with_all_of_them(
    resolver: IdentifierResolver, kind: str, given_name: str, listed: set[str]
) -> None:
    with pytest.raises(UsageError) as refused:
        resolver.resolve(kind, given_name)
    assert refused.value.code == "C2D-ID-AMBIGUOUS"
    lines: Any = refused.value.details["candidates"]
    assert {line.split()[0] for line in lines} == listed
    if kind == "asset":
        assert all("publisher" in line for line in lines)


@pytest.mark.parametrize(
    ("kind", "given_name", "code"),
    [
        ("asset", "nothing", "C2D-ASSET-UNKNOWN"),
        ("dataset", "ab1", "C2D-ASSET-UNKNOWN"),
        ("dataset", "0xab12cd", "C2D-ASSET-UNKNOWN"),
        ("dataset", "raw", "C2D-ASSET-UNKNOWN"),
        ("job", "abcd", "C2D-JOB-UNKNOWN"),
        ("environment", "big", "C2D-ENVIRONMENT-UNKNOWN"),
        ("account", "nobody", "C2D-ACCOUNT-UNKNOWN"),
    ],
)
def test_what_means_nothing_has_the_code_of_its_kind(
    resolver: IdentifierResolver, kind: str, given_name: str, code: str
) -> None:
    with pytest.raises(C2DError) as refused:
        resolver.resolve(kind, given_name)
    assert refused.value.code == code


def test_a_whole_id_costs_no_request(resolver: IdentifierResolver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("list_asset_heads", "list_jobs"):
        monkeypatch.setattr(identifiers, name, lambda *_: pytest.fail("asked"))
    unknown = "did:op:" + "0" * 64
    assert resolver.resolve("dataset", unknown) == unknown
    assert resolver.resolve("job", "0" * 32) == "0" * 32


def test_a_name_like_the_beginning_of_anothers_id_is_not_taken_for_it() -> None:
    """A stranger chooses the name; what the owner of the data permits must not follow from it."""
    known = [Candidate(PATIENTS, ("Patients",)), Candidate(OTHER, ("ab12cd34",))]
    with pytest.raises(UsageError, match="C2D-ID-AMBIGUOUS"):
        choose_candidate("dataset", "ab12cd34", known)
    assert choose_candidate("dataset", PATIENTS, [*known, Candidate(MEAN, (PATIENTS,))]) == known[0]


def test_names_of_strangers_forge_no_line_of_the_list() -> None:
    known = [Candidate(PATIENTS, ("a\x1b[31m\nfake",)), Candidate(MEAN, ("a\x1b[31m\nfake",))]
    with pytest.raises(UsageError) as refused:
        choose_candidate("asset", "ab12", known)
    lines: Any = refused.value.details["candidates"]
    assert len(lines) == 2 and not any("\n" in line or "\x1b" in line for line in lines)


def test_a_long_list_is_cut_with_a_count() -> None:
    known = [Candidate(f"did:op:abcd{number:060x}", ("t.csv",)) for number in range(25)]
    with pytest.raises(UsageError, match="25 assets") as refused:
        choose_candidate("asset", "t.csv", known)
    lines: Any = refused.value.details["candidates"]
    assert len(lines) == 11 and lines[-1] == "and 15 more"


@given(st.sets(st.text("01ab", min_size=12, max_size=12), min_size=1, max_size=40))
def test_a_short_id_means_the_one_it_was_made_of(bare: set[str]) -> None:
    known = [Candidate(f"did:op:{each}") for each in bare]
    short = short_ids(each.id for each in known)
    assert len(set(short.values())) == len(known)
    for candidate in known:
        assert len(short[candidate.id]) >= 8
        assert choose_candidate("asset", short[candidate.id], known) == candidate


def test_schemes_are_no_part_of_the_beginning() -> None:
    assert [bare_id(each) for each in ("did:op:AB", "0xAB", "sha256:AB", "ab")] == ["ab"] * 4


def test_the_addresses_are_those_of_the_mnemonic() -> None:
    from c2d_box.chain.accounts import from_mnemonic

    derived = tuple(from_mnemonic(MNEMONIC, index).address for index in range(20))
    assert derived == ADDRESSES


def test_accounts_are_named_and_strangers_shortened() -> None:
    assert account_name(OWNER.lower()) == "publisher"
    assert account_name(ADDRESSES[11]) == "account 11"
    assert account_name("0x1234" + "0" * 32 + "abcd") == "0x1234…abcd"
    assert signer(ADDRESSES[7][:10]).address == ADDRESSES[7]
    assert account_address("consumer") == ADDRESSES[7]
    with pytest.raises(UsageError, match="C2D-ACCOUNT-UNKNOWN"):
        signer("0x" + "9" * 40)


def image(name: str, tag: str, digit: str) -> ContainerImage:
    return ContainerImage(name, tag, "sha256:" + digit * 64)


@pytest.mark.parametrize(
    ("reference", "meant"),
    [
        ("c2d.local/algo-python", "a"),
        ("algo-python", "a"),
        ("algo-python:latest", "a"),
        ("me/tool:2", "c"),
        ("me/tool@sha256:" + "b" * 64, "b"),
        ("sha256:bbbb", "b"),
        ("cccc", "c"),
        ("me/same", "d"),
        ("me/late", "f"),
    ],
)
def test_an_image_by_name_tag_or_digest(
    reference: str, meant: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert find(reference, monkeypatch, tmp_path).checksum == "sha256:" + meant * 64


def test_a_name_with_several_tags_and_no_latest_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="C2D-ID-AMBIGUOUS") as refused:
        find("me/tool", monkeypatch, tmp_path)
    assert "me/tool:1" in str(refused.value.details["candidates"])
    with pytest.raises(Refused, match="C2D-IMAGE-UNKNOWN"):
        find("me/none", monkeypatch, tmp_path)


def find(reference: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> ContainerImage:
    known = [
        image("c2d.local/algo-python", "latest", "a"),
        image("me/tool", "1", "b"),
        image("me/tool", "2", "c"),
        image("me/same", "1", "d"),
        image("me/same", "2", "d"),
        image("me/late", "1", "e"),
        image("me/late", "latest", "f"),
    ]
    monkeypatch.setattr(images, "node_images", lambda _box: known)
    monkeypatch.setattr(Box, "cluster", type("Cluster", (), {"registry": ""}))
    return find_image(open_box(folder), reference)
