"""Feeds, streams and previews whose threads end late, fail, or are overtaken."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from textual.app import App
from textual.message import Message
from textual.message_pump import MessagePump
from textual.widget import Widget
from textual.widgets import Input, Static

from c2d_box.errors import C2DError, Failed
from tests.tui.key_steps import Settle, press_keys, wait_until
from tui.app import BoxApp
from tui.dialogs.form import FormDialog, FormField, Values
from tui.live.feed import Feed
from tui.live.feed_registry import FeedRegistry
from tui.live.log_stream import LinesReceived, LineStream
from tui.screens.chain.widgets import DecodedPane
from tui.widgets.live_table import LiveTable

Open = Callable[..., BoxApp]
PATIENCE = 10
EVERY = 0.5
"""Seconds between two questions of a feed here; 30 times as many under a watch are more than ``PATIENCE``."""


class _Mailbox(Widget):
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        super().__init__()
        self.posted: queue.Queue[Message] = queue.Queue()

    def post_message(self, message: Message) -> bool:
        self.posted.put(message)
        return True


class _Questions:
    """A question that fails when ``problem`` is set, and counts how often it was asked."""

    def __init__(self) -> None:
        self.problem: C2DError | None = None
        self._asked = threading.Semaphore(0)

    def ask(self) -> int:
        self._asked.release()
        if self.problem is not None:
            raise self.problem
        return 1

    def was_asked(self) -> bool:
        return self._asked.acquire(timeout=PATIENCE)


@pytest.fixture
def mailbox() -> _Mailbox:
    return _Mailbox()


def test_a_watched_feed_that_fails_asks_again_at_its_own_rate(mailbox: _Mailbox) -> None:
    questions = _Questions()
    feed = Feed("test", questions.ask, EVERY)
    feed.live = True
    feed.add_listener(mailbox)
    mailbox.posted.get(timeout=PATIENCE)
    questions.problem = Failed("C2D-DEFECT", "gone", "")
    feed.refresh_now()
    assert questions.was_asked() and questions.was_asked() and questions.was_asked()
    feed.remove_listener(mailbox)


def test_a_feed_asks_at_once_when_its_watch_breaks(mailbox: _Mailbox, recorded: Any) -> None:
    questions = _Questions()
    registry = FeedRegistry(recorded, lambda: "consumer")
    registry.gate.set()
    feed = registry.make_feed("test", questions.ask, EVERY)
    registry.tell_watched(("test",), True)
    feed.add_listener(mailbox)
    mailbox.posted.get(timeout=PATIENCE)
    registry.tell_watched(("test",), False)
    assert questions.was_asked() and questions.was_asked()
    feed.remove_listener(mailbox)


def test_a_stream_that_breaks_in_an_unknown_way_is_over(mailbox: _Mailbox) -> None:
    def follow() -> Iterator[str]:
        yield "one"
        raise ConnectionResetError("by peer")

    listener: MessagePump = mailbox
    LineStream("test", follow, listener).start_reading()
    received: list[LinesReceived] = []
    while not received or not received[-1].over:
        message = mailbox.posted.get(timeout=PATIENCE)
        assert isinstance(message, LinesReceived)
        received.append(message)
    assert [line for message in received for line in message.lines] == ["one"]
    assert received[-1].problem == "ConnectionResetError: by peer"


async def test_an_older_preview_that_ends_later_is_not_shown() -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def preview(values: Values) -> str:
        if values["name"] == "old":
            begun.set()
            may_end.wait(PATIENCE)
            ended.set()
        return f"of {values['name']}"

    form = FormDialog("Form", (FormField("name", "Name", "old"),), preview, str)
    app: App[None] = App()
    async with app.run_test() as pilot:
        await app.push_screen(form)
        await wait_until(pilot, begun.is_set)
        form.query_one("#name", Input).value = "new"
        shown = form.query_one("#preview", Static)
        await wait_until(pilot, lambda: str(shown.content) == "of new")
        may_end.set()
        await wait_until(pilot, ended.is_set)
        # The older thread draws, if at all, right after its preview.
        await pilot.pause(0.2)
        assert str(shown.content) == "of new"


async def test_the_assets_screen_leaves_the_images_feed(opened: Open, settle: Settle) -> None:
    app = opened("assets")
    async with app.run_test() as pilot:
        await settle(pilot)
        await press_keys(pilot, settle, "a")
        await wait_until(pilot, lambda: app.feeds.images.reading.value is not None)
        await press_keys(pilot, settle, "escape")
        assert app.feeds.images._listeners == []


async def test_the_hidden_table_of_the_chain_draws_nothing(
    opened: Open, settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened("chain")
    async with app.run_test() as pilot:
        await settle(pilot)
        drawn = []
        monkeypatch.setattr(DecodedPane, "show_transactions", lambda *shown: drawn.append(shown))
        hidden = app.screen.query_one("#blocks").query_one(LiveTable)
        hidden.post_message(LiveTable.RowHighlighted(hidden, 0, next(iter(hidden.rows))))
        await settle(pilot)
        assert drawn == []
