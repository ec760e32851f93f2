"""Job pods on a cluster that chose the services' addresses itself: names are resolved, targets are found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from c2d_box.kubernetes.port import ClusterError
from c2d_box.operator_engine.effects.job_network import (
    KEPT_SECONDS,
    JobNetwork,
    JobNetworkResolver,
    resolve_name,
    targets_of_this_pod,
)
from c2d_box.operator_engine.effects.pod_builder import ManifestBuilder
from c2d_box.operator_engine.rules.actions import PatchStatus
from c2d_box.operator_engine.rules.observation import Observation
from c2d_box.operator_engine.rules.plan import plan_actions
from c2d_box.operator_engine.settings import EngineSettings
from c2d_box.workflow import names, resource
from tests.unit.operator_engine.conftest import make_settings, workflow_body

JOB = "e" * 32
ADDRESSES = {
    "operator-engine.c2d.svc": "10.96.1.31",
    "provider.c2d.svc": "10.96.1.30",
    "s3.eu-west-1.amazonaws.com": "52.218.0.1",
}


def cloud_settings(**changes: Any) -> EngineSettings:
    """As the chart makes them where no address is fixed and results go to a store outside."""
    base = make_settings().model_dump(by_alias=True, mode="json")
    store = {"kind": "s3", "endpoint": "https://s3.eu-west-1.amazonaws.com", "bucket": "r", "region": "eu"}
    cloud = {
        "engineUrl": "http://operator-engine.c2d.svc:8051",
        "providerUrl": "http://provider.c2d.svc:8030",
        "resultStore": store,
        "runtimeClasses": {},
        "warden": {},
    }
    return EngineSettings.model_validate({**base, **cloud, **changes})


class Names:
    """A name server that counts, and can move a host."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.addresses = dict(ADDRESSES)

    async def resolve(self, host: str) -> str:
        self.asked.append(host)
        if host not in self.addresses:
            raise ClusterError(f"The name {host} cannot be resolved: no such name")
        return self.addresses[host]


async def test_names_become_addresses_for_the_pods_and_targets_for_the_warden() -> None:
    found = await JobNetworkResolver(cloud_settings(), ["10.96.0.1:443"], Names().resolve).current()
    assert dict(found.aliases) == ADDRESSES
    assert found.targets == ("10.96.0.1:443", "10.96.1.31:8051", "10.96.1.30:8030", "52.218.0.1:443")


@pytest.mark.parametrize(
    ("api", "target"),
    [("https://ipfs.example.org:5001", "203.0.113.7:5001"), ("http://ipfs.example.org", "203.0.113.7:80")],
)
async def test_an_ipfs_node_outside_is_a_name_for_the_pods_and_a_target_for_the_warden(
    api: str, target: str
) -> None:
    """Only a store in S3 was tried: results in IPFS outside had no test at all."""
    store = {"kind": "ipfs", "api": api, "gateway": "https://ipfs.example.org:8080"}
    made, server = cloud_settings(resultStore=store), Names()
    server.addresses["ipfs.example.org"] = "203.0.113.7"
    found = await JobNetworkResolver(made, (), server.resolve).current()
    assert found.aliases["ipfs.example.org"] == "203.0.113.7" and target in found.targets
    body = ManifestBuilder(made, "gate").stage_pod(
        resource.parse_workflow(workflow_body(JOB)), made.environments[0], "publishing", 1, "s", found
    )
    hosts = {name: entry["ip"] for entry in body["spec"]["hostAliases"] for name in entry["hostnames"]}
    assert hosts["ipfs.example.org"] == "203.0.113.7"


async def test_an_ipfs_node_that_is_named_by_number_is_not_asked_for() -> None:
    store = {"kind": "ipfs", "api": "http://203.0.113.7:5001", "gateway": "http://203.0.113.7:8080"}
    server = Names()
    found = await JobNetworkResolver(cloud_settings(resultStore=store), (), server.resolve).current()
    assert "203.0.113.7" not in server.asked and "203.0.113.7:5001" in found.targets


