"""Decides which consumers may use an asset, and which may use an order of it."""

from __future__ import annotations

from dataclasses import dataclass

from c2d_box.assets import credentials
from c2d_box.assets.addresses import same_hex
from c2d_box.assets.documents.ddo import DDO
from c2d_box.chain.orders import Order, OrderClaim, OrderInvalid
from c2d_box.provider.backends.chain_gateway import ChainGateway, ChainHead
from c2d_box.provider.backends.environments import EnvironmentCache


@dataclass(frozen=True)
class ConsumerRights:
    """The rules for consumers. ``environments`` is None where no compute backend is configured. With
    ``environment_downloads`` an environment's key opens what was ordered for computing, as in the original,
    whose pods download with it."""

    ledger: ChainGateway
    environments: EnvironmentCache | None
    environment_downloads: bool

    async def consumer_refusal(
        self, ddo: DDO, consumer: str, *, quoted: bool = False, at: ChainHead | None = None
    ) -> str | None:
        """Return the text that refuses ``consumer`` this asset (credentials, NFT state), or None where
        nothing does. ``at`` is a head as ``ChainGateway.nft_state`` takes it.

        ``quoted``: only a price is asked for. ocean.py asks for it in the name of an environment, whose
        address then passes every list; a caller who downloads or computes afterwards is judged by his own
        address. Where the compute service cannot list the environments, that is an outage and no refusal.
        """
        state = await self.ledger.nft_state(ddo.nft_address, at)
        # Judged without the environments first: operator-service is asked only about a consumer who would be
        # refused.
        text = credentials.access_refusal(ddo, consumer, state, set())
        passes = quoted or self.environment_downloads
        # No outage of operator-service can refuse a consumer whom the lists permit by himself.
        if text is None or not passes or self.environments is None:
            return text
        return credentials.access_refusal(ddo, consumer, state, await self.environments.consumer_addresses())

    async def own_order(self, claim: OrderClaim) -> Order:
        """Return the order of the claim. Raise OrderInvalid where the claim does not hold, and where its
        sender did not pay for the order and is only the environment that it names.

        Each order of a computation names its environment as consumer, so that environment's key would open
        all of them. An order belongs to the one who paid it.
        """
        # First the chain: an order that does not hold needs no look at the environments.
        order = await self.ledger.verified_order(claim)
        # As in the original, whose pods fetch inputs in the environment's name. Our pods use grants instead.
        if self.environment_downloads or self.environments is None:
            return order
        # The payer is compared first: it costs nothing, and it decides almost always.
        if not same_hex(order.payer, claim.sender) and await self.environments.has_consumer(claim.sender):
            raise OrderInvalid("The consumer of the order is not the sender of the request.")
        return order

    async def may_download_computed(self, consumer: str) -> bool:
        """Return whether the consumer may download what was ordered for computing: an environment may, where
        the settings allow it."""
        # Without the setting nobody is asked, so downloads do not depend on operator-service.
        if self.environments is None or not self.environment_downloads:
            return False
        return await self.environments.has_consumer(consumer)
