"""A box as a guest in a cluster that the tests made with other means: a bare kind cluster, a plain registry.

Nothing there enforces NetworkPolicies, so nothing keeps an algorithm from the network: the box must find that
out, refuse jobs, and run them only when its operator says so, which the evidence then says too.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from c2d_box.client import JobDetails, JobRequest
from c2d_box.client.evidence import verification
from c2d_box.errors import C2DError
from c2d_box.kubernetes.sync_client import KubeApi
from c2d_box.pods.warden.__main__ import UNPROVEN
from c2d_box.workflow import evidence
from sandbox import docker_engine as docker
from sandbox.box import Box
from sandbox.bundle import Bundle
from sandbox.clusters.existing.belongings import SCOPED
from sandbox.clusters.port import ClusterDriver
from sandbox.demo.story import demo
from sandbox.home import BoxHome
from sandbox.install.chart_values import SERVICE_IMAGES
from sandbox.settings import BoxSettings, ExistingClusterSettings
from sandbox.verbs.compute import jobs
from sandbox.verbs.lifecycle.down import down, reset
from sandbox.verbs.lifecycle.status import status
from sandbox.verbs.lifecycle.up import up
from sandbox.verbs.publishing import assets
from sandbox.verbs.sdk_connections import open_consumer
from tests.cluster.conftest import algorithm_images, finish_verb, free_ports, print_event
from tests.cluster.kind_rig import kind_box, kind_engine, node_name
from tests.cluster.native_rig import TestBox
from tests.contract.cluster_suite import *  # noqa: F403 - the contract, asked of this driver
from tests.harness.image_registry import RegistryContent, run_registry

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="the tests' Docker engine needs root"),
]
LOOPS = 64


@dataclass(frozen=True)
class Foreign:
    """A cluster that is not the box's, and the registry its node pulls from."""

    made: TestBox
    chosen: ExistingClusterSettings
    shelf: RegistryContent

    @property
    def kube(self) -> KubeApi:
        return KubeApi.of(self.made.cluster.kubeconfig)

    def inventory(self) -> dict[str, set[str]]:
        """Everything in it that has no namespace, and the namespaces."""
        kinds = {path for path, _ in SCOPED} | {
            "/api/v1/persistentvolumes",
            "/apis/node.k8s.io/v1/runtimeclasses",
            "/apis/scheduling.k8s.io/v1/priorityclasses",
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
        }
        with self.kube as kube:
            return {kind: {item["metadata"]["name"] for item in kube.items(kind)} for kind in sorted(kinds)}


@pytest.fixture(scope="module")
def foreign(pytestconfig: pytest.Config) -> Iterator[Foreign]:
    if not (pytestconfig.getoption("full") or os.environ.get("C2D_TEST_EXISTING")):
        pytest.skip("takes minutes: --full, or C2D_TEST_EXISTING=1")
    folder = Path(tempfile.mkdtemp(prefix="c2d-e-"))
    with kind_engine(), run_registry("0.0.0.0") as shelf:
        made = kind_box(folder / "home")
        try:
            finish_verb(made.cluster.create())
            chosen = _furnished(made, shelf)
            yield Foreign(made, chosen, shelf)
        finally:
            finish_verb(made.cluster.delete())
            shutil.rmtree(folder)


def _furnished(made: TestBox, shelf: RegistryContent) -> ExistingClusterSettings:
    """What an ordinary node has: a registry its containerd may use, and loop devices."""
    node = docker.find_container(docker.connect_engine(), node_name(made))
    assert node is not None
    network = next(iter(node.attrs["NetworkSettings"]["Networks"].values()))
    place = f"{network['Gateway']}:{shelf.port}"
    table = f'[plugins."io.containerd.grpc.v1.cri".registry.mirrors."{place}"]'
    lines = f"cat >> /etc/containerd/config.toml <<'E'\n{table}\n  endpoint = [\"http://{place}\"]\nE\n"
    loops = f"for i in $(seq 0 {LOOPS}); do [ -e /dev/loop$i ] || mknod /dev/loop$i b 7 $i; done\n"
    docker.run_in_container(node, "sh", "-ec", f"{lines}{loops}systemctl restart containerd")
    return ExistingClusterSettings(str(made.cluster.kubeconfig), "", f"http://{place}/lab")


@pytest.fixture(scope="module")
def cluster(foreign: Foreign) -> Iterator[ClusterDriver]:
    """For the contract: before any box is there."""
    home = Path(tempfile.mkdtemp(prefix="c2d-g-"))
    yield Box(BoxHome(home), BoxSettings(cluster="existing", existing=foreign.chosen)).cluster
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def before(foreign: Foreign) -> dict[str, set[str]]:
    return foreign.inventory()


