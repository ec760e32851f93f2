"""Reading the API server's objects, and the one object that is written."""

from __future__ import annotations

from typing import Any

import pytest

from c2d_box.volumes import claims

CLAIM: dict[str, Any] = {
    "metadata": {
        "namespace": "c2d-jobs",
        "name": "job",
        "uid": "u1",
        "resourceVersion": "7",
        "finalizers": ["kubernetes.io/pvc-protection"],
    },
    "spec": {
        "storageClassName": "c2d-jobs",
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "256Mi"}},
    },
}


@pytest.mark.parametrize(
    ("quantity", "size"),
    [("1", 1), ("256Mi", 256 << 20), ("1.5Gi", 3 << 29), ("1G", 10**9), ("0.1Ki", 103), ("20k", 20_000)],
)
def test_quantities_become_bytes(quantity: str, size: int) -> None:
    assert claims.size_of(quantity) == size


@pytest.mark.parametrize("quantity", ["", "-1", "1e3", "1gi", "Mi", "1 Gi"])
def test_what_is_no_size_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        claims.size_of(quantity)


def test_the_volume_refers_to_the_claim_by_uid_and_to_the_node() -> None:
    made = claims.volume_manifest(claims.parse_claim(CLAIM), "/volumes/jobs/pvc-u1/mnt/volume", "node-1")
    assert made["spec"]["claimRef"]["uid"] == "u1"
    assert claims.parse_volume(made, ["c2d-jobs"]) == claims.PersistentVolume(
        "pvc-u1", "u1", "node-1", deleting=False
    )
    elsewhere = claims.parse_volume(made, ["c2d"])
    assert elsewhere and not elsewhere.followed
    assert made["spec"]["capacity"] == {"storage": str(256 << 20)}


def test_volumes_and_classes_of_others_are_not_ours() -> None:
    assert claims.parse_volume({"metadata": {"name": "x"}, "spec": {}}, []) is None
    assert (
        claims.parse_storage_class({"metadata": {"name": "x"}, "provisioner": "rancher.io/local-path"})
        is None
    )


def test_folders_come_from_the_class() -> None:
    parameters = {"kind": "disk", "folders": "inputs:10001:10000:0750,outputs:10003:10000:0700"}
    found = claims.parse_storage_class(
        {"metadata": {"name": "c2d-jobs"}, "provisioner": claims.PROVISIONER, "parameters": parameters}
    )
    assert found is not None
    assert found.folders == (
        claims.VolumeFolder("inputs", 10001, 10000, 0o750),
        claims.VolumeFolder("outputs", 10003, 10000, 0o700),
    )


@pytest.mark.parametrize(
    "text", ["../x:0:0:0750", "..:0:0:0750", ":0:0:0750", "a/b:0:0:0750", "a:0:0:888", "a:b"]
)
def test_a_folder_cannot_lead_out_of_the_volume(text: str) -> None:
    with pytest.raises(ValueError):
        claims.parse_folder(text)


@pytest.mark.parametrize(
    ("deleting", "finalizers", "released"),
    [
        (False, (claims.FINALIZER,), False),
        (True, ("kubernetes.io/pvc-protection", claims.FINALIZER), False),
        (True, (claims.FINALIZER,), True),
        (True, (), True),
    ],
)
def test_a_claim_is_released_when_only_we_hold_it(
    deleting: bool, finalizers: tuple[str, ...], released: bool
) -> None:
    item = {**CLAIM, "metadata": {**CLAIM["metadata"], "finalizers": list(finalizers)}}
    if deleting:
        item["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert claims.parse_claim(item).is_released is released
