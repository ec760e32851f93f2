"""What tells assets apart: id, type, name, owner, age. Read for lists and for names that users type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.box import Box
from sandbox.verbs.publishing.asset_identity import ACTIVE
from sandbox.verbs.sdk_connections import connection_to

_ALL = 10_000
"""The most that one search of a metadata cache answers."""
# Only these keys are asked for: whole DDOs of thousands of assets would be megabytes.
_FIELDS = ("id", "metadata", "nft")


@dataclass(frozen=True, slots=True)
class AssetHead:
    """An asset in short. A field that its record lacks is empty or 0: an asset that has ended has no
    document.
    """

    did: str
    type: str
    name: str
    owner: str
    is_active: bool
    published: float
    """The first publication in seconds since 1970; 0 where it is not told."""

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> AssetHead:
        """Parse a record of the metadata cache, whose document is a stranger's.

        Never raises: one odd document must not hide all other assets from a list.
        """
        metadata, nft = (_section(record, key) for key in ("metadata", "nft"))
        return cls(
            str(record.get("id") or ""),
            str(metadata.get("type") or ""),
            str(metadata.get("name") or ""),
            str(nft.get("owner") or ""),
            # A number, or a text; a record without a state counts as active.
            nft.get("state") in (ACTIVE, str(ACTIVE), None),
            _unix_seconds(nft.get("created")),
        )


def list_asset_heads(box: Box) -> list[AssetHead]:
    """Return every asset the cache knows in short, newest first."""
    with connection_to(box) as connection:
        return [AssetHead.parse(each) for each in connection.cache.list_assets(_ALL, _FIELDS)]


def _section(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a section of the record; an empty one where a stranger put something else in its place."""
    found = record.get(key)
    return found if isinstance(found, Mapping) else {}


def _unix_seconds(value: Any) -> float:
    """Return an ISO time without a zone, which is UTC, in seconds; 0 for none."""
    try:
        # Aquarius writes no zone; local time would move every asset by some hours.
        return datetime.fromisoformat(str(value)).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return 0.0
