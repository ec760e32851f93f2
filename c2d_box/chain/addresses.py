"""Addresses of Ocean's contracts: one entry of the address file that Ocean's clients read too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from c2d_box.assets.addresses import checksum, is_address
from c2d_box.errors import StateProblem
from c2d_box.proxies import may_use_proxy
from c2d_box.strict_json import parse_json

CONNECT_SECONDS = 2.0
"""Time limit for a connection to the node. A connection that is begun just before the node's pod is back
stays with the old address, where nobody answers; the next one does not."""


@dataclass(frozen=True)
class Pools:
    """The contract set that still has pools: release 1.1.14, with a factory and templates of its own."""

    factory: str
    router: str
    staking: str
    template: str


@dataclass(frozen=True)
class Addresses:
    """Addresses are checksummed. ``network`` is the entry's name in the file (``development`` here)."""

    network: str
    chain_id: int
    ocean: str
    factory: str
    router: str
    fixed_price: str
    dispenser: str
    start_block: int = 0
    pools: Pools | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def load(path_or_url: str | Path, chain_id: int) -> Addresses:
    """The entry for ``chain_id``; StateProblem while the file is missing or incomplete."""
    return parse(_read(str(path_or_url)), chain_id)


def parse(document: Mapping[str, Any], chain_id: int) -> Addresses:
    """The entry for ``chain_id`` of an already read address file."""
    for network, entry in document.items():
        if isinstance(entry, dict) and entry.get("chainId") == chain_id:
            return _entry(network, entry, chain_id, document.get(f"{network}-pools"))
    raise StateProblem(
        "C2D-ADDRESSES-CHAIN",
        f"the address file has no entry for chain {chain_id}",
        "deploy the contracts there, or name the chain whose contracts the file lists",
    )


def _entry(network: str, entry: dict[str, Any], chain_id: int, pools: object) -> Addresses:
    def required(key: str) -> str:
        return _required(network, entry, key)

    return Addresses(
        network=network,
        chain_id=chain_id,
        ocean=required("Ocean"),
        factory=required("ERC721Factory"),
        router=required("Router"),
        fixed_price=required("FixedPrice"),
        dispenser=required("Dispenser"),
        start_block=int(entry.get("startBlock") or 0),
        pools=_pools(f"{network}-pools", pools) if isinstance(pools, dict) else None,
        raw=entry,
    )


def _pools(section: str, entry: dict[str, Any]) -> Pools:
    names = ("ERC721Factory", "Router", "Staking", "poolTemplate")
    return Pools(*(_required(section, entry, name) for name in names))


def _required(section: str, entry: dict[str, Any], key: str) -> str:
    if not is_address(entry.get(key)):
        raise StateProblem(
            "C2D-ADDRESSES-INCOMPLETE",
            f"the address file's entry {section} names no {key}",
            "deploy the contracts again, or repair the file",
        )
    return checksum(entry[key])


def _read(source: str) -> dict[str, Any]:
    try:
        if source.startswith(("http://", "https://")):
            timeout = httpx.Timeout(10.0, connect=CONNECT_SECONDS)
            response = httpx.get(source, timeout=timeout, trust_env=may_use_proxy(source))
            response.raise_for_status()
            value = parse_json(response.content)
        else:
            value = parse_json(Path(source).expanduser().read_bytes())
    except (OSError, ValueError, httpx.HTTPError) as error:
        raise StateProblem(
            "C2D-ADDRESSES-UNREADABLE",
            f"the address file {source} cannot be read",
            "wait until the contracts are deployed, then try again",
        ) from error
    return value if isinstance(value, dict) else {}
