"""The log gate: what a terminal would show at last, whatever the pieces in which it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.workflow.loggate import HELD, LogGate


def passed(raw: bytes, size: int = 1 << 16, budget: int = 1 << 20, lines: int | None = None) -> str:
    gate = LogGate(budget, lines)
    pieces = [gate.filter_bytes(raw[at : at + size]) for at in range(0, len(raw), size)]
    return (b"".join(pieces) + gate.finish_log()).decode()


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"10 %\r50 %\r100 %\nready\n", "100 %\nready\n"),
        (b"one\r\ntwo\r\r\n", "one\ntwo\n"),
        (b"10 %\r100 %\r", "100 %"),
        (b"\x1b[31mred\x1b[0m and \x1b[1;38;5;196mbold\x1b[m\n", "red and bold\n"),
        (b"\r\x1b[2Kepoch 1\r\x1b[Kepoch 2\n", "epoch 2\n"),
        (b"\x1b[2J\x1b]0;title\x07 \x08 \xe2\x80\xae\n", "\\x1b[2J\\x1b]0;title\\x07 \\x08 \\u202e\n"),
        (b"\xff\n", "\\xff\n"),
        (b"no end", "no end"),
    ],
)
def test_a_line_leaves_in_its_last_state_and_without_colours(raw: bytes, shown: str) -> None:
    for size in (1, 2, 3, 1000):
        assert passed(raw, size) == shown


def test_a_progress_bar_costs_the_budget_of_one_line() -> None:
    """A thousand steps of a bar took 88 kB, each control character four to nine bytes of them."""
    bar = b"".join(
        b"\r\x1b[32m%3d%%|%s|\x1b[0m" % (n // 10, b"\xe2\x96\x88" * (n // 20)) for n in range(1001)
    )
    shown = passed(b"begin\n" + bar + b"\nend\n", 777, budget=300)
    assert shown == "begin\n100%|" + "█" * 50 + "|\nend\n"


def test_what_has_no_end_leaves_all_the_same() -> None:
    gate = LogGate(1 << 20)
    assert len(gate.filter_bytes(b"x" * (HELD + 1))) == HELD + 1
    assert gate.filter_bytes(b"y\n") == b"y\n"


def test_lines_have_a_budget_of_their_own() -> None:
    assert passed(b"1\n2\n3\n", lines=2) == "1\n2\n\n[log cut off: budget exceeded]\n"
    assert passed(b"1\n2\n", lines=2) == "1\n2\n"


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\x1b[31m", b"\x1b", b"[", b"m", b"a", b"\xc3\xa9", b"\xff"]))
)
def test_the_pieces_make_no_difference(parts: list[bytes]) -> None:
    raw = b"".join(parts)
    whole = passed(raw)
    assert all(passed(raw, size) == whole for size in (1, 2, 5))
    assert "\r" not in whole and "\x1b" not in whole
