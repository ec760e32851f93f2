"""Jobs written by hand, through the real engine and the real pods: how each way to end looks, and what is
left.

No Provider, chain or operator-service is needed for these: a WorkFlow that carries its own code runs by
itself.
"""

from __future__ import annotations

import base64
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.box import Box
from sandbox.bundle import Bundle
from tests.cluster.conftest import wait_until

JOBS = "/apis/oceanprotocol.com/v1alpha/namespaces/c2d-jobs/workflows"
PODS = "/api/v1/namespaces/c2d-jobs/pods"
CLAIMS = "/api/v1/namespaces/c2d-jobs/persistentvolumeclaims"
SECRETS = "/api/v1/namespaces/c2d-jobs/secrets"
MINUTES = 180


class Bench:
    """Starts workflows and waits for their ends."""

    def __init__(self, kube: KubeApi, image: str, digest: str) -> None:
        self.kube = kube
        self.container = {"image": image, "tag": "latest", "checksum": digest}
        self.made: list[str] = []

    def start(self, name: str, code: str, entrypoint: str = "python3 $ALGO", **spec: Any) -> str:
        job = f"{name}-{int(time.time() * 1000) % 10_000_000}"
        body = {
            "apiVersion": "oceanprotocol.com/v1alpha",
            "kind": "WorkFlow",
            "metadata": {"name": job, "namespace": "c2d-jobs"},
            "spec": {
                "owner": "0xhand",
                "environment": "ocean-compute",
                "stages": [
                    {
                        "algorithm": {
                            "rawcode": code,
                            "container": {"entrypoint": entrypoint, **self.container},
                        }
                    }
                ],
                **spec,
            },
        }
        container = body["spec"]["stages"][0]["algorithm"]["container"]  # type: ignore[index]
        container.update(spec.pop("container", {}))
        body["spec"].pop("container", None)  # type: ignore[attr-defined]
        self.kube.apply(f"{JOBS}/{job}", body)
        self.made.append(job)
        return job

    def status(self, job: str) -> dict[str, Any]:
        return (self.kube.get(f"{JOBS}/{job}") or {}).get("status") or {}

    def until(
        self, job: str, condition: Callable[[dict[str, Any]], Any], seconds: float = MINUTES
    ) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = self.status(job)
            if condition(status):
                return status
            time.sleep(0.1)
        pytest.fail(f"{job} got no further than {json.dumps(self.status(job))}")

    def finished(self, job: str) -> dict[str, Any]:
        return self.until(job, lambda status: "finished" in status.get("times", {}))

    def cleaned(self, job: str) -> dict[str, Any]:
        return self.until(job, lambda status: "cleaned" in status.get("times", {}))

    def left(self, job: str) -> list[str]:
        selector = {"labelSelector": f"c2d.oceanprotocol.com/job={job}"}
        return [
            f"{path.rsplit('/', 1)[-1]} {body['metadata']['name']}"
            for path in (PODS, CLAIMS, SECRETS)
            for body in self.kube.items(path, **selector)
        ]


@pytest.fixture(scope="module")
def bench(kube: KubeApi) -> Iterator[Bench]:
    image = Bundle.open_cached(parts=["algo-python"]).image("algo-python")
    made = Bench(kube, image.reference.partition("@")[0].rpartition(":")[0] or image.reference, image.digest)
    yield made
    for job in made.made:
        kube.delete(f"{JOBS}/{job}")


