"""chain, pods, cid, kubectl: looking at what the box stands on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sandbox.cli.declare import command
from sandbox.cli.identifiers import TRANSACTION, WORKFLOW
from sandbox.cli.opening import running_box, the_box
from sandbox.cli.output import (
    age_text,
    is_wide,
    print_content,
    print_json,
    print_line,
    print_pairs,
    print_table,
    print_text,
    print_value,
    time_text,
)

if TYPE_CHECKING:
    from sandbox.verbs.inspection.pods import PodSummary, WorkflowSummary


@command("c2d-box chain\nc2d-box chain --blocks\nc2d-box chain 0x5c50…", name="chain")
@click.argument("tx", type=TRANSACTION, required=False)
@click.option("--blocks", is_flag=True, help="Blocks instead of transactions.")
@click.option("--count", default=20, show_default=True, help="How many, newest first.")
def chain(tx: str | None, blocks: bool, count: int) -> None:
    """What happened on the chain, decoded: the newest transactions or blocks, or one transaction.

    --json: list of {hash, block, at, sender, to, function, arguments, succeeded, gas, events: [{contract,
    name, arguments}]}; with --blocks: {number, hash, at, gas, transactions}; with TX: one.
    """
    from sandbox.identifier_match import short_ids
    from sandbox.verbs.inspection import chain as explorer

    box = running_box()
    if tx:
        one = explorer.read_transaction(box, tx)
        if not print_json(one):
            _show_transaction(one)
        return
    if blocks:
        found = explorer.list_blocks(box, count)
        if not print_json(found):
            listed = [(b.number, time_text(b.at), len(b.transactions), b.gas, b.hash) for b in found]
            print_table(["block", "time", "transactions", "gas", "hash"], listed, flexible=("hash",))
        return
    newest = explorer.list_transactions(box, count)
    if not print_json(newest):
        short = short_ids(t.hash for t in newest)
        rows = [
            (
                t.block,
                time_text(t.at) if is_wide() else age_text(t.at),
                t.sender,
                t.to,
                t.function,
                len(t.events),
                t.hash if is_wide() else short[t.hash],
            )
            for t in newest
        ]
        headers = ["block", "time" if is_wide() else "age", "from", "to", "function", "events", "hash"]
        print_table(headers, rows, flexible=("from", "to", "function"))


def _show_transaction(tx: object) -> None:
    """Print a transaction with its arguments and events; values are other people's text, so they pass
    ``print_value``.
    """
    # Imported late like every verb; the assertion gives mypy the type that the signature cannot name.
    from sandbox.verbs.inspection.chain import DecodedTransaction

    assert isinstance(tx, DecodedTransaction)
    facts = {"hash": tx.hash, "block": tx.block, "time": time_text(tx.at), "from": tx.sender, "to": tx.to}
    print_pairs({**facts, "function": tx.function, "succeeded": tx.succeeded, "gas": tx.gas})
    for name, value in tx.arguments.items():
        print_value(name, value)
    for event in tx.events:
        print_text(f"\n{event.name}  from {event.contract}")
        for name, value in event.arguments.items():
            print_value(name, value)


@command("c2d-box pods\nc2d-box pods --workflows\nc2d-box pods --job JOB", name="pods")
@click.option("--workflows", is_flag=True, help="WorkFlow objects instead of pods.")
@click.option("--job", default="", type=WORKFLOW, metavar="JOB", help="Only the pods of this job.")
def pods(workflows: bool, job: str) -> None:
    """What Kubernetes runs for the box.

    --json: list of {namespace, name, state, ready, restarts, at, ip, containers, job, part}; with
    --workflows: {name, status, at, owner, environment}.
    """
    from sandbox.verbs.inspection import pods as workloads

    box = running_box()
    if workflows:
        flows = workloads.list_workflows(box)
        if not print_json(flows):
            _print_workflows(flows)
        return
    found = workloads.list_pods(box, job)
    if not print_json(found):
        _print_pods(found)


def _print_workflows(flows: Sequence[WorkflowSummary]) -> None:
    from sandbox.identifier_match import short_ids
    from sandbox.verbs.accounts import account_name

    short = short_ids(flow.name for flow in flows)
    rows = [
        (
            flow.name if is_wide() else short[flow.name],
            flow.status,
            flow.owner if is_wide() else account_name(flow.owner),
            _moment_text(flow.at),
            flow.environment,
        )
        for flow in flows
    ]
    headers = ["workflow", "status", "owner", _moment_name(), "environment"]
    print_table(headers, rows, flexible=("status", "owner", "environment"))


def _print_pods(found: Sequence[PodSummary]) -> None:
    from sandbox.identifier_match import short_ids

    short = short_ids(pod.job for pod in found if pod.job)
    rows = [
        (
            pod.namespace,
            # Cut in the middle: the end of a job's pod says what it is for.
            pod.name if is_wide() or not pod.job else pod.name.replace(pod.job, f"{short[pod.job]}…"),
            pod.state,
            pod.ready,
            pod.restarts,
            _moment_text(pod.at),
        )
        for pod in found
    ]
    headers = ["namespace", "pod", "state", "ready", "restarts", _moment_name()]
    print_table(headers, rows, flexible=("pod", "state"))


@command("c2d-box cid QmYwAP…\nc2d-box cid bafy…/metrics.json --to metrics.json", name="cid")
@click.argument("cid")
@click.option("--to", "path", type=click.Path(dir_okay=False, path_type=Path), help="Into this file.")
def cid(cid: str, path: Path | None) -> None:
    """Content by its CID from the box's IPFS node, which has no peers: what this box has stored."""
    from sandbox.verbs.inspection.cid import open_cid

    found = open_cid(running_box(), cid)
    if path is None:
        print_content(found)
    else:
        # Bytes as they are: only a terminal has to be protected from them.
        path.write_bytes(found)
        print_line(path)


def _moment_name() -> str:
    return "created" if is_wide() else "age"


def _moment_text(moment: float) -> str:
    return time_text(moment) if is_wide() else age_text(moment)


@command(
    "c2d-box kubectl get pods -A\nc2d-box kubectl get workflows -n c2d-jobs",
    name="kubectl",
    context={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def kubectl(arguments: tuple[str, ...]) -> None:
    """kubectl, talking to the box's cluster. Everything after the word goes to kubectl, exit status
    included.
    """
    from c2d_box.errors import StateProblem
    from c2d_box.proxies import environment_without_proxy
    from sandbox.install.kubectl import program

    box = the_box()
    if not box.home.kubeconfig.exists():
        raise StateProblem("C2D-BOX-DOWN", "this box has no cluster yet", box.command_line("up"))
    # kubectl obeys proxy variables, and no proxy reaches a cluster on this machine.
    with box.kube_api() as kube:
        environment = environment_without_proxy(kube.server)
    environment["KUBECONFIG"] = str(box.home.kubeconfig)
    # kubectl takes the place of this process: terminal, signals and exit status are its own.
    os.execve(program(), ["kubectl", *arguments], environment)
