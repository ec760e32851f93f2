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
from sandbox.bundle.build_dependencies import NODE, go_is_enough, install, install_command, missing_packages
from sandbox.bundle.cache import Cache, Entry
from sandbox.bundle.commands import Commands
from sandbox.bundle.parts import catalogue, programs
from sandbox.bundle.parts.go_licenses import GoLicenses
from sandbox.bundle.parts.go_programs import GoPrograms
from sandbox.bundle.parts.go_toolchain import GO_TOOLCHAIN
from sandbox.bundle.parts.recipe import Recipe, architecture
from sandbox.bundle.schedule import Plan, Schedule, whole
from sandbox.bundle.store import Bundle, damaged
from sandbox.progress import Event, Progress

Confirm = Callable[[str], bool]
"""A function that shows the user a question and returns whether they agree."""


def build(
    parts: Iterable[str] | None = None,
    *,
    yes: bool = False,
    confirm: Confirm | None = None,
    cache: Cache | None = None,
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
    cache = cache or Cache()
    began = time.monotonic()
    parts = None if parts is None else list(parts)
    recipes = catalogue.chosen(parts)
    machine = architecture()
    keys = catalogue.keys(recipes, machine)
    recipes = _required(cache, recipes, keys, parts)
    missing = [recipe for recipe in recipes if whole(cache, recipe.name, keys[recipe.name]) is None]
    yield Event(
        "bundle", "started", f"{len(missing)} of {len(recipes)} parts to make", seconds=_estimate(missing)
    )
    if missing and (inside.is_needed() if container is None else container):
        yield from inside.build_inside(parts, cache, base)
        missing = []
    go = Path("go")
    if missing:
        yield from _provide_packages(cache, missing, for_node, yes=yes, confirm=confirm)
        go = yield from _provide_go(cache, missing, machine)
    entries = yield from Schedule(cache, Plan(recipes, keys, machine, go)).run()
    if missing or not (cache.root / "bundle.json").exists():
        _describe(cache, machine)
    yield Event("bundle", "done", f"{len(entries)} parts in {cache.root}", 1.0, time.monotonic() - began)
    return Bundle(machine, entries)


def _required(
    cache: Cache, recipes: Sequence[Recipe], keys: dict[str, str], parts: Iterable[str] | None
) -> list[Recipe]:
    """Return the recipes of the parts asked for, and, of their inputs, only those that a missing part needs:
    a bundle that was loaded from a file has no layers.
    """
    by_name = {recipe.name: recipe for recipe in recipes}
    needs = {need for recipe in recipes for need in recipe.needs}
    if parts is None:
        wanted = {r.name for r in recipes if catalogue.is_product(r) or r.name not in needs}
    else:
        wanted = {catalogue.part_named(name) for name in parts}
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if whole(cache, name, keys[name]) is None:
            new = set(by_name[name].needs) - wanted
            wanted |= new
            waiting += new
    return [recipe for recipe in recipes if recipe.name in wanted]


def _estimate(missing: Sequence[Recipe]) -> float:
    """Return the estimated seconds of two lanes that overlap: those of the longer one."""
    lanes: dict[str, float] = {"compile": 0.0, "assemble": 0.0}
    for recipe in missing:
        lanes[recipe.lane] += recipe.seconds
    return max(lanes.values())


def _provide_packages(
    cache: Cache, missing: Sequence[Recipe], for_node: bool, *, yes: bool, confirm: Confirm | None
) -> Progress[None]:
    groups = {group for recipe in missing for group in recipe.debian}
    packages = missing_packages(groups | NODE if for_node else groups)
    if not packages:
        return
    command = " ".join(install_command(packages))
    step = "bundle.packages"
    yield Event(step, "note", f"These Debian packages are needed: {' '.join(packages)}.")
    if not yes and not (confirm is not None and confirm(f"Install them with `{command}`?")):
        raise EnvironmentProblem(
            "C2D-BUNDLE-CONSENT",
            f"Building the bundle needs these Debian packages: {' '.join(packages)}.",
            f"Run the command with --yes to have them installed, or install them: {command}",
            packages=packages,
        )
    yield Event(step, "started", command)
    began = time.monotonic()
    install(packages, Commands("packages", cache.log("packages"), threading.Event()))
    yield Event(step, "done", command, seconds=time.monotonic() - began)


def _provide_go(cache: Cache, missing: Sequence[Recipe], machine: str) -> Progress[Path]:
    """Return a Go toolchain that is new enough: the machine's, else one that is fetched as a part."""
    if not any(isinstance(recipe, GoPrograms | GoLicenses) for recipe in missing) or go_is_enough():
        return Path("go")
    yield Event("bundle.go-toolchain", "note", "no Go, or one too old, on this machine: getting one")
    keys = {GO_TOOLCHAIN.name: GO_TOOLCHAIN.key(machine, {})}
    entries = yield from Schedule(cache, Plan([GO_TOOLCHAIN], keys, machine)).run()
    return entries[GO_TOOLCHAIN.name].file("go/bin/go")


def cache_key() -> str:
    """Return a key of the bundle that this version of c2d-box would make on this machine."""
    keys = catalogue.keys(catalogue.chosen(None), architecture())
    hashed = hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()[:16]
    return f"c2d-box-{architecture()}-{hashed}"


PartState = Literal["ready", "missing", "outdated", "damaged"]


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


def list_parts(parts: Iterable[str] | None = None, *, cache: Cache | None = None) -> list[PartStatus]:
    """Return every part and its state. Reads names and times, not bytes."""
    cache = cache or Cache()
    recipes = catalogue.chosen(parts)
    keys = catalogue.keys(recipes, architecture())
    return [_status(cache, recipe, keys[recipe.name]) for recipe in recipes]


def _status(cache: Cache, recipe: Recipe, key: str) -> PartStatus:
    entry = cache.entry(recipe.name, key)
    state: PartState = "ready"
    if entry is None:
        state = "outdated" if cache.latest(recipe.name) else "missing"
    elif next(entry.damage(), None) is not None:
        state = "damaged"
    return PartStatus(
        name=recipe.name,
        kind=_KINDS.get(type(recipe).__name__, "part"),
        version=recipe.version,
        state=state,
        key=key,
        size=entry.manifest.size if entry else 0,
        seconds=entry.manifest.seconds if entry else None,
        digest=entry.manifest.facts.get("digest") if entry else None,
        folder=cache.folder(recipe.name, key),
    )


def verify(parts: Iterable[str] | None = None, *, cache: Cache | None = None) -> Progress[list[PartStatus]]:
    """Hash every file of every part in the cache; raise an error that names the damaged ones.

    Damage is remembered, so that the next ``build`` makes the part again.
    """
    cache = cache or Cache()
    findings: dict[str, list[str]] = {}
    statuses = list_parts(parts, cache=cache)
    total = sum(status.size for status in statuses) or 1
    hashed = 0
    for status in statuses:
        entry = cache.entry(status.name, status.key)
        if entry is None:
            yield Event(f"bundle.{status.name}", "skipped", status.state)
            continue
        wrong = list(entry.damage(thorough=True))
        hashed += status.size
        if wrong:
            entry.mark_damaged()
            findings[status.name] = [f"{name}: {what}" for name, what in wrong]
        yield Event(f"bundle.{status.name}", "failed" if wrong else "done", status.version, hashed / total)
    if findings:
        raise damaged(findings)
    return statuses


def _describe(cache: Cache, machine: str) -> None:
    """Write ``bundle.json``, which tells a person who finds the folder which bundle it holds."""
    entries: list[Entry] = []
    for status in list_parts(cache=cache):
        if entry := cache.entry(status.name, status.key):
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
                "bytes": entry.manifest.size,
                "seconds": entry.manifest.seconds,
                "digest": entry.manifest.facts.get("digest"),
            }
            for entry in entries
        ],
    }
    replace_file(cache.root / "bundle.json", json.dumps(document, indent=1) + "\n")
