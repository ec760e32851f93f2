"""The judge, as the process it is, over outputs made to break its parsers: it ends with a verdict, in the
memory that its container has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.hostile.corpus import archives, images, tables, texts

ROOT = Path(__file__).parents[3]
MEMORY_MIB = 200
_JUDGE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from c2d_box.pods.judge.__main__ import Places, judge
from c2d_box.pods.judge.outputs import Limits
folder = Path(sys.argv[2])
limits = Limits(files=50, bytes=1 << 30, log_bytes=2000)
rules = json.loads(sys.argv[3])
mandate = {"outputs": True, "logs": True}
for job in sorted(folder.iterdir()):
    manifest, report = judge(mandate, limits, Places(job, job / "verdict"), rules)
    left = [line["filename"] for line in manifest["files"] if line["type"] == "output"]
    print(json.dumps({"job": job.name, "left": left, "refused": report["refusedCount"]}))
lines = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM"))
print(json.dumps({"peak": peak}))
"""
RULES: dict[str, Any] = {
    "none": None,
    "types": {"types": ["csv", "tsv", "json", "ndjson", "png", "jpg", "gif", "txt"], "maxRows": 1000},
    "cells": {"minCell": 5, "types": ["csv", "tsv", "json"]},
}


def outputs(seed: str, count: int) -> dict[str, bytes]:
    found = {f"{name}.json": text for name, text in texts(seed, count, {"groups": [{"n": 9, "mean": 1.5}]})}
    for ending in ("csv", "tsv"):
        found |= {f"{name}.{ending}": text for name, text in tables(seed, count)}
    found |= dict(images(seed, count))
    return {**found, **dict(archives(seed, count))}


@pytest.mark.parametrize("rules", RULES)
def test_the_judge_ends_with_a_verdict_in_its_memory(
    tmp_path: Path, seed: str, mutations: int, rules: str
) -> None:
    for number, (name, content) in enumerate(outputs(seed, mutations).items()):
        job = tmp_path / f"{number:04d}"
        for folder in ("outputs", "logs", "adminlogs", "verdict"):
            (job / folder).mkdir(parents=True)
        (job / "outputs" / name.replace("/", "_").replace(" ", "-")).write_bytes(content)
        (job / "logs" / "algorithm.log").write_bytes(content[:5_000])
    command = [sys.executable, "-c", _JUDGE, str(ROOT), str(tmp_path), json.dumps(RULES[rules])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(list(tmp_path.iterdir())) + 1
    assert all(line["left"] or line["refused"] for line in lines[:-1])
    assert lines[-1]["peak"] < MEMORY_MIB
