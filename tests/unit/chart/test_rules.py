"""What the rendered objects may do: pods, rights, network."""

from __future__ import annotations

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
    ("coordination.k8s.io", "leases"): {"get", "create", "update", "patch", "delete"},
}
SERVICE_MAY = {
    ("oceanprotocol.com", "workflows"): {"create", "get", "list", "watch", "patch", "delete"},
    ("", "secrets"): {"create"},
    ("coordination.k8s.io", "leases"): {"create", "get", "delete"},
    ("", "pods"): {"get", "list"},
    ("", "pods/log"): {"get"},
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
        assert resources <= {"persistentvolumeclaims", "persistentvolumes", "events", "storageclasses"}


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
    store = {"box": ("ipfs", 5001), "cloud": ("s3", 9000)}[request.node.callspec.params["objects"]]
    assert flows(objects, "configuration") == {("provider", 8030), ("operator-engine", 8051)}
    assert flows(objects, "publishing") == {("operator-engine", 8051), store}


def flows(objects: list[Object], job: str) -> set[tuple[str, int]]:
    spec = of(objects, "NetworkPolicy", job, "c2d-jobs")[0]["spec"]
    assert spec["podSelector"]["matchLabels"] == {"app.kubernetes.io/component": job}
    assert spec["ingress"] == []
    return {
        (rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"], rule["ports"][0]["port"])
        for rule in spec["egress"]
    }


def test_each_permitted_way_out_is_a_permitted_way_in(objects: list[Object]) -> None:
    """A flow needs both halves; one without the other would be a closed door that looks open."""
    policies = {p["metadata"]["name"]: p["spec"] for p in of(objects, "NetworkPolicy")}
    for name, spec in policies.items():
        for rule in spec.get("egress", []):
            for peer in rule.get("to", []):
                if "podSelector" not in peer:
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
