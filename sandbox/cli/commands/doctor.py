"""doctor."""

from __future__ import annotations

import click

from sandbox.cli.declare import command
from sandbox.cli.opening import the_box
from sandbox.cli.output import document, say

MARKS = {"ok": "✓", "warning": "!", "problem": "✗"}


@command("c2d-box doctor", name="doctor")
def doctor() -> None:
    """Check this machine; each finding with id, evidence and fix. Exit status 3 when there is a problem.

    --json: list of {id, level: ok|warning|problem, title, evidence, fix}.
    """
    from sandbox.verbs.doctor import diagnose

    findings = diagnose(the_box())
    if not document(findings):
        for finding in findings:
            say(f"{MARKS[finding.level]} {finding.title}: {finding.evidence}")
            if finding.fix:
                say(f"    {finding.id}  fix: {finding.fix}")
    if any(finding.level == "problem" for finding in findings):
        raise click.exceptions.Exit(3)
