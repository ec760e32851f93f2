"""The two actions on the box as a whole."""

from __future__ import annotations

from tui.actions.action import UserAction
from tui.backend.port import BackendPort


def boot_action(source: BackendPort) -> UserAction:
    """Return the action that boots or resumes the box."""
    return UserAction(
        title=f"Boot the box {source.name}?",
        command=source.command_line("up"),
        verb=source.boot_box,
        effects=(
            "builds what is missing, starts Kubernetes, installs the services",
            "resumes where it was: nothing is lost",
        ),
        proceed="Boot",
    )


def stop_action(source: BackendPort) -> UserAction:
    """Return the action that stops every process of the box and keeps its state."""
    return UserAction(
        title=f"Stop the box {source.name}?",
        command=source.command_line("down"),
        verb=lambda _ask: source.stop_box(),
        effects=("chain, assets, results and keys stay; up goes on from there",),
        losses=("every process of the box ends, jobs under way are interrupted",),
        proceed="Stop the box",
    )
