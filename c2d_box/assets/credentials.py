"""Rules on who may use an asset at all: its credential lists and the state of its NFT.

Only entries of type ``address`` exist in this generation, and only the first such entry of a list counts. A
non-empty allow list decides alone; otherwise the deny list does.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from c2d_box.assets.documents.ddo import DDO
from c2d_box.strict_json import JsonRefused, parse_json

IN_DENY_LIST = "CREDENTIAL_IN_DENY_LIST"
"""A name of Ocean's ``ConsumableCodes``, as the Provider's text has it."""
NOT_IN_ALLOW_LIST = "CREDENTIAL_NOT_IN_ALLOW_LIST"
ASSET_DISABLED = "ASSET_DISABLED"
USABLE_STATES = frozenset({0, 5})  # active, unlisted
_NOBODY: dict[str, Any] = {"allow": [{"type": "address", "values": ["nobody"]}]}
"""An allow list that no address is on: a non-empty one decides alone."""


def check_credentials(ddo: DDO, consumer: str, environments: Collection[str] = ()) -> str | None:
    """Return None, or the code that refuses ``consumer``. ``environments``: addresses of compute environments
    that pass, which is only for quotes (and for the original's pods, where a setting lets them in)."""
    if consumer.lower() in {address.lower() for address in environments}:
        return None
    # An empty list restricts nobody; one with a wrong type of entries counts as empty too.
    allow, deny = _listed_addresses(ddo, "allow"), _listed_addresses(ddo, "deny")
    if allow:
        return None if consumer.lower() in allow else NOT_IN_ALLOW_LIST
    return IN_DENY_LIST if consumer.lower() in deny else None


def access_refusal(
    ddo: DDO, consumer: str, chain_state: int | None, environments: Collection[str] = ()
) -> str | None:
    """Return None, or the text refusing ``consumer`` the asset; ``chain_state`` is the NFT's state on the
    chain.

    Texts are the Provider's, without its ``Provider <network>: `` prefix.
    """
    nft = ddo.nft or {}
    if not nft.get("address") or not ddo.chain_id:
        return "Asset malformed or disabled."
    # The chain first: what a metadata cache says of the state may be old.
    if chain_state not in USABLE_STATES:
        return "Asset is not consumable."
    code: str | None
    told = nft.get("state")  # whatever a cache says: only a number can be a state, and True is none
    if type(told) is not int or told not in USABLE_STATES or not ddo.metadata.raw:
        code = ASSET_DISABLED
    else:
        code = check_credentials(ddo, consumer, environments)
    if code is None:
        return None
    return f"Error: Access to asset {ddo.id} was denied with code: ConsumableCodes.{code}."


def _listed_addresses(ddo: DDO, which: str) -> set[str]:
    """Return the addresses of the first ``address`` entry of a list, in lower case; empty where there is
    none."""
    entries = _credential_lists(ddo.credentials).get(which)
    if not isinstance(entries, list):
        return set()
    # Only the first, as the original does: a second list of addresses has no effect there either.
    entry = next((e for e in entries if isinstance(e, dict) and e.get("type") == "address"), None)
    values = entry.get("values") if entry else None
    return {v.lower() for v in values if isinstance(v, str)} if isinstance(values, list) else set()


def _credential_lists(credentials: Any) -> dict[str, Any]:
    """Return the lists of a DDO. Old records carry them as JSON text; lists that cannot be read let nobody
    in."""
    if not credentials:
        return {}
    if isinstance(credentials, str):
        try:
            credentials = parse_json(credentials)
        except JsonRefused:
            return _NOBODY
    return credentials if isinstance(credentials, dict) else _NOBODY
