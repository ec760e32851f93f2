"""Names of strangers on a terminal: nothing is obeyed, nothing forges a row; ``--json`` stays exact."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from c2d_box.errors import Refused
from sandbox.cli import failures, narration, output
from sandbox.cli.settings import CliSettings
from sandbox.display_text import visible_line, visible_text
from sandbox.progress import ProgressEvent

HOSTILE = [
    "esc \x1b[31mred\x1b]0;owned\x07 end",
    "clipboard \x1b]52;c;aGVsbG8=\x07",
    "c1 \x9b31m \x90 \x85",
    "link \x1b]8;;http://evil\x07text\x1b]8;;\x07",
    "row\nfake  did:op:000  free",
    "carriage\rreturn",
    "line separator\u2028second",
    "bidi \u202egpj.exe \u2066 \u061c",
    "half a pair \ud800",
    "delete \x7f",
]
OBEYED = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0))} - {"\n", "\t"}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_table_keeps_one_line_for_each_row(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(["did", "name"], [("did:op:1", name), ("did:op:2", "plain")])
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) == 3
    assert not OBEYED & set(shown)


@pytest.mark.parametrize("name", HOSTILE)
def test_pairs_values_and_lines_are_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.print_pairs({"name": name})
    output.print_value("tokenName", name)
    output.print_line(name)
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) == 3
    assert not OBEYED & set(shown)


@pytest.mark.parametrize("name", HOSTILE)
def test_an_error_that_quotes_a_name_is_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused = Refused("C2D-X", f"{name} is not permitted", f"permit {name}", file=name, more=[name, name])
    refused.__cause__ = ValueError(name + " as cause")
    assert failures.report_problem(refused, CliSettings(no_color=True)) == refused.exit_status
    shown = capsys.readouterr().err
    assert not OBEYED & set(shown)
    assert not {"\u202e", "\u2028", "\ud800"} & set(shown)


@pytest.mark.parametrize("name", HOSTILE)
def test_json_is_exact(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "current", lambda: CliSettings(json=True))
    assert output.print_json([{"name": name}])
    assert json.loads(capsys.readouterr().out) == [{"name": name}]


@pytest.mark.parametrize("name", ["trap [/b] x", "a[/b].txt", "[bold]x.csv", "[link=http://evil]x", *HOSTILE])
def test_a_step_under_way_shows_any_name_on_a_terminal(name: str) -> None:
    """A bracket in a name ended the command with a MarkupError, and nothing was saved."""
    screen = Console(file=io.StringIO(), force_terminal=True, width=200)
    event = ProgressEvent("fetch", "started", f"fetching {name}")
    screen.print(narration._list_picture({"fetch": event}))
    drawn = screen.file.getvalue()  # type: ignore[attr-defined]
    if "[" in name and "\x1b" not in name:
        assert name in drawn
    assert len(drawn.rstrip("\n").splitlines()) == 1
    assert narration.describe_event(ProgressEvent("fetch", "done", name)).count("\n") == 0


def test_a_refusals_reasons_are_a_tree_of_lines(capsys: pytest.CaptureFixture[str]) -> None:
    because = [{"rule": "listed", "allowed": False, "text": "it is not listed", "because": []}]
    tree = {"rule": "permission", "allowed": False, "text": "it may not run", "because": because}
    failures.report_problem(Refused("C2D-X", "no", "ask", reasons=tree), CliSettings(no_color=True))
    shown = capsys.readouterr().err
    assert "{" not in shown
    assert "    no   it may not run\n      no   it is not listed\n" in shown


@given(st.text())
def test_no_text_is_obeyed(value: str) -> None:
    assert not OBEYED & set(visible_text(value))
    assert not {"\n", "\t"} & set(visible_line(value))
    visible_text(value).encode()


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_what_is_harmless_stays_as_it_is(value: str) -> None:
    assert visible_line(value) == value


def test_joiners_of_scripts_and_emoji_stay() -> None:
    for name in ("می\u200cخواهم.csv", "👩\u200d🔬.png"):
        assert visible_line(name) == name
