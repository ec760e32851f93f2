"""Running a client's driver, a program in the client's own language, against the world of these tests.

A driver takes steps and writes one JSON line for each; jobs end when it says that it waits for their end.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.testchain.settings import BARGE_MNEMONIC
from tests.harness.local_stack import LocalStack

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "c2d-box-clients"
"""Where installed clients are kept, each under the hash of its lock."""


@dataclass(frozen=True)
class Step:
    """One step as one version took it; ``calls`` are ``<service> <METHOD> <path> <status>``."""

    name: str
    outcome: str
    milliseconds: int
    calls: tuple[str, ...]
    text: str = ""


Runs = dict[str, dict[str, Step]]
"""By client, by step."""


def drive(
    world: LocalStack, name: str, command: Sequence[str], provider_url: str, **more: str
) -> dict[str, Step]:
    """Every step that the driver took. What it writes to stderr is kept beside the world's logs."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(world.folder),
        "ADDRESS_FILE": str(world.chain_process.address_file),
        "NODE_URI": world.chain_process.url,
        "PROVIDER_URL": provider_url,
        "AQUARIUS_URL": world.cache_url,
        "FILES_URL": world.files.url,
        "MNEMONIC": BARGE_MNEMONIC,
        **more,
    }
    errors = world.folder / f"{name}.log"
    with errors.open("ab") as log:
        driver = subprocess.Popen(list(command), stdout=subprocess.PIPE, stderr=log, env=environment)
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


def _heard(world: LocalStack, said: dict[str, Any], steps: dict[str, Step]) -> None:
    if "finish" in said:
        world.operator.finish(said["finish"])
        return
    steps[said["step"]] = Step(
        said["step"], said["outcome"], said["milliseconds"], tuple(said["calls"]), said.get("text", "")
    )
