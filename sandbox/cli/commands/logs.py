"""logs. The log of a job is another thing, which only its owner may read: see ``job logs``."""

from __future__ import annotations

import click

from sandbox.cli.declare import command
from sandbox.cli.opening import known_box
from sandbox.cli.output import print_foreign, print_json


@command(
    "c2d-box logs provider\nc2d-box logs kubelet --lines 50\nc2d-box logs operator-engine --follow",
    name="logs",
)
@click.argument("source")
@click.option("--lines", "-n", default=200, show_default=True, help="How many of the last lines.")
@click.option("--follow", "-f", is_flag=True, help="Go on as lines arrive (services).")
def logs(source: str, lines: int, follow: bool) -> None:
    """Logs of a service (provider, cache, chain …) or of a component of the cluster (kubelet, etcd …).

    --json: list of lines.
    """
    from sandbox.verbs.lifecycle.logs import stream_logs as verb

    stream = verb(known_box(), source, lines=lines, follow=follow)
    # A stream that is followed has no end, so it cannot be one document.
    if not follow and document_of(stream):
        return
    for line in stream:
        # Foreign text: control sequences in it are made visible.
        print_foreign(line)


def document_of(stream: object) -> bool:
    """With ``--json`` the whole log as one list."""
    from sandbox.cli.settings import current

    return current().json and print_json(list(stream))  # type: ignore[call-overload]
