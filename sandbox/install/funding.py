"""Sends coins to the one account of the box's services that sends transactions: the register, which turns
results into assets. The coins come from the well-known mnemonic, which holds nothing but test money.
"""

from __future__ import annotations

from typing import Any

import httpx

from c2d_box.errors import Failed
from c2d_box.strict_json import parse_json
from c2d_box.units import ETHER
from sandbox.box import Box
from sandbox.keys import open_keys

ENOUGH, GIFT = ETHER, 100 * ETHER
"""Balance in wei at which the account is left alone, and what it gets otherwise."""


def fund_register(box: Box) -> None:
    """Top up the register's account where it is low; the test chain signs for the mnemonic's accounts.

    Safe to repeat at every ``up``: it looks at the balance first, and waits for no receipt.
    """
    address = open_keys(box.home.keys_folder, barge=box.settings.barge_keys).key_address("register-key")
    url = box.service_urls["chain"]
    if int(_call_rpc(url, "eth_getBalance", [address, "latest"]), 16) >= ENOUGH:
        return
    giver = _call_rpc(url, "eth_accounts", [])[0]
    _call_rpc(url, "eth_sendTransaction", [{"from": giver, "to": address, "value": hex(GIFT)}])


def _call_rpc(url: str, method: str, parameters: list[Any]) -> Any:
    """Return the result of one JSON-RPC call; raise ``C2D-REGISTER-FUNDS`` where the chain refuses."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    answer = parse_json(httpx.post(url, json=body, timeout=10.0, trust_env=False).content)
    if "error" in answer:
        text = f"the chain refused {method}: {answer['error'].get('message')}"
        raise Failed("C2D-REGISTER-FUNDS", text, "c2d-box logs chain")
    return answer["result"]
