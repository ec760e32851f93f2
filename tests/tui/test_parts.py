"""The parts below the screens: text that cannot be obeyed, merged logs, previews, the step graph."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sandbox.progress import ProgressEvent
from tests.tui.recorded_data import recorded_ddo
from tui.actions.step_board import StepBoard
from tui.screens.assets.widgets import _ddo_text
from tui.screens.logs.merging import fresh_lines, line_stamp, merge_lines, worded_line
from tui.screens.outputs.preview import draw_preview
from tui.widgets.step_graph import board_lines
from tui.widgets.text import age_text, duration_text, one_line, safe_text, size_text


@pytest.mark.parametrize("evil", ["\x1b]52;c;aGk=\x07", "\x9b2J", "\r", "\x00", "\x7f", "\u202e", "\x1b[31m"])
def test_no_control_character_survives(evil: str) -> None:
    shown = safe_text(f"a{evil}b")
    assert all(character.isprintable() for character in shown)
    assert shown[0] == "a" and shown[-1] == "b"


def test_line_feeds_stay_except_on_one_line() -> None:
    assert safe_text("a\nb") == "a\nb"
    assert one_line("a\nb") == "a b"


def test_an_assets_facts_are_words_whatever_its_publisher_wrote() -> None:
    ddo = recorded_ddo("did:op:" + "1" * 64, "dataset", "Cells", 1.0)
    ddo["services"][0]["type"] = "access\x1b]0;pwned\x07\nowner     0x" + "0" * 40
    lines = _ddo_text(ddo).plain.splitlines()
    assert not any("\x1b" in line or "\x07" in line for line in lines)
    assert [line.split(" ")[0] for line in lines].count("owner") == 1


def test_markup_of_others_is_text() -> None:
    assert _drawn("x.txt", b"[bold]no[/bold]") == "[bold]no[/bold]"


def _drawn(name: str, content: bytes) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(draw_preview(name, content))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()).strip()


def test_a_csv_is_a_table() -> None:
    assert _drawn("t.csv", b'name,n\n"a,b",1\nshort\n').splitlines() == ["name   n", "a,b    1", "short"]


def test_json_is_indented_and_broken_json_is_text() -> None:
    assert _drawn("m.json", b'{"a":1}').splitlines() == ["{", '  "a": 1', "}"]
    assert _drawn("m.json", b'{"a":') == '{"a":'
    assert _drawn("m.json", b"[" * 20_000).startswith("[")


def test_binaries_are_not_shown() -> None:
    assert "binary" in _drawn("m.txt", b"a\0b")


def test_only_what_is_new_comes_again() -> None:
    assert fresh_lines([], ["a"]) == ["a"]
    assert fresh_lines(["a", "b"], ["a", "b", "c"]) == ["c"]
    assert fresh_lines(["a", "b"], ["b", "c"]) == ["c"]
    assert fresh_lines(["a", "a"], ["a", "a", "a"]) == ["a"] or fresh_lines(["a", "a"], ["a", "a", "a"]) == []
    assert fresh_lines(["a"], ["x", "y"]) == ["x", "y"]


def test_logs_are_merged_by_the_time_in_their_lines() -> None:
    lines = merge_lines(
        {
            "provider": ['{"time": "2026-01-02T10:00:01.5Z", "m": "p"}', "  its traceback"],
            "kubelet": ["I0102 10:00:01.200000 k.go] k", "I0102 10:00:02.000000 k.go] l"],
        }
    )
    assert [line.split()[0] for line in lines] == ["kubelet", "provider", "provider", "kubelet"]
    assert line_stamp("nothing") == ""


def test_a_line_of_json_is_told_in_words_and_any_other_stays() -> None:
    line = (
        '{"time": "2026-01-02T10:00:01.5Z", "level": "error", "logger": "c2d", "message": "no", "job": "a1"}'
    )
    assert worded_line(line) == "01-02 10:00:01.5 ERROR no job=a1"
    for other in ("plain", "{", '{"level": "info"}', "[1]", "{" * 9):
        assert worded_line(other) == other


def test_each_log_of_the_box_is_told_in_words_and_in_order() -> None:
    """As trials found them: ours, the engine's of an older box, etcd's, containerd's, klog and undated."""
    lines = merge_lines(
        {
            "etcd": ['{"level":"info","ts":"2026-11-14T22:13:21.100Z","caller":"a","msg":"one","took":"2s"}'],
            "engine": ['{"at": 1794694403.25, "level": "info", "message": "three"}'],
            "containerd": ['time="2026-11-14T22:13:22.5Z" level=warning msg="two \\"q\\"" id=7'],
            "kubelet": ["I1114 22:13:24.000000 k.go] four"],
            "ipfs": ["starting", "ready"],
            "provider": ["  a warning before the first line",
                         '{"time": "2026-11-14T22:13:20.000Z", "level": "info", "message": "zero"}'],
        }
    )  # fmt: skip
    assert [line.split()[0] for line in lines] == [
        "provider", "provider", "etcd", "containerd", "engine", "kubelet", "ipfs", "ipfs",
    ]  # fmt: skip
    assert lines[2].split(None, 1)[1] == "11-14 22:13:21.100 INFO one took=2s"
    assert lines[3].split(None, 1)[1] == '11-14 22:13:22.5 WARNING two "q" id=7'
    assert lines[4].split(None, 1)[1].startswith("11-14 22:13:23.25 INFO three")


def test_a_group_closes_when_its_steps_are_done_and_opens_when_one_fails() -> None:
    board = StepBoard()
    board.add_event(ProgressEvent("a.one", "done", "one", seconds=1, at=0))
    board.add_event(ProgressEvent("b.one", "started", "one", at=0))
    board.add_event(ProgressEvent("b.two", "failed", "two", seconds=2, at=0))
    assert str(board_lines(board, 5.0)).splitlines() == [
        "✓ a          1 step  1.0 s",
        "✗ b          1/2",
        "  ├ → one  5.0 s",
        "  └ ✗ two  2.0 s",
    ]


def test_times_and_sizes_are_short() -> None:
    assert (duration_text(1.25), duration_text(61), duration_text(7260)) == ("1.2 s", "1 m 1 s", "2 h 1 m")
    assert (age_text(4), age_text(33), age_text(120), age_text(7200)) == (
        "now",
        "30 s ago",
        "2 min ago",
        "2 h ago",
    )
    assert (size_text(0), size_text(1500), size_text(3_000_000)) == ("0 B", "1.5 kB", "3.0 MB")
