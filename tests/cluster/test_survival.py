"""Every part of the box killed in every phase of a job: the job ends as it should, its algorithm ran once,
its results are there once, nothing is left of it.

All cells with ``--full``, some by the commit otherwise; ``--write-docs`` adds what was seen to
docs/survival.md, cell by cell, so that the table can be filled in several runs.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from c2d_box.client import JobRequest
from c2d_box.errors import C2DError
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.box import Box
from sandbox.verbs.compute import jobs
from tests.cluster.conftest import ComputePair, finish_verb
from tests.cluster.survival_table import PHASES, Cell, add
from tests.conftest import sample_cells
from tests.harness import process_kills

WORKFLOWS = "/apis/oceanprotocol.com/v1alpha/namespaces/c2d-jobs/workflows"
LEFT = (
    "/api/v1/namespaces/c2d-jobs/pods",
    "/api/v1/namespaces/c2d-jobs/persistentvolumeclaims",
    "/api/v1/namespaces/c2d-jobs/secrets",
    "/apis/coordination.k8s.io/v1/namespaces/c2d-jobs/leases",
)
PROGRAM = """
import time
with open("/data/outputs/runs", "a") as file:
    file.write("one\\n")
print("running")
time.sleep(4)
print("done")
"""
SECONDS = 240.0
CELLS = [(part, phase) for phase in PHASES for part in process_kills.PARTS]


def expected(part: str, phase: str, struck: int) -> set[int]:
    """The numbers of design.md's "Final states". A gate is killed with the program in it, or while it waits
    for the go-ahead; before there is one the blow waits for it.
    """
    if part == "gate" and struck:
        return {75} if phase == "running" else {75, 81}
    if part == "containerd" and phase in ("preparing", "staging", "running"):
        return {70, 81}
    return {70}


def chosen(config: pytest.Config) -> list[tuple[str, str]]:
    return sample_cells(CELLS, 2, os.environ.get("C2D_TEST_SEED", "0"), bool(config.getoption("--full")))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if {"part", "phase"} <= set(metafunc.fixturenames):
        metafunc.parametrize(("part", "phase"), chosen(metafunc.config))


@pytest.fixture(scope="module")
def pair(publish_pair: Callable[[str, str], ComputePair]) -> ComputePair:
    return publish_pair("a,b\n" + "1,2\n" * 500_000, PROGRAM)


class Assassin(threading.Thread):
    """Follows the job that is about to come, and strikes when its phase begins."""

    def __init__(self, box: Box, part: str, phase: str) -> None:
        super().__init__(daemon=True)
        self._box, self._part, self._phase = box, part, phase
        self._kube = box.kube_api()
        listed = self._kube.get(WORKFLOWS) or {}
        self._version = listed["metadata"]["resourceVersion"]
        self.job = ""
        self.heard = threading.Event()
        self.struck = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            with self._kube:
                self._follow()
        except BaseException as failure:
            self.failure = failure

    def _follow(self) -> None:
        query = {"watch": "true", "resourceVersion": self._version}
        news = self._kube.lines(WORKFLOWS, **query)
        with closing(cast("Generator[str]", news)):
            for line in news:
                body = json.loads(line)["object"]
                self.job = body["metadata"]["name"]
                self.heard.set()
                times = (body.get("status") or {}).get("times") or {}
                if PHASES[self._phase] is None or PHASES[self._phase] in times:
                    break
        if self._phase == "running":
            time.sleep(1.0)  # between the inputs' arrival and the algorithm's first line
        self._strike()

    def _strike(self) -> None:
        """A part of the job may be about to start: then the blow waits for it, but not for long."""
        deadline = time.monotonic() + (3.0 if self._part in process_kills.STAGES else 0.0)
        while not self.struck:
            self.struck = process_kills.kill_part(self._box, self._kube, self._part, self.job)
            if time.monotonic() >= deadline:
                return
            time.sleep(0.02)


@pytest.fixture
def healthy(box: Box, kube: KubeApi, part: str) -> Iterator[None]:
    process_kills.wait_healthy(box, kube)
    yield
    process_kills.wait_healthy(box, kube)
    process_kills.renew_part(kube, part)
    process_kills.wait_healthy(box, kube)


@pytest.mark.usefixtures("healthy")
def test_a_job_survives(
    box: Box, kube: KubeApi, pair: ComputePair, part: str, phase: str, request: pytest.FixtureRequest
) -> None:
    assassin = Assassin(box, part, phase)
    assassin.start()
    lost = _started(box, pair, assassin)
    began = time.monotonic()
    assassin.join(SECONDS)
    assert assassin.failure is None, assassin.failure
    body = _cleaned(kube, assassin.job)
    seconds = time.monotonic() - began
    status = body["status"]
    cell = Cell(part, phase, status["code"], assassin.struck, status.get("reason") or "", round(seconds, 1))
    if request.config.getoption("--write-docs"):
        add(cell)
    assert status["code"] in expected(part, phase, assassin.struck), (cell, lost)
    assert assassin.struck or part in process_kills.STAGES, f"{part} was not there to be killed"
    names = [result["filename"] for result in status.get("results") or ()]
    assert len(names) == len(set(names)), names
    process_kills.wait_healthy(box, kube)
    if "runs" in names:
        assert _runs(box, assassin.job, names.index("runs")) == 1
    assert "runs" in names or status["code"] != 70
    _nothing_left(kube, assassin.job)


def _started(box: Box, pair: ComputePair, assassin: Assassin) -> str:
    """Until there is a job; the code of the error where its answer was lost."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            finish_verb(jobs.start(box, "consumer", JobRequest(pair.dataset, pair.algorithm)))
        except C2DError as error:
            if assassin.heard.wait(5):
                return error.code
            if time.monotonic() > deadline:
                raise
        else:
            return ""


def _cleaned(kube: KubeApi, job: str) -> dict[str, Any]:
    deadline, last = time.monotonic() + SECONDS, ""
    while time.monotonic() < deadline:
        try:
            body = kube.get(f"{WORKFLOWS}/{job}") or {}
        except C2DError as error:
            last = error.message
        else:
            last = json.dumps(body.get("status"))
            if "cleaned" in ((body.get("status") or {}).get("times") or {}):
                return body
        time.sleep(0.3)
    pytest.fail(f"{job} got no further than {last}")


def _runs(box: Box, job: str, index: int) -> int:
    """How often the algorithm says it ran; read as the consumer reads it, as soon as that can be done again:
    a part that was killed a moment ago may still be called ready.
    """
    deadline = time.monotonic() + SECONDS
    with tempfile.TemporaryDirectory(prefix="c2d-runs-") as folder:
        while True:
            try:
                fetched = finish_verb(jobs.fetch_results(box, "consumer", job, Path(folder), index))
            except C2DError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
            else:
                return len(fetched[0].path.read_text().splitlines())


def _nothing_left(kube: KubeApi, job: str) -> None:
    """The volume itself goes a moment after the job's claim to it."""
    deadline = time.monotonic() + SECONDS
    while found := _left(kube, job):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def _left(kube: KubeApi, job: str) -> list[str]:
    selector = {"labelSelector": f"c2d.oceanprotocol.com/job={job}"}
    found = [f"{path} {body['metadata']['name']}" for path in LEFT for body in kube.items(path, **selector)]
    volumes = kube.items("/api/v1/persistentvolumes")
    claims = {
        (body["spec"].get("claimRef") or {}).get("name", ""): body["metadata"]["name"] for body in volumes
    }
    return found + [name for claim, name in claims.items() if claim.startswith(job)]
