"""The services and settings that several rules of computing need at once. One argument instead of seven; the
routes make it of the Provider's own context, see ``routes.compute.required_compute``."""

from __future__ import annotations

from dataclasses import dataclass

from c2d_box.provider.auth.consumer_rights import ConsumerRights
from c2d_box.provider.backends.catalog import AssetCatalog
from c2d_box.provider.backends.chain_gateway import ChainGateway
from c2d_box.provider.backends.environments import EnvironmentCache
from c2d_box.provider.freshness import CurrentAsset, current_asset
from c2d_box.provider.secrets import ProviderKey
from c2d_box.provider.settings import ProviderSettings
from c2d_box.storage import Storage


@dataclass(frozen=True)
class ComputeContext:
    """The part of the Provider that decides whether a job may run. It holds nothing that a decision could
    change: no nonces, no grants and no way to start a job.

    Requests that start nothing, such as a quote, are judged by the same rules.
    """

    settings: ProviderSettings
    key: ProviderKey
    catalog: AssetCatalog
    ledger: ChainGateway
    storage: Storage
    environments: EnvironmentCache
    consumers: ConsumerRights

    async def current_asset(self, did: str) -> CurrentAsset:
        """Return the asset's DDO and the chain's head that it was read at; the DDO is None where the asset is
        not published. A cache that lags behind the chain is waited for, within ``settings.freshness``."""
        return await current_asset(self.catalog, self.ledger, self.settings.freshness, did)
