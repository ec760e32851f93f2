"""Puts what users set of the chart (limits, origins, ``values:``) on top of the values that the box makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.settings import BoxSettings

LIMIT_PLACES: dict[str, tuple[str, ...]] = {
    "requests_per_minute": ("provider", "limits", "perMinute"),
    "unknown_orders_per_minute": ("provider", "limits", "unknownOrders"),
    "checksum_bytes": ("provider", "fetch", "maxChecksumLength"),
    "algorithm_bytes": ("provider", "fetch", "maxAlgorithmLength"),
    "queue_seconds": ("operatorEngine", "limits", "queue"),
    "staging_seconds": ("operatorEngine", "limits", "staging"),
    "image_seconds": ("operatorEngine", "limits", "image"),
    "publishing_seconds": ("operatorEngine", "limits", "publishing"),
    "log_bytes": ("operatorEngine", "limits", "logBytes"),
    "output_files": ("operatorEngine", "limits", "outputFiles"),
    "output_bytes": ("operatorEngine", "limits", "outputBytes"),
}
"""The value of the chart behind each limit of the box file."""


def user_values(settings: BoxSettings) -> dict[str, Any]:
    """Return the values of the chart that the settings ask for, without those that every box has."""
    values: dict[str, Any] = {}
    if settings.origins:
        values = nested_value(("chain", "allowedOrigins"), list(settings.origins))
    for name, limit in settings.limits.items():
        # ``box.json`` may be that of another version, with a limit that this one does not know.
        if name in LIMIT_PLACES:
            values = merged_values(values, nested_value(LIMIT_PLACES[name], limit))
    return merged_values(values, settings.values)


def nested_value(place: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return ``value`` below the keys of ``place``."""
    for key in reversed(place):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def merged_values(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``above`` on top of ``below``, as helm merges: by section, lists and texts as a whole."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            value = merged_values(under, value)
        merged[key] = value
    return merged
