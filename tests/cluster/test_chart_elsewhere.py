"""The chart as on a cluster that is not the box's: no fixed addresses, no RuntimeClasses, no list of targets.

Kubernetes chooses the services' addresses, and the engine resolves their names for the job pods, which have
no DNS. Nothing enforces policies on the native cluster, so its operator lets jobs run unproven and the
evidence says so. Before, jobs ended 78 even then: a warden without targets cannot say anything.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from c2d_box.client.evidence import verification
from c2d_box.workflow import evidence
from sandbox.box import Box
from sandbox.demo.story import DemoOutcome, demo
from sandbox.home import BoxHome
from sandbox.install import chart_values
from sandbox.settings import BoxSettings
from sandbox.verbs.lifecycle import up as up_verb
from sandbox.verbs.lifecycle.down import reset
from sandbox.verbs.sdk_connections import open_consumer
from tests.cluster.conftest import finish_verb, free_ports
from tests.cluster.openbox import BoxWithoutClasses


def as_elsewhere(values: dict[str, Any]) -> dict[str, Any]:
    """The box's values without what only its own cluster has."""
    engine = {**values["operatorEngine"], "wardenTargets": []}
    provider = {**values["provider"], "endpointAliases": {}}
    left_to_kubernetes = {
        "clusterIPs": {},
        "nodePorts": {"enabled": True},
        "operatorEngine": engine,
        "provider": provider,
        "cache": {},
    }
    return {**values, **left_to_kubernetes}


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Box]:
    home = Path(tempfile.mkdtemp(prefix="c2d-e"))
    settings = BoxSettings(name="elsewhere", ports=free_ports(), cluster="native", unproven_jobs=True)
    box = BoxWithoutClasses(BoxHome(home), settings)
    with pytest.MonkeyPatch.context() as patch:
        values_of_the_box = chart_values.chart_values
        patch.setattr(up_verb, "chart_values", lambda *arguments: as_elsewhere(values_of_the_box(*arguments)))
        try:
            finish_verb(up_verb.up(box, yes=True))
            yield box
        finally:
            finish_verb(reset(box, everything=True))


@pytest.fixture(scope="module")
def finished(elsewhere: Box, tmp_path_factory: pytest.TempPathFactory) -> DemoOutcome:
    done: DemoOutcome = finish_verb(demo(elsewhere, tmp_path_factory.mktemp("demo"), yes=True))
    return done


def test_a_job_runs_to_its_end(finished: DemoOutcome) -> None:
    assert finished.results and finished.metrics


def test_the_warden_had_targets_and_the_evidence_says_what_they_answered(
    elsewhere: Box, finished: DemoOutcome
) -> None:
    with open_consumer(elsewhere, "consumer") as party:
        record = verification.fetch_evidence(party, finished.job_id)
    proof = evidence.evidence_facts(record, "isolation")
    assert proof["probes"] > 5
    assert "NOT ISOLATED" in proof["verdict"]
