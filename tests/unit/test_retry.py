"""Pauses grow to their limit, for ever, and begin anew after an attempt that lasted."""

from __future__ import annotations

from c2d_box.retry import Backoff


def test_pauses_grow_to_their_limit() -> None:
    backoff = Backoff(0.2, 30.0)
    pauses = [backoff.next_pause(lasted=0.1) for _ in range(12)]
    assert pauses[:4] == [0.2, 0.4, 0.8, 1.6]
    assert pauses[-1] == 30.0 and backoff.failures == 12


def test_a_series_of_a_day_overflows_nothing() -> None:
    backoff = Backoff(0.2, 30.0)
    for _ in range(3000):
        backoff.next_pause()
    assert backoff.next_pause() == 30.0


def test_a_steady_attempt_or_a_success_ends_the_series() -> None:
    backoff = Backoff(0.2, 30.0, steady=10.0)
    for _ in range(6):
        backoff.next_pause(lasted=9.9)
    assert backoff.next_pause(lasted=10.0) == 0.2 and backoff.failures == 1
    backoff.next_pause()
    backoff.reset()
    assert backoff.next_pause() == 0.2
