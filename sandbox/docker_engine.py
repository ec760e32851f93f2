"""Connects to the Docker engine through its SDK: the one module that knows its exceptions and its address.

``DOCKER_HOST`` is used, then the context that the user's ``docker`` command uses (Docker Desktop has one),
then the usual socket.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from c2d_box.errors import C2DError, EnvironmentProblem, Failed

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

OLDEST = (20, 10)
"""The first engine with private control group namespaces, which kind's nodes need."""
USUAL = "unix:///var/run/docker.sock"
"""Address of the engine where neither the environment nor a docker context names another."""
CLUSTER_LABELS = ("io.x-k8s.kind.cluster", "k3d.cluster")
"""Labels that kind and k3d put on every container of a cluster."""
HOME_LABEL, OWNER_LABEL = "c2d-box.home", "c2d-box.owner"
"""Labels on a box's network. The engine keeps them when the home is lost, so ``doctor --fix`` can still tell
whose a leftover is.
"""
TIMEOUT = 120
"""Seconds for one request; loading a whole node image is one request."""
SHARES = 8 * 1024
"""CPU weight of a node, in Docker's unit: 1024 for one ordinary process. As many as the native cluster's
control group has (``sandbox.clusters.native.host.cgroups``).
"""


def connect_engine(timeout: int = TIMEOUT) -> DockerClient:
    """Return a client of the engine that answers; coded errors say what is missing.

    ``timeout`` is in seconds, for each request. The caller's user needs the right to use the engine's socket,
    which is as good as root on that machine.
    """
    address = _engine_address()
    _require_listener(address)
    import docker

    with coded_errors():
        client = docker.DockerClient(base_url=address, timeout=timeout)
        client.ping()
    return client


def _require_listener(address: str) -> None:
    """Check the socket before the SDK is imported: that takes a third of a second."""
    path = address.removeprefix("unix://")
    # An engine over TCP or SSH: only the SDK can tell whether it answers.
    if path == address:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError as problem:
            raise _unreachable_error(problem) from problem


def _engine_address() -> str:
    """Return the address in the order that the ``docker`` command itself uses."""
    if chosen := os.environ.get("DOCKER_HOST"):
        return chosen
    # Without a configuration there is no context, and the SDK need not be imported to find that out.
    if not (Path.home() / ".docker" / "config.json").exists():
        return USUAL
    from docker.context import ContextAPI

    context = ContextAPI.get_current_context()
    return str(context.Host) if context is not None and context.Host else USUAL


@contextmanager
def coded_errors() -> Iterator[None]:
    """Turn the SDK's exceptions into errors with a code and a next step."""
    import docker.errors
    import requests

    try:
        yield
    except docker.errors.APIError as problem:
        raise Failed(
            "C2D-DOCKER-REFUSED",
            f"The Docker engine refused: {problem.explanation or problem}",
            "c2d-box doctor",
        ) from problem
    # The SDK lets requests' and the socket's own exceptions through where the connection breaks in
    # mid-answer.
    except (docker.errors.DockerException, requests.RequestException, OSError) as problem:
        raise _unreachable_error(problem) from problem


def _unreachable_error(problem: BaseException) -> C2DError:
    text = str(problem)
    where = os.environ.get("DOCKER_HOST", "its usual socket")
    # The SDK wraps the socket's error in its own, of which only the text is left.
    if isinstance(problem, PermissionError) or "Permission denied" in text:
        return EnvironmentProblem(
            "C2D-DOCKER-PERMISSION",
            f"You may not use the Docker engine at {where}.",
            "sudo usermod --append --groups docker $USER, then log in again; or run the command as root.",
        )
    return EnvironmentProblem(
        "C2D-DOCKER-UNREACHABLE",
        f"No Docker engine answers at {where}.",
        "Start Docker (for example: sudo systemctl start docker), or use `c2d-box up --cluster native`.",
    )


def engine_version(client: DockerClient) -> tuple[int, ...]:
    """Return the first two numbers of the engine's version."""
    with coded_errors():
        text = str(client.version()["Version"])
    # Distributions append to it: 20.10.24+dfsg1, 27.0.0-rc.1.
    return tuple(int(part) for part in text.split("+")[0].split("-")[0].split(".")[:2] if part.isdigit())


def require_new_enough(client: DockerClient) -> None:
    """Raise ``C2D-DOCKER-OLD`` for an engine that cannot carry kind's nodes."""
    found = engine_version(client)
    if found < OLDEST:
        raise EnvironmentProblem(
            "C2D-DOCKER-OLD",
            f"This Docker engine is {'.'.join(map(str, found))}; kind needs {'.'.join(map(str, OLDEST))}.",
            "Update Docker, or use `c2d-box up --cluster native`.",
        )


