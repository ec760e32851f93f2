"""What ``verify`` says where a source contradicts the record, and where none could be asked."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import pytest

from c2d_box import timestamps
from c2d_box.chain import orders
from c2d_box.chain.orders import ProviderFee
from c2d_box.client.evidence import verification
from c2d_box.client.evidence.verification import REPLACED_SECONDS, EvidenceCheck, JobVerification
from tests.unit.client.conftest import ENVIRONMENT, KEY

DIGEST = "sha256:" + "1" * 64
IMAGE = f"i@{DIGEST}"
STARTED = {"staged": "2026-01-01T00:00:00.000000Z"}


def metadata_tx(world: Any, did: str) -> str:
    return str(world.cache.records()[did]["event"]["tx"])


def accepted(world: Any, seconds_after_head: float) -> dict[str, str]:
    """Times of a job that was accepted so long after the chain's newest block."""
    moment = float(world.chain.block_header("latest")["timestamp"]) + seconds_after_head
    return {"accepted": timestamps.rfc3339_text(moment)}


@pytest.mark.parametrize(
    ("results", "verdict"),
    [((True, True), "agrees"), ((True, None), "unknown"), ((None, False), "disagrees"), ((), "agrees")],
)
def test_what_could_not_be_asked_is_not_fine(results: tuple[bool | None, ...], verdict: str) -> None:
    found = JobVerification("j", tuple(EvidenceCheck("c", ok, "") for ok in results))
    assert (found.verdict, found.is_sound) == (verdict, verdict == "agrees")


def test_a_permission_withdrawn_before_the_start_is_found(world: Any, assets: tuple[str, str]) -> None:
    """The job's record names the description that permitted it; the publisher had replaced it."""
    dataset, algorithm = assets
    world.publisher.permit(dataset, algorithm)
    permitting = metadata_tx(world, dataset)
    asset = {"did": dataset, "metadataTx": permitting}
    (in_force,) = verification._check_in_force(world.connection, asset, accepted(world, 5))
    assert in_force.ok is True
    world.publisher.revoke(dataset, algorithm)
    (late,) = verification._check_in_force(world.connection, asset, accepted(world, REPLACED_SECONDS + 5))
    assert (late.ok, late.source) == (False, "chain")
    assert "replaced it" in late.text
    (within_bound,) = verification._check_in_force(world.connection, asset, accepted(world, 5))
    assert within_bound.ok is True


def order_check(world: Any, did: str, tx: str) -> EvidenceCheck:
    """What is said of an order for the environment that the consumer paid."""
    asset = {
        "did": did,
        "serviceId": world.cache.records()[did]["services"][0]["id"],
        "txId": tx,
        "metadataTx": metadata_tx(world, did),
    }
    checks = verification._check_asset(world.connection, asset, ENVIRONMENT, world.consumer.signer.address)
    return next(check for check in checks if check.name == f"order of {did}")


def test_a_reuse_extends_an_order_of_its_own_datatoken_only(world: Any, assets: tuple[str, str]) -> None:
    """A reuse may name any transaction; what another contract emitted there orders nothing of this asset."""
    signer, dataset = world.consumer.signer, assets[0]
    services = {did: world.cache.records()[did]["services"][0] for did in assets}

    def fee(did: str) -> ProviderFee:
        token = services[did]["datatokenAddress"]
        return orders.sign_fee(KEY, datatoken=token, service_id=services[did]["id"], environment="free")

    bought = {
        did: orders.buy_and_start(
            world.chain, signer, services[did]["datatokenAddress"], ENVIRONMENT, 0, fee(did)
        )
        for did in assets
    }
    for did, ok in ((dataset, True), (assets[1], False)):
        token = services[dataset]["datatokenAddress"]
        tx = orders.reuse_order(world.chain, signer, token, bought[did], fee(dataset))
        assert order_check(world, dataset, tx).ok is ok


