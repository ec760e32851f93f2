"""Each driver of the registry can be made without anything running, and asks for parts that exist."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from sandbox.box import Box
from sandbox.bundle.parts.catalogue import CATALOGUE
from sandbox.cli.commands.lifecycle import up
from sandbox.clusters.driver_registry import DRIVERS, driver_of
from sandbox.home import BoxHome
from sandbox.install.cluster_choice import parts_for
from sandbox.settings import BoxSettings


@pytest.mark.parametrize("name", DRIVERS)
def test_a_box_on_each_driver_is_absent_before_its_first_start(tmp_path: Path, name: str) -> None:
    cluster = Box(BoxHome(tmp_path), BoxSettings(cluster=name)).cluster
    assert cluster.status().state == "absent"
    assert (cluster.name, cluster.kubeconfig.exists()) == ("c2d", False)


@pytest.mark.parametrize("name", DRIVERS)
def test_each_driver_needs_parts_that_the_bundle_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert set(parts_for(name) or ()) <= set(CATALOGUE)


def test_up_offers_every_driver() -> None:
    option = next(option for option in up.params if option.name == "cluster")
    assert isinstance(option.type, click.Choice) and list(option.type.choices) == ["auto", *DRIVERS]


def test_a_box_without_a_choice_is_native() -> None:
    assert driver_of("").name == driver_of("auto").name == "native"
