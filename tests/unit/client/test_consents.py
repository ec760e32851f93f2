"""What ``verify`` says of permissions: for the version that ran, for another, or for whatever has the DID."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from c2d_box.client.evidence import verification
from c2d_box.client.evidence.consents import ExecutedAlgorithm
from tests.unit.client.conftest import CONTAINER

IMAGE = f"i@{CONTAINER['checksum']}"


def checks(world: Any, dataset: str, algorithm: str, *, admitted: bool = True, **changes: Any) -> Any:
    """The verdict on a job that ran the algorithm's file of the fake Provider, ``ab`` thirty-two times."""
    record = world.cache.records()[dataset]
    facts = {"image": IMAGE, "entrypoint": CONTAINER["entrypoint"], **changes}
    staged = [{"did": algorithm, "index": 0, "sha256": changes.get("sha256", "ab" * 32)}]
    ran = ExecutedAlgorithm.from_record(algorithm, facts, staged if changes.get("listed", True) else [])
    tx = record["event"]["tx"] if admitted else "0x" + "0" * 64
    asset = {"did": dataset, "serviceId": record["services"][0]["id"], "metadataTx": tx}
    return [check.ok for check in verification._check_consents(world.connection, [asset], ran)]


@pytest.mark.parametrize(
    ("changes", "ok"),
    [
        ({}, True),
        ({"sha256": hashlib.sha256(b"another").hexdigest()}, False),
        ({"entrypoint": "sh -c 'cat /data'"}, False),
        ({"image": "i@sha256:" + "2" * 64}, False),
        ({"image": ""}, False),
        ({"listed": False}, None),
    ],
)
def test_a_permission_is_for_what_ran(world: Any, assets: Any, changes: dict[str, Any], ok: Any) -> None:
    world.publisher.permit(*assets)
    assert checks(world, *assets, **changes) == [ok]


def test_a_permission_given_anew_since_is_not_held_against_the_job(world: Any, assets: Any) -> None:
    world.publisher.permit(*assets)
    assert checks(world, *assets, admitted=False) == [True]
    assert checks(world, *assets, admitted=False, sha256="cd" * 32) == [None]


@pytest.mark.parametrize("kept", [(), ("filesChecksum",), ("containerSectionChecksum",)])
def test_a_permission_without_checksums_is_said_to_be_for_whatever_has_the_did(
    world: Any, assets: Any, kept: tuple[str, ...]
) -> None:
    world.publisher.permit(*assets)

    def loosen(document: dict[str, Any]) -> None:
        (entry,) = document["services"][0]["compute"]["publisherTrustedAlgorithms"]
        for name in ("filesChecksum", "containerSectionChecksum"):
            entry[name] = entry[name] if name in kept else ""

    world.publisher.edit(assets[0], loosen)
    assert checks(world, *assets) == [None]


def test_nothing_is_said_of_an_algorithm_that_no_permission_names(world: Any, assets: Any) -> None:
    world.publisher.trust(assets[0], publishers=["*"])
    assert checks(world, *assets) == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(("sha256", "ok"), [("ab", True), ("cd", True), ("ef", False)])
def test_a_did_may_be_permitted_in_several_versions(
    world: Any, assets: Any, order: tuple[int, int], sha256: str, ok: bool
) -> None:
    world.publisher.permit(*assets)

    def add_version(document: dict[str, Any]) -> None:
        rules = document["services"][0]["compute"]
        (entry,) = rules["publisherTrustedAlgorithms"]
        versions = (entry, {**entry, "filesChecksum": "cd" * 32})
        rules["publisherTrustedAlgorithms"] = [versions[place] for place in order]

    world.publisher.edit(assets[0], add_version)
    assert checks(world, *assets, sha256=sha256 * 32) == [ok]


def test_a_list_that_permits_all_contradicts_no_version(world: Any, assets: Any) -> None:
    world.publisher.permit(*assets)

    def permit_all(document: dict[str, Any]) -> None:
        anybody = {"did": "*", "filesChecksum": "", "containerSectionChecksum": ""}
        document["services"][0]["compute"]["publisherTrustedAlgorithms"].append(anybody)

    world.publisher.edit(assets[0], permit_all)
    assert checks(world, *assets, sha256="cd" * 32) == []
