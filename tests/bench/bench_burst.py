"""A burst of jobs: ``python -m tests.bench.bench_burst [--home HOME] [--jobs N]``.

One owner submits half of the jobs and then another the other half, all at once; nothing is held back.
Prints one JSON object: jobs per minute from the first submission to the last end, failures by number, how
many were under way together, and fairness: how far apart the two owners' finished jobs were, in the time
when both still had jobs waiting, as a share of the larger count. Jobs are written by hand, so that what is
measured is engine, pods and Kubernetes.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from c2d_box import timestamps
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.box import open_box
from tests.bench import handwritten

OWNERS = ("0xburst-one", "0xburst-two")
PROGRAM = "print('nothing to do')\nopen('/data/outputs/done', 'w').write('done')\n"
PATIENCE = 1800.0


def main() -> None:
    options = _parse_options()
    box = open_box(options.home)
    kube = box.kube_api()
    section, run = handwritten.algorithm_container(box), uuid.uuid4().hex[:6]
    jobs = [f"burst-{run}-{number:03d}" for number in range(options.jobs)]
    half = options.jobs // 2
    began = time.time()
    for number, job in enumerate(jobs):
        owner = OWNERS[0] if number < half else OWNERS[1]
        handwritten.create_workflow(kube, handwritten.workflow_body(job, owner, PROGRAM, section))
    submitted = time.time() - began
    try:
        ended = _all_finished(kube, jobs)
        print(
            json.dumps({**_burst_figures(ended, began), "submitting_seconds": round(submitted, 2)}, indent=2)
        )
    finally:
        for job in jobs:
            kube.delete(f"{handwritten.PATH}/{job}")


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, default=None, help="the home of a running box")
    parser.add_argument("--jobs", type=int, default=100)
    return parser.parse_args()


def _all_finished(kube: KubeApi, jobs: list[str]) -> list[dict[str, Any]]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = [body for body in kube.items(handwritten.PATH) if body["metadata"]["name"] in set(jobs)]
        over = [body for body in found if "finished" in _moment_times(body)]
        if len(over) == len(jobs):
            return over
        time.sleep(2)
    raise AssertionError(f"{len(over)} of {len(jobs)} jobs ended within {PATIENCE:.0f} s")


def _moment_times(body: dict[str, Any]) -> dict[str, str]:
    return (body.get("status") or {}).get("times") or {}


def _job_moments(bodies: list[dict[str, Any]], moment: str) -> list[tuple[float, str]]:
    return sorted(
        (timestamps.rfc3339_seconds(_moment_times(body)[moment]), body["spec"]["owner"]) for body in bodies
    )


def _burst_figures(bodies: list[dict[str, Any]], began: float) -> dict[str, Any]:
    finished, admitted = _job_moments(bodies, "finished"), _job_moments(bodies, "admitted")
    seconds = finished[-1][0] - began
    codes = Counter(body["status"]["code"] for body in bodies)
    return {
        "jobs": len(bodies),
        "seconds": round(seconds, 1),
        "jobs_per_minute": round(len(bodies) / seconds * 60, 1),
        "ended_otherwise_than_70": {str(code): count for code, count in codes.items() if code != 70},
        "most_at_once": _most_at_once(admitted, finished),
        "unfairness": round(_unfairness(finished, admitted), 3),
        "load": os.getloadavg()[0],
    }


def _most_at_once(admitted: list[tuple[float, str]], finished: list[tuple[float, str]]) -> int:
    steps = sorted([(at, 1) for at, _ in admitted] + [(at, -1) for at, _ in finished])
    most = running = 0
    for _, step in steps:
        running += step
        most = max(most, running)
    return most


def _unfairness(finished: list[tuple[float, str]], admitted: list[tuple[float, str]]) -> float:
    """Return the difference of the owners' counts of finished jobs over the larger count, at the moment when
    the first owner's last job was admitted. Until then both owners had jobs waiting.
    """
    last = min(max(at for at, owner in admitted if owner == wanted) for wanted in OWNERS)
    done = Counter(owner for at, owner in finished if at <= last)
    more, less = max(done[owner] for owner in OWNERS), min(done[owner] for owner in OWNERS)
    return (more - less) / more if more else 0.0


if __name__ == "__main__":
    main()
