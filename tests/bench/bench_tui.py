"""How fast the screens are: ``python -m tests.bench.bench_tui`` prints JSON. Nothing of a box is needed.

First paint and idle CPU are of the real program in a terminal of its own (a pty) with a home that has no box,
or with the one at ``C2D_BENCH_HOME``. Keys are pressed in such a terminal too, in the application over a
recorded box with 5,000 jobs and 200 log lines a second arriving.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import random
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAINTED = b"Health"
SIZE = (120, 40)
JOBS, RATE, KEYS = 5000, 200, 200


class PtyTerminal:
    """``c2d-box tui`` in a pty, or ``program`` if given."""

    def __init__(self, home: str, program: Callable[[], None] | None = None) -> None:
        self.began = time.monotonic()
        self.pid, self.file = pty.fork()
        if self.pid == 0 and program is not None:
            _set_window_size(0)
            program()
            os._exit(0)
        if self.pid == 0:
            words = [sys.executable, "-m", "sandbox.cli", "--home", home, "tui"]
            os.execve(sys.executable, words, {**os.environ, "TERM": "xterm-256color"})
        _set_window_size(self.file)

    def type_keys(self, keys: bytes) -> None:
        os.write(self.file, keys)

    def wait_painted(self, words: bytes, seconds: float = 30.0) -> float:
        """Read until ``words`` were painted; return the seconds since the start."""
        seen = b""
        while time.monotonic() - self.began < seconds:
            if select.select([self.file], [], [], 0.01)[0]:
                seen += os.read(self.file, 65536)
                if words in seen:
                    return time.monotonic() - self.began
        raise SystemExit(f"not painted within {seconds} s")

    def drain_output(self, seconds: float) -> None:
        """Discard output for ``seconds``, and at least what is there already."""
        end = time.monotonic() + seconds
        while select.select([self.file], [], [], max(end - time.monotonic(), 0))[0]:
            os.read(self.file, 65536)
            if time.monotonic() > end:
                return

    def cpu_seconds(self) -> float:
        """Return the CPU seconds spent so far, by the application and by its parent that waits for it."""
        return _cpu_spent(self.pid) + sum(map(_cpu_spent, self._child_pids()))

    def close_terminal(self) -> None:
        """Kill all processes and wait until they are gone: one that still ends would slow down the next
        measurement.
        """
        children = self._child_pids()
        for pid in (*children, self.pid):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        while any(map(_is_alive, children)):
            time.sleep(0.01)
        os.close(self.file)

    def _child_pids(self) -> list[int]:
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]


def _set_window_size(file: int) -> None:
    fcntl.ioctl(file, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _cpu_spent(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def first_paint(home: str, times: int = 7) -> dict[str, float]:
    """Measure the milliseconds from starting the program to the dashboard's frame."""
    spent = []
    for _ in range(times):
        terminal = PtyTerminal(home)
        try:
            spent.append(terminal.wait_painted(PAINTED) * 1000)
        finally:
            terminal.close_terminal()
    return {"median": round(statistics.median(spent)), "best": round(min(spent)), "worst": round(max(spent))}


def measure_idle(home: str, settle: float = 40.0, seconds: float = 30.0) -> float:
    """Measure the percentage of a core that is used while nothing happens."""
    terminal = PtyTerminal(home)
    try:
        terminal.wait_painted(PAINTED)
        terminal.drain_output(settle)
        before = terminal.cpu_seconds()
        terminal.drain_output(seconds)
        return round((terminal.cpu_seconds() - before) / seconds * 100, 2)
    finally:
        terminal.close_terminal()


def measure_keys() -> dict[str, float]:
    """Measure the milliseconds from a key press in a real terminal to the frame that shows its effect, among
    5,000 jobs while log lines stream in: first through the table of jobs, then up through the log of one of
    them.
    """
    told, telling = os.pipe()
    terminal = PtyTerminal("", lambda: _play_app(telling))
    frames = FrameLog(terminal, told)
    try:
        row = frames.wait_frame("jobs", lambda row: row == 0)
        terminal.drain_output(4)
        table = []
        for _ in range(KEYS):
            row += 1
            table.append(frames.time_press(b"j", "jobs", row))
        terminal.type_keys(b"g")
        frames.wait_frame("jobs", lambda row: row == 0)
        terminal.type_keys(b"jjl")
        frames.wait_frame("log", lambda place: place > KEYS)
        place, log = frames.press_and_settle(b"k", "log"), []
        for _ in range(KEYS):
            place -= 1
            log.append(frames.time_press(b"k", "log", place))
    finally:
        terminal.close_terminal()
    return {
        "p50": _quantile_of([*table, *log], 0.5),
        "p95": _quantile_of([*table, *log], 0.95),
        "table p95": _quantile_of(table, 0.95),
        "log p95": _quantile_of(log, 0.95),
        "worst": _quantile_of([*table, *log], 1.0),
    }


def _quantile_of(spent: list[float], share: float) -> float:
    return round(sorted(spent)[min(int(len(spent) * share), len(spent) - 1)] * 1000, 1)