def test_a_job_by_hand_ends_with_results_and_leaves_nothing(bench: Bench, box: Box) -> None:
    code = """
import json, os, pathlib
print("running as", os.getuid(), os.getgid())
pathlib.Path("/data/outputs/sub").mkdir()
found = {name: os.environ[name] for name in ("DIDS", "INPUTS", "HOME")}
pathlib.Path("/data/outputs/sub/x.json").write_text(json.dumps(found))
print(open("/data/inputs/algoCustomData.json").read())
"""
    job = bench.start("plain", code)
    status = bench.cleaned(job)
    assert (status["code"], status["text"], status["phase"]) == (70, "Job finished", "Finished")
    assert [result["filename"] for result in status["results"]] == [
        "sub/x.json",
        "algorithm.log",
        "configure.log",
        "evidence.json",
    ]
    assert bench.left(job) == []
    assert status["isolation"]["verdict"] == "closed"
    assert status["isolation"]["answered"] == []
    assert status["isolation"]["probes"] >= 10
    url = status["results"][0]["url"].replace(
        "ipfs://", box.service_urls["ipfs-gateway"].rstrip("/") + "/ipfs/"
    )
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert json.loads(answer.read())["DIDS"] == "[]"


def test_describing_a_job_tells_its_story(bench: Bench, kubectl: Callable[..., str]) -> None:
    job = bench.start("story", "raise SystemExit(4)\n")
    bench.cleaned(job)
    words = ("PlaceGiven", "InputsInPlace", "NetworkClosed", "AlgorithmFailed", "exit code 4", "NothingLeft")

    def told() -> bool:
        text = kubectl("describe", "workflow", job, "-n", "c2d-jobs")
        return all(word in text.partition("Events:")[2] for word in words)

    assert wait_until(told, what="its story")


def test_its_stages_have_their_times(bench: Bench) -> None:
    job = bench.start("times", "print('quick')\nimport time\ntime.sleep(0.5)\n")
    times = bench.cleaned(job)["times"]
    order = ["admitted", "bound", "staged", "started", "exited", "ended", "judged", "uploaded", "cleaned"]
    assert [times[moment] for moment in order] == sorted(times[moment] for moment in order)


@pytest.mark.parametrize(
    ("name", "code", "expected", "reason"),
    [
        ("crash", "raise SystemExit('it went wrong')", 75, "exit code 1"),
        ("signal", "import os\nos.kill(os.getpid(), 11)", 75, "signal 11"),
        ("memory", "x = []\nwhile True: x.append(bytearray(50_000_000))", 76, "memory"),
        ("link", "import os\nos.symlink('/etc/passwd', '/data/outputs/x')", 77, "symbolic link"),
        ("disk", "f = open('/data/outputs/x', 'wb')\nwhile True: f.write(b'0' * (1 << 20))", 76, "volume"),
    ],
)
def test_each_failure_has_its_number_and_its_reason(
    bench: Bench, name: str, code: str, expected: int, reason: str
) -> None:
    status = bench.finished(bench.start(name, f"# {name}\n{code}\n"))
    assert status["code"] == expected, status
    assert reason in status["reason"]
    assert "algorithmLog" in [result["type"] for result in status["results"]]


def test_an_image_that_is_not_there_is_said_to_be_missing(bench: Bench) -> None:
    job = bench.start("image", "print('never')\n", container={"checksum": "sha256:" + "0" * 64})
    status = bench.cleaned(job)
    assert status["code"] == 32
    assert "image" in status["reason"]
    assert "started" not in status["times"]


def test_the_time_limit_ends_a_job_and_what_it_wrote_is_published(bench: Bench) -> None:
    code = "import time\nopen('/data/outputs/part','w').write('1')\nprint('working')\ntime.sleep(600)\n"
    status = bench.finished(bench.start("limit", code, maxtime=3))
    assert (status["code"], status["stop"]) == (70, 2)
    assert "part" in [result["filename"] for result in status["results"]]


def test_a_stop_ends_a_job_and_what_it_wrote_is_published(bench: Bench, kubectl: Callable[..., str]) -> None:
    code = "import time\nopen('/data/outputs/part','w').write('1')\ntime.sleep(600)\n"
    job = bench.start("stop", code)
    bench.until(job, lambda status: status.get("code") == 40)
    time.sleep(2)
    kubectl("-n", "c2d-jobs", "patch", "wf", job, "--type=merge", "-p", '{"spec": {"stop": true}}')
    status = bench.cleaned(job)
    assert (status["code"], status["stop"]) == (70, 1)
    assert "part" in [result["filename"] for result in status["results"]]
    assert bench.left(job) == []


