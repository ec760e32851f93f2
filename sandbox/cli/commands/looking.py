"""chain, pods, cid: looking at what the box stands on."""

from __future__ import annotations

import time
from pathlib import Path

import click

from sandbox.cli.declare import command
from sandbox.cli.opening import the_box
from sandbox.cli.output import content, document, pairs, say, say_line, say_value, table


@command("c2d-box chain\nc2d-box chain --blocks\nc2d-box chain 0x5c50…", name="chain")
@click.argument("tx", required=False)
@click.option("--blocks", is_flag=True, help="Blocks instead of transactions.")
@click.option("--count", default=20, show_default=True, help="How many, newest first.")
def chain(tx: str | None, blocks: bool, count: int) -> None:
    """What happened on the chain, decoded: the newest transactions or blocks, or one transaction.

    --json: list of {hash, block, at, sender, to, function, arguments, succeeded, gas, events: [{contract,
    name, arguments}]}; with --blocks: {number, hash, at, gas, transactions}; with TX: one.
    """
    from sandbox.verbs import chain as explorer

    box = the_box()
    if tx:
        one = explorer.transaction(box, tx)
        if not document(one):
            _show(one)
        return
    if blocks:
        found = explorer.blocks(box, count)
        if not document(found):
            listed = [(b.number, _when(b.at), len(b.transactions), b.gas, b.hash) for b in found]
            table(["block", "time", "transactions", "gas", "hash"], listed)
        return
    newest = explorer.transactions(box, count)
    if not document(newest):
        rows = [(t.block, _when(t.at), t.sender, t.to, t.function, len(t.events), t.hash) for t in newest]
        table(["block", "time", "from", "to", "function", "events", "hash"], rows)


def _show(tx: object) -> None:
    from sandbox.verbs.chain import Transaction

    assert isinstance(tx, Transaction)
    facts = {"hash": tx.hash, "block": tx.block, "time": _when(tx.at), "from": tx.sender, "to": tx.to}
    pairs({**facts, "function": tx.function, "succeeded": tx.succeeded, "gas": tx.gas})
    for name, value in tx.arguments.items():
        say_value(name, value)
    for event in tx.events:
        say(f"\n{event.name}  from {event.contract}")
        for name, value in event.arguments.items():
            say_value(name, value)


@command("c2d-box pods\nc2d-box pods --workflows\nc2d-box pods --job JOB", name="pods")
@click.option("--workflows", is_flag=True, help="WorkFlow objects instead of pods.")
@click.option("--job", default="", help="Only the pods of this job.")
def pods(workflows: bool, job: str) -> None:
    """What Kubernetes runs for the box.

    --json: list of {namespace, name, state, ready, restarts, at, ip, containers, job, part}; with
    --workflows: {name, status, at, owner, environment}.
    """
    from sandbox.verbs import pods as workloads

    box = the_box()
    if workflows:
        flows = workloads.workflows(box)
        if not document(flows):
            listed = [(f.name, f.status, _when(f.at), f.environment) for f in flows]
            table(["workflow", "status", "created", "environment"], listed)
        return
    found = workloads.pods(box, job)
    if not document(found):
        rows = [(p.namespace, p.name, p.state, p.ready, p.restarts, _when(p.at)) for p in found]
        table(["namespace", "pod", "state", "ready", "restarts", "created"], rows)


@command("c2d-box cid QmYwAP…\nc2d-box cid bafy…/metrics.json --to metrics.json", name="cid")
@click.argument("cid")
@click.option("--to", "path", type=click.Path(dir_okay=False, path_type=Path), help="Into this file.")
def cid(cid: str, path: Path | None) -> None:
    """Content by its CID from the box's IPFS node, which has no peers: what this box has stored."""
    from sandbox.verbs.cid import open_cid

    found = open_cid(the_box(), cid)
    if path is None:
        content(found)
    else:
        path.write_bytes(found)
        say_line(path)


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(moment))
