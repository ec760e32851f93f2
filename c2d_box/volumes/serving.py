"""The running service: watches, the controller, a periodic sweep, ``GET /livez`` and ``GET /readyz``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from c2d_box.kubernetes.client import HttpCluster
from c2d_box.kubernetes.kubeconfig import find_connection
from c2d_box.service.http_server import EmbeddedServer, server_config
from c2d_box.service.liveness import LIVEZ
from c2d_box.volumes.cluster import WatchedCluster
from c2d_box.volumes.controller import VolumeController
from c2d_box.volumes.disks import NodeDisk
from c2d_box.volumes.settings import VolumesSettings

log = logging.getLogger("c2d.volumes")
SWEEP_SECONDS = 60.0
"""Seconds between two looks at the disk, for volumes that a crash left behind and no event names."""
WEIGH_SECONDS = 600.0
"""Seconds between two measurements of the services' directories: each walks through all their files."""


async def serve_provisioner(settings: VolumesSettings, node: str) -> None:
    """Serve until cancelled."""
    connection = find_connection(settings.kubeconfig)
    namespaces = {name: HttpCluster(connection, name) for name in settings.namespaces}

    def changed(name: str) -> None:
        if cluster.listed.is_set():  # until then an absence means nothing
            controller.enqueue_volume(name)

    cluster = WatchedCluster(namespaces, changed)
    controller = VolumeController(cluster, NodeDisk(settings.root, settings.reserve_bytes), node)
    app, listen = provisioner_application(lambda: cluster.is_current), settings.listen
    server = EmbeddedServer(server_config(app, listen.host, listen.port, stop_seconds=1))
    try:
        # If one task fails the others are cancelled and the process ends: Kubernetes starts it anew.
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve())
            group.create_task(cluster.start_watches())
            group.create_task(_sweep_loop(cluster, controller))
            group.create_task(_size_loop(cluster, controller))
    finally:
        # The controller first: its steps still use the watches' copies and the clients.
        await controller.stop()
        await cluster.stop_watches()
        for http in namespaces.values():
            await http.close()


async def _sweep_loop(cluster: WatchedCluster, controller: VolumeController) -> None:
    """Sweep at the start and once a minute, but never before everything is listed."""
    # A volume without a known claim is erased: before the first list that would be every volume.
    await cluster.listed.wait()
    log.info("serving")
    while True:
        await controller.sweep_disk()
        await asyncio.sleep(SWEEP_SECONDS)


async def _size_loop(cluster: WatchedCluster, controller: VolumeController) -> None:
    """Measure the services' directories at the start and every ten minutes."""
    await cluster.listed.wait()
    while True:
        await controller.check_sizes()
        await asyncio.sleep(WEIGH_SECONDS)


def provisioner_application(is_ready: Callable[[], bool]) -> Starlette:
    """Return the application that answers the probes: ready while the cluster is followed."""

    async def readyz(_: Request) -> Response:
        ready = is_ready()
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    return Starlette(routes=[LIVEZ, Route("/readyz", readyz), Route("/healthz", readyz)])