async def test_numbers_stay_and_nothing_is_asked() -> None:
    server = Names()
    found = await JobNetworkResolver(make_settings(), (), server.resolve).current()
    assert dict(found.aliases) == {} and server.asked == []
    assert any(target.endswith(":8051") for target in found.targets)


async def test_an_answer_is_used_again_for_a_while_and_then_asked_anew() -> None:
    server, now = Names(), 0.0
    network = JobNetworkResolver(cloud_settings(), (), server.resolve, clock=lambda: now)
    await network.current()
    await network.current()
    assert len(server.asked) == 3
    server.addresses["s3.eu-west-1.amazonaws.com"] = "52.218.0.2"
    now = KEPT_SECONDS
    assert (await network.current()).aliases["s3.eu-west-1.amazonaws.com"] == "52.218.0.2"


async def test_a_name_without_an_answer_is_a_trouble_of_the_cluster() -> None:
    server = Names()
    del server.addresses["provider.c2d.svc"]
    with pytest.raises(ClusterError, match=r"provider\.c2d\.svc"):
        await JobNetworkResolver(cloud_settings(), (), server.resolve).current()
    with pytest.raises(ClusterError, match="cannot be resolved"):
        await resolve_name("no-such-host.invalid")
    assert await resolve_name("localhost") == "127.0.0.1"


def test_the_engine_finds_api_server_and_dns_itself(tmp_path: Path) -> None:
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("search c2d.svc\nnameserver 10.96.0.10\nnameserver 127.0.0.53\noptions ndots:5\n")
    environment = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    found = targets_of_this_pod("https://10.96.0.1:443", environment, resolver)
    assert found == ["10.96.0.1:443", "10.96.0.10:53"]
    assert targets_of_this_pod("https://127.0.0.1:6443", {}, tmp_path / "none") == []
    assert targets_of_this_pod("https://[fd00::1]:6443", {}, tmp_path / "none") == ["[fd00::1]:6443"]


NETWORK = JobNetwork(ADDRESSES, ("10.96.0.1:443",))


def pod(component: Any, made: EngineSettings | None = None, **environment: Any) -> dict[str, Any]:
    chosen = (made or cloud_settings()).environments[0].model_copy(update=environment)
    bodies = ManifestBuilder(made or cloud_settings(), "gate")
    body = bodies.stage_pod(resource.parse_workflow(workflow_body(JOB)), chosen, component, 1, "s", NETWORK)
    return dict(body["spec"])


@pytest.mark.parametrize("component", ["configuration", "publishing"])
def test_our_pods_have_the_names_in_their_hosts_file(component: str) -> None:
    listed = {name: entry["ip"] for entry in pod(component)["hostAliases"] for name in entry["hostnames"]}
    assert listed == ADDRESSES


def test_the_algorithms_pod_has_no_names_and_the_warden_all_targets() -> None:
    spec = pod("algorithm")
    assert "hostAliases" not in spec
    (warden,) = (entry for entry in spec["containers"] if entry["name"] == "warden")
    values = {entry["name"]: entry for entry in warden["env"]}
    assert "10.96.0.1:443" in values[names.ENV_WARDEN]["value"]
    assert values[names.ENV_NODE_IP]["valueFrom"] == {"fieldRef": {"fieldPath": "status.hostIP"}}


@pytest.mark.parametrize("component", ["configuration", "algorithm", "publishing"])
def test_every_pod_of_a_job_can_be_pulled_from_a_private_registry(component: str) -> None:
    """Only the algorithm's had the secrets, so two of three pods ended in ImagePullBackOff."""
    spec = pod(component, cloud_settings(imagePullSecrets=["regcred"]))
    assert {"name": "regcred"} in spec["imagePullSecrets"]


