"""The algorithm's container: what it may write, what it is told, and by what name it is known."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from c2d_box.kubernetes.memory import MemoryCluster
from c2d_box.kubernetes.port import CONFIG_MAPS
from c2d_box.operator_engine.effects.algorithm_variables import ocean_variables
from c2d_box.operator_engine.effects.executor import install_gate
from c2d_box.operator_engine.effects.pod_builder import BESIDE_GATE, ManifestBuilder
from c2d_box.operator_engine.rules import isolation_report
from c2d_box.pods.warden import restrictions
from c2d_box.workflow import names, resource
from c2d_box.workflow.environments import Environment
from tests.unit.operator_engine.conftest import make_settings, workflow_body

JOB = "a" * 32


def pod(environment: Environment | None = None, output: dict[str, Any] | None = None) -> dict[str, Any]:
    body = workflow_body(JOB)
    if output is not None:
        body["spec"]["stages"][0]["output"] = output
    chosen = environment or make_settings().environments[0]
    made = ManifestBuilder(make_settings(), "gate").stage_pod(
        resource.parse_workflow(body), chosen, "algorithm", 1, "s"
    )
    return dict(made["spec"])


def gate_options(**given: Any) -> list[str]:
    command: list[str] = pod(**given)["containers"][1]["command"]
    return command[1 : command.index("--")]


@pytest.mark.parametrize(("disk", "memory", "largest"), [(2, 1, 2 << 30), (0.5, 4, 4 << 30)])
def test_no_file_is_larger_than_the_jobs_disk_or_memory(disk: float, memory: float, largest: int) -> None:
    environment = Environment(id="x", diskGB=disk, ramGB=memory)
    assert f"--file={largest}" in gate_options(environment=environment)


def test_under_disclosure_rules_nothing_is_shown_while_it_runs() -> None:
    assert "--live=no" in gate_options(output={"disclosure": {"maxFiles": 1}})
    assert "--live=no" in gate_options(output={"disclosure": {}}), "rules that allow everything are rules"
    assert "--live=no" not in gate_options()
    assert "--live=no" not in gate_options(output={"publishAlgorithmLog": True})


def test_its_termination_log_lies_where_kubernetes_masks() -> None:
    """A file of the node's disk that everybody may write; it lies in memory of its own here only by name."""
    masked_by_kubernetes = "/sys/firmware"
    container = pod()["containers"][1]
    assert Path(container["terminationMessagePath"]).parent == Path(masked_by_kubernetes)
    assert masked_by_kubernetes in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_the_counters_of_the_nodes_disks_are_masked() -> None:
    mounts = {mount["mountPath"]: mount for mount in pod()["containers"][1]["volumeMounts"]}
    for path in make_settings().masked:
        assert mounts[path]["readOnly"]
        assert Path(path).exists(), "the runtime cannot mount over what is not there"
    assert mounts["/proc/diskstats"]["subPath"] == "nothing"


def test_what_it_can_write_is_memory_or_its_own_disk() -> None:
    """No folder of the node's disk: what lies there is unlinked at the end and not overwritten."""
    spec = pod()
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    writable = [mount["name"] for mount in spec["containers"][1]["volumeMounts"] if not mount["readOnly"]]
    for name in writable:
        volume = volumes[name]
        assert "persistentVolumeClaim" in volume or volume["emptyDir"]["medium"] == "Memory", name


def test_it_has_a_name() -> None:
    variables = ocean_variables(resource.parse_workflow(workflow_body(JOB)), "s")
    assert variables["USER"] == variables["LOGNAME"] == "algorithm"
    mounts = {mount["mountPath"]: mount for mount in pod()["containers"][1]["volumeMounts"]}
    for path in ("/etc/passwd", "/etc/group"):
        assert mounts[path]["subPath"] == Path(path).name and mounts[path]["readOnly"]


ASK = """
import getpass, grp, os, pwd
entry = pwd.getpwuid(os.getuid())
print(getpass.getuser(), entry.pw_name, entry.pw_dir, grp.getgrgid(os.getgid()).gr_name)
"""


def test_any_image_knows_the_algorithms_user(tmp_path: Path) -> None:
    """The files are put over those of an image, as the kubelet does it, and libc is asked."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv", "/usr/bin/python3"))):
        pytest.skip("mounting takes root, util-linux and a Python that everybody may run")
    for name in ("passwd", "group"):
        (tmp_path / name).write_text(BESIDE_GATE[name])
    mounts = "; ".join(f"mount --bind {tmp_path / name} /etc/{name}" for name in ("passwd", "group"))
    who = f"setpriv --reuid={names.UID_ALGORITHM} --regid={names.GID_JOB} --clear-groups"
    told = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", f'{mounts}; exec {who} env -i /usr/bin/python3 -c "$0"', ASK],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == ["algorithm", "algorithm", names.SCRATCH, "c2djob"]


def warden_told(**changes: Any) -> dict[str, Any]:
    made = ManifestBuilder(make_settings(**changes), "gate").stage_pod(
        resource.parse_workflow(workflow_body(JOB)), make_settings().environments[0], "algorithm", 1, "s"
    )
    variables = {entry["name"]: entry.get("value") for entry in made["spec"]["containers"][0]["env"]}
    return dict(json.loads(variables[names.ENV_WARDEN]))


def test_the_warden_demands_what_the_pod_asks_kubernetes_for() -> None:
    known = set(restrictions.of_this_process())
    assert set(warden_told(hostUsers=False)["restrictions"]) == known - {"cgroup"}
    assert "user_namespace" not in warden_told(hostUsers=True)["restrictions"]


def test_policies_alone_get_more_time_before_silence_counts() -> None:
    assert warden_told(runtimeClasses={"algorithm": "c2d-unrouted"})["timeout"] == 0.3
    assert warden_told(runtimeClasses={})["timeout"] >= 1.0


def test_the_proof_says_what_answered_and_when() -> None:
    report = {"verdict": "closed", "probes": [], "alive": ["10.0.0.9:8051"], "aliveSeconds": 0.02}
    taken = isolation_report.isolation_status(resource.parse_workflow(workflow_body(JOB)), report)
    assert taken["isolation"]["control"] == {"alive": ["10.0.0.9:8051"], "seconds": 0.02}
    old = isolation_report.isolation_status(
        resource.parse_workflow(workflow_body(JOB)), {"verdict": "closed", "probes": []}
    )
    assert old["isolation"]["control"] == {}


async def test_the_gates_object_is_named_by_all_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is immutable: other accounts beside the same gate have to be another object."""
    cluster = MemoryCluster()
    first = await install_gate(cluster, b"gate")
    body = await cluster.get(CONFIG_MAPS, first)
    assert body is not None and set(body["data"]) == {"passwd", "group", "nothing"}
    monkeypatch.setitem(BESIDE_GATE, "passwd", "other")
    assert await install_gate(cluster, b"gate") != first
