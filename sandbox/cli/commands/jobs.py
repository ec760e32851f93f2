"""start, quote, jobs, job, job logs, results, decrypt, stop.

Everything here goes through the Provider as any client's request does, acting as ``consumer`` unless ``--as``
says otherwise. Jobs in ``--json`` have the field names of the wire.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sandbox.cli.declare import command, group
from sandbox.cli.identifiers import (
    ALGORITHM,
    ASSET,
    DATASET,
    ENVIRONMENT,
    JOB,
    complete_identifiers,
    complete_owner,
)
from sandbox.cli.limits import spending_options
from sandbox.cli.narration import perform_verb
from sandbox.cli.opening import acting_account, running_box
from sandbox.cli.output import (
    age_text,
    is_wide,
    print_foreign,
    print_json,
    print_line,
    print_pairs,
    print_table,
    print_text,
    time_text,
)

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from c2d_box.client import JobDetails, SpendingLimits
    from sandbox.verbs.compute.job_list import ListedJob
    from sandbox.verbs.compute.quotes import AssetPrice

# Exit status of ``start --wait`` for a job that ended without success.
FAILED = 1
KINDS = click.Choice(["algorithm", "configuration", "publish", "all"])


@command(
    "c2d-box start did:op:DATASET did:op:ALGORITHM --wait\n"
    "c2d-box start did:op:A did:op:ALGO --with did:op:B",
    name="start",
)
@click.argument("dataset", type=DATASET)
@click.argument("algorithm", type=ALGORITHM)
@click.option(
    "--with",
    "additional",
    multiple=True,
    type=DATASET,
    metavar="ASSET",
    help="A further dataset (repeatable).",
)
@click.option(
    "--environment", type=ENVIRONMENT, metavar="ID", help="Compute environment (default: the first free one)."
)
@click.option("--publish", metavar="NAME", help="Make the results an asset of this name, owned by you.")
@click.option("--free", is_flag=True, help="With --publish: whoever asks may have them.")
@click.option("--encrypt", is_flag=True, help="Encrypt the results, so that only you can read them.")
@click.option("--param", "told", multiple=True, metavar="NAME=VALUE", help="For the algorithm (repeatable).")
@click.option("--wait", is_flag=True, help="Follow the job to its end; exit status 1 if it fails.")
@spending_options
def start(
    dataset: str,
    algorithm: str,
    additional: tuple[str, ...],
    environment: str | None,
    publish: str | None,
    free: bool,
    encrypt: bool,
    told: tuple[str, ...],
    wait: bool,
    spending: SpendingLimits,
) -> None:
    """Check permissions and image, order what has to be ordered, start the job. Refusals cost nothing.

    --json: the job object, as `job` prints it.
    """
    from c2d_box.client import JobRequest
    from sandbox.verbs.compute import jobs as verbs
    from sandbox.verbs.compute.job_output import JobOutput
    from sandbox.verbs.compute.job_parameters import parse_parameters

    box, who = running_box(), acting_account("consumer")
    wanted = JobRequest(
        dataset,
        algorithm,
        additional,
        environment,
        parameters=parse_parameters(told) or None,
        output=JobOutput(encrypt, publish or "", free).sdk_output(),
        spending=spending,
    )
    job = perform_verb(verbs.start(box, who, wanted))
    # Following takes as long as the job; Ctrl-C ends only the following.
    if wait:
        job = perform_verb(verbs.follow(box, who, job.id))
    if not print_json(job):
        _print_job(job)
        if not wait:
            print(f"\nnext: {box.command_line(f'job {job.id}')}", file=sys.stderr)
    # After printing: a script may want the failed job's object too.
    if wait and not job.has_succeeded:
        raise click.exceptions.Exit(FAILED)


@command(
    "c2d-box quote did:op:DATASET did:op:ALGORITHM\nc2d-box quote did:op:ASSET",
    name="quote",
)
@click.argument("did", type=ASSET)
@click.argument("algorithm", type=ALGORITHM, required=False)
@click.option(
    "--with",
    "additional",
    multiple=True,
    type=DATASET,
    metavar="ASSET",
    help="A further dataset (repeatable).",
)
@click.option(
    "--environment", type=ENVIRONMENT, metavar="ID", help="Compute environment (default: the first free one)."
)
def quote(did: str, algorithm: str | None, additional: tuple[str, ...], environment: str | None) -> None:
    """What a job costs now, or, of a DID alone, its download; or the refusal it would meet. Pays nothing.

    --json: [{did, action, price, token, fee, fee_token, swap_fee, market_fee, market_token, due}], whole
    tokens; action is order, extend or none; swap_fee is a part of price; due is {token: exact sum as text}.
    """
    from c2d_box.client import JobRequest
    from sandbox.identifier_match import short_ids
    from sandbox.verbs.compute import quotes as verbs

    box, who = running_box(), acting_account("consumer")
    if algorithm is None:
        prices = verbs.quote_download(box, who, did)
    else:
        prices = verbs.quote(box, who, JobRequest(did, algorithm, additional, environment))
    if not print_json(prices):
        short = short_ids(p.did for p in prices)
        rows = [
            (
                p.did if is_wide() else short[p.did],
                p.action,
                _datatoken_text(p),
                _amount_text(p.market_fee, p.market_token),
                _amount_text(p.fee, p.fee_token),
            )
            for p in prices
        ]
        print_table(["asset", "action", "datatoken", "market's fee", "Provider's fee"], rows)
        # Exact, as this text is copied into ``--max-price``.
        due = [f"{amount} {token}" for token, amount in verbs.exact_totals(prices).items()]
        print_text(f"\nin all: {' and '.join(due) or 'nothing'}")


@command(
    "c2d-box jobs\nc2d-box jobs --state failed --since 2h\nc2d-box jobs --asset patients.csv --owner all\n"
    "c2d-box jobs --json | jq '.[] | select(.status == 70) | .jobId'",
    name="jobs",
)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(["waiting", "running", "finished", "failed", "stopped"]),
    help="Jobs in that state (repeatable).",
)
@click.option(
    "--owner",
    "owners",
    multiple=True,
    metavar="ACCOUNT|all",
    shell_complete=complete_owner,
    help="Whose (repeatable); default: --as, else consumer.",
)
@click.option(
    "--asset",
    "assets",
    multiple=True,
    type=ASSET,
    metavar="ASSET",
    help="On that dataset, or of that algorithm.",
)
@click.option("--text", default="", help="With that in id, status, reason or names.")
@click.option("--since", metavar="TIME", help="Begun since then: 30m, 2h, 3d, or a date.")
@click.option("--last", "-n", "count", type=click.IntRange(1), help="At most so many, the newest.")
def jobs(
    states: tuple[str, ...],
    owners: tuple[str, ...],
    assets: tuple[str, ...],
    text: str,
    since: str | None,
    count: int | None,
) -> None:
    """Your jobs, newest first. The beginning of an id is enough for every command that takes a job.

    --json: list of objects with the wire's field names: jobId, owner, status (integer), statusText,
    dateCreated, dateFinished, results, stopreq, removed, algoDID, inputDID, agreementId.
    """
    from sandbox.verbs.compute.job_list import JobFilter, choose_jobs
    from sandbox.verbs.since import parse_since

    wanted = JobFilter(states, assets, text, parse_since(since) if since else 0.0)
    found = choose_jobs(running_box(), owners or (acting_account("consumer"),), wanted)[:count]
    if not print_json(found):
        _print_jobs(found)


def _print_jobs(found: Sequence[ListedJob]) -> None:
    from sandbox.identifier_match import short_ids
    from sandbox.verbs.accounts import account_name

    if is_wide():
        whole = [
            (
                job.details.id,
                _status_text(job),
                job.algorithm,
                job.details.algorithm or None,
                job.data,
                job.details.inputs,
                job.details.owner or None,
                job.details.environment or None,
                time_text(job.details.created),
                _duration_text(job.details),
            )
            for job in found
        ]
        names = [
            "job",
            "status",
            "algorithm",
            "its did",
            "data",
            "its dids",
            "owner",
            "environment",
            "created",
        ]
        print_table([*names, "took"], whole)
        return
    short = short_ids(job.details.id for job in found)
    rows = [
        (
            short[job.details.id],
            _status_text(job),
            _short_name(job.algorithm),
            [_short_name(name) for name in job.data],
            account_name(job.details.owner) or None,
            age_text(job.details.created),
            _duration_text(job.details),
        )
        for job in found
    ]
    headers = ["job", "status", "algorithm", "data", "owner", "age", "took"]
    print_table(headers, rows, flexible=("status", "algorithm", "data", "owner"))


class JobGroup(click.Group):
    """``job ID`` shows the job, ``job logs ID`` its logs: what is no subcommand is taken for an id."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Put ``show`` before a first argument that is no subcommand. An id is 32 hex digits, so it cannot be
        the name of one.
        """
        if args and args[0] not in self.commands:
            # ``show`` is hidden: users type ``job ID``.
            args = ["show", *args]
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return ids of jobs as well as subcommands."""
        return [*super().shell_complete(ctx, incomplete), *complete_identifiers("job", ctx, incomplete)]


