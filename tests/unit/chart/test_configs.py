"""The configuration files: each is accepted by the model of the service that reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from c2d_box.metadata.settings import MetadataSettings as MetadataSettings
from c2d_box.operator_engine.settings import EngineSettings
from c2d_box.operator_service.settings import OperatorSettings as OperatorServiceSettings
from c2d_box.provider.backends.result_store import open_origins, result_store
from c2d_box.provider.settings import ProviderSettings as ProviderSettings
from c2d_box.storage.accounts import ACTIONS, AccountSettings
from c2d_box.volumes.settings import VolumesSettings as ProvisionerSettings
from c2d_box.workflow.result_store import IpfsStore
from sandbox.testchain.settings import ChainNodeSettings as ChainSettings

Object = dict[str, Any]
READERS: dict[str, Any] = {
    "chain": ChainSettings,
    "cache": MetadataSettings,
    "provider": ProviderSettings,
    "operator-service": OperatorServiceSettings,
    "operator-engine": EngineSettings,
    "provisioner": ProvisionerSettings,
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
    model = READERS[name]
    model.model_validate(config(request.getfixturevalue(values), name))


def test_job_pods_are_told_addresses_where_there_are_some(box: list[Object], cloud: list[Object]) -> None:
    assert config(box, "provider")["internalUrl"] == "http://10.1.0.30:8030"
    assert config(box, "operator-engine")["engineUrl"] == "http://10.1.0.31:8051"
    assert config(box, "operator-engine")["resultStore"]["api"] == "http://10.1.0.32:5001"
    assert config(cloud, "provider")["internalUrl"] == "http://provider.c2d.svc:8030"


def test_elsewhere_the_engine_is_told_which_names_to_resolve(cloud: list[Object]) -> None:
    """Job pods have no DNS: with the chart's own defaults none of them reached Provider or engine, and the
    warden had nothing to prove its pod closed against, so that every job ended 78.
    """
    from c2d_box.operator_engine.effects.job_network import urls_for_jobs
    from c2d_box.operator_engine.settings import EngineSettings

    engine = EngineSettings.model_validate(config(cloud, "operator-engine"))
    assert urls_for_jobs(engine) == [
        "http://operator-engine.c2d.svc:8051",
        "http://provider.c2d.svc:8030",
        "https://s3.eu-west-1.amazonaws.com",
    ]
    assert (engine.image_pull_secrets, engine.claims_wait) == (("regcred",), True)
    assert not engine.folders_made


@pytest.mark.parametrize(
    ("values", "mode", "waits"),
    [
        ({}, "WaitForFirstConsumer", True),
        ({"provisioner": {"jobBinding": "Immediate"}}, "Immediate", False),
        ({"provisioner": {"jobBinding": "Immediate"}, "jobs": {"claimsWait": True}}, "Immediate", False),
        ({"provisioner": {"jobClass": "x"}, "jobs": {"storageClass": "x"}}, "WaitForFirstConsumer", True),
        ({"jobs": {"storageClass": "ebs", "claimsWait": False}}, "WaitForFirstConsumer", False),
        ({"jobs": {"storageClass": "ebs", "claimsWait": True}}, "WaitForFirstConsumer", True),
    ],
)
def test_the_engine_waits_as_the_jobs_class_binds(
    render: Any, values: dict[str, Any], mode: str, waits: bool
) -> None:
    """The class was Immediate whatever the cluster: every node made every job's disk."""
    objects = render(**values)
    name = values.get("provisioner", {}).get("jobClass", "c2d-jobs")
    (ours,) = [o for o in objects if o["kind"] == "StorageClass" and o["metadata"]["name"] == name]
    assert ours["volumeBindingMode"] == mode
    engine = config(objects, "operator-engine")
    assert engine["claimsWait"] is waits
    assert engine["foldersMade"] is (values.get("jobs", {}).get("storageClass") != "ebs")


def test_a_binding_that_kubernetes_does_not_know_is_refused(render: Any) -> None:
    with pytest.raises(AssertionError, match="jobBinding"):
        render(provisioner={"jobBinding": "Later"})


def test_the_warden_tries_every_fixed_address(box: list[Object]) -> None:
    targets = config(box, "operator-engine")["warden"]["targets"]
    assert {"10.1.0.30:8030", "10.1.0.31:8051", "10.1.0.32:5001", "10.1.0.33:9000"} <= set(targets)


