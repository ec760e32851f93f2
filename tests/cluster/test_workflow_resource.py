"""The WorkFlow as a resource: what the API server itself holds to, and how it looks through kubectl."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from c2d_box.errors import C2DError
from c2d_box.kubernetes.sync_client import KubeApi

WORKFLOWS = "/apis/oceanprotocol.com/v1alpha/namespaces/default/workflows"
STAGE = {
    "index": 0,
    "input": [{"index": 0, "id": "did:op:" + "a" * 64, "files": 1, "remote": {"txId": "0x1"}}],
    "algorithm": {
        "id": "did:op:" + "b" * 64,
        "algocustomdata": {"depth": {"deeper": [1, 2]}},
        "container": {"entrypoint": "x", "image": "i", "tag": "t", "checksum": "sha256:" + "0" * 64},
    },
    "compute": {"Instances": 1},
    "output": {"publish": {"name": "n"}},
}
SPEC: dict[str, Any] = {
    "owner": "0xabc",
    "agreementId": "0x1",
    "environment": "e",
    "chainId": 8996,
    "maxtime": 60,
    "validUntil": 2_000_000_000,
    "stages": [STAGE],
}


@pytest.fixture
def job(kube: KubeApi) -> Iterator[str]:
    """A workflow in a namespace that no engine attends to."""
    name = f"resource-{uuid.uuid4().hex[:8]}"
    body = {
        "apiVersion": "oceanprotocol.com/v1alpha",
        "kind": "WorkFlow",
        "metadata": {"name": name, "namespace": "default"},
        "spec": SPEC,
    }
    kube.apply(f"{WORKFLOWS}/{name}", body)
    yield name
    kube.delete(f"{WORKFLOWS}/{name}")


def patched(kubectl: Callable[..., Any], job: str, patch: dict[str, Any], *more: str) -> tuple[int, str]:
    done = kubectl("kubectl", "patch", "wf", job, "--type=merge", "-p", json.dumps(patch), *more, check=False)
    return done.returncode, done.stdout + done.stderr


def changed_stage(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    stage = copy.deepcopy(STAGE)
    change(stage)
    return {"spec": {"stages": [stage]}}


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"owner": "0xdef"}},
        {"spec": {"owner": None}},
        {"spec": {"agreementId": "0x2"}},
        {"spec": {"environment": "f"}},
        {"spec": {"chainId": 1}},
        {"spec": {"chainId": None}},
        {"spec": {"providerAddress": "0x3"}},
        {"spec": {"maxtime": 600}},
        {"spec": {"maxtime": None}},
        {"spec": {"validUntil": 2_100_000_000}},
        changed_stage(lambda stage: stage["algorithm"]["container"].update(image="evil")),
        changed_stage(lambda stage: stage["algorithm"].update(rawcode="evil")),
        changed_stage(lambda stage: stage["algorithm"]["algocustomdata"]["depth"]["deeper"].append(3)),
        changed_stage(lambda stage: stage["input"].append({"id": "did:op:more"})),
        changed_stage(lambda stage: stage["output"]["publish"].update(name="other")),
        changed_stage(lambda stage: stage["compute"].update(Instances=2)),
    ],
    ids=lambda patch: json.dumps(patch)[:60],
)
def test_what_was_ordered_cannot_be_changed(cli: Callable[..., Any], job: str, patch: dict[str, Any]) -> None:
    code, said = patched(cli, job, patch)
    assert code != 0, said
    assert "fixed" in said


def test_a_stop_can_be_asked_for_and_not_taken_back(cli: Callable[..., Any], job: str) -> None:
    assert patched(cli, job, {"spec": {"stop": True}})[0] == 0
    code, said = patched(cli, job, {"spec": {"stop": False}})
    assert code != 0
    assert "stays stopped" in said


def test_a_finished_job_stays_as_it_ended(cli: Callable[..., Any], job: str) -> None:
    status = "--subresource=status"
    first = {
        "status": {"code": 70, "algorithm": {"uid": "u1"}, "times": {"finished": "2026-01-01T00:00:00Z"}}
    }
    assert patched(cli, job, first, status)[0] == 0
    for change in (
        {"status": {"code": 75}},
        {"status": {"times": {"finished": "2026-01-02T00:00:00Z"}}},
        {"status": {"times": None}},
    ):
        code, said = patched(cli, job, change, status)
        assert code != 0
        assert "stays as it ended" in said
    code, said = patched(cli, job, {"status": {"algorithm": {"uid": "u2"}}}, status)
    assert code != 0
    assert "one pod only" in said
    assert patched(cli, job, {"status": {"times": {"cleaned": "2026-01-01T00:00:01Z"}}}, status)[0] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"environment": ""}, "environment"),
        ({"stages": []}, "stages"),
        ({"stages": [STAGE, STAGE]}, "stages"),
        ({"stages": [{"algorithm": {"container": {"image": "i"}}}]}, "entrypoint"),
        ({"maxtime": 0}, "maxtime"),
        ({"jobId": "another"}, "jobId"),
        ({"stages": [{**STAGE, "input": [{"id": "../../etc"}]}]}, "id"),
    ],
)
def test_what_is_no_job_is_refused(kube: KubeApi, change: dict[str, Any], said: str) -> None:
    name = f"refused-{uuid.uuid4().hex[:8]}"
    body = {
        "apiVersion": "oceanprotocol.com/v1alpha",
        "kind": "WorkFlow",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {**SPEC, **change},
    }
    with pytest.raises(C2DError) as problem:
        kube.apply(f"{WORKFLOWS}/{name}", body)
    assert said in str(problem.value)


def test_kubectl_shows_what_people_want_to_know(cli: Callable[..., Any], job: str) -> None:
    short = cli("kubectl", "get", "wf", job).stdout
    assert short.splitlines()[0].split() == [
        "NAME",
        "PHASE",
        "STATUS",
        "TEXT",
        "ENVIRONMENT",
        "FINISHED",
        "AGE",
    ]
    wide = cli("kubectl", "get", "wf", job, "-o", "wide").stdout.splitlines()[0].split()
    assert {"OWNER", "IMAGE", "STARTED", "ENDED", "EXIT", "REASON"} <= set(wide)
    explained = cli("kubectl", "explain", "workflows.spec.stop").stdout
    assert "stop the job" in explained
