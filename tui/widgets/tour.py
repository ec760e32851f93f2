"""The guided tour: publish, permit, run, look at results, on the live box, with the explanation beside it.

It is an overlay on the usual screens: every key works, and a step ends when the user has really done it (or
with N). T leaves it and later resumes at the same step. It is also a workshop's first lesson.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.widgets import Static

from tui.live.feed import Feed, FeedAnswered
from tui.runtime.app_port import port_of
from tui.runtime.screen_table import SCREENS

if TYPE_CHECKING:
    from tui.live.feed_registry import FeedRegistry


@dataclass(frozen=True)
class TourLesson:
    """One step of the tour; it is done when ``count`` grows. Without ``count`` only N leads on. In ``text``
    and ``keys`` the name of a screen in braces stands for its key.
    """

    title: str
    text: str
    keys: str
    count: Callable[[FeedRegistry], int] | None = None


def _count_assets(kind: str) -> Callable[[FeedRegistry], int]:
    """Return a function that counts the assets of a kind, whoever published them."""
    return lambda feeds: sum(ddo["metadata"]["type"] == kind for ddo in feeds.assets.reading.value or ())


def _count_allowed(feeds: FeedRegistry) -> int:
    """Count the pairs that are allowed now."""
    return sum(cell.allowed for cell in feeds.permissions.reading.value or ())


def _count_started(feeds: FeedRegistry) -> int:
    """Count the jobs of the acting account."""
    return len(feeds.jobs.reading.value or ())


def _count_ended(feeds: FeedRegistry) -> int:
    """Count the acting account's jobs that have ended, however they did."""
    return sum(job.has_ended for job in feeds.jobs.reading.value or ())


# The order matters: a refusal is shown before the permission that lifts it, so that the rule is understood.
LESSONS = (
    TourLesson(
        "What this is",
        "Data often may not leave its owner. Here it does not: an algorithm travels to it, runs in a pod "
        "without any network, and only its results come out. This box is all of it: Kubernetes, a chain with "
        "Ocean's contracts, the Provider, the operator.",
        "{dashboard} shows that everything is ready",
    ),
    TourLesson(
        "Publish data",
        "You are the publisher. A file goes into a private store; on the chain stand an NFT, a datatoken and "
        "a description (DDO) in which the file's place is encrypted. No file? ctrl+o picks one.",
        "{assets} then n: fill in the form, ctrl+s",
        _count_assets("dataset"),
    ),
    TourLesson(
        "Publish an algorithm",
        "A script and the image it runs in. c2d-box new algorithm NAME makes one that works. Its checksums "
        "will stand in every permission, so nobody can swap it later.",
        "{assets} then a",
        _count_assets("algorithm"),
    ),
    TourLesson(
        "See it refused",
        "You are a consumer now. Choose the data and the algorithm: the Provider says no, and why, before "
        "anything is paid. A dataset trusts nobody until its publisher says so.",
        "{launch}, tab between the lists, then N",
    ),
    TourLesson(
        "Permit it",
        "The publisher reads the algorithm and permits exactly this version of it. You see the change of the "
        "DDO before you sign. t shows the switches that reach further, and what they would mean.",
        "{permissions}, choose the cell, enter",
        _count_allowed,
    ),
    TourLesson(
        "Run it",
        "Order both, pay on the chain, start. The order is a transaction: {chain} shows it decoded.",
        "{launch} then s",
        _count_started,
    ),
    TourLesson(
        "Watch",
        "configuration fetches data and algorithm; warden proves that no way leads out; the algorithm runs; "
        "judge looks at what it wrote; upload stores it. Then data, algorithm and pods are deleted.",
        "{jobs}, enter; l logs, p pods",
        _count_ended,
    ),
    TourLesson(
        "Results",
        "Only what the algorithm wrote is left, and C2D hands it to you alone. s saves it. The one-command "
        "way to all of this: c2d-box run SCRIPT --data FILE.",
        "{outputs}, s saves; T ends the tour",
    ),
)


class TourBar(Static):
    """The current lesson, on every screen while the tour is on."""

    DEFAULT_CSS = """
    TourBar { display: none; height: auto; max-height: 8; border: round $accent; padding: 0 1; }
    TourBar.-on { display: block; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        # The lesson, and its count when this bar first saw it: only what the user does from then on counts.
        self._since: tuple[int, int] | None = None

    @property
    def _lesson_feeds(self) -> tuple[Feed[Any], ...]:
        """The feeds that lessons count in; all three must have answered before a count means anything."""
        feeds = port_of(self).feeds
        return feeds.assets, feeds.permissions, feeds.jobs

    def on_mount(self) -> None:
        """Show the lesson at once on a screen that is opened during the tour."""
        self.redraw_lesson()

    def on_unmount(self) -> None:
        """Leave the feeds of the lessons."""
        self._set_listening(False)

    def _set_listening(self, on: bool) -> None:
        """Join or leave the feeds. Idempotent; the tour costs no questions while it is hidden."""
        for feed in self._lesson_feeds:
            if on:
                feed.add_listener(self)
            else:
                feed.remove_listener(self)

    def on_feed_answered(self, _event: FeedAnswered) -> None:
        """Go to the next lesson if the user has done what this one asks for."""
        step = port_of(self).memory.tour
        lesson = LESSONS[step] if 0 <= step < len(LESSONS) else None
        if lesson is None or lesson.count is None or not all(feed.answers for feed in self._lesson_feeds):
            return
        now = lesson.count(port_of(self).feeds)
        # The first answer of a lesson only sets the mark to count from.
        if self._since is None or self._since[0] != step:
            self._since = (step, now)
        elif now > self._since[1]:
            port_of(self).tour_to(step + 1)

    def redraw_lesson(self) -> None:
        """Show the current lesson, or hide the bar."""
        step = port_of(self).memory.tour
        on = 0 <= step < len(LESSONS)
        self.set_class(on, "-on")
        self._set_listening(on)
        if not on:
            return
        lesson, drawn = LESSONS[step], Text()
        drawn.append(f"{step + 1}/{len(LESSONS)} {lesson.title}\n", "bold")
        # Texts name screens in braces, so that they stay true for users who bound other keys.
        keys = {name: port_of(self).key_of(name) for name in SCREENS}
        drawn.append(lesson.text.format_map(keys) + "\n")
        drawn.append(f"▶ {lesson.keys.format_map(keys)}\n", "bold")
        drawn.append("N next · B back · T leaves, and comes back here", "dim")
        self.update(drawn)
