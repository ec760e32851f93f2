"""The contracts' interfaces, from the artifacts that the ``ocean-contracts`` package ships.

No ABI is copied into this project: a name that the package lacks fails at its first use.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

# Solidity names: they are the artifacts' file names and the keys of every call in this package.
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
    """Return the ABI of ``contract`` (its Solidity name). The file is read once per process.

    The cached list is shared by all callers, so none may change it.
    """
    # The package installs its artifacts as a top-level package ``artifacts``, not under its own name.
    text = resources.files("artifacts").joinpath(f"{contract}.json").read_text()
    entries: list[dict[str, Any]] = json.loads(text)["abi"]
    return entries


@cache
def event_abi(contract: str, name: str) -> dict[str, Any]:
    """Return the ABI entry of one event; its order of inputs is that of topics and data."""
    # Names of events are unique within each of these contracts; an unknown name is a programming error.
    return next(e for e in contract_abi(contract) if e["type"] == "event" and e["name"] == name)
