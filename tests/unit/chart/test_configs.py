"""The configuration files: each is accepted by the model of the service that reads it."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest

Object = dict[str, Any]
READERS = {
    "chain": "sandbox.testchain.settings",
    "cache": "c2d_box.metadata.settings",
    "provider": "c2d_box.provider.settings",
    "operator-service": "c2d_box.operator_service.settings",
    "operator-engine": "c2d_box.operator_engine.settings",
    "provisioner": "c2d_box.volumes.settings",
}


def config(objects: list[Object], name: str) -> dict[str, Any]:
    found = [o for o in objects if o["kind"] == "ConfigMap" and o["metadata"]["name"] == name]
    read: dict[str, Any] = json.loads(found[0]["data"]["config.json"])
    return read


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("values", ["box", "cloud"])
def test_the_service_accepts_its_configuration(
    name: str, values: str, request: pytest.FixtureRequest
) -> None:
    if values == "cloud" and name in ("chain", "provisioner"):
        pytest.skip("not part of it")
    model = importlib.import_module(READERS[name]).Settings
    model.model_validate(config(request.getfixturevalue(values), name))


def test_job_pods_are_told_addresses_where_there_are_some(box: list[Object], cloud: list[Object]) -> None:
    assert config(box, "provider")["internalUrl"] == "http://10.1.0.30:8030"
    assert config(box, "operator-engine")["engineUrl"] == "http://10.1.0.31:8051"
    assert config(box, "operator-engine")["resultStore"]["api"] == "http://10.1.0.32:5001"
    assert config(cloud, "provider")["internalUrl"] == "http://provider.c2d.svc:8030"


def test_the_warden_tries_every_fixed_address(box: list[Object]) -> None:
    targets = config(box, "operator-engine")["warden"]["targets"]
    assert {"10.1.0.30:8030", "10.1.0.31:8051", "10.1.0.32:5001", "10.1.0.33:9000"} <= set(targets)


def test_the_address_file_of_a_real_chain_travels_with_the_services(cloud: list[Object]) -> None:
    for name in ("cache", "provider"):
        assert config(cloud, name)["chain"]["addressFile"] == "/etc/c2d/address.json"
        found = [o for o in cloud if o["kind"] == "ConfigMap" and o["metadata"]["name"] == name]
        assert json.loads(found[0]["data"]["address.json"]) == {"polygon": {}}


def test_a_pod_is_replaced_when_its_configuration_changes(render: Any) -> None:
    def checksum(objects: list[Object], name: str) -> str:
        found = [o for o in objects if o["kind"] == "Deployment" and o["metadata"]["name"] == name]
        text: str = found[0]["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        return text

    before, after = render(), render(provider={"trust": {"emptyLists": "all"}})
    assert checksum(before, "provider") != checksum(after, "provider")
    assert checksum(before, "cache") == checksum(after, "cache")
    assert config(after, "provider")["trust"] == {"emptyLists": "all"}


def test_each_secret_file_a_service_reads_is_mounted_and_no_other(box: list[Object]) -> None:
    mounted = {}
    for item in box:
        if item["kind"] != "Deployment":
            continue
        for volume in item["spec"]["template"]["spec"]["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                if "secret" in source:
                    mounted[item["metadata"]["name"]] = [entry["path"] for entry in source["secret"]["items"]]
    assert mounted == {
        "cache": ["secrets/cache-key"],
        "provider": ["secrets/provider-key", "secrets/token-secret"],
        "operator-service": ["secrets/postgres-password", "secrets/admin-password"],
        "operator-engine": [
            "secrets/postgres-password",
            "secrets/environment-key-ocean-compute",
            "secrets/upload-token",
        ],
        "postgres": ["secrets/postgres-password"],
        "ipfs": ["secrets/upload-token", "secrets/ipfs-admin-token"],
    }
