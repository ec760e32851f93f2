"""kubectl: the box's own binary on the box's own cluster."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

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

    box = the_box()
    if not box.home.kubeconfig.exists():
        raise StateProblem("C2D-BOX-DOWN", "this box has no cluster yet", box.command("up"))
    environment = {**os.environ, "KUBECONFIG": str(box.home.kubeconfig)}
    os.execve(_program(), ["kubectl", *arguments], environment)


def _program() -> Path:
    """The bundle's own; a bundle for kind has none, then the user's, as kind's users usually have one."""
    from c2d_box.errors import StateProblem
    from sandbox.bundle import Bundle

    try:
        return Bundle.open(["kube"]).binary("kube")
    except StateProblem as missing:
        if found := shutil.which("kubectl"):
            return Path(found)
        raise StateProblem(
            "C2D-KUBECTL-MISSING",
            "neither the bundle nor this machine has a kubectl",
            "c2d-box bundle build kube; or install kubectl",
        ) from missing
