"""verify, explain: what is known about a job that has ended.

Verifying asks each source by itself. A source that does not answer makes its line unknown, and is told apart
from one that contradicts.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import click

from sandbox.cli.declare import command
from sandbox.cli.identifiers import JOB
from sandbox.cli.opening import acting_account, running_box
from sandbox.cli.output import print_json, print_table, print_text

FAILED = 1
_DID = re.compile(r"did:op:[0-9a-f]{64}")
_WORDS = {True: "yes", False: "NO", None: "unknown"}
_VERDICTS = {
    "agrees": "the evidence agrees with its sources",
    "unknown": "nothing contradicts the evidence, but not every source could be asked",
    "disagrees": "the evidence does NOT agree",
}


@command("c2d-box verify JOB\nc2d-box verify JOB --record evidence.json", name="verify")
@click.argument("job_id", type=JOB)
@click.option(
    "--record", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A copy kept elsewhere."
)
@click.option(
    "--code", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The raw algorithm's code."
)
@click.option("--strict", is_flag=True, help="Exit status 1 also where a source could not be asked.")
def verify(job_id: str, record: Path | None, code: Path | None, strict: bool) -> None:
    """Check a job's evidence against its sources: chain, descriptions, files, image, results.

    The last column says whose word a line rests on. "operator" is the word of the environment's key alone:
    it can be held against the rest of the record, not against another source.

    Exit status 1 where anything does not agree. --json: {job, verdict, sound, checks: [{name, ok, text,
    source}]}; ok is null where a source could not be asked, and then sound is false.
    """
    from sandbox.verbs.compute.evidence import verify_evidence as verb
    from sandbox.verbs.publishing.assets import short_did

    found = verb(running_box(), acting_account("consumer"), job_id, record, code)
    checks = [asdict(check) for check in found.checks]
    if not print_json({"job": job_id, "verdict": found.verdict, "sound": found.is_sound, "checks": checks}):
        rows = [
            # Shortened for the table only; ``--json`` has the whole DIDs.
            (_DID.sub(lambda did: short_did(did[0]), c.name), _WORDS[c.ok], c.text, c.source)
            for c in found.checks
        ]
        print_table(["check", "agrees", "found", "word of"], rows)
        print_text()
        print_text(_VERDICTS[found.verdict])
    # Without ``--strict`` an outage of a source is no failure: nothing has been contradicted.
    if found.verdict == "disagrees" or (strict and not found.is_sound):
        raise click.exceptions.Exit(FAILED)


@command("c2d-box explain JOB", name="explain")
@click.argument("job_id", type=JOB)
def explain(job_id: str) -> None:
    """Say in two sentences how a job ended and what to do about it. --json: {job, text}."""
    from sandbox.verbs.compute.evidence import explain_job as verb

    text = verb(running_box(), acting_account("consumer"), job_id)
    if not print_json({"job": job_id, "text": text}):
        print_text(text)
