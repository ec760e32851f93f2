"""Readings of sources are shared for some seconds by those who ask for the same and may know of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from c2d_box.assets.files import UrlFile
from c2d_box.storage import FileProbe, SourceUnreachable, Storage
from c2d_box.storage.readings import KEPT, SECONDS, ProbeCache
from tests.unit.storage.test_fetching import ok, server, storage


class Source:
    """Counts how often it is read; each reading waits until ``go`` is set and finds its own number."""

    def __init__(self, failures: tuple[Exception, ...] = ()) -> None:
        self.count = 0
        self.go = asyncio.Event()
        self.go.set()
        self._failures = dict(enumerate(failures, 1))

    def read(self, **more: Any) -> Callable[[], Coroutine[Any, Any, FileProbe]]:
        async def reading() -> FileProbe:
            self.count += 1
            number = self.count
            await self.go.wait()
            if problem := self._failures.get(number):
                raise problem
            return FileProbe(**{"valid": True, "sha256": str(number), **more})

        return reading


async def test_a_reading_counts_for_some_seconds_except_for_who_wants_it_anew() -> None:
    now, source = 0.0, Source()
    readings = ProbeCache(clock=lambda: now)
    assert (await readings.probe_once(b"k", source.read())).sha256 == "1"
    now = SECONDS - 1
    assert (await readings.probe_once(b"k", source.read())).sha256 == "1"
    assert (await readings.probe_once(b"k", source.read(), anew=True)).sha256 == "2"
    assert (await readings.probe_once(b"k", source.read())).sha256 == "2", "the newer one replaces it"
    now += SECONDS
    assert (await readings.probe_once(b"k", source.read())).sha256 == "3"
    assert (await readings.probe_once(b"other", source.read())).sha256 == "4"


async def test_an_older_reading_that_ends_late_replaces_no_newer_one() -> None:
    readings, slow, quick = ProbeCache(), Source(), Source()
    slow.go.clear()
    first = asyncio.create_task(readings.probe_once(b"k", slow.read(sha256="old")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await readings.probe_once(b"k", quick.read(sha256="new"), anew=True)
    slow.go.set()
    assert (await first).sha256 == "old"
    assert (await readings.probe_once(b"k", quick.read())).sha256 == "new"


async def test_who_goes_away_takes_no_reading_from_the_others() -> None:
    readings, source = ProbeCache(), Source()
    source.go.clear()
    first = asyncio.create_task(readings.probe_once(b"k", source.read()))
    others = [asyncio.create_task(readings.probe_once(b"k", source.read())) for _ in range(5)]
    await asyncio.sleep(0.01)
    first.cancel()
    source.go.set()
    assert {found.sha256 for found in await asyncio.gather(*others)} == {"1"}
    assert source.count == 1


async def test_the_budget_of_one_ends_the_reading_of_no_other() -> None:
    class BudgetSpent(Exception):
        pass

    readings, source = ProbeCache(), Source((BudgetSpent(),))
    source.go.clear()
    askers = [asyncio.create_task(readings.probe_once(b"k", source.read())) for _ in range(4)]
    await asyncio.sleep(0.01)
    source.go.set()
    found = await asyncio.gather(*askers, return_exceptions=True)
    assert isinstance(found[0], BudgetSpent)
    assert {probe.sha256 for probe in found[1:] if isinstance(probe, FileProbe)} == {"2"}
    assert source.count == 2


@pytest.mark.parametrize("failures", [(SourceUnreachable("x"),), ()])
async def test_failures_are_told_to_all_who_wait_and_are_not_kept(failures: tuple[Exception, ...]) -> None:
    readings, source = ProbeCache(), Source(failures)
    wrong = source.read(valid=False)
    found = await asyncio.gather(
        *(readings.probe_once(b"k", wrong) for _ in range(3)), return_exceptions=True
    )
    assert source.count == 1
    assert all(isinstance(each, SourceUnreachable) or not each.valid for each in found)  # type: ignore[union-attr]
    assert (await readings.probe_once(b"k", source.read())).sha256 == "2"


async def test_what_is_kept_is_bounded() -> None:
    readings, source = ProbeCache(), Source()
    for number in range(KEPT + 10):
        await readings.probe_once(str(number).encode(), source.read())
    assert len(readings._known) == KEPT and not readings._running


async def test_only_the_same_question_of_the_same_audience_shares_an_answer() -> None:
    asked: list[str] = []

    def answer(target: str) -> list[bytes | float]:
        asked.append(target)
        return [ok(b"hello")]

    async with server() as source:
        source.answer = answer
        made: Storage = storage(source.origin)
        plain, keyed = UrlFile(f"{source.origin}/f"), UrlFile(f"{source.origin}/f", headers={"k": "v"})
        for _ in range(2):
            await made.probe(plain, checksum_limit=9)
            await made.probe(plain, checksum_limit=9, audience="192.0.2.1")
            await made.probe(keyed, checksum_limit=9)
            await made.probe(plain, {"a": "b"}, checksum_limit=9)
            await made.probe(plain, checksum_limit=4)
    assert len(asked) == 5
