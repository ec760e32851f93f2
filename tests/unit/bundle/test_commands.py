"""Tools are run, stopped and explained."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from c2d_box.errors import C2DError
from sandbox.bundle.commands import TAIL_LINES, BuildCancelled, CommandRunner


@pytest.fixture
def commands(tmp_path: Path) -> CommandRunner:
    return CommandRunner("part", tmp_path / "logs" / "part.log", threading.Event(), pauses=(0.01, 0.01))


def test_everything_a_tool_says_is_in_the_log(commands: CommandRunner) -> None:
    commands.run_command(["sh", "-c", "echo out; echo err >&2"])
    assert commands.log.read_text() == "$ sh -c echo out; echo err >&2\nout\nerr\n"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("write /x: no space left on device", "C2D-DISK-FULL"),
        ("OSError: [Errno 28] No space left on device", "C2D-DISK-FULL"),
        ("dial tcp: lookup host: no such host", "C2D-NO-NETWORK"),
        ("Temporary failure resolving 'host'", "C2D-NO-NETWORK"),
        ("Failed to establish a new connection: [Errno 101] Network is unreachable", "C2D-NO-NETWORK"),
        ("verifying module: checksum mismatch\nSECURITY ERROR", "C2D-BUNDLE-CHECKSUM"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "C2D-BUNDLE-CHECKSUM"),
        ("main.go:7: undefined: x", "C2D-BUNDLE-BUILD"),
    ],
)
def test_a_failure_is_named_by_what_the_tool_said(commands: CommandRunner, said: str, code: str) -> None:
    with pytest.raises(C2DError) as caught:
        commands.run_command(["sh", "-c", 'printf "%s\\n" "$1"; exit 1', "sh", said])
    assert caught.value.code == code
    assert caught.value.next_step


def test_tools_speak_english_whatever_the_user_speaks(
    commands: CommandRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANG", "LC_ALL", "LC_MESSAGES", "LANGUAGE"):
        monkeypatch.setenv(name, "de_DE.UTF-8")
    commands.run_command(["sh", "-c", 'echo "$LC_ALL,$LANGUAGE"'])
    assert commands.log.read_text().splitlines()[-1] == "C.UTF-8,"
    commands.run_command(["sh", "-c", 'echo "$LC_ALL"'], env={"LC_ALL": "C"})
    assert commands.log.read_text().splitlines()[-1] == "C"


def test_a_lost_connection_is_tried_again(commands: CommandRunner, tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    commands.run_command(
        ["sh", "-c", f"echo . >> {tries}; test $(wc -l < {tries}) = 3 || {{ echo no such host; exit 1; }}"]
    )
    assert len(tries.read_text().split()) == 3


def test_other_failures_are_not_tried_again(commands: CommandRunner, tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    with pytest.raises(C2DError):
        commands.run_command(["sh", "-c", f"echo . >> {tries}; exit 1"])
    assert len(tries.read_text().split()) == 1


def test_a_failure_shows_the_last_lines_only(commands: CommandRunner) -> None:
    with pytest.raises(C2DError) as caught:
        commands.run_command(["sh", "-c", "seq 1 100; exit 1"])
    lines = caught.value.details["last_lines"]
    assert isinstance(lines, list)
    assert (len(lines), lines[-1]) == (TAIL_LINES, "100")


def test_what_an_earlier_command_said_does_not_explain_a_later_one(commands: CommandRunner) -> None:
    commands.run_command(["sh", "-c", "echo no such host, trying another"])
    with pytest.raises(C2DError) as caught:
        commands.run_command(["false"])
    assert caught.value.code == "C2D-BUNDLE-BUILD"


def test_a_missing_program_is_told_by_a_code(commands: CommandRunner) -> None:
    with pytest.raises(C2DError) as caught:
        commands.run_command(["no-such-program-anywhere"])
    assert caught.value.code == "C2D-BUNDLE-TOOLS"


def test_stopping_ends_the_tool_and_its_children(commands: CommandRunner, tmp_path: Path) -> None:
    child = tmp_path / "child"
    threading.Timer(0.3, commands.cancelled.set).start()
    began = time.monotonic()
    with pytest.raises(BuildCancelled):
        commands.run_command(["sh", "-c", f"sleep 30 & echo $! > {child}; wait"])
    assert time.monotonic() - began < 5
    pid = int(child.read_text())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.02)
    pytest.fail("the tool's child is still running")