@group("c2d-box job 0123456789abcdef0123456789abcdef\nc2d-box job logs ID", cls=JobGroup, name="job")
def job() -> None:
    """One job: `job ID` shows it, `job logs ID` prints what its algorithm said."""


@command("c2d-box job 0123456789abcdef0123456789abcdef --json", name="show", hidden=True)
@click.argument("job_id", type=JOB)
def show_job(job_id: str) -> None:
    """One job in detail. --json: the wire's object."""
    from sandbox.verbs.compute.jobs import read_job as verb

    seen = verb(running_box(), acting_account("consumer"), job_id)
    if not print_json(seen):
        _print_job(seen)


@command("c2d-box job logs 0123456789abcdef0123456789abcdef\nc2d-box job logs ID --kind all", name="logs")
@click.argument("job_id", type=JOB)
@click.option(
    "--kind", type=click.Choice(["algorithm", "configuration", "publish", "all"]), default="algorithm"
)
def job_logs(job_id: str, kind: str) -> None:
    """The log of a job's algorithm (or of its other stages), as its owner may read it. --json: {name:
    text}.
    """
    from sandbox.verbs.compute.jobs import log_texts

    texts = log_texts(running_box(), acting_account("consumer"), job_id, kind)
    if print_json(texts):
        return
    for name, text in texts.items():
        # A single log is printed without a title, so that it can be piped on unchanged.
        if len(texts) > 1:
            print_line(f"==> {name} <==")
        print_foreign(text.rstrip("\n"))


