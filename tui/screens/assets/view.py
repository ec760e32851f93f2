"""An asset's record as screens show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tui.backend.port import Ddo
from tui.widgets.live_table import TableRow
from tui.widgets.text import one_line, short_id

# Ocean's states of an NFT (ERC721Template), as the metadata cache reports them.
STATES = {0: "active", 1: "ended", 2: "deprecated", 3: "revoked", 4: "no orders", 5: "unlisted"}


@dataclass(frozen=True, slots=True)
class AssetView:
    """The fields of a DDO that screens show; ``services`` holds the service types."""

    did: str
    kind: str
    name: str
    author: str
    price: str
    services: tuple[str, ...]
    owner: str
    state: str
    orders: str

    @classmethod
    def from_ddo(cls, ddo: Ddo) -> AssetView:
        """Return the view of a DDO. ``stats`` and ``nft`` are the cache's additions to the signed document;
        both may be missing.
        """
        metadata, stats, nft = ddo["metadata"], ddo.get("stats") or {}, ddo.get("nft") or {}
        return cls(
            did=str(ddo["id"]),
            kind=str(metadata.get("type")),
            name=one_line(metadata.get("name") or ""),
            author=one_line(metadata.get("author") or ""),
            price=_price_text(stats.get("price") or {}),
            services=tuple(str(service.get("type")) for service in ddo.get("services") or ()),
            owner=str(nft.get("owner") or ""),
            # A state beyond the contract's own must not stop the table from being drawn.
            state=STATES.get(int(nft.get("state") or 0), "?"),
            orders=str(stats.get("orders", "")),
        )


def _price_text(price: Mapping[str, Any]) -> str:
    """Return the price in words; a missing price counts as free."""
    value = price.get("value")
    if value in (None, 0, "0"):
        return "free"
    return one_line(f"{float(str(value)):g} {price.get('tokenSymbol') or ''}").strip()


def asset_row(view: AssetView) -> TableRow:
    """Return the asset's row of the assets table."""
    # The marks tell the kinds apart without colours.
    mark = "▤" if view.kind == "dataset" else "ƒ"
    cells = (
        f"{mark} {view.name}",
        view.kind,
        view.price,
        ", ".join(view.services),
        view.orders,
        view.state,
        short_id(view.did, 12),
    )
    return TableRow(view.did, cells, "" if view.state == "active" else "quiet", f"{view.author} {view.owner}")


def asset_names(ddos: list[Ddo] | None) -> dict[str, str]:
    """Return the names of assets by DID."""
    return {view.did: view.name for view in map(AssetView.from_ddo, ddos or [])}
