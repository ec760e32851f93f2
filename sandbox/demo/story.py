"""The demo's story: every step of a Compute-to-Data job, done for real on this box and said in plain words.

The same verbs as the command line's; the only thing the demo adds is the telling. Who only wants the
outcome reads the returned :class:`Outcome`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from c2d_box.client import JobDetails, JobRequest
from c2d_box.errors import Failed, Refused
from c2d_box.units import ETHER
from c2d_box.workflow import names
from sandbox.box import Box
from sandbox.bundle.build import Confirm
from sandbox.defaults import ENTRYPOINT, IMAGE
from sandbox.progress import Event, Progress
from sandbox.verbs import assets, jobs
from sandbox.verbs.accounts import signer
from sandbox.verbs.chain_connection import chain_of
from sandbox.verbs.job_timeline import overhead, stages
from sandbox.verbs.up import UpReport, up

PUBLISHER, CONSUMER = "publisher", "consumer"
DATASET_PRICE, ALGORITHM_PRICE = 3.0, 1.0
HERE = Path(__file__).parent
TABLE = HERE / "data" / "breast_cancer.csv"
SCRIPT = HERE / "train.py"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. ``metrics`` is what the algorithm wrote; ``stages`` are seconds; ``cost`` is in
    OCEAN.
    """

    job_id: str
    dataset: str
    algorithm: str
    refusal: Mapping[str, Any]
    metrics: Mapping[str, Any]
    results: tuple[Mapping[str, Any], ...]
    folder: Path
    cost: float
    stages: Mapping[str, float]
    overhead_seconds: float | None
    """Accepted to results listed, less the algorithm's own run."""
    up: UpReport
    seconds: float
    look_further: tuple[str, ...] = field(default=())


def demo(box: Box, folder: Path, *, yes: bool = False, confirm: Confirm | None = None) -> Progress[Outcome]:
    """Boot the box if need be, run the whole story, put the results into ``folder``; the box stays up."""
    began = time.monotonic()
    yield from _say("1  The box: Kubernetes, a chain with Ocean's contracts, IPFS, S3 and C2D's services.")
    report = yield from up(box, yes=yes, confirm=confirm)
    dataset, algorithm = yield from _publish(box)
    yield from _say("", "4  A consumer tries to compute. Nobody said that this algorithm may see this data:")
    refusal = yield from _refused_start(box, dataset.did, algorithm.did)
    yield from _say("", "5  The publisher reads the algorithm and permits exactly this version of it.")
    yield from assets.permit(box, PUBLISHER, dataset.did, algorithm.did)
    yield from _say(
        "", "6  The consumer orders both, pays on the chain, starts. The algorithm travels to the data:"
    )
    before = _balance(box)
    job = yield from jobs.start(box, CONSUMER, JobRequest(dataset.did, algorithm.did))
    cost = before - _balance(box)
    job = yield from jobs.follow(box, CONSUMER, job.id)
    if not job.has_succeeded:
        raise _unfinished(box, job)

    yield from _say(
        "", "7  Only what the algorithm wrote comes out. C2D hands it to the consumer and to nobody else:"
    )
    target = folder / job.id[:8]
    yield from jobs.fetch(box, CONSUMER, job.id, target)
    metrics = json.loads((target / "metrics.json").read_text())
    listed = evidence(box, job.id)
    seconds = stages(job)
    further = look_further(box, job.id, listed, target)
    yield from _tell_outcome(metrics, listed, seconds, cost, target, further)
    return Outcome(
        job_id=job.id,
        dataset=dataset.did,
        algorithm=algorithm.did,
        refusal=refusal,
        metrics=metrics,
        results=tuple(listed),
        folder=target,
        cost=cost,
        stages=seconds,
        overhead_seconds=overhead(job),
        up=report,
        seconds=time.monotonic() - began,
        look_further=further,
    )


def _publish(box: Box) -> Progress[tuple[assets.Published, assets.Published]]:
    yield from _say(
        "",
        "2  A hospital publishes a table: 569 tumours, 30 measurements each. It stays in its private S3; on",
        "   the chain there is a description, a price, and the table's place, encrypted for the Provider.",
    )
    dataset = yield from assets.publish_dataset(box, PUBLISHER, str(TABLE), _dataset())
    yield from _say(f"   dataset {dataset.did}, {DATASET_PRICE:g} OCEAN per job")
    yield from _say("", "3  An algorithm, published the same way: a Python script and the image it runs in.")
    algorithm = yield from assets.publish_algorithm(
        box, PUBLISHER, str(SCRIPT), IMAGE, ENTRYPOINT, _algorithm()
    )
    yield from _say(f"   algorithm {algorithm.did}, {ALGORITHM_PRICE:g} OCEAN per run")
    return dataset, algorithm


