"""The application over a recorded box, and the wait until a screen has settled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Imported early: its plugin imports it in the summary of a run otherwise, after the application froze the
# garbage collector, and then ends in a warning that is an error here.
import hypothesis  # noqa: F401
import pytest
from textual.app import App
from textual.pilot import Pilot

from c2d_box.errors import C2DError
from tests.tui.recorded_box import Recorded
from tests.tui.recorded_data import GONE, NOW
from tui.app import BoxApp
from tui.dialogs.form import FormDialog
from tui.screens.cluster.reading import ContainerLogs
from tui.widgets.base_screen import BoxScreen
from tui.widgets.pane import Pane


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def opened(recorded: Recorded) -> Callable[..., BoxApp]:
    """An app over the recorded box whose clock and feeds stand still."""

    def make(screen: str = "dashboard", **options: Any) -> BoxApp:
        app = BoxApp(recorded, clock=lambda: NOW, pace=3600.0, screen=screen, **options)
        app.animation_level = "none"
        return app

    return make


ROUNDS = 4
"""One message leads to another: a row that is pointed at to a timer, a timer to a feed. Each round every
widget works off what it has; so many quiet ones in a row and nothing is on its way.
"""
STILL = 3
"""So many equal pictures in a row after that."""


async def wait_settled(pilot: Pilot[None]) -> None:
    """Until every pane of the screen shows what its feeds know, nothing more is about to be asked, and the
    picture stands still: on a busy machine a dialog may only be on its way when all else is quiet.
    """
    quiet, still, picture = 0, 0, ""
    for _ in range(4000):
        await pilot.pause(0.01)
        quiet = quiet + 1 if _is_settled(pilot.app) else 0
        if quiet < ROUNDS:
            continue
        seen = pilot.app.export_screenshot()
        still, picture, quiet = (still + 1 if seen == picture else 0), seen, 0
        if still >= STILL:
            return
    raise AssertionError("a feed was never answered")


def _is_settled(app: App[None]) -> bool:
    assert isinstance(app, BoxApp)
    screen = app.screen
    if isinstance(screen, BoxScreen) and screen.is_waiting:
        return False
    if isinstance(screen, FormDialog) and screen.is_waiting:
        return False
    if any(logs.is_reading for logs in screen.query(ContainerLogs)):
        return False
    feeds = [(pane, feed) for pane in screen.query(Pane) for feed in pane.feeds]
    return app.feeds.status.answers > 0 and all(
        pane.heard.get(feed) == feed.answers > 0 for pane, feed in feeds
    )


@pytest.fixture
def settle() -> Callable[[Pilot[None]], Any]:
    return wait_settled


@pytest.fixture
def gone() -> C2DError:
    return GONE
