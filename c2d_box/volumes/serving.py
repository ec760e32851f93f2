"""The running service: watches, the controller, a periodic sweep and ``GET /healthz``."""

from __future__ import annotations

import asyncio
import logging

from c2d_box.volumes.api import Api
from c2d_box.volumes.cluster import WatchedCluster
from c2d_box.volumes.controller import Controller
from c2d_box.volumes.disks import Disks
from c2d_box.volumes.settings import Settings

log = logging.getLogger("c2d.volumes")
SWEEP_SECONDS = 60.0


async def serve(settings: Settings, node: str) -> None:
    """Serve until cancelled."""
    api = Api.from_kubeconfig(settings.kubeconfig) if settings.kubeconfig else Api.in_cluster()

    def changed(name: str) -> None:
        if cluster.current.is_set():  # until then an absence means nothing
            controller.changed(name)

    cluster = WatchedCluster(api, settings.namespaces, changed)
    controller = Controller(cluster, Disks(settings.root, settings.reserve_bytes), node)
    health = await asyncio.start_server(
        lambda reader, writer: _answer(reader, writer, cluster), settings.listen.host, settings.listen.port
    )
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(cluster.follow())
            group.create_task(_sweep(cluster, controller))
    finally:
        health.close()
        await controller.stop()
        await api.close()


async def _sweep(cluster: WatchedCluster, controller: Controller) -> None:
    await cluster.current.wait()
    log.info("serving")
    while True:
        await controller.sweep()
        await asyncio.sleep(SWEEP_SECONDS)


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cluster: WatchedCluster
) -> None:
    """Enough HTTP for a probe: 200 once everything has been listed, else 503."""
    try:
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        status = "200 OK" if cluster.current.is_set() else "503 Service Unavailable"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
    except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()
