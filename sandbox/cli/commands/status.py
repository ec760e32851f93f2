"""status, env. Both only look: they start nothing."""

from __future__ import annotations

import shlex
import sys

import click

from sandbox.cli.declare import command
from sandbox.cli.opening import known_box, the_box
from sandbox.cli.output import print_json, print_pairs, print_table, print_text


@command("c2d-box status\nc2d-box status --resources", name="status")
@click.option("--resources", is_flag=True, help="Memory of every process of the box (sum of PSS).")
def status(resources: bool) -> None:
    """What runs where, and how healthy it is. Exit status 4 when something is not ready.

    \b --json: {name, home, state, parts: [{name, kind, state, restarts, url, detail}], urls, versions,
    settings, …} --json --resources: {total_bytes, by_process: {name: bytes}}
    """
    from sandbox.verbs.lifecycle import status as verbs

    box = the_box()
    if resources:
        report = verbs.resource_report(box)
        if not print_json(report):
            print_table(
                ["process", "MiB"], [(name, size / 2**20) for name, size in report.by_process.items()]
            )
            print_text(f"\ntotal {report.total_bytes / 2**20:.0f} MiB (sum of PSS)")
        return
    seen = verbs.status(box)
    if not print_json(seen):
        print_pairs(
            {"box": f"{seen.name}: {seen.state}", "home": seen.home, **seen.versions, **seen.settings}
        )
        if seen.parts:
            print_text()
            rows = [(p.name, p.kind, p.state, p.restarts, p.url or "-", p.detail or "-") for p in seen.parts]
            print_table(["part", "kind", "state", "restarts", "url", "detail"], rows)
        # States without a hint (starting, degraded) need no command but time, or ``doctor``.
        hint = {"absent": "up", "stopped": "up", "running": "demo"}.get(seen.state)
        if hint:
            print(f"\nnext: {box.command_line(hint)}", file=sys.stderr)
    # For scripts: the status says without parsing whether the box can be used.
    if seen.state != "running":
        raise click.exceptions.Exit(4)


@command('eval "$(c2d-box env)"', name="env")
def env() -> None:
    """Shell exports for ocean.js, ocean.py, ocean-cli, kubectl and curl. --json: {NAME: value}."""
    from sandbox.verbs.lifecycle.environment import shell_exports

    values = shell_exports(known_box())
    if print_json(values):
        return
    for name, value in values.items():
        print_text(f"export {name}={shlex.quote(value)}")
    print_text(
        '# IPFS wants a token: curl -X POST -H "Authorization: Bearer $(cat $IPFS_TOKEN_FILE)"'
        " $IPFS_API/api/v0/id"
    )