def find_container(client: DockerClient, name: str) -> Container | None:
    """Return the container of this name, running or not; None where there is none."""
    import docker.errors

    with coded_errors():
        try:
            return client.containers.get(name)
        except docker.errors.NotFound:
            return None


def ensure_network(client: DockerClient, name: str, home: str) -> None:
    """Make the box's own network; labelled, so that one whose home is gone can be recognised."""
    with coded_errors():
        # The engine's filter is a pattern that matches parts of names; anchored, "c2d-1" does not find
        # "c2d-12".
        if not client.networks.list(names=[f"^{name}$"]):
            client.networks.create(
                name,
                driver="bridge",
                # Engines before 25 would make a second network of the same name.
                check_duplicate=True,
                labels={HOME_LABEL: home, OWNER_LABEL: _owner_name()},
            )


def cgroup_version(client: DockerClient) -> Literal[1, 2]:
    """Return the version of the control groups on the engine's machine."""
    with coded_errors():
        return 1 if client.info().get("CgroupVersion") == "1" else 2


def remove_labelled(client: DockerClient, labels: Iterable[str], network: str) -> list[str]:
    """Remove every container and volume with one of the ``labels``, and the network; return their names.

    The network comes last: the engine refuses to remove one that still has a container.
    """
    import docker.errors

    gone, kept = [], [{"label": label} for label in labels]
    with coded_errors():
        listed = [client.containers.list(all=True, filters=label) for label in kept]
        for found in (container for some in listed for container in some):
            gone.append(str(found.name))
            try:
                # v: the anonymous volume with the node's /var goes along; it is what takes the space.
                found.remove(v=True, force=True)
            except docker.errors.NotFound:
                continue
        for volume in (volume for label in kept for volume in client.volumes.list(filters=label)):
            gone.append(f"volume {volume.name}")
            volume.remove(force=True)
        for net in client.networks.list(names=[f"^{network}$"]):
            gone.append(f"network {net.name}")
            net.remove()
    return gone


def _owner_name() -> str:
    """Return an id of this user of this machine: an engine may serve several of both."""
    return f"{os.uname().nodename}:{os.getuid()}"


def remove_box(client: DockerClient, cluster: str) -> list[str]:
    """Remove everything of one box from the engine; also of half a one. Returns the names of what is gone."""
    return remove_labelled(client, [f"{label}={cluster}" for label in CLUSTER_LABELS], cluster)


def homeless_clusters(client: DockerClient) -> list[str]:
    """Return the clusters of boxes whose home is gone from this machine, by the label on their network.

    Only networks of this user of this machine are looked at: on a shared engine another machine's homes are
    missing here too, and their boxes are alive.
    """
    with coded_errors():
        networks = client.networks.list(filters={"label": f"{OWNER_LABEL}={_owner_name()}"})
    labels = {str(net.name): str(net.attrs["Labels"][HOME_LABEL]) for net in networks}
    return sorted(name for name, home in labels.items() if not Path(home, "cluster").exists())


def run_in_container(found: Container, *command: str, text: str | None = None) -> str:
    """Run a program in the container and return its output; raise ``C2D-NODE-COMMAND`` with the output where
    it fails. The words are passed as they are, no shell reads them.
    """
    with coded_errors():
        status, output = found.exec_run(list(command))
    said = (output or b"").decode("utf-8", "replace")
    if status != 0:
        raise Failed(
            "C2D-NODE-COMMAND",
            f"`{' '.join(command)}` failed on the node: {said.strip()[-500:]}",
            "c2d-box doctor",
        )
    return said


def set_cpu_weight(found: Container) -> None:
    """Give a node the CPU weight of several processes, as the native one has: with the default it starves
    beside a compiler.
    """
    with coded_errors():
        found.update(cpu_shares=SHARES)


def memory_bytes(client: DockerClient, found: Container) -> int:
    """Return the bytes of memory that the container's processes hold, its page cache not counted."""
    with coded_errors():
        # one_shot: otherwise the engine waits a second for a second sample, to compute CPU use nobody asked
        # for.
        stats: dict[str, Any] = client.api.stats(found.id, stream=False, one_shot=True)
    used = stats.get("memory_stats", {})
    # Named so on control groups of version 1, without "total_" on version 2. `docker stats` subtracts the
    # same.
    cache = used.get("stats", {}).get("total_inactive_file") or used.get("stats", {}).get("inactive_file", 0)
    return max(0, int(used.get("usage", 0)) - int(cache))
