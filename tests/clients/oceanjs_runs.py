"""Published versions of ocean.js, installed unmodified and driven through the chapters of steps.json.

The locks hold no addresses of a registry, so ``npm ci`` asks whichever registry its user has configured; an
installation is kept in the user's cache under the hash of its lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.clients.driving import CACHE, Step, drive
from tests.harness.local_stack import LocalStack

HERE = Path(__file__).parent / "oceanjs"
VERSIONS = ("3.3.0", "3.4.6")
CHAPTERS: dict[str, list[str]] = json.loads((HERE / "steps.json").read_text())


def missing() -> str | None:
    """Why ocean.js cannot run here."""
    absent = [program for program in ("node", "npm") if not shutil.which(program)]
    return f"{' and '.join(absent)} not installed" if absent else None


def install(version: str) -> Path:
    """The folder with this version's ``node_modules``; installs it once per lock."""
    lock = HERE / version / "package-lock.json"
    target = CACHE / f"oceanjs-{version}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not target.is_dir():
            _install(lock.parent, target)
    return target


def _install(source: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        folder = Path(scratch) / "installed"
        folder.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, folder / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        folder.rename(target)


def run(world: LocalStack, version: str, chapter: str, provider_url: str) -> dict[str, Step]:
    """Drive one chapter."""
    command = ["node", str(HERE / "driver.js"), chapter]
    return drive(world, f"oceanjs-{version}", command, provider_url, CLIENT_FOLDER=str(install(version)))
