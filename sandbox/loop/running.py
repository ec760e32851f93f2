"""``run``: takes a script and data to saved results in one command, and again after every edit.

What is missing is published, what changed is published again under its DID, what is not permitted is shown
and, after a yes, permitted by the account that owns the data. Then order, start, follow, save.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from c2d_box.client import JobDetails, JobRequest
from c2d_box.client.explanations import AlgorithmVersion, algorithm_facts
from c2d_box.client.payment.spending import NO_LIMITS, SpendingLimits
from c2d_box.errors import C2DError, Failed, Refused, UsageError
from sandbox.box import Box
from sandbox.bundle.build import Confirm
from sandbox.defaults import ENTRYPOINT, IMAGE
from sandbox.install.images import find_image
from sandbox.progress import Progress, ProgressEvent
from sandbox.run_memory import Known, LoopMemory, digest, loop_memory
from sandbox.verbs.accounts import ACCOUNTS, signer
from sandbox.verbs.compute import jobs
from sandbox.verbs.identifiers import IdentifierResolver
from sandbox.verbs.publishing import assets
from sandbox.verbs.publishing.asset_identity import asset_mark
from sandbox.verbs.sdk_connections import connection_to

if TYPE_CHECKING:
    from c2d_box.assets.permissions import PermissionVerdict

FOLDER = Path("c2d-results")
"""Default folder of the results, below the current one."""


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """The arguments of a run. ``who`` writes the algorithm, orders and gets the results; ``owner`` publishes
    data that is a local file.

    The two roles are kept apart although one person runs both here: the permission is then a real one.
    """

    script: Path
    data: tuple[str, ...]
    image: str = IMAGE
    entrypoint: str = ENTRYPOINT
    who: str = "consumer"
    owner: str = "publisher"
    folder: Path = FOLDER
    environment: str | None = None
    spending: SpendingLimits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class RunReport:
    """The ended job, and what was saved. ``published`` names what was new or changed.

    ``permitted`` names the datasets on which the algorithm was permitted by this run, and not before.
    """

    job: JobDetails
    datasets: tuple[str, ...]
    algorithm: str
    published: tuple[str, ...]
    permitted: tuple[str, ...]
    folder: Path
    files: tuple[jobs.FetchedResult, ...]

    @property
    def succeeded(self) -> bool:
        """Return whether the job finished with results."""
        return self.job.has_succeeded


def run_script(box: Box, loop: ScriptRun, confirm: Confirm) -> Progress[RunReport]:
    """Run the whole loop. Nothing is ordered before everything is permitted; if the user says no, the assets
    stay published, and the error says so.
    """
    # Everything that can be refused without the box is refused first.
    if not loop.script.is_file():
        raise UsageError(
            "C2D-RUN-NO-FILE", f"{loop.script} is not a file", "c2d-box new algorithm NAME makes one"
        )
    if not loop.data:
        raise UsageError("C2D-RUN-NO-DATA", "there is nothing to run on", "add --data with a DID or a file")
    # Before anything is published: a slip in a name should cost nothing.
    resolver = IdentifierResolver(box, loop.who)
    environment = resolver.resolve("environment", loop.environment) if loop.environment else None
    memory, published = loop_memory(box.home), []
    datasets = []
    # Data before the algorithm: a permission names both, and is asked for last.
    for data in loop.data:
        did, changed = yield from _ensure_dataset(box, loop, data, memory, resolver)
        datasets.append(did)
        published += [did] if changed else []
    before = _living_version(box, memory.get(loop.script, loop.who))
    # Taken before publishing, which stores the new text over the old one.
    difference = memory.diff_script(loop.script, before)
    algorithm, changed = yield from _ensure_algorithm(box, loop, memory, before)
    published += [algorithm] if changed else []
    # All permissions before the order: an order that is paid and then refused would be lost money.
    permitted = yield from _ensure_permits(box, loop, datasets, algorithm, difference, published, confirm)
    # The first dataset is the main one of the job, and the others come beside it.
    first, *more = datasets
    wanted = JobRequest(first, algorithm, tuple(more), environment, spending=loop.spending)
    started = yield from jobs.start(box, loop.who, wanted)
    job = yield from jobs.follow(box, loop.who, started.id)
    # A folder per job: a later run never writes over an earlier result.
    folder = loop.folder / job.id[:8]
    # Also for a failed job: its logs are results.
    files = (yield from jobs.fetch_results(box, loop.who, job.id, folder)) if job.results else []
    return RunReport(
        job, tuple(datasets), algorithm, tuple(published), tuple(permitted), folder, tuple(files)
    )


def _ensure_dataset(
    box: Box, loop: ScriptRun, data: str, memory: LoopMemory, resolver: IdentifierResolver
) -> Progress[tuple[str, bool]]:
    """Return the DID of the data, and whether something was published for it."""
    path = Path(data)
    if not path.is_file():
        # Published by somebody, perhaps elsewhere: used as it is.
        did = resolver.find_asset(data, "dataset")
        if did is None:
            raise UsageError(
                "C2D-RUN-NO-FILE", f"{data} is neither a published dataset nor a file", "see c2d-box assets"
            )
        return did, False
    # A local file: what the memory knows of it counts only while the box still has that asset.
    known, sha256 = _living_version(box, memory.get(path, loop.owner)), digest(path)
    # By content, not by time: saving a file without a change costs no transaction.
    if known is not None and known.sha256 == sha256:
        yield ProgressEvent("publish.dataset", "skipped", f"{path.name} is published as it is: {known.did}")
        return known.did, False
    if known is None:
        made = yield from assets.publish_dataset(box, loop.owner, str(path), assets.AssetOffer(path.name))
        known = Known(made.did, sha256)
    else:
        # The same DID with new content: permissions and addresses stay.
        yield from assets.replace_content(box, loop.owner, known.did, str(path))
    # Last: a run that breaks off before this publishes again, which costs a transaction and loses nothing.
    memory.put(path, loop.owner, Known(known.did, sha256, mark=asset_mark(box, known.did)))
    return known.did, True


def _ensure_algorithm(
    box: Box, loop: ScriptRun, memory: LoopMemory, known: Known | None
) -> Progress[tuple[str, bool]]:
    """Return the DID of the script's asset, and whether something was published for it."""
    container = assets.container_section(find_image(box, loop.image), loop.entrypoint)
    # Image and entrypoint are part of the version: the same script in another image is another algorithm.
    how, sha256 = f"{container['checksum']} {loop.entrypoint}", digest(loop.script)
    if known is not None and (known.sha256, known.how) == (sha256, how):
        yield ProgressEvent(
            "publish.algorithm", "skipped", f"{loop.script.name} is published as it is: {known.did}"
        )
        return known.did, False
    if known is None:
        # An access service: an algorithm is fetched into jobs, not computed on.
        offer = assets.AssetOffer(loop.script.name, services=("access",))
        made = yield from assets.publish_algorithm(
            box, loop.who, str(loop.script), loop.image, loop.entrypoint, offer
        )
        did = made.did
    else:
        did = known.did
        yield from assets.replace_content(box, loop.who, did, str(loop.script), container)
    memory.put_script(loop.script, loop.who, Known(did, sha256, how, asset_mark(box, did)))
    return did, True


