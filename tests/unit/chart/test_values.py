"""What the schema and the templates refuse, with a reason."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

CHART = Path(__file__).parents[3] / "charts" / "c2d"
DIGEST = "sha256:" + "b" * 64
GOOD: dict[str, Any] = {
    "images": {name: f"c2d.local/{name}@{DIGEST}" for name in ("runtime", "postgres", "kubo", "s3")},
    "chain": {"enabled": True},
    "networkPolicies": {"apiServer": {"cidrs": ["10.0.0.1/32"]}},
    "operatorService": {"allowedProviders": ["0x" + "2" * 40]},
}
Template = Callable[[Mapping[str, Any]], "subprocess.CompletedProcess[str]"]


def changed(path: str, value: object) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(GOOD))
    at = values
    *parents, last = path.split(".")
    for key in parents:
        at = at.setdefault(key, {})
    at[last] = value
    return values


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("unknown", 1),
        ("provider.unknown", 1),
        ("provider.fetch.unknown", 1),
        ("images.runtime", "c2d.local/runtime:latest"),
        ("images.runtime", "c2d.local/runtime@sha256:abc"),
        ("imagePullPolicy", "never"),
        ("nodePorts.provider", 8030),
        ("provider.trust.emptyLists", "everybody"),
        ("provider.fetch.allow", ["http://ipfs.c2d.svc:8080/path"]),
        ("operatorService.allowedProviders", ["0x12"]),
        ("resultStore.kind", "ftp"),
        ("environments", []),
        ("environments", [{"id": "Ocean Compute"}]),
        ("jobs.podSecurity", "privileged"),
        ("provisioner.folders", "../x:0:0:0750"),
        ("provisioner.root", "relative"),
        ("storage.sizes.s3", "much"),
        ("clusterIPs.provider", "provider"),
        ("networkPolicies.rpcCidrs", ["everywhere"]),
    ],
)
def test_a_wrong_value_is_refused_and_named(template: Template, path: str, value: object) -> None:
    done = template(changed(path, value))
    assert done.returncode != 0
    assert path.split(".")[-1] in done.stderr or "additional properties" in done.stderr.lower()


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("operatorService.allowedProviders", [], "allowedProviders must name at least one"),
        ("chain.enabled", False, "chain.rpcUrl must be set"),
        ("images.s3", "", "images.s3 must be set"),
        ("postgres.enabled", False, "postgres.host must be set"),
    ],
)
def test_a_missing_value_is_asked_for(template: Template, path: str, value: object, said: str) -> None:
    done = template(changed(path, value))
    assert done.returncode != 0
    assert said in done.stderr


def test_the_smallest_values_are_enough(template: Template) -> None:
    assert template(GOOD).returncode == 0


def test_every_section_of_the_schema_is_closed() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())

    def walk(node: object, path: str) -> None:
        if isinstance(node, dict):
            if "properties" in node:
                assert node.get("additionalProperties") is False, path
            for key, inner in node.items():
                walk(inner, f"{path}.{key}")

    walk(schema, "")


def test_every_default_is_described_by_the_schema() -> None:
    import yaml

    schema = json.loads((CHART / "values.schema.json").read_text())
    assert yaml.safe_load((CHART / "values.yaml").read_text()).keys() == schema["properties"].keys() - {
        "global"
    }
