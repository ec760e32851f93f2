"""Steps of tests that drive the screens by keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from textual.pilot import Pilot

Settle = Callable[[Pilot[None]], Awaitable[None]]


async def press_keys(pilot: Pilot[None], settle: Settle, *keys: str) -> None:
    """Press each key when the screen has settled after the one before."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def wait_until(pilot: Pilot[None], true: Callable[[], bool]) -> None:
    """Wait until something is true that no feed tells, ten seconds at most."""
    for _ in range(500):
        if true():
            return
        await pilot.pause(0.02)
    raise AssertionError("it did not come true")
