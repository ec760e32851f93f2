"""The two actions on the box as a whole."""

from __future__ import annotations

from tui.actions.action import Action
from tui.backend.port import Source


def up(source: Source) -> Action:
    """Return the action that boots or resumes the box."""
    return Action(
        title=f"Boot the box {source.name}?",
        command=source.command("up"),
        verb=source.up,
        effects=(
            "builds what is missing, starts Kubernetes, installs the services",
            "resumes where it was: nothing is lost",
        ),
        proceed="Boot",
    )


def down(source: Source) -> Action:
    """Return the action that stops every process of the box and keeps its state."""
    return Action(
        title=f"Stop the box {source.name}?",
        command=source.command("down"),
        verb=lambda _ask: source.down(),
        effects=("chain, assets, results and keys stay; up goes on from there",),
        losses=("every process of the box ends, jobs under way are interrupted",),
        proceed="Stop the box",
    )
