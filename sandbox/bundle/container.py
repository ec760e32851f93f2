"""Builds the bundle on machines without Debian: runs the same builder in a container of a Debian image.

The machine's own cache is mounted there, so the same parts come out under the same keys. The base is pulled
by digest, or imported from a root file system where nothing can be pulled.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c2d_box.errors import C2DError, EnvironmentProblem, Failed
from sandbox.bundle.cache import BundleCache, digest_of
from sandbox.bundle.parts.c_programs import SOURCES
from sandbox.progress import Progress, ProgressEvent

if TYPE_CHECKING:
    from docker import DockerClient

# By digest, not by tag: a tag's image changes, and with it what a build finds installed.
BASE = "debian@sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171"
"""Image of Debian 12, for every architecture."""
IMPORTED = "c2d.local/build-base"
"""Name under which a base that the user brings is kept in the engine."""
PREPARE = """set -eu
if [ "$COMPLETE" = no ]; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get update >&2
	apt-get install --yes --no-install-recommends python3 python3-venv ca-certificates >&2
fi
status=0
python3 -m sandbox.bundle.container_entrypoint "$@" || status=$?
chown -R "$OWNER" /cache
exit $status
"""
"""Script of the container. Progress is JSON on stdout, so tools write to stderr. The container runs as root,
and at the end the cache is given back to its owner.
"""


def is_needed() -> bool:
    """Return whether this machine needs a container to build: the recipes use Debian's tools and packages."""
    return sys.platform != "linux" or shutil.which("apt-get") is None


def build_inside(parts: Iterable[str] | None, cache: BundleCache, base: Path | None = None) -> Progress[None]:
    """Make ``parts`` in a container. ``base`` is a root file system (tar) used instead of the image that is
    pulled.

    A base that the user brings must have Python and what the recipes need: nothing is installed in it.
    """
    from sandbox import docker_engine

    try:
        client = docker_engine.connect_engine()
    except C2DError as problem:
        raise EnvironmentProblem(
            "C2D-BUNDLE-TOOLS",
            f"The bundle is built with Debian's packages: here that takes a container, but {problem.message}",
            "Start Docker and run the command again; or build the bundle on Debian or Ubuntu of the same "
            "architecture and copy its cache folder here (bundle save, bundle load); or have the tools from "
            "this system's package manager and use `bundle build --on-host`.",
        ) from problem
    image = yield from _base_image(client, base)
    cache.root.mkdir(parents=True, exist_ok=True)
    # The very modules that run here, read-only: the keys inside and outside are then the same.
    volumes = {str(SOURCES / name): {"bind": f"/c2d/{name}", "mode": "ro"} for name in ("sandbox", "c2d_box")}
    volumes[str(cache.root)] = {"bind": "/cache", "mode": "rw"}
    environment = {
        "PYTHONPATH": "/c2d",
        "PYTHONDONTWRITEBYTECODE": "1",
        "C2D_BOX_CACHE": "/cache",
        # Files that root made would be beyond the user's reach.
        "OWNER": f"{os.getuid()}:{os.getgid()}",
        "COMPLETE": "yes" if base else "no",
        # apt, pip and Go in the container reach the network the way this machine does.
        **{name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")},
    }
    with docker_engine.coded_errors():
        made = client.containers.create(
            image,
            ["sh", "-c", PREPARE, "sh", *(parts or ())],
            volumes=volumes,
            environment=environment,
            network_mode=os.environ.get("C2D_BUILD_NETWORK", "bridge"),
        )
    try:
        with docker_engine.coded_errors():
            made.start()
        # Outside of coded_errors: the builder's own errors pass through with their codes.
        yield from _builder_events(made.logs(stream=True, follow=True))
        with docker_engine.coded_errors():
            status = int(made.wait()["StatusCode"])
        if status != 0:
            said = bytes(made.logs(tail=20)).decode("utf-8", "replace")
            raise Failed(
                "C2D-BUNDLE-CONTAINER",
                f"The builder's container ended with {status}.",
                "Its last words say why; the next `c2d-box bundle build` goes on where it was.",
                last_lines=said.splitlines()[-12:],
            )
    finally:
        with docker_engine.coded_errors():
            # Also on Ctrl-C: a container that builds on would hold the locks of the cache.
            made.remove(force=True, v=True)


def _base_image(client: DockerClient, base: Path | None) -> Progress[str]:
    """Return the base image's name once the engine has the image."""
    # Imported where it is used: that takes a third of a second.
    import docker.errors

    from sandbox import docker_engine

    # The tag is the content's hash, so the same file is imported once.
    name = f"{IMPORTED}:{digest_of(base)[:16]}" if base else BASE
    with docker_engine.coded_errors():
        try:
            client.images.get(name)
            return name
        except docker.errors.ImageNotFound:
            pass
    yield ProgressEvent("bundle.base", "started", "bringing the Debian base to the Docker engine")
    if base:
        repository, _, tag = name.rpartition(":")
        with docker_engine.coded_errors():
            client.api.import_image(str(base), repository=repository, tag=tag)
    else:
        try:
            with docker_engine.coded_errors():
                client.images.pull(*name.split("@"))
        except C2DError as problem:
            raise EnvironmentProblem(
                "C2D-BUNDLE-BASE",
                "The Debian base image could not be pulled.",
                "Check the network; or give a Debian root file system: c2d-box bundle build --base FILE.tar; "
                "or bring a finished bundle: c2d-box bundle load FILE",
            ) from problem
    yield ProgressEvent("bundle.base", "done")
    return name


def _builder_events(output: Iterator[bytes]) -> Progress[None]:
    """Yield the events of the builder in the container; raise its error as if the builder had run here."""
    rest = b""
    for chunk in output:
        # Chunks of a log end anywhere; the last piece waits for its line feed.
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            told = _parse_line(line)
            if "error" in told:
                error = told["error"]
                raise Failed(str(error["code"]), str(error["message"]), str(error["next_step"]))
            if "event" in told:
                yield ProgressEvent(**told["event"])


def _parse_line(line: bytes) -> dict[str, Any]:
    """Return the JSON object of a line, or {} for anything else: tools may write to the same stream."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
