"""The demo: every step of a Compute-to-Data job, done for real on this box and told in plain words.

Its verbs are the command line's; the demo adds only the narration. Callers that want the outcome alone read
the returned :class:`DemoOutcome`.
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
from sandbox.progress import Progress, ProgressEvent
from sandbox.verbs.accounts import signer
from sandbox.verbs.chain_connection import chain_of
from sandbox.verbs.compute import jobs
from sandbox.verbs.compute.job_timeline import job_overhead, seconds_by_stage
from sandbox.verbs.lifecycle.up import UpReport, boot_declared_box
from sandbox.verbs.publishing import assets

# Two accounts of the box, so that permission and payment are between different parties.
PUBLISHER, CONSUMER = "publisher", "consumer"
DATASET_PRICE, ALGORITHM_PRICE = 3.0, 1.0
"""Prices in OCEAN per job, so that the demo shows a payment."""
HERE = Path(__file__).parent
TABLE = HERE / "data" / "breast_cancer.csv"
"""A public data set of UCI (``data/NOTICE.md``): the demo needs no download."""
SCRIPT = HERE / "train.py"


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """The result of the demo. ``metrics`` is what the algorithm wrote; ``stages`` are seconds; ``cost`` is in
    OCEAN; ``refusal`` is the Provider's answer to the first start.
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
    """Seconds from accepted to results listed, less the algorithm's own run."""
    up: UpReport
    seconds: float
    look_further: tuple[str, ...] = field(default=())
    """Commands that show the parts of the job one by one."""


def demo(
    box: Box, folder: Path, *, yes: bool = False, confirm: Confirm | None = None
) -> Progress[DemoOutcome]:
    """Boot the box if need be, run all steps, put the results into ``folder``; the box stays up.

    A refused start comes first on purpose: that nothing runs without permission is what the demo shows.
    """
    began = time.monotonic()
    yield from _narrate_lines(
        "1  The box: Kubernetes, a chain with Ocean's contracts, IPFS, S3 and C2D's services."
    )
    # Boots only what does not run; in a running box this takes a moment.
    report = yield from boot_declared_box(box, yes=yes, confirm=confirm)
    dataset, algorithm = yield from _publish_assets(box)
    yield from _narrate_lines(
        "", "4  A consumer tries to compute. Nobody said that this algorithm may see this data:"
    )
    # Before the permission: the refusal is the Provider's own, with its reasons.
    refusal = yield from _refused_start(box, dataset.did, algorithm.did)
    yield from _narrate_lines(
        "", "5  The publisher reads the algorithm and permits exactly this version of it."
    )
    # The permission names hashes: another version of the script is refused again.
    yield from assets.permit_algorithm(box, PUBLISHER, dataset.did, algorithm.did)
    yield from _narrate_lines(
        "", "6  The consumer orders both, pays on the chain, starts. The algorithm travels to the data:"
    )
    # The balance's difference is what was really paid in OCEAN, fees included.
    before = _ocean_balance(box)
    job = yield from jobs.start(box, CONSUMER, JobRequest(dataset.did, algorithm.did))
    cost = before - _ocean_balance(box)
    job = yield from jobs.follow(box, CONSUMER, job.id)
    # The steps after this read files that only a finished job has.
    if not job.has_succeeded:
        raise _unfinished_error(box, job)

    yield from _narrate_lines(
        "", "7  Only what the algorithm wrote comes out. C2D hands it to the consumer and to nobody else:"
    )
    # A folder per job, so that the demo can run again.
    target = folder / job.id[:8]
    yield from jobs.fetch_results(box, CONSUMER, job.id, target)
    metrics = json.loads((target / "metrics.json").read_text())
    listed = recorded_results(box, job.id)
    # From the job's own record, not from this process' clock.
    seconds = seconds_by_stage(job)
    further = look_further(box, job.id, listed, target)
    yield from _tell_outcome(metrics, listed, seconds, cost, target, further)
    return DemoOutcome(
        job_id=job.id,
        dataset=dataset.did,
        algorithm=algorithm.did,
        refusal=refusal,
        metrics=metrics,
        results=tuple(listed),
        folder=target,
        cost=cost,
        stages=seconds,
        overhead_seconds=job_overhead(job),
        up=report,
        seconds=time.monotonic() - began,
        look_further=further,
    )


def _publish_assets(box: Box) -> Progress[tuple[assets.PublishedAsset, assets.PublishedAsset]]:
    """Publish the table and the algorithm; return both. Nothing is permitted by that."""
    yield from _narrate_lines(
        "",
        "2  A hospital publishes a table: 569 tumours, 30 measurements each. It stays in its private S3; on",
        "   the chain there is a description, a price, and the table's place, encrypted for the Provider.",
    )
    # The file stays in the box's S3. Only its encrypted address and the description are published.
    dataset = yield from assets.publish_dataset(box, PUBLISHER, str(TABLE), _dataset_offer())
    yield from _narrate_lines(f"   dataset {dataset.did}, {DATASET_PRICE:g} OCEAN per job")
    yield from _narrate_lines(
        "", "3  An algorithm, published the same way: a Python script and the image it runs in."
    )
    algorithm = yield from assets.publish_algorithm(
        box, PUBLISHER, str(SCRIPT), IMAGE, ENTRYPOINT, _algorithm_offer()
    )
    yield from _narrate_lines(f"   algorithm {algorithm.did}, {ALGORITHM_PRICE:g} OCEAN per run")
    return dataset, algorithm


