"""What a shell is offered, and the version."""

from __future__ import annotations

import shutil
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from sandbox.box import open_box
from sandbox.cli import identifiers as completing
from sandbox.cli.app import invoke
from sandbox.identifier_match import Candidate
from sandbox.settings import BoxSettings

PATIENTS, MEAN = "did:op:" + "ab12cd34" * 8, "did:op:" + "cd34ffff" * 8
KNOWN = {
    "dataset": [Candidate(PATIENTS, ("patients.csv",), "dataset, publisher")],
    "algorithm": [Candidate(MEAN, ("has a blank",)), Candidate(PATIENTS, ("evil\nplain,x",))],
    "job": [Candidate("1234abcd" * 4, text="Job finished")],
    "environment": [Candidate("ocean-compute")],
    "image": [Candidate("c2d.local/algo-python")],
    "account": [Candidate("0x" + "1" * 40, ("publisher", "3"))],
}


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("C2D_BOX_HOME", str(tmp_path / "box"))


def offered(words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The words that bash gets for a line; the last of it is what is being typed."""
    line = words.split(" ")
    monkeypatch.setenv("_C2D_BOX_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(["c2d-box", *line]))
    monkeypatch.setenv("COMP_CWORD", str(len(line)))
    assert invoke([]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    # No completions are one empty line.
    return [each.partition(",")[2] for each in said.out.splitlines() if each]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pub", ["publish"]),
        ("job", ["jobs", "job"]),
        ("images ", ["list", "import"]),
        ("assets --sta", ["--state"]),
        ("assets --state ", ["active", "ended"]),
        ("--as cons", ["consumer2", "consumer"]),
        ("jobs --owner a", ["all"]),
        ("--ver", ["--version"]),
        ("completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_commands_and_options_are_offered_without_a_box(
    words: str, expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sorted(offered(words, monkeypatch, capsys)) == sorted(expected)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("permit ", ["ab12cd34", "patients.csv"]),
        ("permit pat", ["patients.csv"]),
        ("permit patients.csv ", ["cd34ffff", "ab12cd34"]),
        ("start --with ab", ["ab12cd34"]),
        ("job 12", ["1234abcd"]),
        ("job logs ", ["1234abcd"]),
        ("start --environment oc", ["ocean-compute"]),
        ("run a.py --image c2d", ["c2d.local/algo-python"]),
        ("run a.py --data pat", ["patients.csv"]),
        ("trust patients.csv --publisher p", ["publisher"]),
    ],
)
def test_ids_and_plain_names_of_the_box_are_offered(
    words: str, expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(completing, "_read_candidates", lambda kind: KNOWN[kind])
    assert offered(words, monkeypatch, capsys) == expected


def test_boxes_are_offered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (None, "trial"):
        box = open_box(None, name)
        box.save_settings(BoxSettings(name=box.name))
    assert offered("--name ", monkeypatch, capsys) == ["c2d", "trial"]


def test_a_box_that_is_not_there_offers_nothing_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert offered("permit pat", monkeypatch, capsys) == []
    assert list(tmp_path.iterdir()) == []


def test_a_box_that_is_slow_offers_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(completing, "_read_candidates", lambda _kind: time.sleep(5))
    monkeypatch.setattr(completing, "LIST_SECONDS", 0.05)
    began = time.monotonic()
    assert offered("permit pat", monkeypatch, capsys) == []
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_takes_its_script(shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert invoke(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "_C2D_BOX_COMPLETE" in script and "c2d-box" in script
    if shutil.which(shell):
        file = tmp_path / "script"
        file.write_text(script)
        subprocess.run([shell, "-n", str(file)], check=True)


def test_the_shell_of_the_user_is_the_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert invoke(["completion"]) == 0
    assert "fish_complete" in capsys.readouterr().out
    monkeypatch.setenv("SHELL", "/bin/csh")
    assert invoke(["completion"]) == 2
    assert "bash, zsh or fish" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_is_one_line(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([option]) == 0
    assert capsys.readouterr().out == f"c2d-box {version('c2d-box')}\n"


@pytest.mark.parametrize(
    ("typed", "meant"), [("statsu", "status"), ("asset", "assets"), ("explian", "explain")]
)
def test_a_mistyped_command_is_told_what_it_resembles(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke([typed]) == 2
    assert meant in capsys.readouterr().err
