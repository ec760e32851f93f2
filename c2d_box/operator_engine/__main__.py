"""``python -m c2d_box.operator_engine --config FILE``."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from c2d_box.errors import StateProblem
from c2d_box.kubernetes.client import HttpCluster
from c2d_box.kubernetes.kubeconfig import find_connection
from c2d_box.kubernetes.port import ClusterError
from c2d_box.operator_engine.controller import RESYNC_SECONDS, Controller
from c2d_box.operator_engine.effects.executor import (
    install_gate,
    read_gate,
    read_secret,
    remove_gates,
    store_keys,
)
from c2d_box.operator_engine.effects.job_network import JobNetworkResolver, targets_of_this_pod
from c2d_box.operator_engine.effects.order_locks import remove_left_locks
from c2d_box.operator_engine.engine import compose_engine
from c2d_box.operator_engine.leader_election import LeaderElection
from c2d_box.operator_engine.pod_api.evidence_signer import EvidenceSigner, read_signing_keys
from c2d_box.operator_engine.pod_api.presigned_uploads import PresignedUploads
from c2d_box.operator_engine.pod_api.register_relay import RegisterRelay
from c2d_box.operator_engine.pod_api.routes import pod_application
from c2d_box.operator_engine.settings import EngineSettings
from c2d_box.operator_engine.stage_tokens import StageTokens
from c2d_box.operator_engine.telemetry.events import EventRecorder
from c2d_box.operator_engine.telemetry.job_table_writer import JobTableWriter
from c2d_box.operator_engine.watches import EngineWatches
from c2d_box.service.http_server import EmbeddedServer, server_config
from c2d_box.service.main import run_service, service_parser, stop_event
from c2d_box.workflow.result_store import S3Store

log = logging.getLogger("c2d_box.operator_engine")
T = TypeVar("T")
_COLLECTIONS = (5_000, 20, 1_000_000)
"""Thresholds of Python's garbage collector: the young generation after so many new objects, the middle one
after so many collections of the young, and the oldest practically never.
"""


async def run(settings: EngineSettings, kubeconfig: Path | None, binary: bytes) -> None:
    """Run the engine until it is told to stop or a task of it ends. ``binary`` is the gate's program."""
    stop = stop_event()
    access = find_connection(kubeconfig)
    cluster = HttpCluster(access, settings.namespace)
    keys = read_signing_keys(settings)
    tokens = StageTokens({environment: key.encode() for environment, key in keys.items()})
    # The executor needs the gate's name before it can make any pod.
    gate = await _patiently(lambda: install_gate(cluster, binary))
    job_table = JobTableWriter(settings.postgres, settings.secrets_dir)
    events = EventRecorder(cluster, settings.namespace)
    # The host name is the pod's name: it survives a restart of the container, so a
    # restarted leader goes on at once.
    election = LeaderElection(cluster, socket.gethostname())
    network = JobNetworkResolver(settings, targets_of_this_pod(access.server))
    # A warden without targets proves nothing and ends each job with 78. Better no engine than that.
    if not (await _patiently(network.current)).targets:
        raise StateProblem(
            "C2D-ENGINE-NO-TARGETS",
            "There is nothing that a job's warden could find closed, so every job would end with 78.",
            "Name the API server and the services as operatorEngine.wardenTargets, each as ip:port.",
        )
    engine = compose_engine(
        cluster,
        settings,
        tokens,
        job_table,
        gate,
        leads=lambda: election.is_leading,
        tell=events.enqueue_events,
        network=network,
    )
    controller = engine.controller
    job_table.announce_from(controller.announcements)
    election.listen(controller.on_leadership_change)
    # Before the server starts: pods of a job that is not known yet would be told
    # that it is gone, and give up.
    await _patiently(controller.resync)
    _leave_out_of_collections()
    relay = None
    if settings.registration is not None:
        relay = RegisterRelay(settings.registration, read_secret(settings.secrets_dir, "result-secret"))
    uploads = None
    if isinstance(settings.result_store, S3Store):
        uploads = PresignedUploads(settings.result_store, store_keys(settings))
    signer = EvidenceSigner(settings, keys, engine.pod_reports)
    watches = EngineWatches(cluster, controller)
    app = pod_application(
        controller, engine.pod_reports, signer, relay, uploads, is_current=lambda: watches.is_current
    )
    server = EmbeddedServer(server_config(app, settings.listen.host, settings.listen.port, stop_seconds=1))
    tasks = [
        asyncio.create_task(work, name=name)
        for name, work in (
            ("http", server.serve()),
            ("rows", job_table.run()),
            ("events", events.run()),
            ("watches", watches.follow_cluster()),
            ("lease", election.run()),
            ("upkeep", _upkeep(controller, cluster, binary)),
            ("stop", stop.wait()),
        )
    ]
    log.info("ready", extra={"environments": [entry.id for entry in settings.environments]})
    # None of the tasks ends by itself: the first one that does has failed, or a signal asked for the end.
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    # The lease first: another engine takes over while this process is still closing.
    await election.release_lease()
    server.should_exit = True
    # Longer than the server's own limit for open answers (`stop_seconds`).
    _, late = await asyncio.wait(tasks, timeout=1.5)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    await cluster.close()
    if relay is not None:
        await relay.close()
    for task in done:
        # Raises the error of a task that failed, so that the process ends with it
        # and Kubernetes starts it anew.
        if task.get_name() != "stop":
            task.result()


def _leave_out_of_collections() -> None:
    """Exclude long-lived objects from garbage collection. Imported modules and the state of thousands of jobs
    stay in memory anyway; scanning them for cycles would stop everything for a fifth of a second, again and
    again. Young objects are collected as usual, a full collection runs at the upkeep only.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTIONS)


async def _upkeep(controller: Controller, cluster: HttpCluster, binary: bytes) -> None:
    """Periodically list the cluster anew; on the leader also remove old gates and locks. The leader also puts
    the current gate back, in case an engine of another version has taken it for stale.
    """
    while True:
        await asyncio.sleep(RESYNC_SECONDS)
        # The one full collection: once a minute, between the jobs' work and not at a
        # moment of the collector's choice.
        gc.collect()
        try:
            await controller.resync()
            if controller.leading:
                gate = await install_gate(cluster, binary)
                await remove_gates(cluster, gate, controller.job_cache.config_maps(), time.time())
                await remove_left_locks(cluster, controller.job_cache.workflow, time.time())
        except ClusterError as error:
            log.warning("upkeep failed: %s", error.message)


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Retry ``work`` after a ClusterError: at boot the API server or the CRD may be a moment late."""
    for pause in (0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 5.0, 5.0):
        try:
            return await work()
        except ClusterError as error:
            log.warning("not yet: %s", error.message)
            await asyncio.sleep(pause)
    return await work()


def main(arguments: list[str] | None = None) -> int:
    """Run the engine; return the exit status of the process."""
    parser = service_parser("c2d_box.operator_engine", "The operator-engine.")
    parser.add_argument("--kubeconfig", type=Path, help="instead of the pod's service account")
    return run_service(parser, EngineSettings, _prepared, arguments)


def _prepared(settings: EngineSettings, options: argparse.Namespace) -> Callable[[], None]:
    # Read before the loop starts: a gate that is missing is reported as a fault of the installation.
    binary = read_gate(settings.gate_path)
    return lambda: asyncio.run(run(settings, options.kubeconfig, binary))


if __name__ == "__main__":
    sys.exit(main())
