"""The attack battery on a real box: contained where isolation holds, and said so where it does not."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from sandbox.attacks.catalogue import ATTACKS
from sandbox.box import Box
from sandbox.bundle import Bundle
from sandbox.clusters.driver_record import ClusterOptions
from sandbox.clusters.native.driver import NativeCluster
from sandbox.clusters.port import ClusterDriver
from sandbox.home import BoxHome
from sandbox.install import isolation
from sandbox.settings import BoxSettings
from sandbox.verbs.lifecycle.down import reset
from sandbox.verbs.lifecycle.selftest import choose_attacks, selftest
from sandbox.verbs.lifecycle.status import status
from sandbox.verbs.lifecycle.up import up
from tests.cluster.conftest import finish_verb, free_ports
from tests.cluster.openbox import BoxWithoutClasses
from tests.conftest import sample_cells

SAMPLED = 4


def test_the_battery_is_contained(box: Box, seed: str, pytestconfig: pytest.Config) -> None:
    full = bool(pytestconfig.getoption("--full"))
    attacks = sample_cells([a for a in ATTACKS if full or not a.slow], SAMPLED, seed, full)
    report = finish_verb(selftest(box, attacks))
    assert [(verdict.name, verdict.problem) for verdict in report.failed_verdicts] == []
    assert len(report.verdicts) > len(attacks) + 4


def test_under_disclosure_rules_nothing_leaves(box: Box, seed: str, pytestconfig: pytest.Config) -> None:
    """Every attack as an algorithm on data whose publisher lets small tables out and no log."""
    full = bool(pytestconfig.getoption("--full"))
    attacks = sample_cells([a for a in ATTACKS if full or not a.slow], SAMPLED, seed, full)
    report = finish_verb(selftest(box, attacks, under_rules=True))
    assert [(verdict.name, verdict.problem) for verdict in report.failed_verdicts] == []


def test_up_has_found_out_what_holds_and_status_says_it(box: Box) -> None:
    found = isolation.load_finding(box.home.path)
    assert found is not None
    assert found.is_proven
    assert found.construction
    assert status(box).settings["isolation"] == found.summary_text


def test_an_open_network_is_reported(box: Box) -> None:
    report = finish_verb(selftest(BoxWithoutClasses(box.home, box.settings), choose_attacks(["end-code"])))
    assert not report.contained
    assert [verdict.name for verdict in report.failed_verdicts] == ["box-isolation"]
    assert "NOT ISOLATED" in report.failed_verdicts[0].problem


@dataclass(frozen=True)
class _BoxWithoutRules(Box):
    """A box of its own whose job classes get the ordinary pod network."""

    @cached_property
    def cluster(self) -> ClusterDriver:
        return NativeCluster(self.home, Bundle.open_cached(), self.name, ClusterOptions(isolation_off=True))

    def save_settings(self, settings: BoxSettings) -> Box:
        """``up`` goes on with what this answers."""
        made = super().save_settings(settings)
        return type(self)(made.home, made.settings)


@pytest.fixture
def open_box(pytestconfig: pytest.Config) -> Iterator[Box]:
    if not pytestconfig.getoption("--full"):
        pytest.skip("boots a second box: with --full only")
    if os.geteuid() != 0:
        pytest.skip("the supervisor needs root")
    home = Path(tempfile.mkdtemp(prefix="c2d-o"))
    made = _BoxWithoutRules(BoxHome(home), BoxSettings(name="open", ports=free_ports()))
    try:
        finish_verb(up(made, yes=True))
        yield made
    finally:
        finish_verb(reset(made, everything=True))
        shutil.rmtree(home, ignore_errors=True)


def test_a_box_with_isolation_off_fails_its_selftest(open_box: Box) -> None:
    assert "NOT ISOLATED" in status(open_box).settings["isolation"]
    report = finish_verb(selftest(open_box, choose_attacks(["network-tcp", "outputs-symlink"])))
    failed = {verdict.name: verdict for verdict in report.failed_verdicts}
    assert {"box-isolation", "network-tcp", "outputs-symlink"} <= set(failed)
    assert failed["network-tcp"].code == 78, "the warden must not have let it start"
