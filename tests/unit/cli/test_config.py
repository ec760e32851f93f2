"""``config`` and the box file of ``up``, as scripts meet them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.box import Box, open_box
from sandbox.cli.app import invoke
from sandbox.home import BoxHome
from sandbox.progress import Progress
from sandbox.settings import BoxPorts, BoxSettings
from sandbox.verbs.lifecycle import up as up_module


def run(home: Path, *words: str) -> int:
    return invoke(["--home", str(home), *words])


@pytest.fixture
def booted(monkeypatch: pytest.MonkeyPatch) -> list[BoxSettings]:
    """The settings with which ``up`` was called; nothing is booted."""
    seen: list[BoxSettings] = []

    def up(box: Box, **_: Any) -> Progress[up_module.UpReport]:
        yield from ()
        seen.append(box.settings)
        return up_module.UpReport(
            box.name, box.home.path, {}, box.home.kubeconfig, box.home.address_file, 0.0
        )

    monkeypatch.setattr(up_module, "up", up)
    return seen


def test_a_new_box_shows_the_defaults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "config", "show") == 0
    shown = capsys.readouterr().out
    assert run(tmp_path, "config", "show", "--defaults") == 0
    assert capsys.readouterr().out == shown
    (tmp_path / "c2d-box.yaml").write_text(shown)
    assert run(tmp_path, "config", "check") == 0
    capsys.readouterr()
    assert run(tmp_path, "config", "show", "--schema") == 0
    assert "ports" in json.loads(capsys.readouterr().out)["properties"]


def test_set_makes_the_file_of_what_the_box_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    box = Box(BoxHome(tmp_path), BoxSettings())
    box.save_settings(BoxSettings(ports=BoxPorts(s3=19000), result_store="s3"))
    assert run(tmp_path, "config", "set", "trust.empty_lists", "all") == 0
    assert "trust.empty_lists: none → all" in capsys.readouterr().out
    document = yaml.safe_load((tmp_path / "c2d-box.yaml").read_text())
    assert (document["ports"]["s3"], document["result_store"]) == (19000, "s3")
    assert run(tmp_path, "config", "check", "--json") == 0
    (change,) = json.loads(capsys.readouterr().out)["changes"]
    assert change == {"key": "trust.empty_lists", "before": "none", "after": "all", "restarts": ["provider"]}


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("ports.s3", "many", "C2D-BOXFILE-INVALID"),
        ("ports.s3", "8030", "C2D-BOXFILE-INVALID"),
        ("ports", "1", "C2D-BOXFILE-INVALID"),
        ("network", "online", "C2D-BOXFILE-KEY"),
        ("ports.printer", "1", "C2D-BOXFILE-KEY"),
        ("ports.s3.x", "1", "C2D-BOXFILE-KEY"),
        ("values.cache.spann", "1", "C2D-BOXFILE-INVALID"),
    ],
)
def test_what_is_refused_changes_nothing(
    key: str, value: str, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "c2d-box.yaml"
    file.write_text("# mine\nports:\n  s3: 9001\n")
    assert run(tmp_path, "config", "set", key, value) == 2
    assert code in capsys.readouterr().err
    assert file.read_text() == "# mine\nports:\n  s3: 9001\n"


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("existing.context", "123", "123"),
        ("existing.context", "a: b", "a: b"),
        ("existing.context", "[", "["),
        ("origins", "[http://localhost:3000]", ["http://localhost:3000"]),
        ("values.cache.span", "5", 5),
        ("limits.output_bytes", "null", None),
    ],
)
def test_a_word_is_what_its_key_wants(
    key: str, text: str, value: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c2d-box.yaml").write_text("cluster: existing\n")
    assert run(tmp_path, "config", "set", key, text) == 0
    capsys.readouterr()
    assert run(tmp_path, "config", "show", key, "--json") == 0
    assert json.loads(capsys.readouterr().out) == value


def test_a_link_to_a_file_elsewhere_stays_one(tmp_path: Path) -> None:
    real = tmp_path / "repository.yaml"
    real.write_text("barge_keys: false\n")
    home = tmp_path / "home"
    home.mkdir()
    (home / "c2d-box.yaml").symlink_to(real)
    assert run(home, "config", "set", "barge_keys", "true") == 0
    assert (home / "c2d-box.yaml").is_symlink()
    assert real.read_text() == "barge_keys: true\n"


def test_an_edit_is_written_only_when_it_is_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "c2d-box.yaml"
    monkeypatch.setenv("VISUAL", "sed -i s/ipfs$/floppy/")
    assert run(tmp_path, "config", "edit") == 2
    assert "result_store: must be 'ipfs' or 's3'" in capsys.readouterr().err
    assert not file.exists()
    monkeypatch.setenv("VISUAL", "sed -i s/ipfs$/s3/")
    assert run(tmp_path, "config", "edit") == 0
    assert yaml.safe_load(file.read_text())["result_store"] == "s3"


def test_up_takes_the_file_and_the_command_line_wins(
    tmp_path: Path, booted: list[BoxSettings], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c2d-box.yaml").write_text(
        "result_store: s3\ntrust: {empty_lists: all}\nports: {offset: 5}\n"
    )
    assert run(tmp_path, "up", "--trust-empty-lists", "none", "--port", "s3=19000") == 0
    expected = BoxPorts().with_offset(5).with_port("s3", 19000)
    assert booted == [BoxSettings(ports=expected, result_store="s3")]
    said = capsys.readouterr().err
    assert "note: trust.empty_lists is none for this up; the box file says all" in said
    assert "note: ports.s3 is 19000 for this up; the box file says 9005" in said


def test_up_takes_another_file(tmp_path: Path, booted: list[BoxSettings]) -> None:
    (tmp_path / "c2d-box.yaml").write_text("result_store: s3\n")
    other = tmp_path / "other.yaml"
    other.write_text("trust: {empty_lists: all}\n")
    assert run(tmp_path, "up", "--file", str(other)) == 0
    assert booted == [BoxSettings(trust_empty_lists="all")]


def test_up_refuses_a_bad_file_before_anything_is_changed(
    tmp_path: Path, booted: list[BoxSettings], capsys: pytest.CaptureFixture[str]
) -> None:
    Box(BoxHome(tmp_path), BoxSettings()).save_settings(BoxSettings(result_store="s3"))
    file = tmp_path / "c2d-box.yaml"
    file.write_text("trust:\n  empty_lists: al\n")
    assert run(tmp_path, "up") == 2
    assert f"{file}, line 2: trust.empty_lists: must be 'none' or 'all'" in capsys.readouterr().err
    assert booted == []
    assert open_box(tmp_path).settings == BoxSettings(result_store="s3")
