"""Published versions of ocean.js, installed unmodified and driven through the chapters of steps.json.

The locks hold no addresses of a registry, so ``npm ci`` asks whichever registry its user has configured; an
installation is kept in the user's cache under the hash of its lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.testchain.settings import BARGE_MNEMONIC
from tests.worlds.local import World

HERE = Path(__file__).parent / "oceanjs"
VERSIONS = ("3.3.0", "3.4.6")
CHAPTERS: dict[str, list[str]] = json.loads((HERE / "steps.json").read_text())
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "c2d-box-clients"


@dataclass(frozen=True)
class Step:
    """One step as one version took it; ``calls`` are ``<service> <METHOD> <path> <status>``."""

    name: str
    outcome: str
    milliseconds: int
    calls: tuple[str, ...]
    text: str = ""


Runs = dict[str, dict[str, Step]]
"""By version, by step."""


def missing() -> str | None:
    """Why ocean.js cannot run here."""
    absent = [program for program in ("node", "npm") if not shutil.which(program)]
    return f"{' and '.join(absent)} not installed" if absent else None


def install(version: str) -> Path:
    """The folder with this version's ``node_modules``; installs it once per lock."""
    lock = HERE / version / "package-lock.json"
    target = _CACHE / f"oceanjs-{version}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as guard:
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


def run(world: World, version: str, chapter: str, provider_url: str) -> dict[str, Step]:
    """Drive one chapter; jobs end when the driver says that it waits for their end."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(world.folder),
        "CLIENT_FOLDER": str(install(version)),
        "ADDRESS_FILE": str(world.chain_process.address_file),
        "NODE_URI": world.chain_process.url,
        "PROVIDER_URL": provider_url,
        "AQUARIUS_URL": world.cache_url,
        "FILES_URL": world.files.url,
        "MNEMONIC": BARGE_MNEMONIC,
    }
    errors = world.folder / f"oceanjs-{version}.log"
    with errors.open("ab") as log:
        driver = subprocess.Popen(
            ["node", str(HERE / "driver.js"), chapter], stdout=subprocess.PIPE, stderr=log, env=environment
        )
    assert driver.stdout is not None
    steps: dict[str, Step] = {}
    try:
        for line in driver.stdout:
            if line.startswith(b"{"):
                _heard(world, json.loads(line), steps)
        assert driver.wait(10) == 0, errors.read_text()[-2000:]
    finally:
        driver.kill()
        driver.wait()
        driver.stdout.close()
    return steps


def _heard(world: World, said: dict[str, Any], steps: dict[str, Step]) -> None:
    if "finish" in said:
        world.operator.finish(said["finish"])
        return
    steps[said["step"]] = Step(
        said["step"], said["outcome"], said["milliseconds"], tuple(said["calls"]), said.get("text", "")
    )
