"""Makes the parts that are missing, two at a time, and reports progress.

One lane compiles: a compiler uses every core, so a second one would only make both slower. The other lane
puts root file systems, wheels and images together, which is waiting for network and disk. A failure in one
lane stops the other at once: what was finished is kept, and compilers keep their own caches.
"""

from __future__ import annotations

import errno
import queue
import tarfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from c2d_box.errors import C2DError, EnvironmentProblem, Failed
from sandbox.bundle.cache import BundleCache, CachedPart, PartManifest, records_of
from sandbox.bundle.commands import BuildCancelled, CommandRunner, disk_full
from sandbox.bundle.parts.recipe import BuildContext, Lane, Recipe
from sandbox.progress import Progress, ProgressEvent

REPORT_SECONDS = 1.0
"""Seconds between two reports of progress while no part ends."""
LOCK_SECONDS = 0.2
"""Seconds between two attempts to get the lock of a part that another build makes."""
ATTEMPTS = 3
"""Builds of one part before an error says that its sources do not rest."""
LANES: tuple[Lane, ...] = ("compile", "assemble")


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """The parts that a build covers, with their keys and the machine's toolchain."""

    recipes: Sequence[Recipe]
    keys: dict[str, str]
    architecture: str
    go: Path = Path("go")


class BuildSchedule:
    """One run over a plan, in two threads that share ``waiting`` and ``entries`` under ``changed``. Use an
    instance once.

    The threads never yield or print: they put events, errors and, last, None into ``events``, and the
    caller's thread passes them on.
    """

    def __init__(self, cache: BundleCache, plan: BuildPlan) -> None:
        self.cache = cache
        self.plan = plan
        self.entries: dict[str, CachedPart] = {}
        self.events: queue.Queue[ProgressEvent | BaseException | None] = queue.Queue()
        self.cancelled = threading.Event()
        self.changed = threading.Condition()
        self.waiting: list[Recipe] = []
        # By name, the moment on the monotonic clock at which the part was begun.
        self.running: dict[str, float] = {}
        # Estimated when the plan begins: once a part is made, its own time would be the estimate.
        self.estimates: dict[str, float] = {}
        self.total = 1.0
        # Seconds that finished parts count in the progress of the whole build.
        self.spent = 0.0

    def run_plan(self) -> Progress[dict[str, CachedPart]]:
        """Make the parts that are missing; return the entry of every part of the plan."""
        for recipe in self.plan.recipes:
            entry = find_intact(self.cache, recipe.name, self.plan.keys[recipe.name])
            if entry is None:
                self.waiting.append(recipe)
            else:
                self.entries[recipe.name] = entry
        self.estimates = {recipe.name: self._estimate_seconds(recipe) for recipe in self.waiting}
        self.total = sum(self.estimates.values()) or 1.0
        # Room is checked before anything is made: a build that fills the disk after minutes helps nobody.
        if self.waiting:
            self._check_room()
            yield from self._drive_lanes()
        return self.entries

    def _drive_lanes(self) -> Progress[None]:
        """Run both lanes to their ends and yield their events; raise the first error of either."""
        threads = [
            threading.Thread(target=self._work_lane, args=(lane,), name=f"bundle-{lane}") for lane in LANES
        ]
        for thread in threads:
            thread.start()
        alive = len(threads)
        try:
            while alive:
                try:
                    # The timeout is the clock of the progress reports: a compiler may be silent for minutes.
                    event = self.events.get(timeout=REPORT_SECONDS)
                except queue.Empty:
                    yield from self._report_progress()
                    continue
                # Each lane puts one None as its last word, after an error too.
                if event is None:
                    alive -= 1
                elif isinstance(event, BaseException):
                    raise event
                else:
                    yield event
        finally:
            # Also when the caller closes this generator or presses Ctrl-C: no thread may go on without a
            # reader.
            self._cancel_lanes()
            for thread in threads:
                thread.join()

    def _report_progress(self) -> Progress[None]:
        """Yield the state of the parts that are being made, and of the whole build."""
        now = time.monotonic()
        done = self.spent
        # A copy: the lanes change the dictionary meanwhile.
        for name, began in list(self.running.items()):
            elapsed, estimate = now - began, self.estimates[name]
            done += min(elapsed, estimate)
            # Never 1: only the event `done` says that something is finished.
            fraction = min(elapsed / estimate, 0.99)
            text = f"{elapsed:.0f} s of about {max(estimate, elapsed):.0f} s"
            yield ProgressEvent(f"bundle.{name}", "progress", text, fraction=fraction, seconds=elapsed)
        yield ProgressEvent(
            "bundle", "progress", f"{len(self.waiting)} parts wait", fraction=min(done / self.total, 0.99)
        )

    def _estimate_seconds(self, recipe: Recipe) -> float:
        """Return the estimated seconds: what this machine needed the last time, else the recipe's guess."""
        before = self.cache.latest_part(recipe.name)
        # At least a little, because estimates are divisors.
        return max(before.manifest.seconds if before else recipe.seconds, 0.1)

    def _check_room(self) -> None:
        """Raise an error where the estimated sizes of the waiting parts exceed the free space."""
        self.cache.root.mkdir(parents=True, exist_ok=True)
        needed = sum(recipe.mib for recipe in self.waiting)
        free = self.cache.free_mib()
        if free < needed:
            raise EnvironmentProblem(
                "C2D-DISK-FULL",
                f"Building {len(self.waiting)} parts takes about {needed} MiB; "
                f"{self.cache.root} has {free} MiB left.",
                "Free some space, or point C2D_BOX_CACHE at another disk.",
                needed_mib=needed,
                free_mib=free,
            )

    def _cancel_lanes(self) -> None:
        """Tell both lanes to stop, and wake the one that waits for the other."""
        self.cancelled.set()
        with self.changed:
            self.changed.notify_all()

    def _work_lane(self, lane: Lane) -> None:
        """Make this lane's parts one after the other. Runs in a thread."""
        try:
            while recipe := self._next_recipe(lane):
                entry = self._make_part(recipe)
                with self.changed:
                    self.entries[recipe.name] = entry
                    self.spent += self.estimates[recipe.name]
                    self.running.pop(recipe.name, None)
                    self.changed.notify_all()
        # The other lane failed or the caller left: the reason was told there.
        except BuildCancelled:
            pass
        # Everything, or the thread would die silently and the reader would see a lane that ended well.
        except BaseException as error:
            self.events.put(error)
        finally:
            self.events.put(None)

    def _next_recipe(self, lane: Lane) -> Recipe | None:
        """Return the next part of this lane whose needs are met; wait for the other lane where it must."""
        with self.changed:
            while not self.cancelled.is_set():
                mine = [recipe for recipe in self.waiting if recipe.lane == lane]
                if not mine:
                    return None
                for recipe in mine:
                    # The plan's order decides among the parts that are ready.
                    if all(need in self.entries for need in recipe.needs):
                        self.waiting.remove(recipe)
                        return recipe
                # The needs are made by the other lane, which notifies at each finished part and on
                # cancellation.
                self.changed.wait()
        return None

    def _make_part(self, recipe: Recipe) -> CachedPart:
        """Return the part's entry, made now or by another build meanwhile. Each failure gets a code."""
        step = f"bundle.{recipe.name}"
        self.events.put(
            ProgressEvent(
                step, "started", f"{recipe.name} {recipe.version}", seconds=self.estimates[recipe.name]
            )
        )
        self.running[recipe.name] = began = time.monotonic()
        try:
            # Another process may build the same part: the lock's second holder finds it finished.
            with self.cache.lock_part(recipe.name, self._wait_for_other(step)):
                key = self._content_key(recipe)
                if entry := find_intact(self.cache, recipe.name, key):
                    self.events.put(ProgressEvent(step, "skipped", "made by another build meanwhile"))
                    return entry
                entry = self._build_part(recipe, key)
        except C2DError as error:
            self.events.put(ProgressEvent(step, "failed", error.message, seconds=time.monotonic() - began))
            raise
        # Before the broader group: a full disk is the user's to fix and no fault of the recipe.
        except OSError as error:
            raise self._storage_problem(recipe, error) from error
        except (ValueError, LookupError, tarfile.TarError) as error:
            raise self._unexpected_error(recipe, error) from error
        text = f"{recipe.name} {recipe.version}, {entry.manifest.total_size / 1e6:.1f} MB"
        self.events.put(ProgressEvent(step, "done", text, seconds=entry.manifest.seconds))
        return entry

    def _wait_for_other(self, step: str) -> Callable[[], None]:
        """Return a function to call between attempts to get a part's lock: it reports the wait once and
        raises when the build is cancelled.
        """
        told = False

        def wait() -> None:
            nonlocal told
            if not told:
                self.events.put(
                    ProgressEvent(step, "note", "another build is making this part; waiting for it")
                )
                told = True
            if self.cancelled.wait(LOCK_SECONDS):
                raise BuildCancelled(step)

        return wait

    def _content_key(self, recipe: Recipe) -> str:
        """Return the part's current key: sources may have been edited since the plan was made."""
        needs = {need: self.entries[need].manifest.key for need in recipe.needs}
        return recipe.content_key(self.plan.architecture, needs)

    def _build_part(self, recipe: Recipe, key: str) -> CachedPart:
        """Make the part; make it again where its sources were edited meanwhile, since it would be stored
        under the wrong key.
        """
        for _ in range(ATTEMPTS):
            if entry := self._attempt_build(recipe, key):
                return entry
            key = self._content_key(recipe)
        raise Failed(
            "C2D-BUNDLE-CHANGED",
            f"The sources of {recipe.name} were changed each time while it was being made.",
            "Run the command again when they rest.",
            part=recipe.name,
        )

    def _attempt_build(self, recipe: Recipe, key: str) -> CachedPart | None:
        """Make the part once. Return None where its sources changed meanwhile: nothing is stored then."""
        began = time.monotonic()
        with self.cache.open_workspace(recipe.name, key) as workspace:
            out, scratch = workspace / "out", workspace / "scratch"
            out.mkdir()
            scratch.mkdir()
            commands = CommandRunner(recipe.name, self.cache.log_path(recipe.name), self.cancelled)
            needs = {need: self.entries[need] for need in recipe.needs}
            facts = recipe.make_part(
                BuildContext(out, scratch, commands, needs, self.plan.architecture, self.plan.go)
            )
            # A recipe that runs no command in its last minutes learns here that it was cancelled.
            commands.check_cancelled()
            # Hashed again after the build: an edit in between makes an entry whose key tells a lie.
            if self._content_key(recipe) != key:
                return None
            manifest = PartManifest(
                part=recipe.name,
                version=recipe.version,
                key=key,
                architecture=self.plan.architecture,
                seconds=round(time.monotonic() - began, 2),
                files=records_of(out),
                facts=facts,
            )
            return self.cache.publish_part(out, manifest, recipe.keep)

    def _unexpected_error(self, recipe: Recipe, error: Exception) -> C2DError:
        """Return the error for a recipe that met something unforeseen in its inputs."""
        return Failed(
            "C2D-BUNDLE-BUILD",
            f"{recipe.name} could not be put together: {type(error).__name__}: {error}.",
            f"The output of the tools is in {self.cache.log_path(recipe.name)}.",
            part=recipe.name,
        )

    def _storage_problem(self, recipe: Recipe, error: OSError) -> C2DError:
        """Return the error for a cache that cannot be used; a full disk has a code of its own."""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return disk_full(recipe.name, self.cache.root)
        return EnvironmentProblem(
            "C2D-BUNDLE-CACHE",
            f"The cache could not be used while making {recipe.name}: {error}.",
            f"Make sure that {self.cache.root} belongs to you and can be written to.",
            part=recipe.name,
        )


def find_intact(cache: BundleCache, part: str, key: str) -> CachedPart | None:
    """Return the entry if it is there and undamaged, as far as a check of sizes and times can tell."""
    entry = cache.find_part(part, key)
    return entry if entry is not None and next(entry.find_damage(), None) is None else None
