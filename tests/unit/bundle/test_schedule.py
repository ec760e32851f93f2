"""Parts are made once, in order, whole; whatever happens meanwhile."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from c2d_box.errors import C2DError, EnvironmentProblem, Failed
from sandbox.bundle.cache import BundleCache, CachedPart
from sandbox.bundle.parts import catalogue
from sandbox.bundle.parts.recipe import BuildContext, Recipe
from sandbox.bundle.schedule import BuildPlan, BuildSchedule
from sandbox.progress import Progress, ProgressEvent, run_verb


@dataclass(frozen=True, kw_only=True)
class Written(Recipe):
    """A part that writes down what it was made from; ``script`` runs first."""

    journal: Path
    source: Path | None = None
    script: str = ""
    problem: str = ""

    def input_files(self) -> Iterator[tuple[str, Path]]:
        if self.source is not None:
            yield "source", self.source

    def make_part(self, bench: BuildContext) -> dict[str, Any]:
        with self.journal.open("a") as journal:
            journal.write(f"{self.name}\n")
        if self.problem == "disk":
            raise OSError(errno.ENOSPC, "No space left on device")
        if self.problem == "permission":
            raise PermissionError(errno.EACCES, "Permission denied")
        if self.problem.startswith("edited") and self.source is not None:
            edits = int(self.source.read_text()) + 1
            if edits <= int(self.problem[-1]):
                self.source.write_text(str(edits))
        if self.script:
            bench.commands.run_command(["sh", "-c", self.script], cwd=bench.out)
        below = [bench.needs[need].file_path("text").read_text() for need in self.needs]
        (bench.out / "text").write_text(f"{self.name}({','.join(below)})")
        return {"needs": sorted(bench.needs)}


class Box:
    """A cache with a handful of recipes."""

    def __init__(self, root: Path) -> None:
        self.cache = BundleCache(root / "cache")
        self.journal = root / "journal"
        self.recipes: list[Recipe] = []

    def add(self, name: str, *needs: str, **more: Any) -> None:
        made = Written(name=name, version="1", seconds=1, mib=1, needs=needs, journal=self.journal, **more)
        self.recipes.append(made)

    def schedule(self) -> Progress[dict[str, CachedPart]]:
        keys = catalogue.content_keys(self.recipes, "amd64")
        return BuildSchedule(self.cache, BuildPlan(self.recipes, keys, "amd64")).run_plan()

    def make(self) -> tuple[dict[str, CachedPart], list[ProgressEvent]]:
        events: list[ProgressEvent] = []
        return run_verb(self.schedule(), events.append), events

    def made(self) -> list[str]:
        return self.journal.read_text().split() if self.journal.exists() else []

    def halves(self) -> list[Path]:
        work = self.cache.root / "work"
        return list(work.iterdir()) if work.exists() else []


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_a_part_is_made_after_what_it_is_made_from(box: Box) -> None:
    box.add("image", "base", "code")
    box.add("code", "base")
    box.add("base")
    entries, _ = box.make()
    assert box.made() == ["base", "code", "image"]
    assert entries["image"].file_path("text").read_text() == "image(base(),code(base()))"
    assert entries["image"].manifest.facts == {"needs": ["base", "code"]}


def test_what_is_there_is_not_made_again(box: Box) -> None:
    box.add("base")
    box.make()
    _, events = box.make()
    assert box.made() == ["base"]
    assert events == []


def test_a_changed_source_makes_the_part_and_those_above_it_again(box: Box, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("one")
    box.add("base")
    box.add("code", "base", source=source)
    box.add("image", "code")
    box.make()
    source.write_text("two")
    box.make()
    assert box.made() == ["base", "code", "image", "code", "image"]


def test_a_damaged_entry_is_made_again(box: Box) -> None:
    box.add("base")
    entries, _ = box.make()
    entries["base"].file_path("text").write_text("rubbish")
    entries, _ = box.make()
    assert entries["base"].file_path("text").read_text() == "base()"
    assert box.halves() == []


def test_progress_has_the_estimate_and_the_time_it_took(box: Box) -> None:
    box.add("base", script="sleep 0.2")
    _, events = box.make()
    assert [(event.step, event.state) for event in events] == [
        ("bundle.base", "started"),
        ("bundle.base", "done"),
    ]
    assert events[0].seconds == 1
    assert events[1].seconds is not None and events[1].seconds >= 0.2
    (box.cache.part_folder("base", catalogue.content_keys(box.recipes, "amd64")["base"]) / "text").unlink()
    _, events = box.make()
    assert events[0].seconds is not None and 0.2 <= events[0].seconds < 1, (
        "the measured time is the next estimate"
    )


def test_progress_counts_a_part_as_long_as_it_was_estimated(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not as long as it took: the whole was made of estimates, and would be exceeded or never reached."""
    monkeypatch.setattr("sandbox.bundle.schedule.REPORT_SECONDS", 0.05)
    box.add("quick")
    box.add("slow", "quick", script="sleep 0.5")
    _, events = box.make()
    whole = [event.fraction for event in events if (event.step, event.state) == ("bundle", "progress")]
    # Of two estimated seconds one is done from the first report on.
    assert whole and all(fraction is not None and 0.5 <= fraction < 0.8 for fraction in whole[1:])