@pytest.fixture(scope="module")
def guest(foreign: Foreign, before: dict[str, set[str]]) -> Iterator[Box]:
    """A box that is up there; taken away again, and then nothing of it is left."""
    home = Path(tempfile.mkdtemp(prefix="c2d-g"))
    settings = BoxSettings(name="guest", ports=free_ports(), cluster="existing", existing=foreign.chosen)
    box = Box(BoxHome(home), settings)
    try:
        with pytest.raises(C2DError) as problem:
            finish_verb(up(box))
        assert problem.value.code == "C2D-EXISTING-CONSENT"
        assert foreign.inventory() == before
        finish_verb(up(box, yes=True))
        yield box
    finally:
        for event in reset(box, everything=True):
            print_event(event)
    assert foreign.inventory() == before
    assert not home.exists()


def test_keys_that_everybody_knows_are_refused(foreign: Foreign, before: dict[str, set[str]]) -> None:
    settings = BoxSettings(cluster="existing", existing=foreign.chosen, barge_keys=True, ports=free_ports())
    with tempfile.TemporaryDirectory(prefix="c2d-g") as home, pytest.raises(C2DError) as problem:
        finish_verb(up(Box(BoxHome(Path(home)), settings), yes=True))
    assert problem.value.code == "C2D-WELL-KNOWN-SECRET"
    assert foreign.inventory() == before


def test_it_is_up_and_says_that_nothing_holds(guest: Box) -> None:
    seen = status(guest)
    assert seen.state == "running", seen
    assert "NOT ISOLATED" in seen.settings["isolation"]


def test_images_on_the_node_have_the_digests_of_the_bundle(guest: Box, foreign: Foreign) -> None:
    bundle = Bundle.open_cached([f"{name}-image" for name in SERVICE_IMAGES])
    wanted = {bundle.image(name).digest for name in SERVICE_IMAGES}
    with foreign.kube as kube:
        pods = kube.items("/api/v1/namespaces/c2d/pods")
    ran = {entry["imageID"] for pod in pods for entry in pod["status"]["containerStatuses"]}
    assert {image.rpartition("@")[2] for image in ran} == wanted
    assert all(image.startswith(guest.cluster.registry) for image in ran)


def test_a_second_box_is_not_let_in(guest: Box, foreign: Foreign) -> None:
    other = BoxSettings(name="other", ports=free_ports(), cluster="existing", existing=foreign.chosen)
    with tempfile.TemporaryDirectory(prefix="c2d-g") as home, pytest.raises(C2DError) as problem:
        finish_verb(up(Box(BoxHome(Path(home)), other), yes=True))
    assert problem.value.code == "C2D-EXISTING-OCCUPIED"
    assert status(guest).state == "running"


def ran(box: Box, folder: Path) -> JobDetails:
    """A small job to its end."""
    (folder / "data.csv").write_text("1\n")
    (folder / "algorithm.py").write_text("open('/data/outputs/done', 'w').write('done')\n")
    offer, access = assets.AssetOffer("data"), assets.AssetOffer("algorithm", services=("access",))
    dataset = finish_verb(assets.publish_dataset(box, "publisher", str(folder / "data.csv"), offer))
    script, image = str(folder / "algorithm.py"), "c2d.local/algo-python"
    algorithm = finish_verb(
        assets.publish_algorithm(box, "publisher", script, image, "python3 $ALGO", access)
    )
    finish_verb(assets.permit_algorithm(box, "publisher", dataset.did, algorithm.did))
    job = finish_verb(jobs.start(box, "consumer", JobRequest(dataset.did, algorithm.did)))
    return finish_verb(jobs.follow(box, "consumer", job.id, timeout=180))


def test_jobs_are_refused_where_nothing_holds(guest: Box, tmp_path: Path) -> None:
    assert ran(guest, tmp_path).status == 78


def test_after_down_nothing_of_it_runs_and_up_goes_on(guest: Box, foreign: Foreign) -> None:
    finish_verb(down(guest))
    assert status(guest).state == "stopped"
    with foreign.kube as kube:
        found = kube.items("/apis/apps/v1/namespaces/c2d/deployments")
    assert {item["spec"]["replicas"] for item in found} == {0}
    finish_verb(up(guest))
    assert status(guest).state == "running"


def test_the_operator_may_say_otherwise_and_the_evidence_says_so(guest: Box, tmp_path: Path) -> None:
    loud = Box(guest.home, replace(guest.settings, unproven_jobs=True))
    finish_verb(up(loud, yes=True))
    assert "RUN" in status(loud).settings["unproven jobs"]
    outcome = finish_verb(demo(loud, tmp_path, yes=True))
    with open_consumer(loud, "consumer") as party:
        record = verification.fetch_evidence(party, outcome.job_id)
    isolation = evidence.evidence_facts(record, "isolation")
    assert isolation["verdict"] == UNPROVEN and isolation["answered"]
    image = Bundle.open_cached(["algo-python-image"]).image("algo-python")
    assert algorithm_images(loud, outcome.job_id) == {image.digest}