def test_a_description_that_cannot_be_placed_is_unknown(world: Any, assets: tuple[str, str]) -> None:
    for asset in ({"did": assets[0], "metadataTx": "0x" + "0" * 64}, {"did": assets[0], "metadataTx": None}):
        (check,) = verification._check_in_force(world.connection, asset, accepted(world, 5))
        assert check.ok is None


def run_checks(world: Any, did: str, run: dict[str, Any], code: bytes | None = None) -> dict[str, Any]:
    algorithm = {"did": did, "metadataTx": metadata_tx(world, did) if did else None}
    found = verification._check_run(world.connection, algorithm, run, STARTED, code)
    return {check.name: check.ok for check in found}


@pytest.mark.parametrize(
    ("ran", "ok"),
    [(f"docker.io/{IMAGE}", True), ("i@sha256:" + "2" * 64, False), ("", None), (None, None)],
)
def test_the_image_that_kubernetes_ran_is_compared(
    world: Any, assets: tuple[str, str], ran: str | None, ok: bool | None
) -> None:
    run = {"image": IMAGE, "entrypoint": "python $ALGO", "ran": {"image": ran}}
    assert run_checks(world, assets[1], run) == {"image that ran": ok, "image": True, "entrypoint": True}


def test_another_entrypoint_than_the_published_one_is_found(world: Any, assets: tuple[str, str]) -> None:
    run = {"image": IMAGE, "entrypoint": "sh -c 'cp /data/inputs /data/outputs'", "ran": {"image": IMAGE}}
    assert run_checks(world, assets[1], run)["entrypoint"] is False


def test_an_algorithm_described_anew_since_is_unknown(world: Any, assets: tuple[str, str]) -> None:
    run = {"image": IMAGE, "entrypoint": "python $ALGO", "ran": {"image": IMAGE}}
    algorithm = {"did": assets[1], "metadataTx": metadata_tx(world, assets[1])}
    world.publisher.edit(assets[1], lambda ddo: ddo["metadata"].update(description="another"))
    found = {c.name: c.ok for c in verification._check_run(world.connection, algorithm, run, STARTED, None)}
    assert (found["image"], found["entrypoint"], found["image that ran"]) == (None, None, True)


@pytest.mark.parametrize(
    ("code", "ok"), [(b"print(1)", True), (b"print(2)", False), (None, None)], ids=["same", "other", "none"]
)
def test_raw_code_is_compared_with_what_the_consumer_has(world: Any, code: bytes | None, ok: Any) -> None:
    digest = hashlib.sha256(b"print(1)").hexdigest()
    run = {"image": IMAGE, "entrypoint": "python", "ran": {"image": IMAGE}, "rawcode": digest}
    assert run_checks(world, "", run, code) == {"image that ran": True, "code": ok}


@pytest.mark.parametrize(
    ("proof", "times", "ok"),
    [
        ({}, STARTED, None),
        ({}, {}, True),
        ({"verdict": "closed", "probes": 9}, STARTED, True),
        ({"verdict": "closed", "answered": ["tcp x"], "probes": 9}, STARTED, False),
        ({"verdict": "open", "probes": 9}, STARTED, False),
    ],
)
def test_isolation_without_a_report_is_unknown(proof: Any, times: Any, ok: bool | None) -> None:
    assert verification._check_isolation(proof, times).ok is ok


def test_every_check_says_whose_word_it_is(world: Any, assets: tuple[str, str]) -> None:
    asset = {"did": assets[0], "metadataTx": metadata_tx(world, assets[0]), "serviceId": "none"}
    found = [
        *verification._check_asset(world.connection, asset, "0x1", "0x2"),
        *verification._check_in_force(
            world.connection, asset, {"accepted": timestamps.rfc3339_text(time.time())}
        ),
    ]
    assert {check.source for check in found} == {"chain"}
    assert verification._check_isolation({}, {}).source == "operator"
