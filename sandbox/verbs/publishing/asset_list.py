"""``assets``: chooses some of the published assets.

Whole records are read here, unlike for names: a search looks into descriptions and tags too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.box import Box
from sandbox.identifier_match import Candidate, choose_candidate
from sandbox.verbs.accounts import account_address, account_candidates
from sandbox.verbs.publishing.asset_heads import AssetHead
from sandbox.verbs.publishing.assets import list_assets

ASSET_STATES = ("active", "ended")


@dataclass(frozen=True, slots=True)
class AssetFilter:
    """Which assets to list; an empty field admits all."""

    kind: str = ""
    """``dataset`` or ``algorithm``."""
    owner: str = ""
    """A role, an index, an address or the beginning of one."""
    state: str = ""
    text: str = ""
    """Part of an id, name, description, author or tag, without case."""
    since: float = 0.0
    """Seconds since 1970; assets first published before it are left out."""


def choose_assets(box: Box, wanted: AssetFilter) -> list[tuple[AssetHead, Mapping[str, Any]]]:
    """Return the assets that the filter admits with their DDOs, newest first."""
    found = [(AssetHead.parse(record), record) for record in list_assets(box)]
    # Once and before the loop: a beginning that fits several accounts is an error, not an empty list.
    owner = _owner_address(wanted.owner, [head for head, _ in found]) if wanted.owner else ""
    return [(head, record) for head, record in found if _is_admitted(head, record, wanted, owner)]


def _owner_address(given: str, heads: list[AssetHead]) -> str:
    """Return the address of an owner: an account of the box, or whoever owns one of these assets."""
    own = account_candidates()
    known = {candidate.id.lower() for candidate in own}
    # On a chain outside the box most owners are no account of it.
    strangers = {head.owner.lower() for head in heads if head.owner} - known
    chosen = choose_candidate("account", given, [*own, *map(Candidate, sorted(strangers))])
    # Whoever owns nothing here is told apart from a slip of the finger, which raises.
    return chosen.id if chosen else account_address(given)


def _is_admitted(head: AssetHead, record: Mapping[str, Any], wanted: AssetFilter, owner: str) -> bool:
    """Return whether an asset meets every field of the filter that is not empty."""
    words = " ".join((head.did, *_texts(record.get("metadata"))))
    return (
        wanted.kind in ("", head.type)
        and owner.lower() in ("", head.owner.lower())
        and (not wanted.state or (wanted.state == "active") == head.is_active)
        and wanted.text.casefold() in words.casefold()
        # An unknown time counts as 0, so such an asset is left out of "since" and of nothing else.
        and (not wanted.since or head.published >= wanted.since)
    )


def _texts(metadata: Any) -> Iterator[str]:
    """Yield what a search reads of a stranger's document: name, description, author and tags."""
    if isinstance(metadata, Mapping):
        yield from (str(metadata.get(key) or "") for key in ("name", "description", "author"))
        # The record is a stranger's: a type that is not expected has no words and raises nothing.
        tags = metadata.get("tags")
        yield from map(str, tags if isinstance(tags, list) else ())
