"""Composition root of the engine: ``__main__`` runs one on a real cluster, tests on a cluster in memory."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from c2d_box.kubernetes.port import Cluster
from c2d_box.operator_engine.controller import Controller
from c2d_box.operator_engine.effects.executor import Executor
from c2d_box.operator_engine.effects.job_network import JobNetworkResolver
from c2d_box.operator_engine.pod_api.pod_reports import PodReports
from c2d_box.operator_engine.scheduling.capacity import EnvironmentPlaces
from c2d_box.operator_engine.settings import EngineSettings
from c2d_box.operator_engine.stage_tokens import StageTokens
from c2d_box.operator_engine.state.job_cache import JobCache
from c2d_box.operator_engine.state.job_runtime import JobRuntime, JobRuntimes
from c2d_box.operator_engine.state.observer import Observer
from c2d_box.operator_engine.telemetry.job_table_writer import JobTableWriter
from c2d_box.workflow.resource import WorkFlow


@dataclass(frozen=True)
class Engine:
    """The two entry points of an engine: ``controller`` reconciles jobs; ``pod_reports`` answers the jobs'
    pods, whether this engine leads or not.
    """

    controller: Controller
    pod_reports: PodReports


def compose_engine(
    cluster: Cluster,
    settings: EngineSettings,
    tokens: StageTokens,
    job_table: JobTableWriter,
    gate: str,
    *,
    clock: Callable[[], float] = time.time,
    leads: Callable[[], bool] = lambda: True,
    tell: Callable[[WorkFlow], None] = lambda _: None,
    network: JobNetworkResolver | None = None,
) -> Engine:
    """Build an engine. ``gate`` is the name of the gate's ConfigMap; ``network`` resolves the addresses that
    job pods are given (None: those of the settings). The rest is as :class:`Controller` takes it.
    """
    # Shared by all parts: what one of them writes, the others see in the next step.
    cache = JobCache()
    # One lock per job for controller and reports alike; with two dictionaries they would race for the status.
    runtimes: JobRuntimes = defaultdict(JobRuntime)
    places = EnvironmentPlaces(settings)
    observer = Observer(cluster, cache, places, settings, clock)
    executor = Executor(cluster, cache, settings, tokens, gate, network or JobNetworkResolver(settings))
    controller = Controller(
        cluster,
        settings,
        cache,
        runtimes,
        places,
        observer,
        executor,
        job_table,
        clock=clock,
        leads=leads,
        tell=tell,
    )
    reports = PodReports(cache, runtimes, tokens, observer, executor, job_table, clock)
    return Engine(controller, reports)
