"""Converts timestamps: Unix seconds (UTC, float) inside, RFC 3339 with microseconds in Kubernetes objects."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339_text(seconds: float) -> str:
    """Return a time as ``2026-01-01T00:00:00.000000Z``, which Kubernetes' MicroTime (in Leases) insists
    on."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def rfc3339_seconds(text: str) -> float:
    """Return the Unix seconds of an RFC 3339 text with a zone, as Kubernetes writes it: with or without
    fractions."""
    return datetime.fromisoformat(text).timestamp()
