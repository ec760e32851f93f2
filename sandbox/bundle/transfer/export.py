"""Writes the bundle as one file, for a USB stick or a teacher's network; :mod:`sandbox.bundle.transfer.load`
reads it.

The file is a zip archive (no part larger than 4 GB), because Python runs one: `python3 FILE` installs c2d-box
from the wheels inside. ``manifest.json`` names every file with size and hash; ``manifest.sha256`` its own
hash. Only finished products are in the file, not the layers they were made from.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from c2d_box.errors import Failed, UsageError
from sandbox.bundle.cache import BundleCache, CachedPart, digest_of
from sandbox.bundle.parts import catalogue, programs
from sandbox.bundle.parts.recipe import RECIPES, SOURCE_DATE_EPOCH, machine_architecture
from sandbox.bundle.schedule import find_intact
from sandbox.progress import Progress, ProgressEvent

FORMAT = 1
"""Version of the bundle file's layout; an older c2d-box refuses a newer one."""
MANIFEST, SEAL = "manifest.json", "manifest.sha256"
_STAMP = time.gmtime(SOURCE_DATE_EPOCH)[:6]
"""Time of every entry in the zip archive, fixed like that of the parts."""
LEVEL = 1
"""Level of deflate: three times smaller at a fraction of the time of higher levels."""


@dataclass(frozen=True, slots=True)
class PartSize:
    """A part in the written file, with its unpacked size."""

    name: str
    version: str
    bytes: int
    """Unpacked size in bytes."""


@dataclass(frozen=True, slots=True)
class SavedBundle:
    """The bundle file that was written."""

    file: Path
    bytes: int
    sha256: str
    architecture: str
    parts: tuple[PartSize, ...]
    wheels: int


def product_parts(parts: Iterable[str] | None, cache: BundleCache) -> list[CachedPart]:
    """Return the finished parts that a box runs from, all or those named. Raises where one is missing."""
    recipes = catalogue.chosen_recipes(parts)
    keys = catalogue.content_keys(recipes, machine_architecture())
    # Layers stay out: images contain them already.
    wanted = [recipe for recipe in recipes if catalogue.is_product(recipe)]
    if parts is not None:
        asked = {catalogue.part_named(name) for name in parts}
        wanted = [recipe for recipe in wanted if recipe.name in asked]
    entries, missing = [], []
    for recipe in wanted:
        entry = find_intact(cache, recipe.name, keys[recipe.name])
        if entry is None:
            missing.append(recipe.name)
        else:
            entries.append(entry)
    if missing:
        raise UsageError(
            "C2D-BUNDLE-INCOMPLETE",
            f"The bundle lacks {', '.join(missing)}.",
            "Run `c2d-box bundle build` first.",
            parts=missing,
        )
    return entries


def save_bundle(
    target: Path,
    parts: Iterable[str] | None = None,
    *,
    wheels: Path | None = None,
    cache: BundleCache | None = None,
) -> Progress[SavedBundle]:
    """Write the bundle to ``target``; ``wheels`` is a folder of wheels that are put into the same file."""
    entries = product_parts(parts, cache or BundleCache())
    packages = sorted(wheels.glob("*.whl")) if wheels else []
    manifest = _file_manifest(entries, packages)
    text = json.dumps(manifest, indent=1).encode()
    # Written beside the target and renamed: a file of that name is always a whole one.
    draft = target.with_name(f"{target.name}.part")
    total = sum(entry.manifest.total_size for entry in entries) or 1
    done = 0
    yield ProgressEvent("bundle.save", "started", str(target))
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
            # Python runs the file by this entry. It and the manifest come first, uncompressed.
            _write_text(archive, "__main__.py", (RECIPES / "install" / "installer.py").read_bytes())
            _write_text(archive, MANIFEST, text)
            _write_text(archive, SEAL, hashlib.sha256(text).hexdigest().encode())
            for wheel in packages:
                # Stored: wheels are compressed already.
                _write_file(archive, f"wheels/{wheel.name}", wheel, zipfile.ZIP_STORED)
            for entry in entries:
                for record in entry.manifest.files:
                    # Links stand in the manifest only; zip has no portable form for them.
                    if not record.link:
                        name = f"parts/{entry.manifest.part}/{record.path}"
                        _write_file(archive, name, entry.file_path(record.path), zipfile.ZIP_DEFLATED)
                done += entry.manifest.total_size
                yield ProgressEvent("bundle.save", "progress", entry.manifest.part, fraction=done / total)
        draft.replace(target)
    finally:
        # After a failure or Ctrl-C; after a success it was renamed.
        draft.unlink(missing_ok=True)
    sizes = tuple(PartSize(e.manifest.part, e.manifest.version, e.manifest.total_size) for e in entries)
    size = target.stat().st_size
    yield ProgressEvent("bundle.save", "done", f"{size / 1e6:.0f} MB")
    return SavedBundle(target, size, digest_of(target), machine_architecture(), sizes, len(packages))


def _file_manifest(entries: list[CachedPart], wheels: list[Path]) -> dict[str, Any]:
    """Return the manifest: everything the loader checks before it changes anything."""
    return {
        "format": FORMAT,
        "c2dBox": version("c2d-box"),
        "architecture": machine_architecture(),
        "kubernetes": programs.KUBERNETES,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "parts": [asdict(entry.manifest) for entry in entries],
        "wheels": [
            {"name": path.name, "size": path.stat().st_size, "sha256": digest_of(path)} for path in wheels
        ],
    }


def _write_text(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a small entry, uncompressed."""
    archive.writestr(zipfile.ZipInfo(name, _STAMP), data, zipfile.ZIP_STORED)


def _write_file(archive: zipfile.ZipFile, name: str, path: Path, kind: int) -> None:
    """Add a file as a stream; ``kind`` is the zip method."""
    header = zipfile.ZipInfo(name, _STAMP)
    header.compress_type = kind
    # The size lets zipfile choose the 64-bit form beforehand. A level per entry has no public name yet.
    header.file_size = path.stat().st_size
    header._compresslevel = LEVEL  # type: ignore[attr-defined]
    with path.open("rb") as source, archive.open(header, "w") as sink:
        while chunk := source.read(1 << 20):
            sink.write(chunk)


def gather_wheels(folder: Path) -> Progress[Path]:
    """Fetch the wheel of this c2d-box and of everything it imports, for this machine's Python, below
    ``folder``.
    """
    yield ProgressEvent("bundle.wheels", "started", "wheels of c2d-box and what it imports")
    folder.mkdir(parents=True, exist_ok=True)
    source = Path(__file__).parents[3]
    # From a checkout its own wheel is built; an installed c2d-box is fetched by its version.
    own = [str(source)] if (source / "pyproject.toml").exists() else [f"c2d-box=={version('c2d-box')}"]
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(folder), *own]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(
            "C2D-BUNDLE-WHEELS",
            "The wheels of c2d-box could not be gathered.",
            "Check the network, or save without them: c2d-box bundle save --no-wheels FILE",
            last_lines=done.stderr.splitlines()[-8:],
        )
    yield ProgressEvent("bundle.wheels", "done", f"{len(list(folder.glob('*.whl')))} wheels")
    return folder