def _ensure_permits(
    box: Box,
    loop: ScriptRun,
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
        # By the rules that the Provider applies when a job is started.
        verdict = assets.permission_verdict(box, dataset, algorithm)
        if verdict.allowed:
            yield ProgressEvent(
                "permit", "skipped", f"{loop.script.name} may run on {assets.short_did(dataset)} already"
            )
            continue
        # The version is taken from the local file: what the user saw is what gets signed.
        owner, version = _dataset_owner(box, dataset), _script_version(box, loop, algorithm)
        yield from _show_permission(loop, dataset, algorithm, owner, verdict, difference)
        # The question comes after the notes that show the version, in this order for screens too.
        if not confirm(f"Permit {loop.script.name} on {assets.short_did(dataset)} as {owner}?"):
            raise Refused(
                "C2D-RUN-NOT-PERMITTED",
                f"nothing more was permitted, nothing was ordered or paid; {_said_published(published)}",
                "answer yes, or pass --yes in a script",
                algorithm=algorithm,
                published=published,
            )
        yield from assets.permit_algorithm(box, owner, dataset, algorithm, version)
        permitted.append(dataset)
    return permitted


def _script_version(box: Box, loop: ScriptRun, algorithm: str) -> AlgorithmVersion:
    """Return the version of the local script as a permission names it; raise Refused where the box has
    another one under the algorithm's DID.
    """
    container = assets.container_section(find_image(box, loop.image), loop.entrypoint)
    version = AlgorithmVersion.from_digests([digest(loop.script)], loop.entrypoint, container["checksum"])
    with connection_to(box) as connection:
        found = algorithm_facts(connection, algorithm)
    readable = bool(found.files_checksum)  # where they are not, permit refuses with its own reason
    # Under a DID of somebody else the permission would be for code that the user has not seen.
    if found.owner.lower() != signer(loop.who).address.lower() or (
        readable and not version.is_version_of(found)
    ):
        raise Refused(
            "C2D-RUN-OTHER-ALGORITHM",
            f"{algorithm} is not {loop.script} as it is here: somebody else published it, or changed it",
            "nothing was permitted, ordered or paid; run it again, and it is published anew",
            algorithm=algorithm,
        )
    return version


def _said_published(published: list[str]) -> str:
    """Return a text that says what stays published after an error."""
    if not published:
        return "nothing was published"
    return f"published, and still there: {', '.join(published)}"


def _living_version(box: Box, known: Known | None) -> Known | None:
    """Return the known asset, or None where the box no longer has it, or has something else under its DID:
    after a reset DIDs are given out again, to the next published asset.
    """
    # Without a mark nobody can say whether it is the same asset: it is published anew.
    if known is None or not known.mark:
        return None
    return known if asset_mark(box, known.did) == known.mark else None


def _show_permission(
    loop: ScriptRun,
    dataset: str,
    algorithm: str,
    owner: str,
    verdict: PermissionVerdict,
    difference: list[str],
) -> Progress[None]:
    """Yield notes that show the owner of the data what they are about to sign.

    All of it comes before the question, so that a yes can be an informed one.
    """
    # Errors replaced: a script in another encoding is shown all the same.
    lines = loop.script.read_text(errors="replace").count("\n")
    said = [
        f"{loop.script.name} may not run on {assets.short_did(dataset)} yet:",
        *[f"  {line}" for line in verdict.reasons.text_lines()],
        f"{owner}, who owns that data, would permit exactly this version:",
        f"  algorithm   {algorithm}",
        f"  script      {loop.script}, {lines} lines, sha256 {digest(loop.script)[:16]}…",
        f"  image       {loop.image}, started as: {loop.entrypoint}",
        *[f"  {line}" for line in difference],
    ]
    for line in said:
        yield ProgressEvent("permit", "note", line)


def _dataset_owner(box: Box, dataset: str) -> str:
    """Return the account of this box that owns ``dataset``; raise Refused where no account here owns it.

    The owner is read from the cache's record of the NFT, which follows transfers.
    """
    with connection_to(box) as connection:
        owner = str((connection.cache.read_record(dataset).get("nft") or {}).get("owner") or "")
    # The box has the keys of its own accounts only, and signs for no one else.
    for index in range(ACCOUNTS):
        if signer(str(index)).address.lower() == owner.lower():
            return _account_role(index)
    raise Refused(
        "C2D-ASSET-NOT-YOURS",
        f"{dataset} belongs to {owner or 'nobody'}, who is no account of this box",
        "ask its publisher to permit the algorithm",
    )


def _account_role(index: int) -> str:
    """Return the role's name of an account of the box, or its number."""
    from sandbox.verbs.accounts import ROLES

    return next((role for role, number in ROLES.items() if number == index), str(index))


def unfinished_error(box: Box, ran: RunReport) -> C2DError:
    """Return the error for a job that did not finish; its logs were saved."""
    return Failed(
        "C2D-RUN-JOB-FAILED",
        f"the job ended with {ran.job.status} {ran.job.text}",
        f"read its log in {ran.folder}; {box.command_line(f'job {ran.job.id}')}",
        reason=ran.job.reason or "not recorded",
    )
