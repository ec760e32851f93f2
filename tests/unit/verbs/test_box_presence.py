"""A box that is absent, stopped or mistyped is named as that, and nothing is asked of another one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from c2d_box.errors import StateProblem
from sandbox.box import Box, list_box_names, open_box
from sandbox.cli.app import invoke
from sandbox.settings import BoxSettings
from sandbox.verbs.box_presence import demand_running_box


@pytest.fixture(autouse=True)
def homes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("C2D_BOX_HOME", str(tmp_path / "box"))
    return tmp_path


def made(name: str | None = None) -> Box:
    box = open_box(None, name)
    return box.save_settings(BoxSettings(name=box.name))


def in_state(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    cluster = SimpleNamespace(status=lambda: SimpleNamespace(state=state))
    monkeypatch.setattr(Box, "cluster", cluster)


def test_boxes_are_found_by_their_default_homes() -> None:
    assert list_box_names() == []
    for name in (None, "two", "trial"):
        made(name)
    assert list_box_names() == ["c2d", "trial", "two"]


def test_a_mistyped_box_is_named_with_those_there_are() -> None:
    made()
    made("trial")
    with pytest.raises(StateProblem) as refused:
        demand_running_box(open_box(None, "trail"))
    assert refused.value.code == "C2D-BOX-DOWN"
    assert refused.value.message == "there is no box called trail"
    assert refused.value.next_step.endswith("there are: c2d, trial")
    assert "--name trail up" in refused.value.next_step


def test_an_empty_home_is_named(homes: Path) -> None:
    with pytest.raises(StateProblem, match=r"there is no box at .*elsewhere"):
        demand_running_box(open_box(homes / "elsewhere"))


@pytest.mark.parametrize(
    ("state", "said"), [("stopped", "is stopped"), ("failed", "is failed"), ("absent", "is not up yet")]
)
def test_a_box_that_does_not_run_is_named_as_that(
    monkeypatch: pytest.MonkeyPatch, state: str, said: str
) -> None:
    box = made("trial")
    in_state(monkeypatch, state)
    with pytest.raises(StateProblem, match=f"the box trial {said}"):
        demand_running_box(box)


@pytest.mark.parametrize("state", ["starting", "running", "degraded"])
def test_a_box_that_runs_is_let_through(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    box = made()
    in_state(monkeypatch, state)
    demand_running_box(box)


ASKING = (
    "accounts",
    "assets",
    "jobs",
    "job 1234abcd",
    "job logs 1234abcd",
    "results 1234abcd",
    "stop 1234abcd",
    "explain 1234abcd",
    "verify 1234abcd",
    "quote patients",
    "start patients mean",
    "simulate patients mean",
    "permit patients mean",
    "permit --explain patients mean",
    "revoke patients mean",
    "trust patients --no-raw",
    "edit patients --description x",
    "end patients --yes",
    "download patients",
    "faucet consumer",
    "chain",
    "chain 0x1234",
    "pods",
    "cid QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
    "images list",
    "publish dataset https://example.org/a.csv",
    "publish algorithm https://example.org/a.py",
    "run SCRIPT --data patients",
)


@pytest.mark.parametrize("line", ASKING)
@pytest.mark.parametrize("state", ["mistyped", "stopped"])
def test_no_command_reaches_another_box_that_has_the_ports(
    line: str, state: str, homes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any connection would be one to the other box: this one has none open."""

    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise AssertionError("another box was asked")

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", refuse)
    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", refuse)
    made()
    if state == "stopped":
        made("trial")
        in_state(monkeypatch, "stopped")
    script = homes / "script.py"
    script.write_text("print(1)")
    words = line.replace("SCRIPT", str(script)).split()
    assert invoke(["--name", "trial", *words]) == 4
    said = capsys.readouterr()
    assert "C2D-BOX-DOWN" in said.err and "trial" in said.err
    assert said.out == ""
    if state == "mistyped":
        assert not (homes / "box-trial").exists(), "a command for no box left a home behind"


@pytest.mark.parametrize("line", ["env", "logs provider"])
def test_what_works_on_a_stopped_box_refuses_a_mistyped_one(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made()
    assert invoke(["--name", "trial", *line.split()]) == 4
    assert "there is no box called trial" in capsys.readouterr().err


def test_the_addresses_of_a_stopped_box_are_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    made("trial")
    assert invoke(["--name", "trial", "env"]) == 0
    assert "PROVIDER_URL" in capsys.readouterr().out