def evidence(box: Box, job_id: str) -> list[dict[str, Any]]:
    """Results with CID and hash, as the job's WorkFlow records them."""
    path = f"{names.workflows_path(names.JOBS_NAMESPACE)}/{job_id}"
    with box.kube() as kube:
        workflow = kube.get(path) or {}
    return list(workflow.get("status", {}).get("results") or [])


def look_further(box: Box, job_id: str, listed: list[dict[str, Any]], target: Path) -> tuple[str, ...]:
    """Commands with which a doubter sees each part for himself."""
    lines = [
        box.command(f"kubectl get workflow {job_id} -n {names.JOBS_NAMESPACE} -o yaml"),
        box.command("kubectl get pods -A"),
        box.command(f"job {job_id}"),
        box.command("status --resources"),
        f"curl -s {box.urls['provider']}/ | head -c 300",
        f"less {target / 'report.md'}",
    ]
    if listed and listed[0].get("cid"):
        lines.insert(2, f"curl -s {box.urls['ipfs-gateway']}/ipfs/{listed[0]['cid']}")
    return tuple(lines)


def _dataset() -> assets.Offer:
    return assets.Offer(
        "Breast Cancer Wisconsin (Diagnostic)",
        "569 fine-needle aspirates: 30 measurements of cell nuclei each, and the diagnosis. CC BY 4.0, UCI.",
        "Wolberg, Street, Mangasarian",
        DATASET_PRICE,
    )


def _algorithm() -> assets.Offer:
    return assets.Offer(
        "Malignant or benign",
        "Trains and cross-validates a classifier; writes metrics, a ROC plot and a report.",
        "c2d-box",
        ALGORITHM_PRICE,
        ("access",),
    )


def _refused_start(box: Box, dataset: str, algorithm: str) -> Progress[dict[str, Any]]:
    try:
        yield from jobs.start(box, CONSUMER, JobRequest(dataset, algorithm))
    except Refused as refusal:
        yield from _say(f"   {refusal.code}: {refusal.message}")
        yield from _say(*[f"     {line}" for line in reason_lines(refusal.details.get("reasons"))])
        yield from _say("   Nothing was paid. A dataset trusts nobody until its publisher says so.")
        return refusal.as_dict()
    raise Failed(
        "C2D-DEMO-NOT-REFUSED",
        "the start was not refused although nobody permitted it",
        "c2d-box status shows trust.emptyLists; it should be none",
    )


def reason_lines(tree: Any, depth: int = 0) -> Iterator[str]:
    """The Provider's reason tree, a rule per line."""
    if not isinstance(tree, dict):
        return
    yield f"{'  ' * depth}{'yes' if tree.get('allowed') else 'no '}  {tree.get('text', '')}"
    for inner in tree.get("because", []):
        yield from reason_lines(inner, depth + 1)


def _tell_outcome(
    metrics: Mapping[str, Any],
    listed: list[dict[str, Any]],
    stages: Mapping[str, float],
    cost: float,
    target: Path,
    further: tuple[str, ...],
) -> Progress[None]:
    yield from _say(
        f"   accuracy {metrics['accuracy']:.4f}, area under the ROC curve {metrics['roc_auc']:.4f}, "
        f"on {metrics['rows']} rows the consumer never saw",
        f"   in {target}",
        "",
    )
    for item in listed:
        yield from _say(
            f"   {item['filename']:<24} {item.get('filesize', 0):>8} bytes  cid {item.get('cid', '-')}",
            f"   {'':<24} sha256 {item.get('sha256', '-')}",
        )
    yield from _say("", f"   paid: {cost:g} OCEAN")
    yield from _say(*[f"   {name:<42} {seconds:6.2f} s" for name, seconds in stages.items()])
    yield from _say("", "8  Look for yourself, as who runs this box:", *[f"   {line}" for line in further])
    if any(item.get("cid") for item in listed):
        yield from _say(
            "   curl reads a result where it is stored: on this computer, whoever has its CID can. Guessing",
            "   the content leads to no CID. start --encrypt makes results that the consumer alone can read.",
        )


def _balance(box: Box) -> float:
    chain = chain_of(box)
    return float(chain.balance(signer(CONSUMER).address, chain.addresses.ocean)) / ETHER


def _unfinished(box: Box, job: JobDetails) -> Failed:
    return Failed(
        "C2D-DEMO-JOB-FAILED",
        f"the job ended with {job.status} {job.text}",
        f"{box.command(f'job logs {job.id} --kind all')}; {box.command('logs operator-engine')}",
        reason=job.reason or "not recorded",
    )


def _say(*lines: str) -> Progress[None]:
    for line in lines:
        yield Event("demo", "note", line)
