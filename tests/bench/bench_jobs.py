"""What a job costs beside its algorithm: ``python -m tests.bench.bench_jobs [--home HOME] [--rounds N]``.

With ``--record`` the figure is written into the table of claims.

On a running box, in one run and taking turns: a no-op job (accepted → results listed, less the algorithm's
own time) and three bare pods one after the other (created → Succeeded as a watcher sees it). Prints one
JSON object; the ratio of the medians is what the project promises, since seconds differ from machine to
machine.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from c2d_box.client import JobDetails, JobRequest
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.box import Box, open_box
from sandbox.install.chart_values import JOBS
from sandbox.install.images import find_image
from sandbox.progress import run_verb
from sandbox.verbs.compute import jobs
from sandbox.verbs.compute.job_timeline import job_overhead, seconds_by_stage
from sandbox.verbs.publishing import assets
from tests.verification_table import RECORD_HELP, record_figure

IMAGE = "c2d.local/algo-python"
PROGRAM = "print('nothing to do')\nopen('/data/outputs/done', 'w').write('done')\n"


def main() -> None:
    options = _parse_options()
    box = open_box(options.home)
    kube = box.kube_api()
    pair = _publish_pair(box)
    costs, bare, shares = [], [], []
    for _ in range(options.rounds):
        job = _run_job(box, *pair)
        cost = job_overhead(job)
        assert cost is not None, f"the job left no results: {job}"
        costs.append(cost)
        shares.append(seconds_by_stage(job).get("Kubernetes confirms its end", 0.0))
        bare.append(_three_pods(kube, f"{IMAGE}@{find_image(box, IMAGE).checksum}"))
    ratios = [cost / pods for cost, pods in zip(costs, bare, strict=True)]
    figures = {
        "rounds": options.rounds,
        "overhead_median_seconds": round(statistics.median(costs), 3),
        "three_bare_pods_median_seconds": round(statistics.median(bare), 3),
        "ratio_of_medians": round(statistics.median(costs) / statistics.median(bare), 3),
        "ratio_p95": round(_p95(ratios), 3),
        "ratio_worst_round": round(max(ratios), 3),
        "confirmation_median_seconds": round(statistics.median(shares), 3),
        "load": os.getloadavg()[0],
    }
    print(json.dumps(figures, indent=2))
    if options.record:
        record_figure("bench_jobs", _summary(figures))


def _summary(figures: dict[str, float]) -> str:
    return (
        f"{figures['overhead_median_seconds']:.2f} s, ratio {figures['ratio_of_medians']:.2f}, "
        f"p95 {figures['ratio_p95']:.2f}; "
        f"Kubernetes' confirmation {figures['confirmation_median_seconds']:.1f} s of it"
    )


def _p95(values: list[float]) -> float:
    """Return the value that 95 % of the rounds stay at or below."""
    ordered = sorted(values)
    return ordered[math.ceil(0.95 * len(ordered)) - 1]


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, default=None, help="the home of a running box")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--record", action="store_true", help=RECORD_HELP)
    return parser.parse_args()


def _publish_pair(box: Box) -> tuple[str, str]:
    """Publish a dataset of a few bytes and an algorithm that does nothing, and permit it."""
    with tempfile.TemporaryDirectory(prefix="c2d-bench-") as folder:
        data, program = Path(folder) / "data.csv", Path(folder) / "noop.py"
        data.write_text("a,b\n1,2\n")
        program.write_text(PROGRAM)
        offer = assets.AssetOffer("bench data")
        dataset = run_verb(assets.publish_dataset(box, "publisher", str(data), offer), _ignore_event)
        offer = assets.AssetOffer("bench no-op", services=("access",))
        algorithm = run_verb(
            assets.publish_algorithm(box, "publisher", str(program), IMAGE, "python3 $ALGO", offer),
            _ignore_event,
        )
    run_verb(assets.permit_algorithm(box, "publisher", dataset.did, algorithm.did), _ignore_event)
    return dataset.did, algorithm.did


def _run_job(box: Box, dataset: str, algorithm: str) -> JobDetails:
    started = run_verb(jobs.start(box, "consumer", JobRequest(dataset, algorithm)), _ignore_event)
    return run_verb(jobs.follow(box, "consumer", started.id, timeout=300), _ignore_event)


def _three_pods(kube: KubeApi, image: str) -> float:
    """Return the seconds that three no-op pods take, each started when the one before has succeeded."""
    began = time.monotonic()
    for _ in range(3):
        _run_pod(kube, image)
    return time.monotonic() - began


def _run_pod(kube: KubeApi, image: str) -> None:
    name = f"bare-{uuid.uuid4().hex[:8]}"
    path = f"/api/v1/namespaces/{JOBS}/pods/{name}"
    kube.apply(path, _bare_pod(name, image))
    query = {"watch": "true", "fieldSelector": f"metadata.name={name}"}
    for line in kube.lines(f"/api/v1/namespaces/{JOBS}/pods", **query):
        phase = json.loads(line)["object"].get("status", {}).get("phase")
        assert phase != "Failed", f"the bare pod {name} failed"
        if phase == "Succeeded":
            break
    kube.delete(path)


def _bare_pod(name: str, image: str) -> dict[str, Any]:
    container = {
        "name": "bare",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["/bin/true"],
        "resources": {"limits": {"cpu": "100m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": JOBS, "labels": {"app": "bench"}},
        "spec": {
            "containers": [container],
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
        },
    }


def _ignore_event(event: object) -> None:
    """Ignore the verbs' progress events: only figures go to stdout."""


if __name__ == "__main__":
    main()
