"""The accounts that can act in the box: those of the well-known mnemonic, by role.

They hold test money and nothing else: services sign with keys of their own. The mnemonic is public; never
send real money there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from c2d_box.errors import UsageError
from c2d_box.units import ETHER
from sandbox.box import Box
from sandbox.identifier_match import Candidate, choose_candidate
from sandbox.verbs.chain_connection import chain_of

if TYPE_CHECKING:
    from c2d_box.chain.accounts import Signer

MNEMONIC = "taxi music thumb unique chat sand crew more leg another off lamp"
# The accounts of the mnemonic that the test chain endows; a role is the index of one of them.
ADDRESSES = (
    "0xe2DD09d719Da89e5a3D0F2549c7E24566e947260",
    "0xBE5449a6A97aD46c8558A3356267Ee5D2731ab5e",
    "0xA78deb2Fa79463945C247991075E2a0e98Ba7A09",
    "0x02354A1F160A3fd7ac8b02ee91F04104440B28E7",
    "0xe17D2A07EFD5b112F4d675ea2d122ddb145d117B",
    "0xA32C84D2B44C041F3a56afC07a33f8AC5BF1A071",
    "0xFF3fE9eb218EAe9ae1eF9cC6C4db238B770B65CC",
    "0x529043886F21D9bc1AE0feDb751e34265a246e47",
    "0xe08A1dAe983BC701D05E492DB80e0144f8f4b909",
    "0xbcE5A3468386C64507D30136685A99cFD5603135",
    "0xee59A16d95042e1B252d4598e2e503837a52eCb1",
    "0x320608cEB9B40fC5a77596CCad2E0B35659fbb2C",
    "0x675003EF9a381Edb5bA2A954eD4b15037C602A2d",
    "0x18041C71fCD4c913ca8FEcc56baFe26067542444",
    "0xC13434Bddf1Afb7Efa9d3A830778475A12A9e57c",
    "0x4f81423DC72Ea9AE39E539E4e5E9e7e8bAA9Da56",
    "0x8731D4E6b5988ddF5a224F84fF22B79059612E3d",
    "0x1cF006B1D8802eC6806ECAb9b34724f1269736c2",
    "0xB86d5bA61C85CBEd834f6f5723845e628a1c9EB0",
    "0x0c076c170D6eD68877DD601895FBFC94CA6e78Bd",
)
"""The addresses of the mnemonic's accounts, by index. Deriving them would cost each list that names an owner
half a second of imports.
"""
ACCOUNTS = len(ADDRESSES)
ROLES = {"deployer": 0, "publisher": 3, "consumer2": 5, "consumer": 7}
_ROLE_NAMES = {index: role for role, index in ROLES.items()}
_WHOLE_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


@dataclass(frozen=True, slots=True)
class BoxAccount:
    """An account with its balances, in whole units."""

    role: str
    index: int
    address: str
    eth: float
    ocean: float


def signer(who: str) -> Signer:
    """Return the signer for a role, an index, or an address of the mnemonic or the beginning of one. Raises
    ``C2D-ACCOUNT-UNKNOWN``, and ``C2D-ID-AMBIGUOUS`` for a beginning that several have.

    Only accounts of the mnemonic can act: the box knows no other private key that a user could mean.
    """
    from c2d_box.chain import accounts

    if who in ROLES:
        return accounts.from_mnemonic(MNEMONIC, ROLES[who])
    if who.isdigit() and int(who) < ACCOUNTS:
        return accounts.from_mnemonic(MNEMONIC, int(who))
    chosen = choose_candidate("account", who, account_candidates())
    if chosen is None:
        raise UsageError(
            "C2D-ACCOUNT-UNKNOWN",
            f"{who} is no account of this box",
            f"use {', '.join(ROLES)}, an index below {ACCOUNTS}, or an address that c2d-box accounts lists",
        )
    return accounts.from_mnemonic(MNEMONIC, ADDRESSES.index(chosen.id))


def account_address(given: str) -> str:
    """Return a whole address as it is, whosever it is, else that of one of the box's accounts; raises as
    :func:`signer` does.
    """
    return given if _WHOLE_ADDRESS.fullmatch(given) else signer(given).address


def account_candidates() -> list[Candidate]:
    """Return the accounts of the mnemonic by address, role and index."""
    return [
        # Addresses are compared without case: EIP-55's checksum is in the case, and users paste both forms.
        Candidate(address, tuple(filter(None, (_ROLE_NAMES.get(index, ""), str(index)))))
        for index, address in enumerate(ADDRESSES)
    ]


@cache
def account_names() -> Mapping[str, str]:
    """Return the role, or ``account N``, of each account by its address in lower case."""
    return {
        address.lower(): _ROLE_NAMES.get(index, f"account {index}") for index, address in enumerate(ADDRESSES)
    }


def account_name(address: str) -> str:
    """Return the name of one of the box's accounts; another address is shortened."""
    short = f"{address[:6]}…{address[-4:]}" if len(address) > 12 else address
    return account_names().get(address.lower(), short)


def list_accounts(box: Box, count: int = ACCOUNTS) -> list[BoxAccount]:
    """Return every account with its balances as of now, in whole ETH and OCEAN."""
    chain = chain_of(box)
    found = []
    for index, address in enumerate(ADDRESSES[:count]):
        eth = chain.web3.eth.get_balance(chain.web3.to_checksum_address(address)) / ETHER
        ocean = chain.read_view("ERC20Template", chain.addresses.ocean, "balanceOf", address) / ETHER
        found.append(BoxAccount(_ROLE_NAMES.get(index, ""), index, address, eth, ocean))
    return found
