"""What ends a pod is wrong inside of it: no other service's absence makes Kubernetes restart ours."""

from __future__ import annotations

from typing import Any

import pytest

Object = dict[str, Any]
OURS = ("chain", "cache", "provider", "operator-service", "operator-engine")


def container(objects: list[Object], name: str) -> Object:
    kinds = ("Deployment", "StatefulSet", "DaemonSet")
    found = next(o for o in objects if o["kind"] in kinds and o["metadata"]["name"] == name)
    first: Object = found["spec"]["template"]["spec"]["containers"][0]
    return first


def path(probe: Object) -> str:
    return str(probe["httpGet"]["path"])


@pytest.mark.parametrize("name", (*OURS, "provisioner"))
def test_liveness_is_about_the_process_and_readiness_about_its_duties(box: list[Object], name: str) -> None:
    made = container(box, name)
    assert path(made["livenessProbe"]) == path(made["startupProbe"]) == "/livez"
    assert path(made["readinessProbe"]) == "/readyz"


@pytest.mark.parametrize("name", [name for name in OURS if name != "chain"])
def test_the_same_in_a_cloud(cloud: list[Object], name: str) -> None:
    made = container(cloud, name)
    assert path(made["livenessProbe"]) == path(made["startupProbe"]) == "/livez"


def test_a_cache_may_read_a_long_chain_before_it_is_ready(cloud: list[Object]) -> None:
    """Startup asks the process only, so that hours of reading end nothing."""
    startup = container(cloud, "cache")["startupProbe"]
    assert startup["failureThreshold"] * startup["periodSeconds"] >= 600


def test_strangers_are_limited_by_default_and_a_boxs_own_user_is_not(cloud: list[Object]) -> None:
    from tests.unit.chart.test_configs import config

    assert 60 <= config(cloud, "provider")["limits"]["perMinute"] <= 6000
