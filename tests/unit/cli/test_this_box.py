"""A printed command acts on the box that the user named, and can be pasted."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from c2d_box.errors import StateProblem
from sandbox.box import Box, open_box
from sandbox.cli import failures, opening, output
from sandbox.cli.opening import for_this_box
from sandbox.cli.settings import CliSettings
from sandbox.home import BoxHome
from sandbox.settings import DEFAULT_NAME


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "current", lambda: CliSettings(box_name="trial"))


@pytest.mark.usefixtures("trial")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see whether it runs: c2d-box status", "see whether it runs: c2d-box --name trial status"),
        ("`c2d-box down` and `c2d-box up`", "`c2d-box --name trial down` and `c2d-box --name trial up`"),
        ("c2d-box --name trial job 1", "c2d-box --name trial job 1"),
        ("Run `c2d-box bundle build` first.", "Run `c2d-box bundle build` first."),
        ("c2d-box builds for x86-64", "c2d-box builds for x86-64"),
        (".venv/bin/c2d-box status", ".venv/bin/c2d-box status"),
        ("nothing to say", "nothing to say"),
    ],
)
def test_a_command_in_a_text_names_this_very_box(text: str, shown: str) -> None:
    assert for_this_box(text) == shown


@pytest.mark.usefixtures("trial")
def test_errors_and_results_say_it(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_text("next: c2d-box permit A B")
    settings = CliSettings(no_color=True, box_name="trial")
    failures.report_problem(StateProblem("C2D-X", "it is down", "c2d-box up"), settings)
    shown = capsys.readouterr()
    assert shown.out == "next: c2d-box --name trial permit A B\n"
    assert "next:    c2d-box --name trial up\n" in shown.err


@pytest.mark.usefixtures("trial")
def test_a_log_is_not_changed(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_foreign("run c2d-box status now")
    assert capsys.readouterr().out == "run c2d-box status now\n"


@pytest.mark.parametrize("folder", ["my box", "schöne Kiste", "it's", "a;b", "$HOME"])
def test_a_command_with_a_home_can_be_pasted(folder: str, tmp_path: Path) -> None:
    box = Box(BoxHome(tmp_path / folder), open_box(tmp_path / folder).settings)
    words = shlex.split(box.command_line("status"))
    assert words[-3:] == ["--home", str(tmp_path / folder), "status"]


def test_a_tilde_is_the_users_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from sandbox.bundle.cache import cache_root

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("C2D_BOX_HOME", "~/kiste")
    monkeypatch.setenv("C2D_BOX_CACHE", "~/cache")
    assert BoxHome.default_home().path == tmp_path / "kiste"
    assert cache_root() == tmp_path / "cache"
    assert open_box(Path("~/other")).home.path == tmp_path / "other"
    assert open_box(None, DEFAULT_NAME).home.path == tmp_path / "kiste"
