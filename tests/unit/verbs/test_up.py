"""What ``up`` writes down of a box is true also where it fails on its way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from c2d_box.errors import Failed
from sandbox.box import Box, open_box
from sandbox.home import BoxHome
from sandbox.progress import run_verb
from sandbox.settings import BoxPorts, BoxSettings
from sandbox.verbs.lifecycle import up


def boot(home: Path, ports: BoxPorts, monkeypatch: pytest.MonkeyPatch, *, fails: str = "") -> None:
    """``up`` with its steps left out but the one that publishes; ``fails`` before or in it."""
    box = Box(BoxHome(home), BoxSettings(ports=ports))

    def publish(_ports: dict[int, int]) -> None:
        if fails == "publish":
            raise Failed("C2D-PORT-TAKEN", "a port is taken", "use another")

    def raised(box: Box, _yes: bool, _confirm: Any) -> Any:
        yield from ()
        if fails == "chart":
            raise Failed("C2D-CHART", "the chart failed", "look")
        box.__dict__["cluster"] = SimpleNamespace(publish_ports=publish)
        up.publish_ports(box)
        return {}

    monkeypatch.setattr(up, "choose_cluster", lambda _box: SimpleNamespace(text="native", driver="native"))
    monkeypatch.setattr(up, "_raise", raised)
    run_verb(up.up(box), lambda _event: None)


@pytest.mark.parametrize("fails", ["chart", "publish"])
def test_ports_are_remembered_when_they_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    boot(tmp_path, BoxPorts(), monkeypatch)
    assert open_box(tmp_path).ports == BoxPorts()
    other = BoxPorts().with_offset(100)
    with pytest.raises(Failed):
        boot(tmp_path, other, monkeypatch, fails=fails)
    assert open_box(tmp_path).ports == BoxPorts(), "nothing listens on the others"
    boot(tmp_path, other, monkeypatch)
    assert open_box(tmp_path).ports == other


def test_a_first_boot_that_fails_remembers_what_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(BoxPorts(), chain=18545)
    with pytest.raises(Failed):
        boot(tmp_path, other, monkeypatch, fails="chart")
    assert open_box(tmp_path).settings.cluster == "native"
    assert open_box(tmp_path).ports == other
