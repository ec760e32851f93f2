"""The bundle's verbs: build it, list it, verify it."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from c2d_box.errors import EnvironmentProblem
from c2d_box.files import replace_file
from sandbox.bundle import container as inside
from sandbox.bundle.build_dependencies import (
    NODE,
    go_is_enough,
    install_command,
    install_packages,
    missing_packages,
)
from sandbox.bundle.cache import BundleCache, CachedPart
from sandbox.bundle.commands import CommandRunner
from sandbox.bundle.parts import catalogue, programs
from sandbox.bundle.parts.go_licenses import GoLicenses
from sandbox.bundle.parts.go_programs import GoPrograms
from sandbox.bundle.parts.go_toolchain import GO_TOOLCHAIN
from sandbox.bundle.parts.recipe import Recipe, machine_architecture
from sandbox.bundle.schedule import BuildPlan, BuildSchedule, find_intact
from sandbox.bundle.store import Bundle, damaged_parts
from sandbox.progress import Progress, ProgressEvent

Confirm = Callable[[str], bool]
"""A function that shows the user a question and returns whether they agree."""


def build_bundle(
    parts: Iterable[str] | None = None,
    *,
    yes: bool = False,
    confirm: Confirm | None = None,
    cache: BundleCache | None = None,
    container: bool | None = None,
    base: Path | None = None,
    for_node: bool = True,
) -> Progress[Bundle]:
    """Make every part that is missing or damaged; do nothing where every part is in the cache.

    ``parts`` limits it to those and what they are made from. Debian packages that the machine lacks are
    installed when ``yes`` is set or ``confirm`` agrees. Interrupted, it goes on with the first unfinished
    part the next time. ``container``: build in one (None: where this machine is not Debian), of ``base``.
    ``for_node``: install with the builder's packages those that a cluster on this machine needs.
    """
    cache = cache or BundleCache()
    began = time.monotonic()
    # Read more than once below; a generator would be empty the second time.
    parts = None if parts is None else list(parts)
    recipes = catalogue.chosen_recipes(parts)
    machine = machine_architecture()
    keys = catalogue.content_keys(recipes, machine)
    recipes = _required_recipes(cache, recipes, keys, parts)
    # Looked for before anything is asked or installed: a complete cache needs no consent.
    missing = [recipe for recipe in recipes if find_intact(cache, recipe.name, keys[recipe.name]) is None]
    yield ProgressEvent(
        "bundle",
        "started",
        f"{len(missing)} of {len(recipes)} parts to make",
        seconds=_estimate_seconds(missing),
    )
    if missing and (inside.is_needed() if container is None else container):
        yield from inside.build_inside(parts, cache, base)
        # The container has filled the cache under the same keys; the schedule below only looks the entries
        # up.
        missing = []
    go = Path("go")
    if missing:
        yield from _provide_packages(cache, missing, for_node, yes=yes, confirm=confirm)
        go = yield from _provide_go(cache, missing, machine)
    # Run even with nothing missing: it returns the entries.
    entries = yield from BuildSchedule(cache, BuildPlan(recipes, keys, machine, go)).run_plan()
    # The description is written anew only where parts changed.
    if missing or not (cache.root / "bundle.json").exists():
        _write_description(cache, machine)
    yield ProgressEvent(
        "bundle", "done", f"{len(entries)} parts in {cache.root}", 1.0, time.monotonic() - began
    )
    return Bundle(machine, entries)


def _required_recipes(
    cache: BundleCache, recipes: Sequence[Recipe], keys: dict[str, str], parts: Iterable[str] | None
) -> list[Recipe]:
    """Return the recipes of the parts asked for, and, of their inputs, only those that a missing part needs:
    a bundle that was loaded from a file has no layers.
    """
    by_name = {recipe.name: recipe for recipe in recipes}
    needs = {need for recipe in recipes for need in recipe.needs}
    if parts is None:
        # Without names: what a box runs, and parts that nothing else is made from.
        wanted = {r.name for r in recipes if catalogue.is_product(r) or r.name not in needs}
    else:
        wanted = {catalogue.part_named(name) for name in parts}
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        # Inputs are wanted only where the part itself must be made; their own inputs follow the same rule.
        if find_intact(cache, name, keys[name]) is None:
            new = set(by_name[name].needs) - wanted
            wanted |= new
            waiting += new
    return [recipe for recipe in recipes if recipe.name in wanted]


def _estimate_seconds(missing: Sequence[Recipe]) -> float:
    """Return the estimated seconds of two lanes that overlap: those of the longer one."""
    lanes: dict[str, float] = {"compile": 0.0, "assemble": 0.0}
    for recipe in missing:
        lanes[recipe.lane] += recipe.seconds
    return max(lanes.values())


def _provide_packages(
    cache: BundleCache, missing: Sequence[Recipe], for_node: bool, *, yes: bool, confirm: Confirm | None
) -> Progress[None]:
    """Install the Debian packages that the missing parts need, after asking; raise where consent is missing.

    The question comes before the first part is made, so that a build of minutes is not interrupted by it.
    """
    groups = {group for recipe in missing for group in recipe.debian}
    # The node's tools in the same question: the user is asked once for building and running.
    packages = missing_packages(groups | NODE if for_node else groups)
    if not packages:
        return
    command = " ".join(install_command(packages))
    step = "bundle.packages"
    yield ProgressEvent(step, "note", f"These Debian packages are needed: {' '.join(packages)}.")
    if not yes and not (confirm is not None and confirm(f"Install them with `{command}`?")):
        raise EnvironmentProblem(
            "C2D-BUNDLE-CONSENT",
            f"Building the bundle needs these Debian packages: {' '.join(packages)}.",
            f"Run the command with --yes to have them installed, or install them: {command}",
            packages=packages,
        )
    yield ProgressEvent(step, "started", command)
    began = time.monotonic()
    install_packages(packages, CommandRunner("packages", cache.log_path("packages"), threading.Event()))
    yield ProgressEvent(step, "done", command, seconds=time.monotonic() - began)


def _provide_go(cache: BundleCache, missing: Sequence[Recipe], machine: str) -> Progress[Path]:
    """Return a Go toolchain that is new enough: the machine's, else one that is fetched as a part."""
    if not any(isinstance(recipe, GoPrograms | GoLicenses) for recipe in missing) or go_is_enough():
        return Path("go")
    yield ProgressEvent("bundle.go-toolchain", "note", "no Go, or one too old, on this machine: getting one")
    keys = {GO_TOOLCHAIN.name: GO_TOOLCHAIN.content_key(machine, {})}
    entries = yield from BuildSchedule(cache, BuildPlan([GO_TOOLCHAIN], keys, machine)).run_plan()
    return entries[GO_TOOLCHAIN.name].file_path("go/bin/go")


