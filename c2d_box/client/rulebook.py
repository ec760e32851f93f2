"""Finds a publisher's rules in a DDO and changes them without losing what else is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from c2d_box.assets.documents.drafting import NOBODY


def compute_rules(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [service["compute"] for service in judged_services(document)]


def judged_services(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the services whose rules say who is trusted: the compute services, or all where there is none.

    An access service gets such rules then: as a job's additional dataset it obeys the same lists.
    """
    services = document["services"]
    chosen = [s for s in services if s.get("type") == "compute"] or services
    for service in chosen:
        service["compute"] = {**NOBODY, **(service.get("compute") or {})}
    return chosen


def update_settings(service: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Change ``additionalInformation.c2d``; a setting of None is taken out."""
    if not settings:
        return
    more = dict(service.get("additionalInformation") or {})
    merged = {**(more.get("c2d") or {}), **settings}
    more["c2d"] = {key: value for key, value in merged.items() if value is not None}
    service["additionalInformation"] = more


def trusted_entries(rules: Mapping[str, Any]) -> list[Any]:
    listed = rules.get("publisherTrustedAlgorithms")
    return list(listed) if isinstance(listed, list) else []


def is_entry_of(entry: Any, did: str) -> bool:
    return isinstance(entry, dict) and entry.get("did") == did
