"""What the rendered objects may do: pods, rights, network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

Object = dict[str, Any]
ENGINE_MAY = {
    ("oceanprotocol.com", "workflows"): {"get", "list", "watch", "patch", "update", "delete"},
    ("oceanprotocol.com", "workflows/status"): {"get", "patch", "update"},
    ("oceanprotocol.com", "workflows/finalizers"): {"update"},
    ("", "pods"): {"get", "list", "watch", "create", "delete"},
    ("", "pods/log"): {"get"},
    ("", "persistentvolumeclaims"): {"get", "list", "watch", "create", "delete"},
    ("", "configmaps"): {"get", "list", "create", "delete"},
    ("", "secrets"): {"get", "create", "delete"},
    ("", "events"): {"create"},
    ("coordination.k8s.io", "leases"): {"get", "list", "create", "update", "patch", "delete"},
}
SERVICE_MAY = {
    ("oceanprotocol.com", "workflows"): {"create", "get", "list", "watch", "patch", "delete"},
    ("", "secrets"): {"create"},
    ("coordination.k8s.io", "leases"): {"create", "get", "patch", "delete"},
    ("", "pods"): {"get", "list"},
    ("", "pods/log"): {"get"},
}


EXPIRING = {
    "id": "ocean-compute",
    "cpuNumber": 1,
    "ramGB": 1,
    "diskGB": 1,
    "priceMin": 0,
    "maxJobs": 1,
    "maxJobDuration": 60,
    "storageExpiry": 3600,
    "consumerAddress": "0x" + "1" * 40,
}


@pytest.fixture(params=["box", "cloud"])
def objects(request: pytest.FixtureRequest) -> list[Object]:
    found: list[Object] = request.getfixturevalue(request.param)
    return found


def of(
    objects: list[Object], kind: str, name: str | None = None, namespace: str | None = None
) -> list[Object]:
    return [
        item
        for item in objects
        if item["kind"] == kind
        and name in (None, item["metadata"]["name"])
        and namespace in (None, item["metadata"].get("namespace"))
    ]


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    for item in objects:
        if item["kind"] in ("Deployment", "DaemonSet", "StatefulSet", "Job"):
            yield item["metadata"]["name"], item["spec"]["template"]["spec"]


def rights(role: Object) -> dict[tuple[str, str], set[str]]:
    return {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_every_pod_but_the_provisioner_is_restricted(objects: list[Object]) -> None:
    for name, spec in pods(objects):
        if name == "provisioner":
            continue
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] == 65532
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert not [volume for volume in spec["volumes"] if "hostPath" in volume], name
        for container in spec["containers"] + spec.get("initContainers", []):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert {"requests", "limits"} <= container["resources"].keys()


def test_only_the_provisioner_is_privileged_and_it_has_no_node_network(box: list[Object]) -> None:
    spec = dict(pods(box))["provisioner"]
    assert of(box, "DaemonSet", "provisioner", "c2d-system")
    assert spec["containers"][0]["securityContext"]["privileged"] is True
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert {v["hostPath"]["path"] for v in spec["volumes"] if "hostPath" in v} == {"/dev", "/srv/c2d/volumes"}


def test_images_are_named_by_digest(objects: list[Object]) -> None:
    for name, spec in pods(objects):
        for container in spec["containers"] + spec.get("initContainers", []):
            assert "@sha256:" in container["image"], name


def test_only_who_calls_the_api_server_gets_a_token(objects: list[Object]) -> None:
    with_token = {name for name, spec in pods(objects) if spec["automountServiceAccountToken"]}
    assert with_token <= {"operator-service", "operator-engine", "provisioner"}
    accounts = {spec["serviceAccountName"] for _, spec in pods(objects)}
    assert "default" not in accounts
    assert all(not item["automountServiceAccountToken"] for item in of(objects, "ServiceAccount"))
    assert all(spec["enableServiceLinks"] is False for _, spec in pods(objects))


def test_nobody_has_a_wildcard_or_a_built_in_role(objects: list[Object]) -> None:
    for role in of(objects, "Role") + of(objects, "ClusterRole"):
        for rule in role["rules"]:
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"], role["metadata"]["name"]
    ours = {item["metadata"]["name"] for item in of(objects, "Role") + of(objects, "ClusterRole")}
    for binding in of(objects, "RoleBinding") + of(objects, "ClusterRoleBinding"):
        assert binding["roleRef"]["name"] in ours
        assert [subject["kind"] for subject in binding["subjects"]] == ["ServiceAccount"]


def test_the_engine_and_the_service_have_their_rights_in_the_jobs_namespace_only(
    objects: list[Object],
) -> None:
    for name, expected in (("operator-engine", ENGINE_MAY), ("operator-service", SERVICE_MAY)):
        found = of(objects, "Role", name)
        assert [role["metadata"]["namespace"] for role in found] == ["c2d-jobs"]
        assert rights(found[0]) == expected
    bound = [
        (binding["metadata"]["name"], subject["name"])
        for binding in of(objects, "ClusterRoleBinding")
        for subject in binding["subjects"]
    ]
    assert set(bound) <= {("c2d-provisioner", "provisioner")}


def test_the_provisioner_cannot_read_secrets_or_start_pods(box: list[Object]) -> None:
    for role in of(box, "Role", "provisioner") + of(box, "ClusterRole", "c2d-provisioner"):
        resources = {resource for _, resource in rights(role)}
        assert resources <= {
            "persistentvolumeclaims",
            "persistentvolumes",
            "events",
            "storageclasses",
            "nodes",
        }
    assert rights(of(box, "ClusterRole", "c2d-provisioner")[0])["", "nodes"] == {"list"}


def test_the_chart_holds_no_secret_and_no_pod_has_one_in_its_arguments(objects: list[Object]) -> None:
    assert not of(objects, "Secret")
    for _, spec in pods(objects):
        for container in spec["containers"]:
            for variable in container.get("env", []):
                if "KEY" in variable["name"] or "PASSWORD" in variable["name"]:
                    assert "secretKeyRef" in variable.get("valueFrom", {}) or variable["name"].endswith(
                        "_FILE"
                    )


def test_the_jobs_namespace_enforces_restricted_pods(objects: list[Object]) -> None:
    labels = of(objects, "Namespace", "c2d-jobs")[0]["metadata"]["labels"]
    for mode in ("enforce", "warn", "audit"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"


def test_everything_is_denied_that_is_not_a_flow(objects: list[Object]) -> None:
    for namespace in ("c2d", "c2d-jobs"):
        deny = of(objects, "NetworkPolicy", "default-deny", namespace)[0]["spec"]
        assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert not of(objects, "NetworkPolicy", "algorithm"), "an algorithm has no flow at all"
    for policy in of(objects, "NetworkPolicy"):
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_job_pods_reach_provider_engine_and_result_store_and_no_name_server(
    objects: list[Object], request: pytest.FixtureRequest
) -> None:
    store = {"box": {("ipfs", 5001)}, "cloud": set()}[request.node.callspec.params["objects"]]
    assert flows(objects, "configuration") == {("provider", 8030), ("operator-engine", 8051)}
    assert flows(objects, "publishing") == {("operator-engine", 8051), *store}


def outside(objects: list[Object], name: str, namespace: str) -> list[tuple[str, list[str], list[int]]]:
    """Ranges that a policy opens: range, exceptions, ports (none: all)."""
    spec = of(objects, "NetworkPolicy", name, namespace)[0]["spec"]
    return [
        (
            peer["ipBlock"]["cidr"],
            peer["ipBlock"].get("except", []),
            [int(port["port"]) for port in rule.get("ports", [])],
        )
        for rule in spec["egress"]
        for peer in rule.get("to", [])
        if "ipBlock" in peer
    ]


PRIVATE = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"}


def test_no_rule_opens_private_ranges_beside_the_providers_own(cloud: list[Object]) -> None:
    """Policies add up: the chain's rule had neither ports nor exceptions, so nothing was closed."""
    for name in ("provider", "cache"):
        for cidr, exceptions, _ in outside(cloud, name, "c2d"):
            assert cidr != "0.0.0.0/0" or set(exceptions) >= PRIVATE, (name, cidr)
    assert {cidr for cidr, _, _ in outside(cloud, "operator-engine", "c2d")} == {"10.0.0.1/32"}
    assert {cidr for cidr, _, _ in outside(cloud, "operator-service", "c2d")} == {
        "10.0.0.1/32",
        "52.218.0.0/17",
    }


