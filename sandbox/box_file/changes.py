"""Says what an ``up`` would change of a box, and which of its services that restarts.

The report comes before the change, so that a user of a running box sees what he is about to interrupt.
It only compares settings: the cluster is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from c2d_box.errors import StateProblem
from sandbox.box_file.settings_mapping import setting_keys
from sandbox.settings import BoxSettings

# A test compares this table with what helm renders before and after a change of each key.
RESTARTS: dict[str, tuple[str, ...]] = {
    "barge_keys": ("cache", "provider", "operator-service"),
    "existing.registry": ("all services",),
    "existing.pull_secret": ("all services",),
    "existing.pull_by_login": ("all services",),
    "existing.run_unproven_jobs": ("operator-engine",),
    "limits.requests_per_minute": ("provider",),
    "limits.unknown_orders_per_minute": ("provider",),
    "limits.checksum_bytes": ("provider",),
    "limits.algorithm_bytes": ("provider",),
    # Limits without an entry of their own are those of jobs, which the engine reads.
    "limits": ("operator-engine",),
    "origins": ("chain",),
    "ports.provider": ("cache", "provider", "operator-engine"),
    "ports.s3": ("provider",),
    "result_store": ("provider", "operator-service", "operator-engine"),
    "trust.empty_lists": ("provider",),
    # An expert's value may concern any service, and only helm knows which.
    "values": ("services that these values concern",),
}
"""Services that a change of a key restarts; the longest key counts, and a key without an entry restarts
none. The chart does it: a pod is made anew where its own configuration differs."""


@dataclass(frozen=True, slots=True)
class SettingChange:
    """One setting that an ``up`` changes."""

    key: str
    before: Any
    after: Any
    restarts: tuple[str, ...]

    def describe_change(self, is_running: bool) -> str:
        """Return the change as one line; in a running box with the services that it restarts."""
        text = f"{self.key}: {value_text(self.before)} → {value_text(self.after)}"
        if not is_running:
            return text
        return f"{text} (restarts {', '.join(self.restarts) or 'nothing'})"


def value_text(value: Any) -> str:
    """Return a value as it is written in a sentence."""
    # The three ways in which a key says nothing. ``False`` and 0 are values.
    if value in (None, "", []):
        return "none"
    # Before ``str``: the file says true and false, a sentence says yes and no.
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def setting_changes(before: BoxSettings, after: BoxSettings) -> list[SettingChange]:
    """Return what differs, by the keys of the box file."""
    # Both through the file's own keys: a change is told in the words in which the user wrote it.
    old, new = setting_keys(before), setting_keys(after)
    # Values of the chart may be on one side only.
    return [
        SettingChange(key, old.get(key), new.get(key), _restarts_of(key))
        for key in dict.fromkeys([*new, *old])
        if old.get(key) != new.get(key)
    ]


def demand_possible(before: BoxSettings, after: BoxSettings) -> None:
    """Raise ``C2D-BOX-KEYS-KEPT`` where the well-known keys are to be taken back: they replaced the box's own
    for good.
    """
    if before.barge_keys and not after.barge_keys:
        raise StateProblem(
            "C2D-BOX-KEYS-KEPT",
            "this box has the well-known signing keys, and its own are gone",
            "leave barge_keys: true; or c2d-box reset --all, which makes new ones",
        )


def _restarts_of(key: str) -> tuple[str, ...]:
    """Return the services that a change of ``key`` restarts, by its longest beginning that has an entry."""
    parts = key.split(".")
    # The longest first: ``limits.checksum_bytes`` concerns the Provider, most other limits the engine.
    for length in range(len(parts), 0, -1):
        if (name := ".".join(parts[:length])) in RESTARTS:
            return RESTARTS[name]
    return ()
