"""The k3d driver: like kind's, with k3s on the node instead of kubeadm and systemd.

No k3s could be had where this was written. The command itself was run as far as it goes without k3s; the rest
follows from its source and is unverified until a selftest has passed (``sandbox.clusters.k3d.trust``).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from c2d_box.errors import Failed, UsageError
from c2d_box.files import replace_private_file
from sandbox import docker_engine
from sandbox.clusters.k3d import configuration, trust
from sandbox.clusters.k3d.tool import K3dTool, installed
from sandbox.clusters.kind import api
from sandbox.clusters.kind.configuration import DEVICES, VOLUMES
from sandbox.clusters.kind.driver import KindCluster
from sandbox.clusters.kind.record import KindRecord
from sandbox.clusters.kind.tool import ClusterTool
from sandbox.clusters.port import ComponentStatus
from sandbox.progress import Progress, ProgressEvent

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

PREPARE = (
    f"chmod 755 {configuration.PLUGIN}; mkdir -p {DEVICES} {VOLUMES}; "
    f"grep -q ' {DEVICES} ' /proc/mounts || mount -t devtmpfs none {DEVICES}"
)
"""Shell words for the node. k3d copies files without their mode, so the plugin is made executable here; the
second line is a no-op where the devices are mounted already.
"""
STARTED_PATIENCE = 120.0
"""Seconds to wait for containerd after a start of the node."""
FILES = "node"
"""Folder of the files that are put on the node, beside the document that names it."""


class K3dCluster(KindCluster):
    """A k3d cluster for a home. See ``sandbox.clusters.port`` for the contract.

    The base class asks its own methods for each thing in which the tools differ; this class answers those.
    """

    @property
    def runtime_classes(self) -> dict[str, str]:
        """Return the algorithm's class alone.

        The other two job classes have the ordinary network here, of which k3s' policy controller leaves what
        the chart's policies list: there is nothing that a class of theirs would add.
        """
        return {"algorithm": self._new_record().runtime_classes["algorithm"]}

    def _new_record(self) -> KindRecord:
        """Return the record of a cluster that is not made yet."""
        # k3d takes names of 32 characters at most.
        # The link's name has 12 characters and identifies the box, as the longer one for kind does.
        name = self._layout.host_link
        return KindRecord(self.name, name, ports=self._ports, options=self._options, driver="k3d")

    def create(self) -> Progress[None]:
        # Said each time until a selftest has passed: isolation that nobody has seen hold is only a claim.
        if not trust.is_verified():
            yield ProgressEvent("cluster.unverified", "note", trust.UNVERIFIED)
        yield from super().create()

    def _cluster_tool(self, record: KindRecord) -> ClusterTool:
        return K3dTool(installed() or self._bundle.binary("k3d"), record.cluster)

    def _cluster_document(self, record: KindRecord) -> dict[str, Any]:
        """Write the node's files beside the document that names them, and return the document."""
        for name, (_, text) in configuration.node_files(record).items():
            replace_private_file(self._layout.root / FILES / name, text)
        return configuration.cluster_document(record, FILES)

    def _node_image(self, client: DockerClient) -> Progress[str | None]:
        """Return None: k3d pulls its own node image."""
        yield from ()
        return None

    def _require_handlers(self, container: Container, record: KindRecord) -> None:
        """Check for the job classes' handlers. k3s writes containerd's configuration anew at each start, from
        our template.
        """
        handler = record.runtime_classes["algorithm"]
        # The file that k3s made of our template; an older k3s ignores a template of this version without a
        # word.
        made = configuration.CONTAINERD.rpartition("/")[0] + "/config.toml"
        if handler not in docker_engine.run_in_container(container, "cat", made):
            raise Failed(
                "C2D-K3D-HANDLERS",
                f"The node's containerd does not know {handler}.",
                "This k3s is older than containerd 2 in it; use one of 1.31.6 or newer.",
            )

    def _install_isolation(self, container: Container, record: KindRecord) -> None:
        """Do what the node forgets at each start: mounts, and the plugin's mode. The files themselves stay on
        it.
        """
        docker_engine.run_in_container(container, "sh", "-ec", PREPARE)

    def _tune_cluster(self) -> None:
        """Do nothing: k3s keeps its own parts as they are."""

    def _await_started(self, container: Container) -> None:
        """Wait until the node's containerd answers: images can be imported from then on."""
        end = time.monotonic() + STARTED_PATIENCE
        while time.monotonic() < end:
            try:
                docker_engine.run_in_container(container, "ctr", "version")
                return
            except Failed:
                time.sleep(0.5)
        raise Failed("C2D-NODE-NOT-STARTED", "The node runs, its containerd does not.", "c2d-box logs node")

    def _component_statuses(self, container: Container) -> tuple[ComponentStatus, ...]:
        """Return the state of the node and of the API server. k3s runs all components in one process, so
        there are no others to tell apart.
        """
        state = container.attrs["State"]
        running = bool(state["Running"])
        node = ComponentStatus("node", "ready" if running else "stopped", state["Pid"] or None)
        if not running:
            return (node,)
        return (
            node,
            ComponentStatus("kube-apiserver", "ready" if api.api_answers(self.kubeconfig) else "starting"),
        )

    def _apply_rules(self, container: Container, record: KindRecord) -> None:
        """Do nothing: the chart's NetworkPolicies say it, and k3s' own controller enforces them."""

    def _component_logs(self, container: Container, component: str, lines: int) -> str:
        """Return the last lines of the node's console, which is k3s' only log."""
        if component in ("node", "kube-apiserver"):
            with docker_engine.coded_errors():
                return bytes(container.logs(tail=lines)).decode("utf-8", "replace")
        raise UsageError(
            "C2D-NO-SUCH-COMPONENT",
            f"There is no log of '{component}': k3s is one process.",
            "There are: node, kube-apiserver (the same).",
        )
