"""The whole mission by keyboard alone: in a real terminal, on the real cluster.

Publish a local table and a script, see the refusal, permit, launch, watch, look at the outputs and save them.
The terminal is tmux; what is asserted stands on its screen, or in what other programs see afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.box import Box
from sandbox.verbs.compute import jobs

from .conftest import ComputePair, finish_verb, wait_until

TMUX = shutil.which("tmux")
pytestmark = pytest.mark.skipif(TMUX is None, reason="tmux is not installed")
SCRIPT = """import json, os, pathlib, time
did = json.loads(os.environ["DIDS"])[0]
rows = pathlib.Path(os.environ["INPUTS"], did, "0").read_text().splitlines()[1:]
print("counted", len(rows), flush=True)
time.sleep(1)
pathlib.Path(os.environ["OUTPUTS"], "count.json").write_text(json.dumps({"rows": len(rows)}))
"""
PATIENCE = 90.0
FINISHED = 70
SLOW = """import os, pathlib, time
time.sleep(15)
pathlib.Path(os.environ["OUTPUTS"], "said.txt").write_text("it went on")
"""


class Terminal:
    """A tmux session of its own server; keys go in, lines come out."""

    def __init__(self, folder: Path, command: str) -> None:
        self._socket = folder / "tmux"
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", "-c", str(folder),
            # On a line of its own: a killed program leaves the cursor anywhere, and words would be broken.
            f"{command}; printf '\\r\\n\\r\\nENDED-%s\\r\\n' $?; exec sh",
        )  # fmt: skip

    def press(self, *keys: str) -> None:
        """Keys by tmux's names, with a moment between them, as fingers have."""
        for key in keys:
            self._tmux("send-keys", key)
            time.sleep(0.15)

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)
        time.sleep(0.2)

    def find(self, text: str) -> None:
        """Into the filter, once it is there: a burst of letters is faster than a screen comes up."""
        self.press("/")
        self.until("every word must be found")
        self.type(text)

    def until(self, words: str, seconds: float = PATIENCE) -> str:
        """The screen once ``words`` stand on it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if words in (screen := self.screen()):
                return screen
            time.sleep(0.2)
        pytest.fail(f"{words!r} did not appear:\n{self.screen()}")

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p").stdout

    @property
    def pid(self) -> int:
        """The program's process."""
        shell = self._tmux("list-panes", "-F", "#{pane_pid}").stdout.strip()
        children = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        return int(children[0])

    @property
    def pids(self) -> list[int]:
        """The process that waits, and the application."""
        waiting = self.pid
        children = Path(f"/proc/{waiting}/task/{waiting}/children").read_text().split()
        return [waiting, *map(int, children)]

    def close(self) -> None:
        self._tmux("kill-server")

    def _tmux(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(TMUX), "-S", str(self._socket), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)


@pytest.fixture
def terminal(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "mission-rows.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    (tmp_path / "mission-count.py").write_text(SCRIPT)
    opened = Terminal(tmp_path, f"{sys.executable} -m sandbox.cli --home {box.home.path}")
    try:
        yield opened
    finally:
        opened.close()


def _publish(terminal: Terminal, key: str, name: str) -> None:
    terminal.press(key)
    terminal.until("no file or URL yet")
    terminal.type(name)
    terminal.until("✓ it can be published")
    terminal.press("C-s")
    terminal.until("Sign and publish")
    terminal.press("Right", "Enter")
    terminal.until("✓ done")
    terminal.press("Escape")
    terminal.until(name)


def test_the_whole_mission_by_keyboard_alone(terminal: Terminal, tmp_path: Path) -> None:
    terminal.until("The box is up")
    terminal.press("3")
    terminal.until("Assets")
    _publish(terminal, "n", "mission-rows.csv")
    _publish(terminal, "a", "mission-count.py")

    terminal.press("5")
    terminal.until("Check")
    terminal.until("✗ this would be refused")

    terminal.press("4")
    terminal.until("✗ denied")
    terminal.find("mission-rows")
    terminal.press("Enter", "Enter")
    terminal.until("Permit mission-count.py on mission-rows.csv?")
    terminal.press("Right", "Enter")
    terminal.until("✓ done")
    terminal.press("Escape")
    terminal.until("✓ allowed")

    terminal.press("5")
    terminal.until("✓ the Provider would start it")
    terminal.press("s")
    terminal.until("Order and start this job?")
    terminal.press("Right", "Enter")
    terminal.until("✓ done")
    terminal.press("Escape", "2")
    terminal.until("Jobs of")
    terminal.find("mission-count")
    terminal.press("Enter")
    terminal.until("Job finished")
    terminal.press("Enter")
    terminal.until("count.json")
    terminal.press("Enter")
    terminal.until("rows: 3")
    terminal.press("s")
    terminal.until("Save")
    terminal.press("Right", "Enter")
    terminal.until("✓ done")
    (saved,) = tmp_path.glob("c2d-results/*/count.json")
    assert json.loads(saved.read_text()) == {"rows": 3}
    terminal.press("Escape", "Escape", "Escape", "q")
    terminal.until("ENDED-0")


@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGKILL])
def test_killed_at_any_moment_it_leaves_the_box_untouched(
    terminal: Terminal, way: signal.Signals, cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    terminal.until("The box is up")
    terminal.press("3")
    before = json.loads(cli("--json", "status").stdout)["state"]
    programs = terminal.pids
    os.kill(programs[0], way)
    # Who is killed outright leaves the application behind for a moment: the shell writes to its screen.
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in programs), what="the end of both")
    terminal.type("stty -a | grep -o ' icanon'; echo SHELL-$((6*7))")
    terminal.press("Enter")
    assert " icanon" in terminal.until("SHELL-42").splitlines()
    assert json.loads(cli("--json", "status").stdout)["state"] == before == "running"


@pytest.fixture
def slow(publish_pair: Callable[[str, str], ComputePair]) -> ComputePair:
    """The newest dataset and algorithm: what the launch screen begins with."""
    return publish_pair("a\n1\n", SLOW)


def test_a_job_goes_on_when_the_screens_it_was_launched_from_are_killed(
    box: Box, slow: ComputePair, terminal: Terminal
) -> None:
    terminal.until("The box is up")
    terminal.press("5")
    terminal.until("✓ the Provider would start it")
    terminal.press("s")
    terminal.until("Order and start this job?")
    terminal.press("Right", "Enter")
    terminal.until("✓ done")
    for pid in terminal.pids:
        os.kill(pid, signal.SIGKILL)
    terminal.until("ENDED-137")
    (started,) = [job for job in jobs.list_jobs(box, "consumer") if job.algorithm == slow.algorithm]
    assert not started.has_ended
    ended = finish_verb(jobs.follow(box, "consumer", started.id, timeout=180))
    assert ended.status == FINISHED
    assert "said.txt" in [result["filename"] for result in ended.results]
