"""What the box file sets reaches the chart, restarts what is said, and is checked as helm checks it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema_rs
import pytest
import yaml

from sandbox.box import Box
from sandbox.box_file.changes import setting_changes
from sandbox.box_file.chart_check import BOX_KEYS, BOX_OWNED, chart_problems
from sandbox.home import BoxHome
from sandbox.install.chart_values import SERVICE_IMAGES, chart_folder, chart_values
from sandbox.install.user_values import LIMIT_PLACES, merged_values, nested_value
from sandbox.keys import open_keys
from sandbox.settings import BoxPorts, BoxSettings
from tests.unit.chart.conftest import DIGEST

Template = Callable[[Mapping[str, Any]], subprocess.CompletedProcess[str]]
SCHEMA: dict[str, Any] = json.loads((chart_folder() / "values.schema.json").read_text())
IMAGES = {name: f"c2d.local/{name}@{DIGEST}" for name in SERVICE_IMAGES}
ENVIRONMENT: dict[str, Any] = {
    **dict.fromkeys(("cpuNumber", "ramGB", "diskGB", "priceMin", "maxJobs", "maxJobDuration"), 1),
    "id": "a",
    "consumerAddress": "0x" + "1" * 40,
}


def values_of(folder: Path, settings: BoxSettings) -> dict[str, Any]:
    box = Box(BoxHome(folder), settings)
    box.__dict__["cluster"] = SimpleNamespace(
        service_cidr="10.96.0.0/16",
        dns_ip="10.96.0.10",
        node_ip="10.0.0.9",
        registry="",
        runtime_classes={"algorithm": "a", "configuration": "b", "publishing": "c"},
        volumes_root="/srv/volumes",
        devices="/dev",
    )
    values = chart_values(box, open_keys(folder / "keys"), IMAGES)
    return merged_values(values, {"networkPolicies": {"apiServer": {"cidrs": ["10.0.0.1/32"]}}})


def pods_of(template: Template, values: Mapping[str, Any]) -> dict[str, Any]:
    """The pod template of each service: a service restarts where its own is another."""
    done = template(values)
    assert done.returncode == 0, done.stderr
    return {
        item["metadata"]["name"]: item["spec"]["template"]
        for item in yaml.safe_load_all(done.stdout)
        if item and item["kind"] in ("Deployment", "DaemonSet", "StatefulSet")
    }


CHANGED = {
    **{f"limit {name}": {"limits": {name: 77}} for name in LIMIT_PLACES},
    "origins": {"origins": ("http://localhost:3000",)},
    "trust": {"trust_empty_lists": "all"},
    "store": {"result_store": "s3"},
    "isolation": {"cluster": "existing", "unproven_jobs": True},
    "port of a store": {"ports": BoxPorts(s3=19000)},
    "port of the Provider": {"ports": BoxPorts(provider=18030)},
    "other ports": {"ports": BoxPorts(chain=1, cache=2, operator_service=3, ipfs_api=4, ipfs_gateway=5)},
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_change_restarts_what_it_is_said_to_restart(name: str, tmp_path: Path, template: Template) -> None:
    before = BoxSettings()
    after = replace(before, **CHANGED[name])  # type: ignore[arg-type]
    old, new = (pods_of(template, values_of(tmp_path, each)) for each in (before, after))
    said = {part for change in setting_changes(before, after) for part in change.restarts}
    assert said == {part for part in new if new[part] != old.get(part)}


def test_values_of_the_chart_are_laid_on_top(tmp_path: Path) -> None:
    settings = BoxSettings(
        limits={"log_bytes": 5, "of_another_version": 1},
        values={"cache": {"span": 7}, "provider": {"limits": {"proxies": ["10.0.0.0/8"]}}},
    )
    plain, values = values_of(tmp_path, BoxSettings()), values_of(tmp_path, settings)
    assert values["provider"]["limits"] == {**plain["provider"]["limits"], "proxies": ["10.0.0.0/8"]}
    assert values["cache"] == {**plain["cache"], "span": 7}
    assert values["operatorEngine"] == {**plain["operatorEngine"], "limits": {"logBytes": 5}}


def test_every_place_that_the_box_file_names_is_one_of_the_chart() -> None:
    places = [*LIMIT_PLACES.values(), *(tuple(name.split(".")) for name in (*BOX_KEYS, *BOX_OWNED))]
    for place in places:
        schema = SCHEMA
        for key in place:
            assert key in schema["properties"], ".".join(place)
            schema = schema["properties"][key]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("cache.span", 0),
        ("cache.span", 5),
        ("cache.span", 5.0),
        ("cache.span", 5.5),
        ("cache.span", True),
        ("cache.span", None),
        ("cache.spann", 5),
        ("caches.span", 5),
        ("cache", []),
        ("cache.allowedPublishers", ["0x" + "1" * 40]),
        ("cache.allowedPublishers", ["me"]),
        ("provider.feeToken", None),
        ("provider.feeToken", "0x1"),
        ("provider.userData.accept", "described"),
        ("provider.userData.accept", "some"),
        ("resources.cache.limits.memory", "1Gi"),
        ("resources.cache.limits.disk", "1Gi"),
        ("environments", [{"id": "a"}]),
        ("environments", [ENVIRONMENT]),
        ("environments", [{**ENVIRONMENT, "id": "a b"}]),
        ("environments", [{**ENVIRONMENT, "freeQuota": {"seconds": 5}}]),
        ("operatorEngine.replicas", 6),
        ("jobs.quota", {"pods": 1}),
        ("jobs.quota", {"pods": "1"}),
        ("operatorEngine.masked", ["/etc/passwd"]),
        ("networkPolicies.rpcPorts", [0]),
    ],
)
def test_values_are_judged_as_helm_judges_them(place: str, value: Any) -> None:
    values = nested_value(tuple(place.split(".")), value)
    assert (not chart_problems(values, {})) is jsonschema_rs.validator_for(SCHEMA).is_valid(values)


def test_the_chart_uses_no_word_of_json_schema_that_is_not_checked() -> None:
    known = {
        *(
            "$ref",
            "type",
            "properties",
            "additionalProperties",
            "items",
            "enum",
            "pattern",
            "minimum",
            "anyOf",
        ),
        *("maximum", "exclusiveMinimum", "maxLength", "minItems", "required", "description", "definitions"),
        *("$schema", "title"),
    }

    def words(schema: Any) -> set[str]:
        if not isinstance(schema, dict):
            return set()
        found = set(schema)
        for key in ("properties", "definitions"):
            for inner in schema.get(key, {}).values():
                found |= words(inner)
        for inner in (schema.get("items"), schema.get("additionalProperties"), *schema.get("anyOf", [])):
            found |= words(inner)
        return found

    assert words(SCHEMA) <= known
