"""doctor, selftest: checks of the machine, and attacks on this very box.

The checks need no box that is up. The attacks themselves are in :mod:`sandbox.attacks`; this prints what came
of them.
"""

from __future__ import annotations

import sys

import click

from sandbox.cli.declare import command
from sandbox.cli.narration import perform_verb
from sandbox.cli.opening import running_box, the_box
from sandbox.cli.output import print_json, print_table, print_text

NOT_CONTAINED = 1
MARKS = {"ok": "✓", "warning": "!", "problem": "✗"}


@command(
    "c2d-box selftest\nc2d-box selftest --only 'network-*' --only outputs\nc2d-box selftest --list",
    name="selftest",
)
@click.option("--only", multiple=True, metavar="PATTERN", help="Attacks by name or group (repeatable).")
@click.option("--quick", is_flag=True, help="Leave out those that take long or much of the machine.")
@click.option("--rules", is_flag=True, help="Each on data with disclosure rules, judged by what leaves.")
@click.option("--list", "listing", is_flag=True, help="Say what would be tried; run nothing.")
def selftest(only: tuple[str, ...], quick: bool, rules: bool, listing: bool) -> None:
    """Attack this box with hostile algorithms. Exit status 1 when one is not contained.

    Real jobs try to get data out or to break the node, beside a victim and innocent jobs; what came of
    each is judged from outside. Takes minutes; everything made is taken away again.

    \b --json: {contained, seconds, verdicts: [{name, group, tries, checked, contained, problem, code, text,
    reason, seconds}]}; with --list: [{name, group, tries, checked, slow}]
    """
    from sandbox.verbs.lifecycle import selftest as verbs

    attacks = verbs.choose_attacks(only, quick)
    # Listing reads the catalogue only; it needs no box.
    if listing:
        rows = [
            {"name": a.name, "group": a.group, "tries": a.tries, "checked": a.checked, "slow": a.slow}
            for a in attacks
        ]
        if not print_json(rows):
            print_table(
                ["attack", "group", "tries"], [(row["name"], row["group"], row["tries"]) for row in rows]
            )
            print_text(f"\n{len(rows)} attacks")
        return
    report = perform_verb(verbs.selftest(running_box(), attacks, rules))
    if not print_json(report):
        shown = [
            (
                "yes" if v.contained else "NO",
                v.name,
                v.code or "-",
                v.text.strip() or "-",
                v.seconds,
                v.problem or "-",
            )
            for v in report.verdicts
        ]
        print_table(["contained", "name", "status", "text", "seconds", "problem"], shown)
        print_text(
            f"\n{len(shown) - len(report.failed_verdicts)} of {len(shown)} contained, {report.seconds:.0f} s"
        )
    if not report.contained:
        raise click.exceptions.Exit(NOT_CONTAINED)


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
