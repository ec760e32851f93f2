"""doctor."""

from __future__ import annotations

import sys

import click

from sandbox.cli.declare import command
from sandbox.cli.opening import the_box
from sandbox.cli.output import document, say

MARKS = {"ok": "✓", "warning": "!", "problem": "✗"}


@command("c2d-box doctor\nc2d-box doctor --fix", name="doctor")
@click.option("--fix", is_flag=True, help="First remove what boxes that are gone left behind.")
def doctor(fix: bool) -> None:
    """Check this machine; each finding with id, evidence and fix. Exit status 3 when there is a problem.

    --json: list of {id, level: ok|warning|problem, title, evidence, fix}.
    """
    from sandbox.verbs.doctor import diagnose, mend

    if fix:
        for gone in mend(the_box()):
            print(f"removed {gone}", file=sys.stderr)
    findings = diagnose(the_box())
    if not document(findings):
        for finding in findings:
            say(f"{MARKS[finding.level]} {finding.title}: {finding.evidence}")
            if finding.fix:
                say(f"    {finding.id}  fix: {finding.fix}")
    if any(finding.level == "problem" for finding in findings):
        raise click.exceptions.Exit(3)
