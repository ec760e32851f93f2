"""Checks a chain outside the box: whether it answers, its id, and where Ocean's contracts are on it.

Everything is checked before a cluster is booted for it. Pods reach the chain by the same URL, so an address
of this machine's loopback cannot be used.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from c2d_box.errors import EnvironmentProblem, UsageError
from c2d_box.strict_json import parse_json
from sandbox.settings import ChainChoice


def choose_chain(rpc_url: str, address_file: Path | None) -> ChainChoice:
    """Return the choice that ``--chain-rpc`` and ``--address-file`` ask for; contact nothing.

    The address file's path is made absolute: later commands run in other folders.
    """
    try:
        parts = urlsplit(rpc_url)
        # Reading the port checks it: httpx would raise for one out of range.
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        host = None
    if not host or not rpc_url.startswith(("http://", "https://")):
        raise UsageError(
            "C2D-USAGE-CHAIN", f"{rpc_url} is not an http(s) URL", "for example http://10.0.0.5:8545"
        )
    if _is_loopback(host):
        raise UsageError(
            "C2D-CHAIN-LOOPBACK",
            f"{host} means the pod itself to the box's services: they cannot reach this machine's loopback",
            "let the node listen on an address of this machine's network, and give that",
        )
    if address_file is not None and not address_file.is_file():
        raise UsageError("C2D-USAGE-CHAIN", f"{address_file} is not a file", "give Ocean's address file")
    return ChainChoice("rpc", rpc_url, address_file=str(address_file.absolute()) if address_file else None)


def examine_chain(choice: ChainChoice) -> tuple[ChainChoice, dict[str, Any]]:
    """Return the choice with the chain's own id, and the address file's content.

    Raise ``C2D-CHAIN-UNREACHABLE``, ``C2D-ADDRESSES-MISSING`` or ``C2D-ADDRESSES-CHAIN`` for what is missing:
    all of it is known here before minutes are spent on a cluster.
    """
    assert choice.rpc_url is not None
    chain_id = _chain_id(choice.rpc_url)
    document = _contract_addresses(choice)
    # Ocean's file has a section per network; the id is what tells which one belongs to this chain.
    if not any(isinstance(e, dict) and e.get("chainId") == chain_id for e in document.values()):
        raise EnvironmentProblem(
            "C2D-ADDRESSES-CHAIN",
            f"the address file has no entry for chain {chain_id}",
            "give the file of the chain whose contracts it lists: --address-file FILE",
        )
    return replace(choice, chain_id=chain_id), document


def _chain_id(url: str) -> int:
    """Return the chain's id as its node tells it (EIP-695); never one that a user typed."""
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    try:
        # Without a proxy of this machine's environment: the pods will have none either.
        answer = parse_json(httpx.post(url, json=request, timeout=10.0, trust_env=False).content)
        return int(str(answer["result"]), 16)
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as cause:
        raise EnvironmentProblem(
            "C2D-CHAIN-UNREACHABLE",
            f"no Ethereum node answers at {url}",
            "start it, or give another --chain-rpc",
        ) from cause


def _contract_addresses(choice: ChainChoice) -> dict[str, Any]:
    """Return the address file's content, from the file or URL of the choice."""
    source = choice.address_file or f"{str(choice.rpc_url).rstrip('/')}/address.json"
    try:
        if choice.address_file:
            text = Path(choice.address_file).read_text()
        else:
            text = httpx.get(source, timeout=10.0, trust_env=False).raise_for_status().text
        document = parse_json(text)
    except (OSError, httpx.HTTPError, ValueError) as cause:
        raise EnvironmentProblem(
            "C2D-ADDRESSES-MISSING",
            f"the contracts' addresses cannot be read from {source}",
            "name Ocean's address file: --address-file FILE",
        ) from cause
    if not isinstance(document, dict):
        raise EnvironmentProblem(
            "C2D-ADDRESSES-MISSING", f"{source} is no address file", "--address-file FILE"
        )
    return document


def _is_loopback(host: str) -> bool:
    """Return whether the host leads to the machine that asks; False for other names, which only the pods
    could resolve.
    """
    # A dot at the end marks a complete name, and changes nothing else.
    host = host.removesuffix(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    # Connections to the unspecified address (0.0.0.0, ::) lead to the machine itself.
    return address.is_loopback or address.is_unspecified