def test_a_chain_in_a_private_network_is_reached_on_its_port_alone(render: Any) -> None:
    chain = {"enabled": False, "id": 1, "rpcUrl": "http://10.9.8.7:8545", "addresses": {"x": {}}}
    policies = {"apiServer": {"cidrs": ["10.0.0.1/32"]}, "rpcCidrs": ["10.9.8.7/32"]}
    objects = render(chain=chain, networkPolicies=policies)
    assert ("10.9.8.7/32", [], [443, 8545]) in outside(objects, "cache", "c2d")


def test_names_are_asked_of_the_clusters_dns_only(objects: list[Object]) -> None:
    for policy in of(objects, "NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            if any(port["port"] == 53 for port in rule.get("ports", [])):
                assert rule.get("to"), policy["metadata"]["name"]


def test_results_reach_a_store_outside_and_inputs_do_not(cloud: list[Object]) -> None:
    assert outside(cloud, "publishing", "c2d-jobs") == [("52.218.0.0/17", [], [443])]
    assert outside(cloud, "configuration", "c2d-jobs") == []


IPFS_OUTSIDE = {
    "kind": "ipfs",
    "api": "https://ipfs.example.org:5001",
    "gateway": "https://ipfs.example.org:8080",
    "cidrs": ["203.0.113.0/24"],
    "ports": [5001, 8080],
}


@pytest.mark.parametrize("own", [False, True])
def test_results_reach_an_ipfs_node_outside_and_inputs_do_not(render: Any, own: bool) -> None:
    """``own``: the release runs a node beside it, for the inputs, that results do not go to."""
    objects = render(
        clusterIPs={"ipfs": ""},
        ipfs={"enabled": own},
        resultStore=IPFS_OUTSIDE,
        environments=[EXPIRING],
    )
    place: tuple[str, list[str], list[int]] = ("203.0.113.0/24", [], [5001, 8080])
    assert outside(objects, "publishing", "c2d-jobs") == [place]
    for name in ("operator-service", "operator-engine", "provider"):
        assert place in outside(objects, name, "c2d"), name
    assert outside(objects, "configuration", "c2d-jobs") == []
    for name in ("cache", "postgres"):
        assert place not in outside(objects, name, "c2d"), name
    assert flows(objects, "publishing") == {("operator-engine", 8051)}
    assert bool(of(objects, "Deployment", "ipfs")) is own
    for name in ("operator-engine", "operator-service", "provider"):
        (found,) = of(objects, "ConfigMap", name)
        store = json.loads(found["data"]["config.json"])["resultStore"]
        assert (store["api"], store["gateway"]) == (IPFS_OUTSIDE["api"], IPFS_OUTSIDE["gateway"])


@pytest.mark.parametrize(
    ("api", "gateway", "written", "read"),
    [
        ("http://10.7.0.1:5001", "http://10.7.0.1:8080", [5001], [8080]),
        ("https://ipfs.example.org", "http://ipfs.example.org/", [443], [80]),
        ("https://ipfs.example.org:5443/rpc", "https://ipfs.example.org", [5443], [443]),
    ],
)
def test_the_ports_of_a_store_outside_are_those_of_its_addresses(
    render: Any, api: str, gateway: str, written: list[int], read: list[int]
) -> None:
    """Without ``ports`` it was 443 alone: an IPFS node on its own ports was closed to everybody."""
    store = {**IPFS_OUTSIDE, "api": api, "gateway": gateway, "ports": []}
    objects = render(ipfs={"enabled": False}, resultStore=store, environments=[EXPIRING])
    for name, namespace, ports in (
        ("publishing", "c2d-jobs", written),
        ("operator-engine", "c2d", written),
        ("operator-service", "c2d", read),
        ("provider", "c2d", read),
    ):
        assert ("203.0.113.0/24", [], ports) in outside(objects, name, namespace), name


def test_an_s3_store_on_a_port_of_its_own_is_reached_there(render: Any) -> None:
    store = {"kind": "s3", "endpoint": "https://minio.lan:9443", "cidrs": ["10.8.0.0/24"]}
    objects = render(s3={"enabled": False}, resultStore=store)
    for name, namespace in (("publishing", "c2d-jobs"), ("operator-service", "c2d"), ("provider", "c2d")):
        assert ("10.8.0.0/24", [], [9443]) in outside(objects, name, namespace), name


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({"ipfs": {"enabled": False}, "resultStore": {**IPFS_OUTSIDE, "gateway": ""}}, "resultStore.gateway"),
        ({"ipfs": {"enabled": False}, "resultStore": {**IPFS_OUTSIDE, "api": ""}}, "resultStore.api"),
        ({"resultStore": {**IPFS_OUTSIDE, "gateway": ""}}, "resultStore.gateway"),
        ({"resultStore": {**IPFS_OUTSIDE, "api": ""}}, "resultStore.api"),
        ({"ipfs": {"enabled": False}}, "resultStore.api"),
        (
            {"s3": {"enabled": False}, "resultStore": {"kind": "s3", "cidrs": ["10.8.0.0/24"]}},
            "resultStore.endpoint",
        ),
    ],
)
def test_a_store_of_which_half_is_named_is_refused(
    template: Any, values: dict[str, Any], missing: str
) -> None:
    """Results went to one node and were looked for at another, or at a service that does not run."""
    from tests.unit.chart.conftest import BOX

    done = template({**BOX, **values})
    assert done.returncode != 0 and f"{missing} must be set" in done.stderr


