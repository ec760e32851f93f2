"""The example for a cloud: it renders, services take what comes of it, and its page says what it needs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from c2d_box.operator_engine.effects.job_network import urls_for_jobs
from c2d_box.operator_engine.settings import EngineSettings
from tests.unit.chart.conftest import CHART
from tests.unit.chart.test_configs import READERS, config
from tests.unit.chart.test_rules import flows, of, outside, pods

Object = dict[str, Any]
Opening = tuple[str, list[str], list[int]]
PAGE = Path(__file__).parents[3] / "docs" / "install.md"
EXAMPLE = CHART / "values-cloud-example.yaml"
SERVICES = ("cache", "provider", "operator-service", "operator-engine")


@pytest.fixture(scope="module")
def example(template: Any) -> list[Object]:
    values = yaml.safe_load(EXAMPLE.read_text())
    values["networkPolicies"]["apiServer"] = {"cidrs": ["10.0.0.1/32"]}  # which a cluster would say itself
    done = template(values)
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.safe_load_all(done.stdout) if item]


@pytest.mark.parametrize("name", [*SERVICES, "provisioner"])
def test_each_service_takes_its_configuration(example: list[Object], name: str) -> None:
    READERS[name].model_validate(config(example, name))


def test_it_runs_our_services_and_none_that_is_outside(example: list[Object]) -> None:
    assert {name for name, _ in pods(example)} == {*SERVICES, "provisioner"}
    images = {container["image"] for _, spec in pods(example) for container in spec["containers"]}
    assert len(images) == 1 and images.pop().startswith("registry.example.org/c2d/runtime@sha256:")


def test_every_pod_can_be_pulled(example: list[Object]) -> None:
    assert all(spec["imagePullSecrets"] == [{"name": "registry"}] for _, spec in pods(example))
    assert config(example, "operator-engine")["imagePullSecrets"] == ["registry"]


def test_isolation_is_demanded_and_has_something_to_be_proven_by(example: list[Object]) -> None:
    engine = EngineSettings.model_validate(config(example, "operator-engine"))
    assert engine.warden.required and engine.runtime_classes.algorithm is None and not engine.host_users
    assert urls_for_jobs(engine) == [
        "http://operator-engine.c2d.svc:8051",
        "http://provider.c2d.svc:8030",
        "https://s3.eu-west-1.amazonaws.com",
    ]
    for namespace in ("c2d", "c2d-jobs"):
        assert of(example, "NetworkPolicy", "default-deny", namespace)


def test_the_ways_out_are_those_it_names(example: list[Object]) -> None:
    store: Opening = ("52.218.0.0/17", [], [443])
    database: Opening = ("10.20.0.0/24", [], [5432])
    api: Opening = ("10.0.0.1/32", [], [443, 6443])
    assert outside(example, "publishing", "c2d-jobs") == [store]
    assert outside(example, "configuration", "c2d-jobs") == []
    assert flows(example, "publishing") == {("operator-engine", 8051)}
    assert outside(example, "operator-service", "c2d") == [api, store, database]
    assert outside(example, "operator-engine", "c2d") == [api, database]


def test_volumes_are_made_where_jobs_are_scheduled(example: list[Object]) -> None:
    (jobs,) = of(example, "StorageClass", "c2d-jobs")
    engine = EngineSettings.model_validate(config(example, "operator-engine"))
    assert jobs["volumeBindingMode"] == "WaitForFirstConsumer" and engine.claims_wait
    (environment,) = engine.environments
    assert dict(pods(example))["provisioner"]["nodeSelector"] == environment.node_selector


def test_the_page_lists_the_secrets_that_the_example_needs(example: list[Object]) -> None:
    needed = {}
    for item in of(example, "Deployment"):
        for volume in item["spec"]["template"]["spec"]["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                if secret := source.get("secret"):
                    needed[secret["name"]] = {entry["key"] for entry in secret["items"]}
    rows = re.findall(r"\| `([a-z-]+-secrets)` \| (.+) \|", PAGE.read_text())
    assert {name: set(re.findall(r"`([^`]+)`", keys)) for name, keys in rows} == needed


def test_the_page_installs_this_chart_and_names_what_it_did_not_try() -> None:
    text = PAGE.read_text()
    (command,) = re.findall(r"^helm .*$", text, re.MULTILINE)
    words = shlex.split(command)
    assert (PAGE.parents[1] / words[4]).resolve() == CHART and words[words.index("--namespace") + 1] == "c2d"
    assert f"../charts/c2d/{EXAMPLE.name}" in text
    assert "policy engine" in text.split("**Not tried**")[1]
