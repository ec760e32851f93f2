"""What an environment does not take ends at once, with the reason, before anything is made for it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from c2d_box.kubernetes.port import CLAIMS, PODS
from c2d_box.operator_engine.state import job_runtime
from c2d_box.workflow import names
from c2d_box.workflow.environments import Environment, ImagePolicy
from c2d_box.workflow.resource import WORKFLOWS
from tests.unit.operator_engine.conftest import EngineStack, make_settings

JOB = "0" * 31 + "1"
DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("environment", "spec", "code", "reason"),
    [
        ({}, {"environment": "elsewhere"}, 81, "no environment elsewhere (there are: ocean-compute)"),
        ({"images": {"allow": ["docker.io/library/*"]}}, {}, 32, "not among those this environment allows"),
        ({"allowedChainId": [1]}, {"chainId": 2}, 32, "takes jobs of chain 1 only"),
        ({"maxJobs": 0, "maxQueueTime": 0.05}, {}, 80, "No place in the environment"),
    ],
)
async def test_it_ends_at_once_and_says_why(
    secrets: Path, environment: dict[str, Any], spec: dict[str, Any], code: int, reason: str
) -> None:
    base = {"id": "ocean-compute", "maxJobs": 2, "maxJobDuration": 60, "diskGB": 1}
    stack = EngineStack(make_settings(environments=[{**base, **environment}]), secrets)
    await stack.start()
    try:
        await stack.submit(JOB, **spec)
        await stack.node.until(lambda: stack.node.workflow(JOB).finished)
        workflow = stack.node.workflow(JOB)
        assert workflow.status.code == code
        assert reason in (workflow.status.reason or "")
        assert stack.cluster.names(PODS) == stack.cluster.names(CLAIMS) == ()
    finally:
        await stack.stop()


async def test_an_environment_that_goes_ends_its_jobs_and_cleans_up(secrets: Path) -> None:
    stack = EngineStack(make_settings(), secrets)
    await stack.start()
    try:
        await stack.submit(JOB)
        await stack.node.bind(JOB)
        await stack.node.start(names.pod_name(JOB, "algorithm"), "warden", "algorithm")
        await stack.node.until(lambda: stack.node.workflow(JOB).status.algorithm.uid is not None)
        stack.settings = make_settings(environments=[{"id": "other"}])
        await stack.crash()
        await stack.node.until(lambda: stack.node.workflow(JOB).finished)
        assert stack.node.workflow(JOB).status.code == 81
        for _ in range(100):
            await stack.controller.wait_idle()
            await stack.node.collect()
            if stack.node.workflow(JOB).at("cleaned") is not None:
                break
        assert stack.cluster.names(PODS) == stack.cluster.names(CLAIMS) == ()
    finally:
        await stack.stop()


@pytest.mark.parametrize("checksum", ["", "latest", "sha256:abc", "sha256:" + "A" * 64, "sha512:" + "a" * 64])
def test_an_image_without_a_digest_is_refused(checksum: str) -> None:
    assert "digest" in (ImagePolicy().refusal_of("x", checksum) or "")
    assert ImagePolicy(require_digest=False).refusal_of("x", checksum) is None


@pytest.mark.parametrize(
    ("allow", "image", "may"),
    [
        (("*",), "any/thing", True),
        (("c2d.local/*",), "c2d.local/algo-python", True),
        (("c2d.local/*",), "evil.example/c2d.local/algo", False),
        (("c2d.local/*",), "C2D.LOCAL/algo", False),
        (("a", "b"), "b", True),
        (("a",), "a/b", False),
    ],
)
def test_the_list_of_images_is_meant_literally(allow: tuple[str, ...], image: str, may: bool) -> None:
    assert (ImagePolicy(allow=allow).refusal_of(image, DIGEST) is None) is may


def test_the_wire_shows_our_keys_only_where_they_say_something() -> None:
    plain = Environment(id="e").announced(current_jobs=0, last_seen=1.0)
    assert not {"priority", "images", "freeQuota", "maxQueueTime", "maxJobsPerOwner"} & set(plain)
    rich = Environment.model_validate({"id": "e", "freeQuota": {"jobs": 3}}).announced(
        current_jobs=0, last_seen=1.0
    )
    assert rich["freeQuota"] == {"jobs": 3, "seconds": 86400}


async def test_a_job_is_planned_for_a_bounded_number_of_times(stack: Any) -> None:
    """Whatever news there is of it: a burst, and then one plan in so many seconds."""
    began = time.monotonic()
    await stack.submit(JOB)
    await stack.node.bind(JOB)
    await stack.node.until(lambda: names.pod_name(JOB, "algorithm") in stack.cluster.names(PODS))
    for number in range(600):
        await stack.cluster.patch(WORKFLOWS, JOB, {"metadata": {"annotations": {"noise": str(number)}}})
        await stack.controller.wait_idle()
    seconds = time.monotonic() - began
    assert stack.controller.metrics.most <= job_runtime.BURST + seconds / job_runtime.REFILL_SECONDS + 1


async def test_conditions_tell_the_stages(stack: Any) -> None:
    await stack.submit(JOB)
    await stack.node.bind(JOB)
    await stack.cluster.patch(WORKFLOWS, JOB, {"spec": {"stop": True}})
    await stack.node.until(lambda: stack.node.workflow(JOB).finished)
    body = await stack.cluster.get(WORKFLOWS, JOB)
    assert body is not None
    found = {entry["type"]: entry["status"] for entry in body["status"]["conditions"]}
    assert found == {"Admitted": "True", "Finished": "True", "Succeeded": "True"}
