"""Gas that ordering takes at most, compared with the account's coins before the first transaction.

A later transaction cannot be estimated before the earlier ones are in a block (there is no allowance, no
datatoken yet), so each kind has a ceiling, measured on Ocean's contracts.
"""

from __future__ import annotations

from c2d_box.chain.accounts import Signer
from c2d_box.chain.amounts import whole_tokens
from c2d_box.chain.failures import UNFUNDED
from c2d_box.chain.node import Chain
from c2d_box.chain.transactions import highest_price
from c2d_box.errors import Refused

# Ceilings in units of gas, each above the highest value measured.
APPROVAL = 60_000
PURCHASE = 300_000
ORDER = 300_000
EXTENSION = 150_000
"""Measured: 46,303, 212,962, 176,347 and 100,297; a purchase with its order at once takes 356,603."""


def most_gas(action: str, approvals: int) -> int:
    """Return the units of gas that ``order`` (with its datatoken), ``extend`` or ``none`` takes at most."""
    # A valid order that is used as it stands sends nothing, so it takes no gas.
    taken = {"order": PURCHASE + ORDER, "extend": EXTENSION}.get(action)
    return 0 if taken is None else taken + approvals * APPROVAL


def demand_gas(chain: Chain, signer: Signer, gas: int) -> None:
    """Raise Refused where the account's coins cannot pay for ``gas`` at the highest price that its
    transactions would offer: a node takes none of them otherwise."""
    if not gas:
        return
    # The chain's own coin has 18 decimals on every EVM chain.
    due, held = gas * highest_price(chain), chain.balance_of(signer.address)
    if held < due:
        raise Refused(
            UNFUNDED,
            f"{signer.address} holds {whole_tokens(held, 18)} of the chain's coin, "
            f"gas may take {whole_tokens(due, 18)}",
            "fund it (faucet) and try again; nothing was paid",
            due=due,
            held=held,
        )
