"""Connects the SDK's two parties, publisher and consumer, to this box."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from c2d_box.errors import UsageError
from sandbox.box import Box
from sandbox.verbs.accounts import signer
from sandbox.verbs.chain_connection import demand_contracts

if TYPE_CHECKING:
    from c2d_box.chain import Chain
    from c2d_box.client import Connection, Consumer, Publisher


@dataclass(frozen=True, slots=True)
class Spending:
    """The limits of a purchase: ``most`` per token over everything (``2.5`` OCEAN, or ``3:TOKEN`` of another;
    nothing of a token that is not named; empty: any price), and how much more than just quoted a pool or
    exchange may still take when its price rises meanwhile (0.01 = one per cent).
    """

    most: tuple[str, ...] = ()
    slippage: float = 0.0

    def on(self, party: Consumer) -> dict[str, int] | None:
        """Return the limit per token as the SDK takes it."""
        limits: dict[str, int] = {}
        for said in self.most:
            token, units = _limit(party.connection.chain, said)
            if token in limits:
                raise UsageError(
                    "C2D-USAGE-LIMIT", f"{said}: that token has a limit already", "give one each"
                )
            limits[token] = units
        return limits or None


def _limit(chain: Chain, said: str) -> tuple[str, int]:
    from c2d_box.chain.amounts import OCEAN, base_units, token_called

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


NO_LIMITS = Spending()


def connection_to(box: Box) -> Connection:
    """Return the addresses at which the SDK finds this box's services; raise ``C2D-BOX-DOWN`` before the
    first ``up``.
    """
    from c2d_box.client import Connection

    demand_contracts(box)
    return Connection(
        provider_url=box.urls["provider"],
        cache_url=box.urls["cache"],
        rpc_url=box.urls["chain"],
        address_file=box.home.address_file,
        chain_id=box.settings.chain.chain_id,
    )


@contextmanager
def publishing(box: Box, who: str) -> Iterator[Publisher]:
    """Yield the account ``who`` as a publisher; connections are closed afterwards."""
    from c2d_box.client import Publisher

    with connection_to(box) as connection:
        yield Publisher(connection, signer(who))


@contextmanager
def consuming(box: Box, who: str) -> Iterator[Consumer]:
    """Yield the account ``who`` as a consumer; connections are closed afterwards."""
    from c2d_box.client import Consumer

    with connection_to(box) as connection:
        yield Consumer(connection, signer(who))
