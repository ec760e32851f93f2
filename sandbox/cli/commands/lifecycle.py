"""up, down, reset.

``up`` remembers its options in the box: given once, they hold until they are given anew. So options have None
as their default, which means "as last time".
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from c2d_box.errors import UsageError
from sandbox.box import Box
from sandbox.cli.declare import command
from sandbox.cli.narration import perform_verb
from sandbox.cli.opening import ask_agreement, the_box
from sandbox.cli.output import print_json, print_pairs, print_text
from sandbox.cli.settings import current
from sandbox.clusters.driver_registry import DRIVERS
from sandbox.display_text import visible_line
from sandbox.settings import BoxSettings, ChainChoice


@command("c2d-box up\nc2d-box --name second up --port-offset 100", name="up")
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Use this box file, not the home's c2d-box.yaml (see config).",
)
@click.option(
    "--cluster",
    type=click.Choice(["auto", *DRIVERS]),
    help="What carries the box. auto: what it has, else kind where Docker answers, else native.",
)
@click.option(
    "--kubeconfig", type=click.Path(dir_okay=False), help="For --cluster existing: default kubectl's."
)
@click.option("--context", help="For --cluster existing: which context (default: the current one).")
@click.option(
    "--registry",
    metavar="HOST[:PORT][/PATH]",
    help="For --cluster existing: images are pushed there, nodes pull from there.",
)
@click.option(
    "--pull-secret",
    metavar="NAMESPACE/NAME",
    help="For --cluster existing: a Secret there with which nodes pull from the registry; copied.",
)
@click.option(
    "--pull-by-login",
    is_flag=True,
    default=None,
    help="For --cluster existing: make that Secret of your docker login for the registry.",
)
@click.option(
    "--run-unproven-jobs",
    is_flag=True,
    default=None,
    help="For --cluster existing: run jobs even where nothing keeps them from the network.",
)
@click.option("--port-offset", type=int, help="Move every port by this much (a second box).")
@click.option("--port", "ports", multiple=True, metavar="NAME=PORT", help="One port, e.g. provider=18030.")
@click.option("--chain", type=click.Choice(["testchain"]), help="Which chain runs in the box.")
@click.option("--chain-rpc", metavar="URL", help="Use a chain outside the box instead.")
@click.option(
    "--address-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Ocean's contracts on that chain (default: URL/address.json).",
)
@click.option(
    "--barge-keys", is_flag=True, default=None, help="Well-known signing keys, for client test-suites."
)
@click.option(
    "--trust-empty-lists",
    type=click.Choice(["none", "all"]),
    help="Who may compute where a dataset's trust lists are empty.",
)
@click.option("--result-store", type=click.Choice(["ipfs", "s3"]), help="Where results of jobs are kept.")
def up(
    file: Path | None,
    cluster: str | None,
    kubeconfig: str | None,
    context: str | None,
    registry: str | None,
    pull_secret: str | None,
    pull_by_login: bool | None,
    run_unproven_jobs: bool | None,
    port_offset: int | None,
    ports: tuple[str, ...],
    chain: str | None,
    chain_rpc: str | None,
    address_file: Path | None,
    barge_keys: bool | None,
    trust_empty_lists: str | None,
    result_store: str | None,
) -> None:
    """Boot the box, or resume it where it was.

    Builds what is missing, starts Kubernetes, installs the services, waits until each answers. Safe to
    repeat, also after Ctrl-C or a crash at any point. What the box file says is applied; options win over it.
    """
    from sandbox.box_file.settings_mapping import declared_box

    box = the_box()
    declared = declared_box(box, file)
    # Each step below overlays what was given now on what the file declares, or the box remembers.
    settings = settings_with_ports(declared.settings, port_offset, ports)
    settings = replace(settings, chain=chosen_chain(settings.chain, chain, chain_rpc, address_file))
    if cluster:
        settings = replace(settings, cluster="" if cluster == "auto" else cluster)
    # Absolute, as ``box.json`` is read from other folders later.
    given = {"kubeconfig": kubeconfig and str(Path(kubeconfig).absolute()), "context": context}
    given |= {"registry": registry, "pull_secret": pull_secret}
    settings = guest_settings(settings, given, pull_by_login, run_unproven_jobs)
    # None means "as last time": only what is given now changes what the box remembers.
    if barge_keys is not None:
        settings = replace(settings, barge_keys=barge_keys)
    if trust_empty_lists is not None:
        settings = replace(settings, trust_empty_lists=trust_empty_lists)
    if result_store is not None:
        settings = replace(settings, result_store=result_store)
    if declared is not box:
        print_overrides(declared.settings, settings)
    # Before the boot, which takes long enough that nobody reads a warning after it.
    print_warnings(settings)
    from sandbox.verbs.lifecycle.up import up as verb

    report = perform_verb(verb(Box(box.home, settings), yes=current().yes, confirm=ask_agreement))
    if print_json(report):
        return
    print_pairs({**report.urls, "kubeconfig": report.kubeconfig, "addresses": report.address_file})
    print(
        f"\nup in {report.seconds:.1f} s. Next: {box.command_line('demo')}, "
        f'or eval "$({box.command_line("env")})"',
        file=sys.stderr,
    )


def settings_with_ports(
    settings: BoxSettings,
    port_offset: int | None,
    ports: tuple[str, ...],
) -> BoxSettings:
    """Return what the box remembers, with the ports given now. An offset starts from the default ports, so
    giving it twice does not add up; single ports override it. Raises ``C2D-USAGE-PORT`` for a text that is
    not ``NAME=PORT``."""
    chosen_ports = settings.ports if port_offset is None else type(settings.ports)().with_offset(port_offset)
    for item in ports:
        name, _, number = item.partition("=")
        # An unknown name is refused by ``with_port``, which knows the ports.
        if not number.isdigit():
            raise UsageError(
                "C2D-USAGE-PORT", f"{item} is not NAME=PORT", "for example --port provider=18030"
            )
        chosen_ports = chosen_ports.with_port(name, int(number))
    return replace(settings, ports=chosen_ports)


def guest_settings(
    settings: BoxSettings,
    given: Mapping[str, str | None],
    pull_by_login: bool | None,
    unproven_jobs: bool | None,
) -> BoxSettings:
    """Return what the box remembers of somebody's cluster, with what is given now. Of the two ways to a
    Secret for pulling, the one given now replaces the other. Raises ``C2D-USAGE`` where options exclude each
    other, or are for another kind of cluster than this box has."""
    said: dict[str, Any] = {name: value for name, value in given.items() if value}
    # An option that would have no effect is an error: the user believes that something was set.
    if (said or pull_by_login or unproven_jobs) and settings.cluster != "existing":
        raise UsageError(
            "C2D-USAGE",
            "--kubeconfig, --context, --registry, --pull-secret, --pull-by-login and --run-unproven-jobs are "
            "for a cluster of somebody else",
            "name it: --cluster existing",
        )
    if pull_by_login and "pull_secret" in said:
        raise UsageError(
            "C2D-USAGE", "--pull-secret and --pull-by-login exclude each other", "give one of them"
        )
    # The two ways exclude each other also over time: the new one clears the one remembered.
    if pull_by_login or "pull_secret" in said:
        said = {"pull_secret": "", **said, "pull_by_login": bool(pull_by_login)}
    if unproven_jobs is not None:
        settings = replace(settings, unproven_jobs=unproven_jobs)
    return replace(settings, existing=replace(settings.existing, **said))


def chosen_chain(
    before: ChainChoice, chain: str | None, rpc_url: str | None, address_file: Path | None
) -> ChainChoice:
    """Return the chain that the box remembers, or the one asked for now. URL and address file of an external
    chain are checked for their form; nothing is contacted."""
    if chain and rpc_url:
        raise UsageError("C2D-USAGE", "--chain and --chain-rpc exclude each other", "give one of them")
    if rpc_url:
        from sandbox.install.external_chain import choose_chain

        return choose_chain(rpc_url, address_file)
    return ChainChoice(chain) if chain else before


def print_overrides(declared: BoxSettings, settings: BoxSettings) -> None:
    """Say which keys of the box file the command line sets otherwise, until the next ``up``."""
    from sandbox.box_file.changes import setting_changes, value_text

    for change in setting_changes(declared, settings):
        text = (
            f"note: {change.key} is {value_text(change.after)} for this up; "
            f"the box file says {value_text(change.before)}"
        )
        print(visible_line(text), file=sys.stderr)


def print_warnings(settings: BoxSettings) -> None:
    """Print what weakens the box, to stderr: at every ``up``, since the box remembers such options."""
    if settings.unproven_jobs:
        print(
            "WARNING: JOBS RUN EVEN WHERE NOTHING KEEPS THEM FROM THE NETWORK; they can carry data away",
            file=sys.stderr,
        )
    if settings.barge_keys:
        print("warning: barge keys are public; whoever reads this can sign as this Provider", file=sys.stderr)
    if settings.trust_empty_lists == "all":
        print("warning: datasets without trust lists are open to every algorithm", file=sys.stderr)
    if settings.values:
        print("warning: values of the chart are set by hand (c2d-box config show values)", file=sys.stderr)


@command("c2d-box down", name="down")
def down() -> None:
    """Stop everything, keep the state. `up` goes on from there."""
    from sandbox.verbs.lifecycle.down import down as verb

    box = the_box()
    report = perform_verb(verb(box))
    if not print_json(report):
        print_text(
            f"{box.name} is down; its state stays in {box.home.path}"
            if report.kept
            else "there is no box here"
        )


@command("c2d-box reset\nc2d-box reset --assets --yes\nc2d-box reset --all --yes", name="reset")
@click.option("--all", "everything", is_flag=True, help="Forget keys, name and ports too: the whole home.")
@click.option(
    "--assets", "assets_only", is_flag=True, help="Back to the last seed (or first up); nothing is stopped."
)
def reset(everything: bool, assets_only: bool) -> None:
    """Stop and forget: cluster, chain, assets, jobs, results. Says what, then asks."""
    from sandbox.verbs.lifecycle.down import reset as verb
    from sandbox.verbs.lifecycle.down import reset_losses

    box = the_box()
    if assets_only:
        return _reset_assets(box, everything)
    if not box.home.path.exists():
        if not print_json({"name": box.name, "home": box.home.path, "kept": False}):
            print_text("there is no box here")
        return None
    # Counted before the question, so that the user knows what the yes is worth.
    cost = reset_losses(box, everything=everything)
    print(f"reset of {cost.home} ({cost.bytes / 1e6:.0f} MB) forgets:", file=sys.stderr)
    for line in cost.forgotten:
        print(f"  - {line}", file=sys.stderr)
    print(f"and keeps: {', '.join(cost.kept)}", file=sys.stderr)
    _demand_agreement()
    report = perform_verb(verb(box, everything=everything))
    if not print_json(report):
        print_text(f"{box.name} is forgotten")
    return None


def _demand_agreement() -> None:
    """Raise ``C2D-RESET-NOT-CONFIRMED`` unless the user agrees; without a terminal only ``--yes`` does."""
    if not ask_agreement("Forget all that?"):
        raise UsageError(
            "C2D-RESET-NOT-CONFIRMED", "nothing was forgotten", "answer yes, or pass --yes in a script"
        )


def _reset_assets(box: Box, everything: bool) -> None:
    """Return the box to its last seed, which leaves cluster, keys and ports as they are."""
    from sandbox.seeding import return_to_baseline

    if everything:
        raise UsageError("C2D-USAGE", "--all and --assets exclude each other", "give one of them")
    print("forgets assets, orders, jobs and results since the last seed (or first up)", file=sys.stderr)
    _demand_agreement()
    perform_verb(return_to_baseline(box))
    if not print_json({"name": box.name, "home": box.home.path, "kept": True}):
        print_text("the box is as it was after its last seed (or first up)")
