"""The services that a client uses. Nothing is contacted, and web3 not imported, before it is used."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c2d_box.client.services.cache import MetadataCache
from c2d_box.client.services.provider import Provider
from c2d_box.units import LOCAL_CHAIN_ID

if TYPE_CHECKING:
    from c2d_box.chain import Chain


class Connection:
    """A Provider, a metadata cache and a chain that belong together; shared by any number of accounts."""

    def __init__(
        self,
        provider_url: str,
        cache_url: str,
        rpc_url: str,
        address_file: str | Path,
        chain_id: int = LOCAL_CHAIN_ID,
    ) -> None:
        self.provider_url = provider_url.rstrip("/")
        self.cache_url = cache_url.rstrip("/")
        self.rpc_url = rpc_url
        self.address_file = address_file
        self.chain_id = chain_id
        self._lock = threading.Lock()
        self._chain: Chain | None = None

    @cached_property
    def provider(self) -> Provider:
        return Provider(self.provider_url, self.chain_id)

    @cached_property
    def cache(self) -> MetadataCache:
        return MetadataCache(self.cache_url)

    @property
    def chain(self) -> Chain:
        with self._lock:
            if self._chain is None:
                from c2d_box.chain import Chain, addresses

                self._chain = Chain(self.rpc_url, addresses.load_addresses(self.address_file, self.chain_id))
            return self._chain

    def close(self) -> None:
        self.provider.close()
        self.cache.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()