class FrameLog:
    """The frames that the application reports: one line per frame, written when the terminal has it."""

    def __init__(self, terminal: PtyTerminal, told: int) -> None:
        self._terminal, self._told, self._rest = terminal, told, b""

    def wait_frame(self, screen: str, wanted: Callable[[float], bool], seconds: float = 60.0) -> float:
        return self._read_frames(screen, wanted, seconds)[1]

    def time_press(self, key: bytes, screen: str, wanted: float) -> float:
        """Press a key; return the seconds to the first frame at the wanted place, after a short pause."""
        began = time.monotonic()
        self._terminal.type_keys(key)
        at = self._read_frames(screen, wanted.__eq__, 60.0)[0]
        self._wait_rest()
        return at - began

    def press_and_settle(self, key: bytes, screen: str) -> float:
        """Press a key; return the place that the last frame shows a second later."""
        self._terminal.type_keys(key)
        time.sleep(1)
        return self._read_frames(screen, lambda _place: True, 60.0, last=True)[1]

    def _wait_rest(self) -> None:
        end = time.monotonic() + random.uniform(0.03, 0.09)  # not in step with the log batches
        while (left := end - time.monotonic()) > 0:
            self._terminal.drain_output(min(left, 0.005))

    def _read_frames(
        self, screen: str, wanted: Callable[[float], bool], seconds: float, *, last: bool = False
    ) -> tuple[float, float]:
        end = time.monotonic() + seconds
        found: tuple[float, float] | None = None
        while time.monotonic() < end:
            self._terminal.drain_output(0.0)
            waiting = bool(select.select([self._told], [], [], 0.005)[0])
            if found is not None and not waiting:
                return found
            *lines, self._rest = (self._rest + (os.read(self._told, 65536) if waiting else b"")).split(b"\n")
            for line in lines:
                at, name, place = line.decode().split()
                if name == screen and wanted(float(place)):
                    found = (float(at), float(place))
                    if not last:
                        return found
        raise SystemExit(f"no such frame of {screen} within {seconds} s")


def _play_app(telling: int) -> None:
    """Run the application over a recorded box, with a log that is written all the time."""
    from tui.entry import prepare_textual

    prepare_textual()
    from tests.tui.recorded_box import Recorded
    from tests.tui.recorded_data import NOW, recorded_pod
    from tui.app import BoxApp
    from tui.screens.jobs.detail import JobScreen
    from tui.widgets.live_table import LiveTable
    from tui.widgets.log_view import LogView

    box: Any = Recorded().many(JOBS)
    now = time.time()
    for job in box.job_list:
        job["dateCreated"] = f"{now - NOW + float(job['dateCreated']):.6f}"
    job_id = str(box.job_list[2]["jobId"])
    box.pod_list = [recorded_pod("c2d-jobs", "streaming", "Running", 0, job_id, ("algorithm",))]
    box.pods = lambda _job_id="": list(box.pod_list)

    def stream(namespace: str, pod: str, container: str) -> Iterator[str]:
        number, began = 0, time.monotonic()
        while True:
            number += 1
            time.sleep(max(began + number / RATE - time.monotonic(), 0))
            yield f"line {number} of {container}: something was computed and said so"

    box.follow_container = stream

    class Told(BoxApp):
        CSS_PATH = str(ROOT / "tui" / "app.tcss")

        def _display(self, screen: Any, renderable: Any) -> None:
            super()._display(screen, renderable)
            what, place = "none", -1
            for view in screen.query(LogView if isinstance(screen, JobScreen) else LiveTable):
                if isinstance(view, LogView):
                    what, place = "log", view.scroll_offset.y
                elif view.row_count == JOBS:
                    what, place = "jobs", view.cursor_row
            os.write(telling, f"{time.monotonic()} {what} {place}\n".encode())

        def on_ready(self) -> None:
            self.screen.mount(_log_pane(box))

    Told(box, screen="jobs").run()


def _log_pane(box: Any) -> Any:
    """Return a log pane for below the table, fed at the same rate."""
    from tui.screens.cluster.reading import ContainerLogs

    class Fed(ContainerLogs):
        DEFAULT_CSS = "Fed { height: 8; dock: bottom; }"

        def on_mount(self) -> None:
            self.follow_pod(box.pod_list[0])

    return Fed("streaming")


async def measure_search(count: int = 100_000) -> dict[str, float]:
    """Measure the milliseconds to filter ``count`` lines, word by word as they are typed."""
    from textual.app import App, ComposeResult

    from tui.widgets.log_view import LogView

    class Reader(App[None]):
        def compose(self) -> ComposeResult:
            yield LogView()

    app, spent = Reader(), []
    async with app.run_test(size=SIZE) as pilot:
        view = app.query_one(LogView)
        view.extend_lines(
            [f"2026-01-01T00:00:00Z INFO component-{n % 17} handled request {n}" for n in range(count)]
        )
        await pilot.pause()
        for words in ("r", "re", "req", "request 9", "request 99", "component-3 request 7", ""):
            began = time.perf_counter()
            view.filter_lines(words)
            await pilot.pause()
            spent.append((time.perf_counter() - began) * 1000)
    return {"median": round(statistics.median(spent), 1), "worst": round(max(spent), 1)}


def main() -> None:
    """Print all figures as one JSON document."""
    with tempfile.TemporaryDirectory(prefix="c2d-bench-") as scratch:
        home = os.environ.get("C2D_BENCH_HOME") or scratch
        os.environ.setdefault("XDG_STATE_HOME", scratch)
        found = {
            "box": "up" if os.environ.get("C2D_BENCH_HOME") else "none",
            "first paint ms": first_paint(home),
            "key to repaint ms": measure_keys(),
            "search 100,000 lines ms": asyncio.run(measure_search()),
            "idle cpu percent": measure_idle(home),
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
