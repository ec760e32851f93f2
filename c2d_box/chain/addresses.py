"""Addresses of Ocean's contracts: one entry of the address file that Ocean's clients read too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from c2d_box.assets.addresses import checksum_address, is_address
from c2d_box.errors import StateProblem
from c2d_box.proxies import may_use_proxy
from c2d_box.strict_json import parse_json

CONNECT_SECONDS = 2.0
"""Time limit for a connection to the node. A connection that is begun just before the node's pod is back
stays with the old address, where nobody answers; the next one does not."""


@dataclass(frozen=True)
class PoolContracts:
    """The contract set that still has pools: release 1.1.14, with a factory and templates of its own."""

    # The order of these fields is the order of the names in `_pool_contracts`.
    factory: str
    router: str
    staking: str
    template: str


@dataclass(frozen=True)
class ContractAddresses:
    """Checksummed addresses of one chain's contracts.

    ``network`` is the entry's name in the file (``development`` here). ``start_block`` is where a scan for
    events begins: the contracts have none before it. ``raw`` is the whole entry, for names of tokens.
    """

    network: str
    chain_id: int
    ocean: str
    factory: str
    router: str
    fixed_price: str
    dispenser: str
    start_block: int = 0
    pools: PoolContracts | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def load_addresses(path_or_url: str | Path, chain_id: int) -> ContractAddresses:
    """Return the entry for ``chain_id`` from a file or an http(s) URL.

    Raises StateProblem while the file is missing, unreadable or incomplete: the box serves it only once
    its contracts are deployed.
    """
    return parse_addresses(_read(str(path_or_url)), chain_id)


def parse_addresses(document: Mapping[str, Any], chain_id: int) -> ContractAddresses:
    """The entry for ``chain_id`` of an already read address file."""
    # The first section of a chain counts, as with Ocean's clients; the pools stand in a later one.
    for network, entry in document.items():
        if isinstance(entry, dict) and entry.get("chainId") == chain_id:
            return _parse_entry(network, entry, chain_id, document.get(f"{network}-pools"))
    raise StateProblem(
        "C2D-ADDRESSES-CHAIN",
        f"the address file has no entry for chain {chain_id}",
        "deploy the contracts there, or name the chain whose contracts the file lists",
    )


def _parse_entry(network: str, entry: dict[str, Any], chain_id: int, pools: object) -> ContractAddresses:
    def required(key: str) -> str:
        return _required_address(network, entry, key)

    return ContractAddresses(
        network=network,
        chain_id=chain_id,
        ocean=required("Ocean"),
        factory=required("ERC721Factory"),
        router=required("Router"),
        fixed_price=required("FixedPrice"),
        dispenser=required("Dispenser"),
        # Older address files lack the key: the scan then begins at the first block.
        start_block=int(entry.get("startBlock") or 0),
        pools=_pool_contracts(f"{network}-pools", pools) if isinstance(pools, dict) else None,
        raw=entry,
    )


def _pool_contracts(section: str, entry: dict[str, Any]) -> PoolContracts:
    # A chain without pools has no such section; one that has it must name all four.
    names = ("ERC721Factory", "Router", "Staking", "poolTemplate")
    return PoolContracts(*(_required_address(section, entry, name) for name in names))


def _required_address(section: str, entry: dict[str, Any], key: str) -> str:
    # Checked when the file is read, so that no transaction is ever sent to a mistyped address.
    if not is_address(entry.get(key)):
        raise StateProblem(
            "C2D-ADDRESSES-INCOMPLETE",
            f"the address file's entry {section} names no {key}",
            "deploy the contracts again, or repair the file",
        )
    return checksum_address(entry[key])


def _read(source: str) -> dict[str, Any]:
    """Return the parsed file, or an empty object where its JSON is no object.

    An unfinished or half-written file is a state of the box that passes, so every fault of reading is one
    StateProblem.
    """
    try:
        if source.startswith(("http://", "https://")):
            # Ten seconds for the answer; the time to connect is shorter, see CONNECT_SECONDS.
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
