"""The accounts that can act in the box: those of the well-known mnemonic, by role.

They hold test money and nothing else: services sign with keys of their own. The mnemonic is public; never
send real money there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from c2d_box.errors import UsageError
from c2d_box.units import ETHER
from sandbox.box import Box
from sandbox.verbs.chain_connection import chain_of

if TYPE_CHECKING:
    from c2d_box.chain.accounts import Signer

MNEMONIC = "taxi music thumb unique chat sand crew more leg another off lamp"
# The accounts of the mnemonic that the test chain endows; a role is the index of one of them.
ACCOUNTS = 20
ROLES = {"deployer": 0, "publisher": 3, "consumer2": 5, "consumer": 7}


@dataclass(frozen=True, slots=True)
class BoxAccount:
    """An account with its balances, in whole units."""

    role: str
    index: int
    address: str
    eth: float
    ocean: float


def signer(who: str) -> Signer:
    """Return the signer for a role, an index or one of the mnemonic's addresses. Raises
    ``C2D-ACCOUNT-UNKNOWN``.

    Only accounts of the mnemonic can act: the box knows no other private key that a user could mean.
    """
    from c2d_box.chain import accounts

    if who in ROLES:
        return accounts.from_mnemonic(MNEMONIC, ROLES[who])
    if who.isdigit() and int(who) < ACCOUNTS:
        return accounts.from_mnemonic(MNEMONIC, int(who))
    # Addresses are compared without case: the checksum of EIP-55 is in the case, and users paste both forms.
    if who.lower().startswith("0x"):
        for index in range(ACCOUNTS):
            candidate = accounts.from_mnemonic(MNEMONIC, index)
            if candidate.address.lower() == who.lower():
                return candidate
    raise UsageError(
        "C2D-ACCOUNT-UNKNOWN",
        f"{who} is no account of this box",
        f"use {', '.join(ROLES)}, an index below {ACCOUNTS}, or an address that c2d-box accounts lists",
    )


def list_accounts(box: Box, count: int = ACCOUNTS) -> list[BoxAccount]:
    """Return every account with its balances as of now, in whole ETH and OCEAN."""
    from c2d_box.chain import accounts as keys

    chain = chain_of(box)
    roles = {index: role for role, index in ROLES.items()}
    found = []
    for index in range(count):
        address = keys.from_mnemonic(MNEMONIC, index).address
        eth = chain.web3.eth.get_balance(chain.web3.to_checksum_address(address)) / ETHER
        ocean = chain.read_view("ERC20Template", chain.addresses.ocean, "balanceOf", address) / ETHER
        found.append(BoxAccount(roles.get(index, ""), index, address, eth, ocean))
    return found
