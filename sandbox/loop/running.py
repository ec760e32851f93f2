"""``run``: takes a script and data to saved results in one command, and again after every edit.

What is missing is published, what changed is published again under its DID, what is not permitted is shown
and, after a yes, permitted by the account that owns the data. Then order, start, follow, save.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from c2d_box.client import JobDetails, JobRequest
from c2d_box.client.explanations import Version, algorithm_facts
from c2d_box.client.spending import NO_LIMITS, Spending
from c2d_box.errors import C2DError, Failed, Refused, UsageError
from sandbox.box import Box
from sandbox.bundle.build import Confirm
from sandbox.defaults import ENTRYPOINT, IMAGE
from sandbox.install.images import find_image
from sandbox.progress import Event, Progress
from sandbox.run_memory import Known, Memory, digest, loop_memory
from sandbox.verbs import assets, jobs
from sandbox.verbs.accounts import ACCOUNTS, signer
from sandbox.verbs.identity import asset_mark
from sandbox.verbs.sdk_connections import connection_to

if TYPE_CHECKING:
    from c2d_box.assets.permissions import Verdict

FOLDER = Path("c2d-results")


@dataclass(frozen=True, slots=True)
class Loop:
    """The arguments of a run. ``who`` writes the algorithm, orders and gets the results; ``owner`` publishes
    data that is a local file.
    """

    script: Path
    data: tuple[str, ...]
    image: str = IMAGE
    entrypoint: str = ENTRYPOINT
    who: str = "consumer"
    owner: str = "publisher"
    folder: Path = FOLDER
    environment: str | None = None
    spending: Spending = NO_LIMITS


@dataclass(frozen=True, slots=True)
class Ran:
    """The ended job, and what was saved. ``published`` names what was new or changed."""

    job: JobDetails
    datasets: tuple[str, ...]
    algorithm: str
    published: tuple[str, ...]
    permitted: tuple[str, ...]
    folder: Path
    files: tuple[jobs.Fetched, ...]

    @property
    def succeeded(self) -> bool:
        return self.job.has_succeeded


def run_script(box: Box, loop: Loop, confirm: Confirm) -> Progress[Ran]:
    """Run the whole loop. Nothing is ordered before everything is permitted; if the user says no, the assets
    stay published, and the error says so.
    """
    if not loop.script.is_file():
        raise UsageError(
            "C2D-RUN-NO-FILE", f"{loop.script} is not a file", "c2d-box new algorithm NAME makes one"
        )
    if not loop.data:
        raise UsageError("C2D-RUN-NO-DATA", "there is nothing to run on", "add --data with a DID or a file")
    memory, published = loop_memory(box.home), []
    datasets = []
    for data in loop.data:
        did, changed = yield from _dataset(box, loop, data, memory)
        datasets.append(did)
        published += [did] if changed else []
    before = _living(box, memory.get(loop.script, loop.who))
    difference = memory.changes(loop.script, before)
    algorithm, changed = yield from _algorithm(box, loop, memory, before)
    published += [algorithm] if changed else []
    permitted = yield from _permitted(box, loop, datasets, algorithm, difference, published, confirm)
    first, *more = datasets
    wanted = JobRequest(first, algorithm, tuple(more), loop.environment, spending=loop.spending)
    started = yield from jobs.start(box, loop.who, wanted)
    job = yield from jobs.follow(box, loop.who, started.id)
    folder = loop.folder / job.id[:8]
    files = (yield from jobs.fetch(box, loop.who, job.id, folder)) if job.results else []
    return Ran(job, tuple(datasets), algorithm, tuple(published), tuple(permitted), folder, tuple(files))


def _dataset(box: Box, loop: Loop, data: str, memory: Memory) -> Progress[tuple[str, bool]]:
    """Return the DID of the data, and whether something was published for it."""
    if data.startswith("did:"):
        return data, False
    path = Path(data)
    if not path.is_file():
        raise UsageError("C2D-RUN-NO-FILE", f"{data} is neither a DID nor a file", "see c2d-box assets")
    known, sha256 = _living(box, memory.get(path, loop.owner)), digest(path)
    if known is not None and known.sha256 == sha256:
        yield Event("publish.dataset", "skipped", f"{path.name} is published as it is: {known.did}")
        return known.did, False
    if known is None:
        made = yield from assets.publish_dataset(box, loop.owner, str(path), assets.Offer(path.name))
        known = Known(made.did, sha256)
    else:
        yield from assets.replace(box, loop.owner, known.did, str(path))
    memory.put(path, loop.owner, Known(known.did, sha256, mark=asset_mark(box, known.did)))
    return known.did, True


def _algorithm(box: Box, loop: Loop, memory: Memory, known: Known | None) -> Progress[tuple[str, bool]]:
    container = assets.container_section(find_image(box, loop.image), loop.entrypoint)
    how, sha256 = f"{container['checksum']} {loop.entrypoint}", digest(loop.script)
    if known is not None and (known.sha256, known.how) == (sha256, how):
        yield Event("publish.algorithm", "skipped", f"{loop.script.name} is published as it is: {known.did}")
        return known.did, False
    if known is None:
        offer = assets.Offer(loop.script.name, services=("access",))
        made = yield from assets.publish_algorithm(
            box, loop.who, str(loop.script), loop.image, loop.entrypoint, offer
        )
        did = made.did
    else:
        did = known.did
        yield from assets.replace(box, loop.who, did, str(loop.script), container)
    memory.put_script(loop.script, loop.who, Known(did, sha256, how, asset_mark(box, did)))
    return did, True


def _permitted(
    box: Box,
    loop: Loop,
    datasets: list[str],
    algorithm: str,
    difference: list[str],
    published: list[str],
    confirm: Confirm,
) -> Progress[list[str]]:
    """Ask for what is not permitted yet and permit it; return the datasets for which that was done.

    The permission is for the local script and no other: where the box would run something else under the
    algorithm's DID, nothing is permitted.
    """
    permitted = []
    for dataset in datasets:
        verdict = assets.verdict(box, dataset, algorithm)
        if verdict.allowed:
            yield Event("permit", "skipped", f"{loop.script.name} may run on {assets.short(dataset)} already")
            continue
        owner, version = _owner(box, dataset), _version(box, loop, algorithm)
        yield from _shown(loop, dataset, algorithm, owner, verdict, difference)
        if not confirm(f"Permit {loop.script.name} on {assets.short(dataset)} as {owner}?"):
            raise Refused(
                "C2D-RUN-NOT-PERMITTED",
                f"nothing more was permitted, nothing was ordered or paid; {_said_published(published)}",
                "answer yes, or pass --yes in a script",
                algorithm=algorithm,
                published=published,
            )
        yield from assets.permit(box, owner, dataset, algorithm, version)
        permitted.append(dataset)
    return permitted


def _version(box: Box, loop: Loop, algorithm: str) -> Version:
    """Return the version of the local script as a permission names it; raise Refused where the box has
    another one under the algorithm's DID.
    """
    container = assets.container_section(find_image(box, loop.image), loop.entrypoint)
    version = Version.of([digest(loop.script)], loop.entrypoint, container["checksum"])
    with connection_to(box) as connection:
        found = algorithm_facts(connection, algorithm)
    readable = bool(found.files_checksum)  # where they are not, permit refuses with its own reason
    if found.owner.lower() != signer(loop.who).address.lower() or (readable and not version.is_of(found)):
        raise Refused(
            "C2D-RUN-OTHER-ALGORITHM",
            f"{algorithm} is not {loop.script} as it is here: somebody else published it, or changed it",
            "nothing was permitted, ordered or paid; run it again, and it is published anew",
            algorithm=algorithm,
        )
    return version


def _said_published(published: list[str]) -> str:
    if not published:
        return "nothing was published"
    return f"published, and still there: {', '.join(published)}"


def _living(box: Box, known: Known | None) -> Known | None:
    """Return the known asset, or None where the box no longer has it, or has something else under its DID:
    after a reset DIDs are given out again, to the next published asset.
    """
    if known is None or not known.mark:
        return None
    return known if asset_mark(box, known.did) == known.mark else None


def _shown(
    loop: Loop, dataset: str, algorithm: str, owner: str, verdict: Verdict, difference: list[str]
) -> Progress[None]:
    """Yield notes that show the owner of the data what they are about to sign."""
    lines = loop.script.read_text(errors="replace").count("\n")
    said = [
        f"{loop.script.name} may not run on {assets.short(dataset)} yet:",
        *[f"  {line}" for line in verdict.reasons.lines()],
        f"{owner}, who owns that data, would permit exactly this version:",
        f"  algorithm   {algorithm}",
        f"  script      {loop.script}, {lines} lines, sha256 {digest(loop.script)[:16]}…",
        f"  image       {loop.image}, started as: {loop.entrypoint}",
        *[f"  {line}" for line in difference],
    ]
    for line in said:
        yield Event("permit", "note", line)


def _owner(box: Box, dataset: str) -> str:
    """Return the account of this box that owns ``dataset``; raise Refused where no account here owns it."""
    with connection_to(box) as connection:
        owner = str((connection.cache.record(dataset).get("nft") or {}).get("owner") or "")
    for index in range(ACCOUNTS):
        if signer(str(index)).address.lower() == owner.lower():
            return _role(index)
    raise Refused(
        "C2D-ASSET-NOT-YOURS",
        f"{dataset} belongs to {owner or 'nobody'}, who is no account of this box",
        "ask its publisher to permit the algorithm",
    )


def _role(index: int) -> str:
    from sandbox.verbs.accounts import ROLES

    return next((role for role, number in ROLES.items() if number == index), str(index))


def unfinished(box: Box, ran: Ran) -> C2DError:
    """Return the error for a job that did not finish; its logs were saved."""
    return Failed(
        "C2D-RUN-JOB-FAILED",
        f"the job ended with {ran.job.status} {ran.job.text}",
        f"read its log in {ran.folder}; {box.command(f'job {ran.job.id}')}",
        reason=ran.job.reason or "not recorded",
    )
