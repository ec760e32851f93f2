"""kubectl: the box's own binary on the box's own cluster."""

from __future__ import annotations

import os

import click

from sandbox.cli.declare import command
from sandbox.cli.opening import the_box


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
