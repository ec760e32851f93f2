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


def test_environments_of_every_kind_reach_engine_and_service_alike(render: Any) -> None:
    common = {"ramGB": 1, "diskGB": 1, "maxJobs": 4, "consumerAddress": "0x" + "1" * 40}
    free = {
        "id": "free",
        "cpuNumber": 1,
        "priceMin": 0,
        "maxJobDuration": 60,
        "maxJobsPerOwner": 1,
        "maxQueueTime": 30,
        "freeQuota": {"jobs": 5, "seconds": 3600},
        "images": {"allow": ["c2d.local/*"], "pullPolicy": "Never"},
    }
    paid = {
        "id": "paid",
        "cpuNumber": 8,
        "priceMin": 2.5,
        "maxJobDuration": 86400,
        "priority": 10,
        "allowedChainId": [137],
    }
    engine = {"capacity": {"cpu": 16, "memoryGb": 64, "diskGb": 100}, "limits": {"retention": 3600}}
    objects = render(environments=[{**common, **free}, {**common, **paid}], operatorEngine=engine)
    read = {
        name: importlib.import_module(READERS[name]).Settings.model_validate(config(objects, name))
        for name in ("operator-engine", "operator-service")
    }
    assert read["operator-engine"].environments == read["operator-service"].environments
    first, second = read["operator-engine"].environments
    assert (first.free_quota.jobs, first.images.allow, first.max_queue_time) == (5, ("c2d.local/*",), 30)
    assert (second.priority, second.allowed_chain_id, second.price_min) == (10, (137,), 2.5)
    assert read["operator-engine"].limits.retention == 3600
    assert read["operator-engine"].capacity.disk_gb == 100


@pytest.mark.parametrize(
    "wrong", [{"images": {"pullPolicy": "Always"}}, {"freeQuota": {"jobs": 0}}, {"prioritiy": 1}]
)
def test_a_mistaken_environment_is_refused_by_the_chart(render: Any, wrong: dict[str, Any]) -> None:
    entry = {"id": "e", "cpuNumber": 1, "ramGB": 1, "diskGB": 1, "priceMin": 0, "maxJobs": 1}
    entry |= {"maxJobDuration": 1, "consumerAddress": "0x" + "1" * 40}
    with pytest.raises(AssertionError):
        render(environments=[{**entry, **wrong}])