def test_a_build_stopped_half_way_leaves_no_half_part_and_goes_on_with_it(box: Box) -> None:
    box.add("base")
    box.add("slow", "base", script="echo half > half; sleep 30")
    verb = box.schedule()
    began = time.monotonic()
    while next(verb).step != "bundle.slow":
        pass
    verb.close()
    assert time.monotonic() - began < 10
    assert box.halves() == []
    box.recipes[-1] = Written(
        name="slow", version="1", seconds=1, mib=1, needs=("base",), journal=box.journal
    )
    box.make()
    assert box.made() == ["base", "slow", "slow"]


def test_a_killed_build_is_resumed_by_the_next(box: Box, tmp_path: Path) -> None:
    box.add("base")
    box.make()
    program = (
        "import sys, os, signal; from pathlib import Path; from sandbox.bundle.cache import BundleCache\n"
        "cache = BundleCache(Path(sys.argv[1]))\n"
        "with cache.lock_part('base', lambda: None), cache.open_workspace('base', 'k') as workspace:\n"
        "    (workspace / 'half').write_text('x'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(box.cache.root)], check=False)
    assert len(box.halves()) == 1
    entry = box.cache.latest_part("base")
    assert entry is not None
    entry.mark_damaged()
    box.make()
    assert box.made() == ["base", "base"]
    assert box.halves() == []


def test_two_builds_at_once_make_a_part_once(box: Box) -> None:
    box.add("base", script="sleep 0.5")
    box.add("image", "base")
    results: list[dict[str, CachedPart]] = []
    told: list[ProgressEvent] = []

    def build() -> None:
        results.append(run_verb(box.schedule(), told.append))

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert box.made() == ["base", "image"]
    assert [entries["image"].file_path("text").read_text() for entries in results] == ["image(base())"] * 2
    assert any(event.state == "note" and "another build" in event.text for event in told)


def test_a_failing_tool_shows_its_last_lines_and_stops_the_build(box: Box) -> None:
    box.add("base", script="echo first; echo the reason >&2; exit 3")
    box.add("image", "base")
    with pytest.raises(Failed) as caught:
        box.make()
    assert caught.value.code == "C2D-BUNDLE-BUILD"
    assert "the reason" in caught.value.message
    assert str(box.cache.log_path("base")) in caught.value.next_step
    assert box.made() == ["base"]
    assert box.halves() == []


@pytest.mark.parametrize(("problem", "code"), [("disk", "C2D-DISK-FULL"), ("permission", "C2D-BUNDLE-CACHE")])
def test_trouble_with_the_disk_is_told_by_its_code(box: Box, problem: str, code: str) -> None:
    box.add("base", problem=problem)
    with pytest.raises(EnvironmentProblem) as caught:
        box.make()
    assert caught.value.code == code
    assert caught.value.next_step
    assert box.halves() == []


def test_too_little_room_is_told_before_anything_is_made(box: Box) -> None:
    box.add("base")
    box.recipes[0] = Written(name="base", version="1", seconds=1, mib=1 << 40, journal=box.journal)
    with pytest.raises(EnvironmentProblem) as caught:
        box.make()
    assert caught.value.code == "C2D-DISK-FULL"
    assert box.made() == []


def test_a_part_whose_sources_were_edited_meanwhile_is_made_from_the_new_ones(
    box: Box, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_text("0")
    box.add("code", source=source, problem="edited 1")
    box.add("image", "code")
    entries, _ = box.make()
    assert box.made() == ["code", "code", "image"]
    assert entries["code"].manifest.key == catalogue.content_keys(box.recipes, "amd64")["code"]
    assert entries["image"].manifest.key == catalogue.content_keys(box.recipes, "amd64")["image"]


def test_sources_that_never_rest_are_told(box: Box, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("0")
    box.add("code", source=source, problem="edited 9")
    with pytest.raises(C2DError) as caught:
        box.make()
    assert caught.value.code == "C2D-BUNDLE-CHANGED"
    assert box.cache.latest_part("code") is None
