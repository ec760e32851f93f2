"""What the kind driver's tests stand on: a cluster in the tests' own Docker engine, and where its node is."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox import docker_engine as engine
from sandbox.bundle import Bundle, build_bundle
from sandbox.bundle.build_dependencies import install_packages, missing_packages
from sandbox.bundle.commands import CommandRunner
from sandbox.clusters.bundle_parts import BundleParts
from sandbox.clusters.driver_record import ClusterOptions
from sandbox.clusters.kind import addresses
from sandbox.clusters.kind.driver import KindCluster
from sandbox.home import BoxHome
from sandbox.progress import run_verb
from tests.cluster.docker_rig import Engine, docker_engine
from tests.cluster.isolation import Ground
from tests.cluster.native_rig import TestBox

PARTS = ("node-image", "kind", "kube")
"""What a kind cluster needs of the bundle, and kubectl for the test."""


class KindParts(BundleParts):
    """With what tests ask of a bundle besides."""

    kubernetes_version = "v1.34.4"

    def image(self, name: str) -> Any:
        return Bundle.open_cached([f"{name}-image"]).image(name)


def kind_box(folder: Path, options: ClusterOptions | None = None, name: str = "c2d") -> TestBox:
    """A box of one test on kind; nothing is started."""
    parts = KindParts()
    return TestBox(KindCluster(BoxHome(folder), parts, name, {}, options), parts, [])


@contextmanager
def kind_engine() -> Iterator[Engine]:
    """A Docker engine and the parts kind needs; an engine is installed where there is none, which is said."""
    if shutil.which("dockerd", path="/usr/sbin:/usr/bin:/sbin") is None:
        print("installing the Debian package docker.io for the tests' own Docker engine")
        log = Path(tempfile.gettempdir()) / "c2d-docker-install.log"
        install_packages(missing_packages({"docker"}), CommandRunner("docker", log, threading.Event()))
    run_verb(build_bundle(PARTS, yes=True), lambda event: None)
    with docker_engine(Path(tempfile.mkdtemp(prefix="c2d-dk-"))) as made:
        yield made


def kind_ground(box: TestBox, docker: Engine) -> Ground:
    container = engine.find_container(engine.connect_engine(), f"{node_name(box)}")
    assert container is not None
    networks = container.attrs["NetworkSettings"]["Networks"]
    network = next(iter(networks.values()))
    process = container.attrs["State"]["Pid"]
    staging, publishing = (
        base.rpartition(".")[0] + ".1" for base in (addresses.STAGING, addresses.PUBLISHING)
    )
    return Ground(
        node=[*docker.inside, "nsenter", "--net", "--target", str(process)],
        beside=docker.inside,
        node_ip=network["IPAddress"],
        machine_ip=network["Gateway"],
        dns_ip=addresses.DNS,
        services=addresses.SERVICES,
        pods=addresses.ALL_PODS,
        gateways=(staging, publishing),
    )


def node_name(box: TestBox) -> str:
    from sandbox.clusters.layout import ClusterLayout

    return f"{ClusterLayout(box.cluster.home, box.cluster.name).control_group}-control-plane"


def left_in(docker: Engine) -> dict[str, list[str]]:
    """What stands in the engine: containers, volumes and networks that are not its own."""

    def lines(*words: str) -> list[str]:
        command = ["docker", "-H", docker.address, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    return {
        "containers": lines("ps", "--all", "--quiet"),
        "volumes": lines("volume", "ls", "--quiet"),
        "networks": [
            name
            for name in lines("network", "ls", "--format", "{{.Name}}")
            if name not in ("bridge", "host", "none")
        ],
    }
