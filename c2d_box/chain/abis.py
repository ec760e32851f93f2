"""The contracts' interfaces, from the artifacts that the ``ocean-contracts`` package ships."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

FACTORY = "ERC721Factory"
NFT = "ERC721Template"
DATATOKEN = "ERC20Template"
ENTERPRISE = "ERC20TemplateEnterprise"
EXCHANGE = "FixedRateExchange"
DISPENSER = "Dispenser"
ROUTER = "FactoryRouter"
POOL = "BPool"


@cache
def contract_abi(contract: str) -> list[dict[str, Any]]:
    """The ABI of ``contract`` (its Solidity name); read once per process."""
    text = resources.files("artifacts").joinpath(f"{contract}.json").read_text()
    entries: list[dict[str, Any]] = json.loads(text)["abi"]
    return entries


@cache
def event_abi(contract: str, name: str) -> dict[str, Any]:
    """The ABI entry of one event."""
    return next(e for e in contract_abi(contract) if e["type"] == "event" and e["name"] == name)
