"""One real box for the whole test session, in a home of its own, beside whatever else runs on the machine.

Set ``C2D_TEST_HOME`` to use (and keep) a box that is already up: handy while writing tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from c2d_box.client import JobDetails, JobRequest
from c2d_box.client.evidence import verification
from c2d_box.kubernetes.sync_client import KubeApi
from c2d_box.workflow import evidence
from sandbox.box import Box, open_box
from sandbox.demo.story import DemoOutcome, demo
from sandbox.doctor.ports import is_free
from sandbox.home import BoxHome
from sandbox.progress import Progress, ProgressEvent, run_verb
from sandbox.settings import BoxPorts, BoxSettings
from sandbox.verbs.compute import jobs
from sandbox.verbs.lifecycle.down import reset
from sandbox.verbs.lifecycle.up import up
from sandbox.verbs.publishing import assets
from sandbox.verbs.sdk_connections import open_consumer

T = TypeVar("T")
OFFSETS = range(1100, 1740, 20)
"""Below the range from which the kernel takes ports for outgoing connections."""
SHELL_IMAGE = "c2d.local/algo-python"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/cluster/" in str(item.path):
            item.add_marker(pytest.mark.cluster)


def print_event(event: ProgressEvent) -> None:
    """Into pytest's captured output, so that a failure shows how far it got."""
    if event.state != "progress":
        print(f"{time.strftime('%X')} {event.state:<8} {event.step} {event.text} {event.seconds or ''}")


def free_ports() -> BoxPorts:
    """Ports that nobody holds now, so that two test sessions on one machine do not meet."""
    first = os.getpid() % len(OFFSETS)
    for offset in [*OFFSETS[first:], *OFFSETS[:first]]:
        ports = BoxPorts().with_offset(offset)
        if all(is_free(port) for port in ports.as_dict().values()):
            return ports
    pytest.fail(f"no free ports in {OFFSETS}")


def finish_verb(verb: Progress[T]) -> T:
    """Run a verb to its end."""
    return run_verb(verb, print_event)


@pytest.fixture(scope="session")
def box() -> Iterator[Box]:
    """A box that is up; stopped and forgotten at the end of the session."""
    if kept := os.environ.get("C2D_TEST_HOME"):
        yield open_box(Path(kept))
        return
    home = Path(tempfile.mkdtemp(prefix="c2d-t"))
    made = Box(BoxHome(home), BoxSettings(name="test", ports=free_ports(), cluster="native"))
    try:
        finish_verb(up(made, yes=True))
        yield made
    finally:
        finish_verb(reset(made, everything=True))


@pytest.fixture(scope="session")
def kube(box: Box) -> Iterator[KubeApi]:
    """The box's Kubernetes API."""
    api = box.kube_api()
    yield api
    api.close()


@pytest.fixture(scope="session")
def outcome(box: Box, tmp_path_factory: pytest.TempPathFactory) -> DemoOutcome:
    """The demo, run once for all tests that look at what it left."""
    return finish_verb(demo(box, tmp_path_factory.mktemp("demo"), yes=True))


@pytest.fixture(scope="session")
def cli(box: Box) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line on this box."""

    def call(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sandbox.cli", "--home", str(box.home.path), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if check and done.returncode != 0:
            pytest.fail(f"{' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    return call


@pytest.fixture(scope="session")
def kubectl(cli: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., str]:
    """kubectl, through the command line as a user has it."""
    return lambda *arguments: cli("kubectl", *arguments).stdout


@dataclass(frozen=True)
class ComputePair:
    """A dataset and an algorithm that may compute on it."""

    dataset: str
    algorithm: str


@pytest.fixture(scope="session")
def publish_pair(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], ComputePair]:
    """Publish a text as dataset and a Python program as algorithm, and permit the one on the other."""

    def publish(data: str, program: str) -> ComputePair:
        folder = tmp_path_factory.mktemp("pair")
        (folder / "data.csv").write_text(data)
        (folder / "algorithm.py").write_text(program)
        offer, run_offer = (
            assets.AssetOffer("test data"),
            assets.AssetOffer("test algorithm", services=("access",)),
        )
        dataset = finish_verb(assets.publish_dataset(box, "publisher", str(folder / "data.csv"), offer))
        algorithm = finish_verb(
            assets.publish_algorithm(
                box, "publisher", str(folder / "algorithm.py"), SHELL_IMAGE, "python3 $ALGO", run_offer
            )
        )
        finish_verb(assets.permit_algorithm(box, "publisher", dataset.did, algorithm.did))
        return ComputePair(dataset.did, algorithm.did)

    return publish


@pytest.fixture(scope="session")
def run_job(box: Box) -> Callable[[ComputePair], JobDetails]:
    """Start a job and follow it to its end."""

    def run_to_end(pair: ComputePair) -> JobDetails:
        job = finish_verb(jobs.start(box, "consumer", JobRequest(pair.dataset, pair.algorithm)))
        return finish_verb(jobs.follow(box, "consumer", job.id, timeout=120))

    return run_to_end


def algorithm_images(box: Box, job_id: str) -> set[str]:
    """Digests of the algorithm's image, of a job's evidence: the one in the pod's reference (empty for a
    tag), and the one that Kubernetes says ran.
    """
    with open_consumer(box, "consumer") as party:
        run = evidence.evidence_facts(verification.fetch_evidence(party, job_id), "run")
    return {str(reference).partition("@")[2] for reference in (run["image"], run["ran"]["image"])}


def wait_until(condition: Callable[[], Any], seconds: float = 30.0, what: str = "condition") -> Any:
    """Wait for something that another process does; fails with its name."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.1)
    pytest.fail(f"not within {seconds} s: {what}")


def parse_json(text: str) -> Any:
    """JSON that a command printed."""
    return json.loads(text)
