"""Publishing through the SDK: what ends up on the chain, and what is refused before anything is paid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from c2d_box.assets import checksums
from c2d_box.assets.documents.validation import validate_ddo
from c2d_box.assets.files import UrlFile, unseal_files
from c2d_box.chain import nfts, orders
from c2d_box.client import Publisher, explain_permission
from c2d_box.errors import C2DError, Refused, UsageError
from c2d_box.storage import SourceRejected
from c2d_box.storage.addresses import NOT_PUBLIC

FILE = {"type": "url", "url": "https://data.example.org/cells.csv", "method": "GET"}
CONTAINER = {
    "entrypoint": "python $ALGO",
    "image": "c2d.local/algo-python",
    "tag": "latest",
    "checksum": "sha256:" + "1" * 64,
}
ENVIRONMENT = "0x03b9d6Ba248fe931e338840223985CcC43E05894"
KEY = "0x" + "5a" * 32


def test_a_dataset_is_published_whole_and_trusts_nobody(world: Any) -> None:
    asset = world.publisher.publish_dataset("Cells", [FILE], price="2.5", services=("compute", "access"))
    record = world.cache.records()[asset.did]
    plain = {k: v for k, v in record.items() if k not in ("event", "nft", "stats")}
    assert validate_ddo(plain) == {}
    compute, access = record["services"]
    assert (compute["type"], access["type"]) == ("compute", "access")
    assert compute["compute"]["publisherTrustedAlgorithms"] == []
    assert compute["compute"]["allowRawAlgorithm"] is False
    files = unseal_files(KEY, compute["files"], nft=asset.nft, datatoken=asset.datatoken)
    assert files == [UrlFile(FILE["url"])]
    assert nfts.nft_owner(world.chain, asset.nft) == world.publisher.signer.address
    offer = orders.offer_for(world.chain, asset.datatoken)
    assert offer is not None and 2.5e18 <= offer.amount <= 2.51e18


def test_the_ddo_on_the_chain_is_encrypted_and_proven(world: Any) -> None:
    before = world.chain.latest_block()
    asset = world.publisher.publish_dataset("Cells", [FILE])
    from c2d_box.chain import events

    logs = [e for e in events.metadata_logs(world.chain, before) if e.tx == asset.tx]
    assert [e.name for e in logs] == ["MetadataCreated", "MetadataValidated"]
    assert logs[0]["flags"] == b"\x02"
    assert b"Cells" not in logs[0]["data"] and b"example.org" not in logs[0]["data"]


def test_an_algorithm_carries_its_container(world: Any) -> None:
    asset = world.publisher.publish_algorithm("Trainer", [FILE], container=CONTAINER, language="python")
    ddo = world.connection.cache.read_ddo(asset.did)
    assert ddo.is_algorithm and ddo.container is not None
    assert ddo.container.checksum == CONTAINER["checksum"]
    assert [s.type for s in ddo.services] == ["access"]


def test_permitting_stores_the_checksums_and_revoking_forgets_them(world: Any) -> None:
    dataset = world.publisher.publish_dataset("Cells", [FILE])
    algorithm = world.publisher.publish_algorithm("Trainer", [FILE], container=CONTAINER)
    for _twice in range(2):
        world.publisher.permit(dataset.did, algorithm.did)
    (service,) = world.cache.records()[dataset.did]["services"]
    assert service["compute"]["publisherTrustedAlgorithms"] == [
        {
            "did": algorithm.did,
            "filesChecksum": "ab" * 32,
            "containerSectionChecksum": checksums.container_checksum("python $ALGO", CONTAINER["checksum"]),
        }
    ]
    world.publisher.revoke(dataset.did, algorithm.did)
    (service,) = world.cache.records()[dataset.did]["services"]
    assert service["compute"]["publisherTrustedAlgorithms"] == []
    with pytest.raises(Refused) as refused:
        world.publisher.revoke(dataset.did, algorithm.did)
    assert refused.value.code == "C2D-PERMIT-NONE"


def test_rules_for_results_hold_from_the_first_document_on(world: Any) -> None:
    before = world.sent_by(world.publisher.signer)
    plain = world.publisher.publish_dataset("Cells", [FILE])
    needed = world.sent_by(world.publisher.signer) - before
    ruled = world.publisher.publish_dataset(
        "Cells", [FILE], services=("compute", "access"), disclosure={"minCell": 10}
    )
    assert world.sent_by(world.publisher.signer) - before == 2 * needed
    compute, access = world.cache.records()[ruled.did]["services"]
    assert compute["additionalInformation"]["c2d"] == {"disclosure": {"minCell": 10}}
    assert "additionalInformation" not in access
    (service,) = world.cache.records()[plain.did]["services"]
    assert "additionalInformation" not in service
    with pytest.raises(UsageError) as refused:
        world.publisher.publish_dataset("Cells", [FILE], disclosure={"minCells": 10})
    assert refused.value.code == "C2D-DISCLOSURE-INVALID"
    assert world.sent_by(world.publisher.signer) - before == 2 * needed


def test_an_explanation_follows_every_change_of_trust(world: Any, assets: Any) -> None:
    dataset, algorithm = assets
    publisher, connection = world.publisher, world.connection
    assert "nobody may compute" in explain_permission(connection, dataset, algorithm).deciding_reason.text
    publisher.trust(dataset, all_published=True)
    assert explain_permission(connection, dataset, algorithm).allowed
    publisher.trust(dataset, publishers=[world.consumer.signer.address], raw=True, network=True)
    assert explain_permission(connection, dataset, algorithm).code == "not_trusted_algo_publisher"
    publisher.trust(dataset, publishers=[publisher.signer.address], markets=[ENVIRONMENT])
    assert explain_permission(connection, dataset, algorithm).code == "not_trusted_algo"
    publisher.trust(dataset, markets=[])
    assert explain_permission(connection, dataset, algorithm).allowed
    service = connection.cache.read_ddo(dataset).first_service("compute")
    assert (service.compute.allow_raw_algorithm, service.compute.allow_network_access) == (True, True)
    assert service.trust_settings == {"trustAllPublished": True, "trustedMarkets": []}


def test_an_access_only_dataset_can_be_permitted_too(world: Any) -> None:
    dataset = world.publisher.publish_dataset("Cells", [FILE], services=("access",))
    algorithm = world.publisher.publish_algorithm("Trainer", [FILE], container=CONTAINER)
    world.publisher.permit(dataset.did, algorithm.did)
    (service,) = world.cache.records()[dataset.did]["services"]
    assert service["compute"]["publisherTrustedAlgorithms"][0]["did"] == algorithm.did


def test_editing_keeps_everything_else_and_drops_what_the_cache_added(world: Any) -> None:
    asset = world.publisher.publish_dataset("Cells", [FILE], metadata={"tags": ["a"], "note": {"x": 1}})
    world.publisher.edit(asset.did, lambda document: document["metadata"].update(name="Other"))
    record = world.cache.records()[asset.did]
    assert (record["metadata"]["name"], record["metadata"]["tags"]) == ("Other", ["a"])
    assert record["metadata"]["note"] == {"x": 1}
    assert record["stats"] == {}


def test_only_the_publisher_may_edit_and_nothing_is_sent(world: Any) -> None:
    asset = world.publisher.publish_dataset("Cells", [FILE])
    stranger = Publisher(world.connection, world.consumer.signer)
    before = world.sent_by(stranger.signer)
    with pytest.raises(Refused) as refused:
        stranger.edit(asset.did, lambda document: None)
    assert refused.value.code == "C2D-ASSET-NOT-YOURS"
    assert world.sent_by(stranger.signer) == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"files": [{"type": "url", "url": "https://missing.org/x"}]}, "C2D-FILE-UNREACHABLE"),
        ({"files": [{"type": "url"}]}, "C2D-FILE-INVALID"),
        ({"files": []}, "C2D-PUBLISH-EMPTY"),
        ({"files": [FILE], "metadata": {"tags": [1]}}, "C2D-DDO-INVALID"),
        ({"files": [FILE], "price": -1}, "C2D-PUBLISH-PRICE"),
    ],
)
def test_what_cannot_be_published_costs_nothing(world: Any, arguments: dict[str, Any], code: str) -> None:
    before = world.sent_by(world.publisher.signer)
    with pytest.raises((Refused, UsageError)) as refused:
        world.publisher.publish_dataset("Cells", **arguments)
    assert refused.value.code == code and refused.value.next_step
    assert world.sent_by(world.publisher.signer) == before


@pytest.mark.parametrize(
    ("reason", "next_step"),
    [
        (
            NOT_PUBLIC,
            "a Provider never reads addresses of its own machine or network: give the file itself",
        ),
        (SourceRejected(403).text, "check its address, and whether the Provider may reach it"),
    ],
)
def test_why_a_file_cannot_be_read_is_told_with_the_step_that_helps(
    world: Any, reason: str, next_step: str
) -> None:
    found = [{"index": 0, "valid": False, "type": "url", "reason": reason}]
    world.provider.refuse["fileinfo"] = httpx.Response(200, json=found)
    with pytest.raises(Refused) as refused:
        world.publisher.publish_dataset("Cells", [FILE])
    assert refused.value.code == "C2D-FILE-UNREACHABLE" and refused.value.next_step == next_step
    assert refused.value.message == f"the Provider cannot read file 0 (url): {reason}"


def test_a_store_that_is_away_is_no_fault_of_the_algorithm(world: Any, assets: Any) -> None:
    """Nor of what is published: both are told as the outage, which ends."""
    text = "The file store does not answer now, try again."
    answer = httpx.Response(503, json={"error": text, "away": "file store", "context": {}})
    world.provider.refuse["fileinfo"] = answer
    before = world.sent_by(world.publisher.signer)
    acts: tuple[Callable[[], object], ...] = (
        lambda: world.publisher.permit(*assets),
        lambda: world.publisher.publish_dataset("Cells", [FILE]),
    )
    for act in acts:
        with pytest.raises(C2DError) as away:
            act()
        assert away.value.code == "C2D-STORE-AWAY", away.value.code
        assert "file store" in away.value.message and "publisher" not in away.value.next_step
    assert world.sent_by(world.publisher.signer) == before


def test_permitting_what_is_no_algorithm_is_refused(world: Any) -> None:
    dataset = world.publisher.publish_dataset("Cells", [FILE])
    with pytest.raises(Refused) as refused:
        world.publisher.permit(dataset.did, dataset.did)
    assert refused.value.code == "C2D-PERMIT-NOT-ALGORITHM"


def test_an_ended_asset_is_ended_on_the_chain(world: Any) -> None:
    asset = world.publisher.publish_dataset("Cells", [FILE])
    world.publisher.end(asset.did)
    assert nfts.read_state(world.chain, asset.nft) == nfts.NftState.END_OF_LIFE