@command("c2d-box results JOB\nc2d-box results JOB --to ./out\nc2d-box results JOB 0 --to .", name="results")
@click.argument("job_id", type=JOB)
@click.argument("index", type=int, required=False)
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), help="Fetch them there.")
def results(job_id: str, index: int | None, folder: Path | None) -> None:
    """List the results of a job, or fetch them through the Provider.

    --json: list of {filename, filesize, type, index}; with --to: list of {path, type, size}.
    """
    from sandbox.verbs.compute import jobs as verbs

    box, who = running_box(), acting_account("consumer")
    # Listing needs no verb: nothing is done that could be narrated.
    if folder is None:
        listed = verbs.list_results(box, who, job_id)
        if not print_json(listed):
            print_table(
                ["index", "file", "type", "bytes"], map(_result_row, listed), empty="no results (yet)"
            )
        return
    fetched = perform_verb(verbs.fetch_results(box, who, job_id, folder, index))
    if not print_json(fetched):
        for item in fetched:
            print_line(item.path)


@command(
    "c2d-box decrypt metrics.json.ecies\nc2d-box decrypt FILE --to metrics.json --as consumer", name="decrypt"
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--to", "target", type=click.Path(dir_okay=False, path_type=Path), help="Default: beside it.")
def decrypt(file: Path, target: Path | None) -> None:
    """Open a result that was encrypted for the acting account (`start --encrypt`) and fetched by other means;
    `results --to` opens them by itself. --json: {path, size}.
    """
    from sandbox.verbs.compute.jobs import decrypt_result as verb

    opened = verb(running_box(), acting_account("consumer"), file, target)
    if not print_json({"path": opened, "size": opened.stat().st_size}):
        print_line(opened)


@command("c2d-box stop 0123456789abcdef0123456789abcdef", name="stop")
@click.argument("job_id", type=JOB)
def stop(job_id: str) -> None:
    """Stop a running job. Inputs and algorithm are deleted; what it wrote is published. --json: the job
    object.
    """
    from sandbox.verbs.compute.jobs import stop_job as verb

    seen = perform_verb(verb(running_box(), acting_account("consumer"), job_id))
    if not print_json(seen):
        _print_job(seen)


def _print_job(seen: JobDetails) -> None:
    """Print the job's facts, its stages and its results, as ``job``, ``start`` and ``stop`` do alike."""
    from sandbox.verbs.compute.job_timeline import job_overhead, seconds_by_stage

    print_pairs(
        {
            "job": seen.id,
            "status": f"{seen.status} {seen.text}",
            # Only failed and stopped jobs have a reason.
            **({"reason": seen.reason} if seen.reason else {}),
            "algorithm": seen.algorithm or None,
            "inputs": seen.inputs or None,
            "owner": seen.owner or None,
            "created": time_text(seen.created),
            "finished": time_text(seen.ended),
        }
    )
    if seconds := seconds_by_stage(seen):
        print_text()
        print_table(["stage", "seconds"], seconds.items())
        cost = job_overhead(seen)
        print_text(f"overhead (all but the algorithm): {cost:.2f} s" if cost is not None else "")
    if seen.results:
        print_text()
        print_table(["index", "file", "type", "bytes"], map(_result_row, seen.results))


def _amount_text(amount: float, token: str) -> str:
    return f"{amount:.10g} {token}" if amount else "-"


def _datatoken_text(price: AssetPrice) -> str:
    """Return the price of the datatoken; swap fees are named beside it, as the sum would otherwise look like
    a wrong price (1.001 where 1 was asked)."""
    if not price.price:
        return "free" if price.action == "order" else "-"
    fees = f" ({price.swap_fee:.4g} of it fees)" if price.swap_fee else ""
    return f"{_amount_text(price.price, price.token)}{fees}"


def _result_row(result: Mapping[str, Any]) -> tuple[object, ...]:
    """Return a result's row, from the keys of Ocean's API."""
    return tuple(result[key] for key in ("index", "filename", "type", "filesize"))


def _short_name(name: str) -> str:
    """Return a name as it is; a DID, which stands where no name is known, in short."""
    from sandbox.verbs.publishing.assets import short_did

    return short_did(name) if name.startswith("did:op:") else name


def _status_text(job: ListedJob) -> str:
    """Return number and text; the wire's text of a stopped job is that of a finished one."""
    return f"{job.details.status} {'Stopped' if job.state == 'stopped' else job.details.text}"


def _duration_text(seen: JobDetails) -> str:
    """Return the time from creation to end; a running job has none yet."""
    return f"{seen.ended - seen.created:.1f} s" if seen.has_ended else "-"


for subcommand in (show_job, job_logs):
    job.add_command(subcommand)