def test_what_shows_the_nodes_disks_is_masked(box: list[Object], cloud: list[Object]) -> None:
    """Loop devices are only where the provisioner makes disks: nothing is mounted over what is missing."""
    loops = {"/sys/devices/virtual/block", "/sys/fs/ext4"}
    assert loops <= set(config(box, "operator-engine")["masked"])
    everywhere = set(config(cloud, "operator-engine")["masked"])
    assert "/proc/diskstats" in everywhere and not loops & everywhere
    for objects in (box, cloud):
        demanded = config(objects, "operator-engine")["warden"]["restrictions"]
        assert {"capabilities", "no_new_privileges", "seccomp"} == set(demanded)


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
        "postgres": ["secrets/postgres-password", "secrets/role-c2d_engine", "secrets/role-c2d_service"],
        "ipfs": ["secrets/upload-token", "secrets/ipfs-admin-token"],
        "s3": ["secrets/s3-access-key", "secrets/s3-secret-key"],
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
        name: READERS[name].model_validate(config(objects, name))
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


def test_the_stores_root_key_stays_with_its_server(render: Any) -> None:
    """In the server's pod and in the job that makes the services' keys; nowhere as a variable."""
    objects = render(resultStore={"kind": "s3"}, operatorEngine={"registration": True})
    holders = set()
    for item in objects:
        if item["kind"] not in ("Deployment", "Job", "DaemonSet"):
            continue
        spec = item["spec"]["template"]["spec"]
        for volume in spec["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                if source.get("secret", {}).get("name") == "s3-secrets":
                    holders.add(item["metadata"]["name"].rpartition("-")[0] or item["metadata"]["name"])
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            sources = [entry.get("valueFrom", {}) for entry in container.get("env", [])]
            assert not [source for source in sources if "secretKeyRef" in source]
    assert holders == {"s3", "s3-accounts"}
    (job,) = [item for item in objects if item["kind"] == "Job"]
    (ours,) = [item for item in objects if item["metadata"]["name"] == "s3-accounts" and "data" in item]
    settings = AccountSettings.model_validate_json(ours["data"]["config.json"])
    assert settings.bucket == config(objects, "operator-engine")["resultStore"]["bucket"]
    (etc,) = [v for v in job["spec"]["template"]["spec"]["volumes"] if v["name"] == "etc"]
    files = {entry["key"] for entry in etc["projected"]["sources"][1]["secret"]["items"]}
    parts = ("access-key", "secret-key")
    assert files == {f"{user}-{part}" for user in ("s3", *(f"s3-{n}" for n in ACTIONS)) for part in parts}


def test_with_ipfs_there_is_no_key_of_s3_at_a_service(render: Any) -> None:
    objects = render(operatorEngine={"registration": True})
    assert not [item for item in objects if item["kind"] == "Job"]
    assert "s3-accounts" not in json.dumps(objects)


def test_each_service_has_a_role_of_its_own_in_the_database(render: Any) -> None:
    objects = render()
    users = {
        name: config(objects, name)["postgres"]["user"] for name in ("operator-engine", "operator-service")
    }
    assert users == {"operator-engine": "c2d_engine", "operator-service": "c2d_service"}
    elsewhere = {
        "enabled": False,
        "cidrs": ["10.4.0.0/16"],
        "host": "db.example",
        "user": "shared",
        "users": {"operatorService": "reader"},
    }
    objects = render(postgres=elsewhere)
    assert config(objects, "operator-engine")["postgres"]["user"] == "shared"
    assert config(objects, "operator-service")["postgres"]["user"] == "reader"


def test_the_provider_knows_the_result_store_and_closes_it(render: Any) -> None:
    """The engine's and the Provider's secret for result assets is one and the same."""
    objects = render(operatorEngine={"registration": True})
    settings = ProviderSettings.model_validate(config(objects, "provider"))
    store = result_store(settings)
    assert store is not None and store.is_gateway(settings.fetch.ipfs_gateway)
    assert isinstance(settings.result_store, IpfsStore)
    assert settings.result_store.gateway in settings.fetch.allow
    assert settings.result_store.gateway not in open_origins(settings, store)
    for name in ("provider", "operator-engine"):
        (deployment,) = [o for o in objects if o["kind"] == "Deployment" and o["metadata"]["name"] == name]
        assert "secrets/result-secret" in json.dumps(deployment)


def test_confirmations_and_bounds_reach_cache_and_provider(render: Any) -> None:
    values = {
        "chain": {"confirmations": 12},
        "cache": {"span": 500},
        "provider": {"freshness": {"seconds": 90}},
    }
    objects = render(**values)
    cache, provider = config(objects, "cache"), config(objects, "provider")
    assert (cache["confirmations"], cache["span"], cache["readySeconds"]) == (12, 500, 30)
    assert provider["freshness"] == {"seconds": 90, "waitSeconds": 5, "blocks": 12}