def cache_key() -> str:
    """Return a key of the bundle that this version of c2d-box would make on this machine. It is for the cache
    of a CI (docs/examples/testing/ci.yml): it changes exactly when a part does.
    """
    keys = catalogue.content_keys(catalogue.chosen_recipes(None), machine_architecture())
    hashed = hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()[:16]
    return f"c2d-box-{machine_architecture()}-{hashed}"


PartState = Literal["ready", "missing", "outdated", "damaged"]
"""States of a part in the cache."""


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One part as ``bundle list`` shows it."""

    name: str
    kind: str
    version: str
    state: PartState
    """``outdated``: the cache holds a part made by another version of c2d-box or from other sources."""
    key: str
    size: int
    """Bytes; 0 where the part is not there."""
    seconds: float | None
    """Seconds that the build of the part took."""
    digest: str | None
    """Digest of an image's manifest; for images only."""
    folder: Path


_KINDS = {
    "GoPrograms": "program",
    "CProgram": "program",
    "RootFilesystem": "layer",
    "DebianFile": "program",
    "WheelLayer": "layer",
    "CodeLayer": "layer",
    "ImageRecipe": "image",
    "MachineRoot": "layer",
    "NodeImage": "image",
}
"""Kinds of part as ``bundle list`` shows them, by the recipe's class; others are shown as ``part``."""


def list_parts(parts: Iterable[str] | None = None, *, cache: BundleCache | None = None) -> list[PartStatus]:
    """Return every part and its state. Reads names and times, not bytes."""
    cache = cache or BundleCache()
    recipes = catalogue.chosen_recipes(parts)
    keys = catalogue.content_keys(recipes, machine_architecture())
    return [_part_status(cache, recipe, keys[recipe.name]) for recipe in recipes]


def _part_status(cache: BundleCache, recipe: Recipe, key: str) -> PartStatus:
    """Return the state of one part, by its entry for the current key."""
    entry = cache.find_part(recipe.name, key)
    state: PartState = "ready"
    if entry is None:
        # An entry of another key: built from other sources.
        state = "outdated" if cache.latest_part(recipe.name) else "missing"
    elif next(entry.find_damage(), None) is not None:
        state = "damaged"
    return PartStatus(
        name=recipe.name,
        kind=_KINDS.get(type(recipe).__name__, "part"),
        version=recipe.version,
        state=state,
        key=key,
        size=entry.manifest.total_size if entry else 0,
        seconds=entry.manifest.seconds if entry else None,
        digest=entry.manifest.facts.get("digest") if entry else None,
        folder=cache.part_folder(recipe.name, key),
    )


def verify_parts(
    parts: Iterable[str] | None = None, *, cache: BundleCache | None = None
) -> Progress[list[PartStatus]]:
    """Hash every file of every part in the cache; raise an error that names the damaged ones.

    Damage is remembered, so that the next ``build`` makes the part again.
    """
    cache = cache or BundleCache()
    findings: dict[str, list[str]] = {}
    statuses = list_parts(parts, cache=cache)
    # Never 0: it is a divisor, and a cache may be empty.
    total = sum(status.size for status in statuses) or 1
    hashed = 0
    for status in statuses:
        entry = cache.find_part(status.name, status.key)
        if entry is None:
            yield ProgressEvent(f"bundle.{status.name}", "skipped", status.state)
            continue
        wrong = list(entry.find_damage(thorough=True))
        hashed += status.size
        if wrong:
            # Needed because `build` looks at sizes and times only and would take the part for sound.
            entry.mark_damaged()
            findings[status.name] = [f"{name}: {what}" for name, what in wrong]
        yield ProgressEvent(
            f"bundle.{status.name}", "failed" if wrong else "done", status.version, hashed / total
        )
    if findings:
        # After all parts, so that one run names all damage.
        raise damaged_parts(findings)
    return statuses


def _write_description(cache: BundleCache, machine: str) -> None:
    """Write ``bundle.json``, which tells a person who finds the folder which bundle it holds."""
    entries: list[CachedPart] = []
    for status in list_parts(cache=cache):
        if entry := cache.find_part(status.name, status.key):
            entries.append(entry)
    document = {
        "format": 1,
        "architecture": machine,
        "kubernetes": programs.KUBERNETES,
        "parts": [
            {
                "name": entry.manifest.part,
                "version": entry.manifest.version,
                "key": entry.manifest.key,
                "bytes": entry.manifest.total_size,
                "seconds": entry.manifest.seconds,
                "digest": entry.manifest.facts.get("digest"),
            }
            for entry in entries
        ],
    }
    replace_file(cache.root / "bundle.json", json.dumps(document, indent=1) + "\n")
