"""Refuses a command for a box that is absent, stopped or mistyped, before anything of it is asked.

Boxes may have the same ports, one after the other. Without this check a command for a box that does not run
would reach the services of another one that does.
"""

from __future__ import annotations

from c2d_box.errors import StateProblem
from sandbox.box import Box, default_home, list_box_names

_REACHABLE = frozenset({"starting", "running", "degraded"})
"""States in which the box's ports are its own: no other box can have them."""


def demand_known_box(box: Box) -> None:
    """Raise ``C2D-BOX-DOWN`` for a box that was never made, with the names of those that there are."""
    if box.exists:
        return
    # The names answer the usual cause, a slip in ``--name``.
    others = [name for name in list_box_names() if name != box.name]
    # A home that was given by its path is also told by its path.
    here = box.home == default_home(box.name)
    raise StateProblem(
        "C2D-BOX-DOWN",
        f"there is no box called {box.name}" if here else f"there is no box at {box.home.path}",
        f"{box.command_line('up')} makes it" + (f"; there are: {', '.join(others)}" if others else ""),
    )


def demand_running_box(box: Box) -> None:
    """Raise ``C2D-BOX-DOWN`` unless the box runs; the message says whether it is absent, stopped or broken.

    It asks the cluster's driver, which needs no network, and no service.
    """
    demand_known_box(box)
    # Not the services: a degraded box answers some of them, and commands may still be of use.
    state = box.cluster.status().state
    if state not in _REACHABLE:
        # A box whose first ``up`` was interrupted has its file, and no cluster yet.
        text = "not up yet" if state == "absent" else state
        raise StateProblem("C2D-BOX-DOWN", f"the box {box.name} is {text}", box.command_line("up"))
