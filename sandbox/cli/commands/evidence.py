"""verify, explain."""

from __future__ import annotations

from pathlib import Path

import click

from sandbox.cli.declare import command
from sandbox.cli.opening import acting, the_box
from sandbox.cli.output import document, say, table

FAILED = 1
_WORDS = {True: "yes", False: "NO", None: "-"}


@command("c2d-box verify JOB\nc2d-box verify JOB --record evidence.json", name="verify")
@click.argument("job_id")
@click.option(
    "--record", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A copy kept elsewhere."
)
def verify(job_id: str, record: Path | None) -> None:
    """Check a job's evidence against its sources: chain, descriptions, files, image, results.

    Exit status 1 where anything does not agree. --json: {job, sound, checks: [{name, ok, text}]}.
    """
    from sandbox.verbs.evidence import verify as verb

    found = verb(the_box(), acting("consumer"), job_id, record)
    checks = [{"name": check.name, "ok": check.ok, "text": check.text} for check in found.checks]
    if not document({"job": job_id, "sound": found.sound, "checks": checks}):
        table(["check", "agrees", "source"], [(c.name, _WORDS[c.ok], c.text) for c in found.checks])
        say()
        say("the evidence agrees with its sources" if found.sound else "the evidence does NOT agree")
    if not found.sound:
        raise click.exceptions.Exit(FAILED)


@command("c2d-box explain JOB", name="explain")
@click.argument("job_id")
def explain(job_id: str) -> None:
    """Say in two sentences how a job ended and what to do about it. --json: {job, text}."""
    from sandbox.verbs.evidence import explain as verb

    text = verb(the_box(), acting("consumer"), job_id)
    if not document({"job": job_id, "text": text}):
        say(text)