@pytest.mark.parametrize("component", ["configuration", "algorithm", "publishing"])
def test_the_pods_of_a_job_share_one_node(component: str) -> None:
    """One volume that a single node can mount."""
    (term,) = pod(component)["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"] == {"matchLabels": {names.LABEL_JOB: JOB}}
    assert term["topologyKey"] == "kubernetes.io/hostname"


def test_tolerations_reach_the_pods_and_are_not_announced() -> None:
    taint = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    assert pod("algorithm", tolerations=(taint,))["tolerations"] == [taint]
    assert "tolerations" not in make_settings().environments[0].announced(current_jobs=0, last_seen=0)


@pytest.mark.parametrize("component", ["configuration", "algorithm", "publishing"])
def test_an_empty_volume_of_another_class_is_the_pods_groups(component: str) -> None:
    """It came root's, and no pod of ours is root: every job ended 31, its first folder not writable."""
    group = {"fsGroup": names.GID_JOB, "fsGroupChangePolicy": "OnRootMismatch"}
    theirs = pod(component, cloud_settings(foldersMade=False))
    assert group.items() <= theirs["securityContext"].items()
    assert all(entry["securityContext"]["runAsGroup"] == names.GID_JOB for entry in theirs["containers"])
    for mount in (mount for entry in theirs["containers"] for mount in entry["volumeMounts"]):
        writes = mount.get("subPath") in {names.OUTPUTS, names.LOGS} and component == "algorithm"
        if mount["name"] == "data" and component != "configuration":
            assert mount["readOnly"] is not writes, "the group could write where the role may not"
    ours = pod(component)["securityContext"]
    assert not group.keys() & ours.keys(), "the provisioner's owners would be lost"


@pytest.mark.parametrize("general", [{}, {"algorithm": "c2d-unrouted", "configuration": "c2d-staging"}])
def test_an_environments_runtime_class_is_its_algorithms_alone(general: dict[str, str]) -> None:
    made = cloud_settings(runtimeClasses=general)
    assert pod("algorithm", made, runtime_class="gvisor")["runtimeClassName"] == "gvisor"
    for component in ("configuration", "publishing"):
        assert pod(component, made, runtime_class="gvisor") == pod(component, made)
    assert pod("algorithm", made).get("runtimeClassName") == general.get("algorithm")
    assert "runtimeClass" not in made.environments[0].announced(current_jobs=0, last_seen=0)


@pytest.mark.parametrize(("own", "seconds"), [("", 0.3), ("c2d-unrouted", 0.3), ("kata", 1.0)])
def test_a_class_that_is_not_known_to_cut_the_network_gets_the_longer_proof(own: str, seconds: float) -> None:
    spec = pod("algorithm", cloud_settings(runtimeClasses={"algorithm": "c2d-unrouted"}), runtime_class=own)
    (warden,) = (entry for entry in spec["containers"] if entry["name"] == "warden")
    values = {entry["name"]: entry.get("value", "") for entry in warden["env"]}
    assert json.loads(values[names.ENV_WARDEN])["timeout"] == seconds


def prepared(claim: str, *, waits: bool) -> set[str]:
    body = workflow_body(JOB)
    body["status"] = {"code": 20, "times": {"admitted": "2026-01-01T00:00:00Z"}}
    workflow = resource.parse_workflow(body)
    seen = Observation(
        workflow,
        (workflow.at("admitted") or 0) + 1,
        claim=claim,
        claims_wait=waits,
        grants=True,
        done=frozenset({"secret"}),
    )
    planned = plan_actions(seen, make_settings().limits, 60)
    recorded = [action for action in planned if isinstance(action, PatchStatus)]
    return {name for action in recorded for name in action.changes.get("times", {})}


def test_a_claim_that_waits_for_its_first_pod_gets_one() -> None:
    """Clouds' default classes bind no claim before a pod uses it: every job ended 81 after two minutes."""
    assert "created" in prepared("Pending", waits=True)
    assert "created" in prepared("Bound", waits=True)
    assert prepared("Pending", waits=False) == set()
    assert "created" in prepared("Bound", waits=False)