def recorded_results(box: Box, job_id: str) -> list[dict[str, Any]]:
    """Return the results with CID and hash, as the job's WorkFlow records them."""
    path = f"{names.workflows_path(names.JOBS_NAMESPACE)}/{job_id}"
    # From the API server, past the services that the demo has just used.
    with box.kube_api() as kube:
        workflow = kube.get(path) or {}
    return list(workflow.get("status", {}).get("results") or [])


def look_further(box: Box, job_id: str, listed: list[dict[str, Any]], target: Path) -> tuple[str, ...]:
    """Return commands with which a sceptic sees each part of the job without the demo."""
    lines = [
        box.command_line(f"kubectl get workflow {job_id} -n {names.JOBS_NAMESPACE} -o yaml"),
        box.command_line("kubectl get pods -A"),
        box.command_line(f"job {job_id}"),
        box.command_line("status --resources"),
        f"curl -s {box.service_urls['provider']}/ | head -c 300",
        # The report that the algorithm wrote: a result as the consumer has it.
        f"less {target / 'report.md'}",
    ]
    # Results on S3 have no CID.
    if listed and listed[0].get("cid"):
        lines.insert(2, f"curl -s {box.service_urls['ipfs-gateway']}/ipfs/{listed[0]['cid']}")
    return tuple(lines)


def _dataset_offer() -> assets.AssetOffer:
    """Return the table's description and price."""
    return assets.AssetOffer(
        "Breast Cancer Wisconsin (Diagnostic)",
        "569 fine-needle aspirates: 30 measurements of cell nuclei each, and the diagnosis. CC BY 4.0, UCI.",
        "Wolberg, Street, Mangasarian",
        DATASET_PRICE,
    )


def _algorithm_offer() -> assets.AssetOffer:
    """Return the algorithm's description and price."""
    return assets.AssetOffer(
        "Malignant or benign",
        "Trains and cross-validates a classifier; writes metrics, a ROC plot and a report.",
        "c2d-box",
        ALGORITHM_PRICE,
        # Fetched into jobs, not computed on.
        ("access",),
    )


def _refused_start(box: Box, dataset: str, algorithm: str) -> Progress[dict[str, Any]]:
    """Try to start without a permission; return the refusal. A start that is not refused is an error: the box
    would be set to trust everybody.
    """
    try:
        yield from jobs.start(box, CONSUMER, JobRequest(dataset, algorithm))
    # Only a refusal is what the demo wants to show; any other error ends it.
    except Refused as refusal:
        yield from _narrate_lines(f"   {refusal.code}: {refusal.message}")
        yield from _narrate_lines(*[f"     {line}" for line in reason_lines(refusal.details.get("reasons"))])
        yield from _narrate_lines("   Nothing was paid. A dataset trusts nobody until its publisher says so.")
        return refusal.as_dict()
    raise Failed(
        # Not ignored: all that follows would show a permission that nobody needed.
        "C2D-DEMO-NOT-REFUSED",
        "the start was not refused although nobody permitted it",
        "c2d-box status shows trust.emptyLists; it should be none",
    )


def reason_lines(tree: Any, depth: int = 0) -> Iterator[str]:
    """Yield the Provider's tree of reasons, one rule per line, indented by depth."""
    if not isinstance(tree, dict):
        return
    # Each rule stands above those that it follows from.
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
    """Yield the results, the cost, the stages and where to look next."""
    yield from _narrate_lines(
        f"   accuracy {metrics['accuracy']:.4f}, area under the ROC curve {metrics['roc_auc']:.4f}, "
        f"on {metrics['rows']} rows the consumer never saw",
        f"   in {target}",
        "",
    )
    for item in listed:
        yield from _narrate_lines(
            f"   {item['filename']:<24} {item.get('filesize', 0):>8} bytes  cid {item.get('cid', '-')}",
            f"   {'':<24} sha256 {item.get('sha256', '-')}",
        )
    yield from _narrate_lines("", f"   paid: {cost:g} OCEAN")
    yield from _narrate_lines(*[f"   {name:<42} {seconds:6.2f} s" for name, seconds in stages.items()])
    yield from _narrate_lines(
        "", "8  Look for yourself, as who runs this box:", *[f"   {line}" for line in further]
    )
    # Whoever has the CID reads the result. The demo must not leave another impression.
    if any(item.get("cid") for item in listed):
        yield from _narrate_lines(
            "   curl reads a result where it is stored: on this computer, whoever has its CID can. Guessing",
            "   the content leads to no CID. start --encrypt makes results that the consumer alone can read.",
        )


def _ocean_balance(box: Box) -> float:
    """Return the consumer's balance in OCEAN."""
    chain = chain_of(box)
    # In whole tokens for display; amounts that are paid stay in wei.
    return float(chain.balance_of(signer(CONSUMER).address, chain.addresses.ocean)) / ETHER


def _unfinished_error(box: Box, job: JobDetails) -> Failed:
    """Return the error for a job that did not finish, with the commands that show why."""
    return Failed(
        "C2D-DEMO-JOB-FAILED",
        f"the job ended with {job.status} {job.text}",
        f"{box.command_line(f'job logs {job.id} --kind all')}; {box.command_line('logs operator-engine')}",
        reason=job.reason or "not recorded",
    )


def _narrate_lines(*lines: str) -> Progress[None]:
    """Yield each line as a note."""
    for line in lines:
        yield ProgressEvent("demo", "note", line)
