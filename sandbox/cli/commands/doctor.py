"""doctor.

Checks are of the machine and of the box; no box has to be up for them.
"""

from __future__ import annotations

import sys

import click

from sandbox.cli.declare import command
from sandbox.cli.opening import the_box
from sandbox.cli.output import print_json, print_text

MARKS = {"ok": "✓", "warning": "!", "problem": "✗"}


@command("c2d-box doctor\nc2d-box doctor --fix", name="doctor")
@click.option("--fix", is_flag=True, help="First remove what boxes that are gone left behind.")
def doctor(fix: bool) -> None:
    """Check this machine; each finding with id, evidence and fix. Exit status 3 when there is a problem.

    --json: list of {id, level: ok|warning|problem, title, evidence, fix}.
    """
    from sandbox.verbs.lifecycle.doctor import diagnose_box, remove_leftovers

    if fix:
        # Before the checks, so that they see the machine as it is afterwards.
        for gone in remove_leftovers(the_box()):
            print(f"removed {gone}", file=sys.stderr)
    findings = diagnose_box(the_box())
    if not print_json(findings):
        for finding in findings:
            print_text(f"{MARKS[finding.level]} {finding.title}: {finding.evidence}")
            if finding.fix:
                print_text(f"    {finding.id}  fix: {finding.fix}")
    if any(finding.level == "problem" for finding in findings):
        # Warnings do not fail: a script should go on where a box would run.
        raise click.exceptions.Exit(3)
