"""The SDK's two parties, connected to this box."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from c2d_box.errors import StateProblem
from sandbox.box import Box
from sandbox.verbs.accounts import signer

if TYPE_CHECKING:
    from c2d_box.chain import Chain
    from c2d_box.client import Connection, Consumer, Publisher


@dataclass(frozen=True, slots=True)
class Spending:
    """What a purchase may cost: OCEAN in all (None: any price), and how much more than just quoted a pool or
    exchange may still take when its price rises meanwhile (0.01 = one per cent).
    """

    most: float | None = None
    slippage: float = 0.0

    def on(self, party: Consumer) -> dict[str, int] | None:
        """The limit per token as the SDK takes it."""
        if self.most is None:
            return None
        return {party.connection.chain.addresses.ocean: int(Decimal(str(self.most)) * 10**18)}


NO_LIMITS = Spending()


def connection_to(box: Box) -> Connection:
    """Where the SDK finds this box's services; raises ``C2D-BOX-DOWN`` before the first ``up``."""
    from c2d_box.client import Connection

    if not box.home.address_file.exists():
        raise StateProblem("C2D-BOX-DOWN", "this box is not up", box.command("up"))
    return Connection(
        provider_url=box.urls["provider"],
        cache_url=box.urls["cache"],
        rpc_url=box.urls["chain"],
        address_file=box.home.address_file,
        chain_id=box.settings.chain.chain_id,
    )


@contextmanager
def publishing(box: Box, who: str) -> Iterator[Publisher]:
    """The account ``who`` as a publisher; connections are closed afterwards."""
    from c2d_box.client import Publisher

    with connection_to(box) as connection:
        yield Publisher(connection, signer(who))


@contextmanager
def consuming(box: Box, who: str) -> Iterator[Consumer]:
    """The account ``who`` as a consumer; connections are closed afterwards."""
    from c2d_box.client import Consumer

    with connection_to(box) as connection:
        yield Consumer(connection, signer(who))


def chain_of(box: Box) -> Chain:
    """The box's chain with Ocean's contracts."""
    from c2d_box.chain import Chain, addresses

    if not box.home.address_file.exists():
        raise StateProblem("C2D-BOX-DOWN", "this box is not up", box.command("up"))
    return Chain(box.urls["chain"], addresses.load(box.home.address_file, box.settings.chain.chain_id))
