"""Finds a publisher's rules in a DDO and changes them without losing what else is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from c2d_box.assets.documents.drafting import NOBODY


def compute_rules(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the ``compute`` sections of the services that decide; changes to them change the document."""
    return [service["compute"] for service in judged_services(document)]


def judged_services(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the services whose rules say who is trusted: the compute services, or all where there is none.

    An access service gets such rules then: as a job's additional dataset it obeys the same lists.
    """
    services = document["services"]
    chosen = [s for s in services if s.get("type") == "compute"] or services
    for service in chosen:
        # Missing fields are filled with refusals, so that a change of one rule opens no other.
        service["compute"] = {**NOBODY, **(service.get("compute") or {})}
    return chosen


def govern_services(document: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Change our settings in every service whose rules decide; without settings nothing changes."""
    if settings:
        for service in judged_services(document):
            update_settings(service, settings)


def update_settings(service: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Change ``additionalInformation.c2d``; a setting of None is taken out."""
    if not settings:
        return
    more = dict(service.get("additionalInformation") or {})
    # Other tools' fields beside ``c2d`` and our other settings stay as they are.
    merged = {**(more.get("c2d") or {}), **settings}
    more["c2d"] = {key: value for key, value in merged.items() if value is not None}
    service["additionalInformation"] = more


def trusted_entries(rules: Mapping[str, Any]) -> list[Any]:
    """Return the trusted algorithms; empty where the document has no list there.

    Documents of other tools may hold anything under the key.
    """
    listed = rules.get("publisherTrustedAlgorithms")
    return list(listed) if isinstance(listed, list) else []


def is_entry_of(entry: Any, did: str) -> bool:
    """Return whether an entry of the list names ``did``; entries may be of any type."""
    return isinstance(entry, dict) and entry.get("did") == did
