"""How fast the screens are: ``python -m tests.bench.bench_tui`` prints JSON. Nothing of a box is needed.

First paint and idle CPU are of the real program in a terminal of its own (a pty) with a home that has no box,
or with the one at ``C2D_BENCH_HOME``; keys and searching are of the application over a recorded box with
5,000
jobs and 200 log lines a second arriving.
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import json
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
PAINTED = b"Health"
SIZE = (120, 40)
JOBS, RATE, KEYS = 5000, 200, 200


def recording() -> ModuleType:
    """The tests' recorded box."""
    spec = importlib.util.spec_from_file_location("recorded", ROOT / "tests" / "tui" / "conftest.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["recorded"] = module
    spec.loader.exec_module(module)
    return module


class Terminal:
    """``c2d-box`` in a pty."""

    def __init__(self, home: str) -> None:
        self.began = time.monotonic()
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            program = [sys.executable, "-m", "sandbox.cli", "--home", home, "tui"]
            os.execve(sys.executable, program, {**os.environ, "TERM": "xterm-256color"})
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))

    def until(self, words: bytes, seconds: float = 30.0) -> float:
        """Seconds from the start until ``words`` were painted."""
        seen = b""
        while time.monotonic() - self.began < seconds:
            if select.select([self.file], [], [], 0.01)[0]:
                seen += os.read(self.file, 65536)
                if words in seen:
                    return time.monotonic() - self.began
        raise SystemExit(f"not painted within {seconds} s")

    def drain(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.file], [], [], left)[0]:
                os.read(self.file, 65536)

    def cpu(self) -> float:
        """Seconds of CPU spent so far, by the application and by the process that waits for it."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return _spent(self.pid) + sum(_spent(int(child)) for child in children)

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.file)


def _spent(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def first_paint(home: str, times: int = 7) -> dict[str, float]:
    """Milliseconds from starting the program to the dashboard's frame."""
    spent = []
    for _ in range(times):
        terminal = Terminal(home)
        try:
            spent.append(terminal.until(PAINTED) * 1000)
        finally:
            terminal.close()
    return {"median": round(statistics.median(spent)), "best": round(min(spent)), "worst": round(max(spent))}


def idle(home: str, settle: float = 40.0, seconds: float = 30.0) -> float:
    """Percent of a core while nothing happens."""
    terminal = Terminal(home)
    try:
        terminal.until(PAINTED)
        terminal.drain(settle)
        before = terminal.cpu()
        terminal.drain(seconds)
        return round((terminal.cpu() - before) / seconds * 100, 2)
    finally:
        terminal.close()


async def keys() -> dict[str, float]:
    """Milliseconds from a key to the frame after it, among 5,000 jobs while log lines stream in."""
    from textual.widgets import DataTable

    from tui.app import BoxApp
    from tui.screens.jobs.detail import JobScreen

    recorded: Any = recording()
    box = recorded.Recorded().many(JOBS)
    over = threading.Event()

    def stream(namespace: str, pod: str, container: str) -> Iterator[str]:
        number = 0
        while not over.wait(1 / RATE):
            number += 1
            yield f"line {number} of {container}: something was computed and said so"

    box.follow_container = stream
    job_id = str(box.job_list[2]["jobId"])
    box.pod_list = [recorded._pod("c2d-jobs", "streaming", "Running", 0, job_id, ("algorithm",))]
    app = BoxApp(box, clock=time.time, pace=1.0)
    app.animation_level = "none"
    app.memory.screen = "jobs"
    spent: dict[str, list[float]] = {"table": [], "log": []}
    async with app.run_test(size=SIZE) as pilot:
        await recorded.settled(pilot)
        app.push_screen(JobScreen(job_id, "logs"))
        await pilot.pause(2)
        spent["log"] = [await _pressed(app, pilot, key) for key in ["k", "j"] * (KEYS // 4)]
        await pilot.press("escape")
        await pilot.pause(1)
        app.screen.query_one(DataTable).focus()
        app.screen_stack[0].mount(_streaming(box))
        await pilot.pause(1)
        spent["table"] = [await _pressed(app, pilot, key) for key in ["j"] * KEYS]
        over.set()
        box.over.set()
    both = sorted([*spent["table"], *spent["log"]])
    return {
        "p50": round(statistics.median(both), 1),
        "p95": round(both[int(len(both) * 0.95)], 1),
        "table p95": round(sorted(spent["table"])[int(len(spent["table"]) * 0.95)], 1),
        "log p95": round(sorted(spent["log"])[int(len(spent["log"]) * 0.95)], 1),
    }


def _streaming(box: Any) -> Any:
    """A log pane beside the table, fed at the same rate."""
    from tui.screens.cluster.reading import ContainerLogs

    class Fed(ContainerLogs):
        DEFAULT_CSS = "Fed { height: 8; dock: bottom; }"

        def on_mount(self) -> None:
            self.follow(box.pod_list[0])

    return Fed("streaming")


async def _pressed(app: Any, pilot: Any, key: str) -> float:
    """From the key's event to the first refresh after it was handled."""
    from textual import events

    drawn: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def refreshed() -> None:
        if not drawn.done():
            drawn.set_result(time.perf_counter())

    await pilot._wait_for_screen()
    began = time.perf_counter()
    event = events.Key(key, key)
    event.set_sender(app)
    app.post_message(event)
    app.focused.call_after_refresh(refreshed)
    ended = await drawn
    await asyncio.sleep(0.02)
    return (ended - began) * 1000


async def searching(count: int = 100_000) -> dict[str, float]:
    """Milliseconds to filter that many lines, word by word as they are typed."""
    from textual.app import App, ComposeResult

    from tui.logview import LogView

    class Reader(App[None]):
        def compose(self) -> ComposeResult:
            yield LogView()

    app, spent = Reader(), []
    async with app.run_test(size=SIZE) as pilot:
        view = app.query_one(LogView)
        view.extend(
            [f"2026-01-01T00:00:00Z INFO component-{n % 17} handled request {n}" for n in range(count)]
        )
        await pilot.pause()
        for words in ("r", "re", "req", "request 9", "request 99", "component-3 request 7", ""):
            began = time.perf_counter()
            view.filter(words)
            await pilot.pause()
            spent.append((time.perf_counter() - began) * 1000)
    return {"median": round(statistics.median(spent), 1), "worst": round(max(spent), 1)}


def main() -> None:
    """All figures, as one JSON document."""
    with tempfile.TemporaryDirectory(prefix="c2d-bench-") as scratch:
        home = os.environ.get("C2D_BENCH_HOME") or scratch
        os.environ.setdefault("XDG_STATE_HOME", scratch)
        found = {
            "box": "up" if os.environ.get("C2D_BENCH_HOME") else "none",
            "first paint ms": first_paint(home),
            "key to repaint ms": asyncio.run(keys()),
            "search 100,000 lines ms": asyncio.run(searching()),
            "idle cpu percent": idle(home),
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
