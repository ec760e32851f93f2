"""Works on the node's container: its files, images and logs. Everything goes through the Docker SDK."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from c2d_box.errors import Failed, UsageError
from sandbox import docker_engine
from sandbox.clusters.archive_names import PINNED, ArchiveName, parse_image_list, unpinned_references
from sandbox.clusters.port import ClusterImage, ComponentStatus

if TYPE_CHECKING:
    from docker.models.containers import Container

CTR = ("ctr", "--namespace", "k8s.io", "images")
"""containerd's client, in the namespace in which the kubelet's images lie."""
UNITS = ("c2d-node", "containerd", "kubelet")
"""systemd's units whose state is shown, in the order in which they start."""
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""Static pods that kubeadm makes; their logs are files on the node."""
STARTED_PATIENCE = 30.0
"""Seconds for the node's init to accept commands after a start."""


def write_files(container: Container, files: Mapping[str, tuple[str, int]]) -> None:
    """Write files into the container: path → text and mode, all owned by root.

    One archive for all: Docker's API takes a tar file and makes missing folders.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, (text, mode) in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            data = text.encode()
            entry.size, entry.mode, entry.mtime = len(data), mode, int(time.time())
            tar.addfile(entry, io.BytesIO(data))
    with docker_engine.coded_errors():
        container.put_archive("/", packed.getvalue())


def enforce_isolation(container: Container) -> None:
    """Put the isolation unit in force, now and at every start of the node."""
    # systemd read its units before ours were written.
    docker_engine.run_in_container(container, "systemctl", "daemon-reload")
    docker_engine.run_in_container(container, "systemctl", "enable", "--now", "c2d-node.service")


def require_handlers(container: Container, handlers: list[str]) -> None:
    """Check with containerd itself that it knows the job classes' handlers."""
    # The dump is the configuration after all imports and patches; a patch for another version leaves no
    # trace.
    told = docker_engine.run_in_container(container, "containerd", "config", "dump")
    missing = [handler for handler in handlers if handler not in told]
    if missing:
        raise Failed(
            "C2D-KIND-HANDLERS",
            f"The node's containerd does not know {', '.join(missing)}.",
            "This node image is of another kind than expected; use the one of kind 0.27 or newer.",
        )


def list_images(container: Container) -> list[ClusterImage]:
    """Return the images on the node."""
    return parse_image_list(docker_engine.run_in_container(container, *CTR, "list").splitlines())


def tag_by_digest(container: Container, image: ArchiveName) -> None:
    """Give an image the name ``name@sha256:…``: the kubelet looks a reference up by its whole text."""
    docker_engine.run_in_container(container, *CTR, "tag", "--force", image.reference, image.by_digest)


def pin_images(container: Container) -> None:
    """Keep every image that is on the node, the node's own among them: the kubelet must not remove them."""
    for reference in unpinned_references(
        docker_engine.run_in_container(container, *CTR, "list").splitlines()
    ):
        docker_engine.run_in_container(container, *CTR, "label", reference, PINNED)


def ip_address(container: Container, network: str) -> str:
    """Return the container's IPv4 address on the box's network."""
    with docker_engine.coded_errors():
        container.reload()
    # Empty text where the container is on another network, as one made by another version may be.
    networks = container.attrs["NetworkSettings"]["Networks"]
    return str(networks.get(network, {}).get("IPAddress", ""))


def component_statuses(container: Container, api_answers: bool) -> tuple[ComponentStatus, ...]:
    """Return the state of the node itself, of what systemd runs on it, and of the API server."""
    state = container.attrs["State"]
    node = ComponentStatus(
        "node",
        "ready" if state["Running"] else "stopped",
        state["Pid"] or None,
        container.attrs["RestartCount"],
    )
    if not state["Running"]:
        return (node,)
    with docker_engine.coded_errors():
        # One line for each unit in the order asked; its exit status is not 0 as soon as one is not active.
        _, output = container.exec_run(["systemctl", "is-active", *UNITS])
    active = (output or b"").decode().split()
    units = tuple(
        ComponentStatus(
            name, "ready" if said == "active" else "failed", last_error="" if said == "active" else said
        )
        for name, said in zip(UNITS, active, strict=False)
    )
    return (node, *units, ComponentStatus("kube-apiserver", "ready" if api_answers else "starting"))


def component_logs(container: Container, component: str, lines: int) -> str:
    """Return the last lines of the node's console, of a unit, or of a pod of the control plane."""
    if component == "node":
        with docker_engine.coded_errors():
            return bytes(container.logs(tail=lines)).decode("utf-8", "replace")
    if component in UNITS:
        return docker_engine.run_in_container(
            container,
            "journalctl",
            "--no-pager",
            "--lines",
            str(lines),
            "--unit",
            component,
            "--output",
            "cat",
        )
    if component in (*CONTROL_PLANE, "coredns", "kube-proxy"):
        # The component is one of a fixed list and the lines are a number: nothing of the user's reaches the
        # shell.
        command = f"tail -q -n {int(lines)} /var/log/pods/kube-system_{component}*/*/*.log"
        return docker_engine.run_in_container(container, "sh", "-c", command)
    known = ", ".join(("node", *UNITS, *CONTROL_PLANE, "coredns", "kube-proxy"))
    raise UsageError("C2D-NO-SUCH-COMPONENT", f"There is no log of '{component}'.", f"There are: {known}.")


def await_started(container: Container) -> None:
    """Wait until systemd accepts commands: then files may be placed and units enabled."""
    end = time.monotonic() + STARTED_PATIENCE
    while True:
        with docker_engine.coded_errors():
            # Fails until systemd answers on its bus, so this waits for both.
            status, _ = container.exec_run(["systemctl", "is-active", "containerd"])
        if status == 0:
            return
        if time.monotonic() > end:
            raise Failed(
                "C2D-NODE-NOT-STARTED",
                "The node's container runs, its init does not.",
                "c2d-box logs node; then c2d-box down and c2d-box up",
            )
        time.sleep(0.2)
