"""Limits of a purchase: what it may cost, as users write it and in base units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from c2d_box.errors import UsageError

if TYPE_CHECKING:
    from c2d_box.chain import Chain


@dataclass(frozen=True, slots=True)
class SpendingLimits:
    """The limits of a purchase: ``most`` per token over everything (``2.5`` OCEAN, or ``3:TOKEN`` of another;
    nothing of a token that is not named; empty: any price), and how much more than just quoted a pool or
    exchange may still take when its price rises meanwhile (0.01 = one per cent).
    """

    most: tuple[str, ...] = ()
    slippage: float = 0.0
    limits: Mapping[str, int] | None = None
    """The same as ``most``, by a token's address and in base units; counts where ``most`` is empty."""

    def limits_for(self, chain: Chain) -> Mapping[str, int] | None:
        """Return the limit per token in base units; None where any price will do."""
        # None is any price; an empty mapping would forbid every payment.
        if not self.most:
            return self.limits
        limits: dict[str, int] = {}
        for said in self.most:
            token, units = _parse_limit(chain, said)
            # Two limits for one token: either order of them would surprise somebody.
            if token in limits:
                raise UsageError(
                    "C2D-USAGE-LIMIT", f"{said}: that token has a limit already", "give one each"
                )
            limits[token] = units
        return limits


def _parse_limit(chain: Chain, said: str) -> tuple[str, int]:
    """Return address and base units of a limit such as ``2.5`` (OCEAN) or ``3:TOKEN``; UsageError else."""
    from c2d_box.chain.amounts import OCEAN, base_units, token_called

    # Neither an amount nor a token's name has a colon.
    amount, _, name = said.partition(":")
    token = token_called(chain, name or OCEAN)
    if token is None:
        raise UsageError(
            "C2D-USAGE-LIMIT", f"{said}: {name} is no token of this chain", "give its address: AMOUNT:0x…"
        )
    units = base_units(amount, chain.decimals(token))
    if units is None:
        raise UsageError("C2D-USAGE-LIMIT", f"{said}: {amount} is no amount", "give whole tokens, as in 2.5")
    return token, units


NO_LIMITS = SpendingLimits()