def test_a_store_outside_without_a_place_is_refused(template: Any) -> None:
    from tests.unit.chart.conftest import BOX

    for store in ({"kind": "s3", "endpoint": "https://s3.example.org"}, {**IPFS_OUTSIDE, "cidrs": []}):
        done = template({**BOX, "resultStore": store})
        assert done.returncode != 0 and "resultStore.cidrs" in done.stderr
    api = {"apiServer": {"cidrs": ["10.0.0.1/32"]}}
    done = template({**BOX, "postgres": {"enabled": False, "host": "db.example.org"}})
    assert done.returncode != 0 and "postgres.cidrs" in done.stderr
    for wide in ("0.0.0.0/1", "::/0"):
        done = template({**BOX, "networkPolicies": {**api, "fetchCidrs": [wide]}})
        assert done.returncode != 0 and "too wide" in done.stderr
    done = template({**BOX, "networkPolicies": {"apiServer": {"cidrs": []}}})
    assert done.returncode != 0 and "networkPolicies.apiServer.cidrs" in done.stderr


def flows(objects: list[Object], job: str) -> set[tuple[str, int]]:
    spec = of(objects, "NetworkPolicy", job, "c2d-jobs")[0]["spec"]
    assert spec["podSelector"]["matchLabels"] == {"app.kubernetes.io/component": job}
    assert spec["ingress"] == []
    return {
        (rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"], rule["ports"][0]["port"])
        for rule in spec["egress"]
        if "podSelector" in rule["to"][0]
    }


def test_each_permitted_way_out_is_a_permitted_way_in(objects: list[Object]) -> None:
    """A flow needs both halves; one without the other would be a closed door that looks open."""
    policies = {p["metadata"]["name"]: p["spec"] for p in of(objects, "NetworkPolicy")}
    for name, spec in policies.items():
        for rule in spec.get("egress", []):
            for peer in rule.get("to", []):
                if "podSelector" not in peer or 53 in [port["port"] for port in rule["ports"]]:
                    continue
                to = peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
                ways_in = policies[to]["ingress"]
                assert any(
                    name in str(way.get("from")) and rule["ports"] == way["ports"] for way in ways_in
                ), (name, to)


def test_the_database_is_reached_by_its_two_users_only(box: list[Object]) -> None:
    ingress = of(box, "NetworkPolicy", "postgres")[0]["spec"]["ingress"]
    names = [
        p["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for rule in ingress for p in rule["from"]
    ]
    assert sorted(names) == ["operator-engine", "operator-service"]
