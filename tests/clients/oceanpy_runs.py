"""ocean-lib (ocean.py) 3.1.2, installed unmodified on the last Python that it works on, and driven.

From 3.11 on it installs and imports, and then fails in its type checks.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.clients.driving import CACHE, Step, drive
from tests.harness.local_stack import LocalStack

HERE = Path(__file__).parent / "oceanpy"
NAME = "ocean.py 3.1.2"
CHAPTERS: dict[str, list[str]] = json.loads((HERE / "steps.json").read_text())


def missing() -> str | None:
    """Why ocean.py cannot run here."""
    return None if _python() else "no Python 3.10 starts here"


def install() -> Path:
    """The environment's interpreter; installed once per list of requirements."""
    listed = HERE / "requirements.txt"
    target = CACHE / f"oceanpy-{hashlib.sha256(listed.read_bytes()).hexdigest()[:16]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            _install(listed, target)
    return target / "bin" / "python"


def _install(listed: Path, target: Path) -> None:
    python = _python()
    assert python is not None
    with tempfile.TemporaryFile("w+") as said:
        pip = [str(target / "bin" / "python"), "-m", "pip", "install", "--no-deps", "-r", str(listed)]
        for command in ([python, "-m", "venv", str(target)], pip):
            done = subprocess.run(command, stdout=said, stderr=said, timeout=600)
            said.seek(0)
            assert done.returncode == 0, said.read()[-2000:]
    (target / "complete").touch()


def run(world: LocalStack, chapter: str, provider_url: str) -> dict[str, Step]:
    """Drive one chapter."""
    return drive(world, "oceanpy", [str(install()), str(HERE / "driver.py"), chapter], provider_url)


def _python() -> str | None:
    """The first Python 3.10 that starts: what pyenv puts on the PATH may be a name without a version."""
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates = [shutil.which("python3.10"), *map(str, sorted(versions.glob("3.10.*/bin/python3.10")))]
    for candidate in candidates:
        if candidate and not subprocess.run([candidate, "-m", "venv", "-h"], capture_output=True).returncode:
            return candidate
    return None
