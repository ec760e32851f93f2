"""Units and the one number by which the local chain is known. Plain constants: pods' programs load this."""

from __future__ import annotations

from typing import Final

ETHER: Final = 10**18
"""One ether in wei, and one whole token of 18 decimals (OCEAN, each datatoken) in its base units."""
LOCAL_CHAIN_ID: Final = 8996
"""Ocean's local test chain, which its texts call Ganache."""
