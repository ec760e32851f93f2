"""Feeds: each polls the source for one question, in a thread, while it has listeners.

Listeners get a :class:`FeedAnswered` message after every answer, and the last answer at once when they join,
so that a screen paints before its source is asked again. A feed that fails keeps its last value: the listener
shows it, its age, and what is wrong. Values that change are asked for often; where nothing changes, a costly
question takes about one percent of a core at most. Nothing is asked before the first paint, so that imports
do not delay it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from textual.message import Message
from textual.widget import Widget

from c2d_box.errors import C2DError, Failed

T = TypeVar("T")
Clock = Callable[[], float]
# Share of one core that an unchanged question may cost.
SHARE = 0.01
LONGEST, STILL = 8, 20
"""After ``STILL`` answers without a change a costly question is asked less often, at most ``LONGEST`` times
less.
"""
WATCHED = 30
"""Factor by which a feed polls less often while a watch reports its changes."""
# Seconds that a first call waits for another feed's first call.
PATIENCE = 4.0
_FIRST = threading.Lock()


@dataclass(frozen=True, slots=True)
class FeedReading(Generic[T]):
    """A feed's last answer. ``at`` is when ``value`` came (Unix seconds); ``problem`` is why nothing newer
    did.
    """

    value: T | None = None
    at: float | None = None
    problem: C2DError | None = None
    since: float | None = None
    """Time at which the problem began (Unix seconds)."""


class FeedAnswered(Message, bubble=False):
    """The message for the ``count``-th answer of a feed. ``changed``: the value or the problem differs from
    the one before.
    """

    # One message per answer, also where nothing changed: the pane renews the age that it shows.
    def __init__(self, feed: Feed[Any], count: int, changed: bool) -> None:
        super().__init__()
        self.feed, self.count, self.changed = feed, count, changed


class Feed(Generic[T]):
    """Asks ``fetch`` every ``every`` seconds while it has listeners.

    ``fetch`` runs in the feed's own thread and may block. The thread ends when the last listener leaves, so a
    screen that is not shown costs nothing.
    """

    def __init__(
        self,
        name: str,
        fetch: Callable[[], T],
        every: float,
        clock: Clock = time.time,
        gate: threading.Event | None = None,
    ) -> None:
        self.name, self._fetch, self._every, self._clock = name, fetch, every, clock
        self.reading: FeedReading[T] = FeedReading()
        self._gate = gate
        self.answers = 0
        self.live = False
        """A watch reports this feed's changes and refreshes it, so the feed polls ``WATCHED`` times less
        often.
        """
        self._still = 0
        self._listeners: list[Widget] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._asking = False

    def add_listener(self, listener: Widget) -> None:
        """Add a listener; idempotent. A listener that is new gets the last answer at once."""
        with self._lock:
            if listener not in self._listeners:
                self._listeners.append(listener)
                if self.answers:
                    listener.post_message(FeedAnswered(self, self.answers, changed=True))
            # The thread checks for listeners under the same lock before it ends, so a listener never joins a
            # feed that is just stopping.
            if not self._asking:
                self._asking = True
                self._wake.clear()
                threading.Thread(target=self._ask_loop, name=f"feed {self.name}", daemon=True).start()

    def remove_listener(self, listener: Widget) -> None:
        """Remove a listener; without listeners the feed stops asking."""
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)
            if not self._listeners:
                # Wakes the thread from its pause: it has to notice that nobody listens.
                self._wake.set()

    def refresh_now(self) -> None:
        """Ask again now."""
        self._wake.set()

    def _ask_loop(self) -> None:
        """Ask, publish and pause, until there are no listeners."""
        if self._gate is not None:
            self._gate.wait()
        while True:
            self._wake.clear()
            # CPU time of this thread: waiting for a slow answer is not a cost.
            spent = time.thread_time()
            before, answer = self.reading, self._read_answer(self.reading)
            changed = (answer.value, answer.problem) != (before.value, before.problem)
            self._still = 0 if changed else self._still + 1
            pause = self._next_pause(answer, time.thread_time() - spent)
            self._publish_answer(answer, changed)
            self._wake.wait(pause)
            with self._lock:
                if not self._listeners:
                    self._asking = False
                    return

    def _next_pause(self, answer: FeedReading[T], spent: float) -> float:
        """Return the seconds until the next question; ``spent`` is the CPU time that ``answer`` took."""
        # A failing feed polls at its own rate even under a watch: the watch tells of changes, not of
        # recoveries.
        if self.live and not answer.problem:
            return self._every * WATCHED
        if self._still < STILL:
            return self._every
        return min(max(self._every, spent / SHARE), self._every * LONGEST)

    def _read_answer(self, before: FeedReading[T]) -> FeedReading[T]:
        """Return the next reading. A failure keeps the last value and its time, and the time at which the
        failure began.
        """
        try:
            return FeedReading(self._fetch_answer(), self._clock())
        except C2DError as problem:
            return FeedReading(before.value, before.at, problem, before.since or self._clock())
        except Exception as surprise:
            # Never let the thread die: the pane would show an old value as if it were current.
            defect = Failed("C2D-DEFECT", f"{type(surprise).__name__}: {surprise}", "c2d-box doctor")
            return FeedReading(before.value, before.at, defect, before.since or self._clock())

    def _fetch_answer(self) -> T:
        """Fetch; a feed's first call imports what it needs.

        First calls run one after the other, because parallel imports would starve the screen; but none waits
        longer than ``PATIENCE`` seconds for one that hangs.
        """
        if self.answers:
            return self._fetch()
        alone = _FIRST.acquire(timeout=PATIENCE)
        try:
            return self._fetch()
        finally:
            if alone:
                _FIRST.release()

    def _publish_answer(self, answer: FeedReading[T], changed: bool) -> None:
        """Store and deliver an answer under the lock, so that a listener that joins meanwhile gets it exactly
        once.
        """
        with self._lock:
            self.reading = answer
            self.answers += 1
            for listener in self._listeners:
                listener.post_message(FeedAnswered(self, self.answers, changed))