def test_a_workflow_deleted_by_hand_takes_everything_with_it(bench: Bench) -> None:
    job = bench.start("delete", "import time\ntime.sleep(600)\n")
    bench.until(job, lambda status: status.get("code") == 40)
    bench.kube.delete(f"{JOBS}/{job}")
    deadline = time.monotonic() + 60
    while bench.kube.get(f"{JOBS}/{job}") is not None and time.monotonic() < deadline:
        time.sleep(0.2)
    assert bench.kube.get(f"{JOBS}/{job}") is None
    assert bench.left(job) == []


def test_an_engine_killed_while_a_job_runs_takes_it_up(bench: Bench, kubectl: Callable[..., str]) -> None:
    job = bench.start("engine", "import time\ntime.sleep(6)\nopen('/data/outputs/once','w').write('1')\n")
    bench.until(job, lambda status: status.get("code") == 40)
    kubectl(
        "-n",
        "c2d",
        "delete",
        "pod",
        "-l",
        "app.kubernetes.io/name=operator-engine",
        "--grace-period=0",
        "--force",
    )
    status = bench.finished(job)
    assert status["code"] == 70, status
    assert "once" in [result["filename"] for result in status["results"]]


HOSTILE = {
    "network": """
import socket, sys
for host, port in (("10.96.0.1", 443), ("8.8.8.8", 53), ("169.254.169.254", 80)):
    try:
        socket.create_connection((host, port), 2)
        sys.exit(9)
    except OSError as error:
        print(host, error)
""",
    "service account": """
import os, sys
sys.exit(9 if os.path.exists("/var/run/secrets/kubernetes.io") else 0)
""",
    "inputs": """
import sys
for path in ("inputs/x", "transformations/algorithm", "ddos/x", "../c2d-go/ahead", "../x", "../c2d/gate"):
    try:
        open("/data/" + path, "w")
        sys.exit(9)
    except OSError as error:
        print(path, error)
""",
    "gate": """
import sys
for path in ("/proc/1/mem", "/proc/1/environ", "/proc/1/fd/1"):
    try:
        open(path, "rb").read(1)
        sys.exit(9)
    except OSError as error:
        print(path, error)
import os, signal
os.kill(1, signal.SIGKILL)
os.kill(1, signal.SIGSTOP)
print("the gate lives")
""",
    "other folders": """
import os, sys
sys.exit(9 if set(os.listdir("/data")) - {"inputs", "transformations", "ddos", "outputs", "logs"} else 0)
""",
    "privileges": """
import os, sys
status = open("/proc/self/status").read()
fields = dict(line.split(":\\t", 1) for line in status.splitlines() if ":\\t" in line)
ok = int(fields["CapEff"], 16) == 0 and fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2"
sys.exit(0 if ok and os.getuid() == 10003 else 9)
""",
}


@pytest.mark.parametrize("attack", sorted(HOSTILE))
def test_a_hostile_algorithm_gets_nowhere(bench: Bench, attack: str) -> None:
    status = bench.finished(bench.start("hostile", HOSTILE[attack]))
    assert status["code"] == 70, status


def test_pods_of_a_job_hold_no_credential_of_the_store(bench: Bench) -> None:
    job = bench.start("secrets", "import time\ntime.sleep(3)\n")
    bench.until(job, lambda status: status.get("code") == 40)
    secret = bench.kube.get(f"{SECRETS}/{job}-stages") or {}
    token = json.loads(base64.b64decode(secret["data"]["store.json"]))["token"]
    text = json.dumps(
        [bench.kube.get(f"{PODS}/{job}-{part}") for part in ("configuration", "algorithm", "publishing")]
    )
    assert token not in text
    assert job in text
    bench.finished(job)
