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
    """A Provider, a metadata cache and a chain that belong together; shared by any number of accounts.

    It is a context manager: leaving it closes the HTTP connections. Construction contacts nothing, so
    commands that need one of the three do not wait for the others.
    """

    def __init__(
        self,
        provider_url: str,
        cache_url: str,
        rpc_url: str,
        address_file: str | Path,
        chain_id: int = LOCAL_CHAIN_ID,
    ) -> None:
        # Without the slash: this text becomes the serviceEndpoint of what is published.
        self.provider_url = provider_url.rstrip("/")
        self.cache_url = cache_url.rstrip("/")
        self.rpc_url = rpc_url
        self.address_file = address_file
        self.chain_id = chain_id
        # Several threads may use the chain first; each web3 client would cost a connection pool.
        self._lock = threading.Lock()
        self._chain: Chain | None = None

    @cached_property
    def provider(self) -> Provider:
        """The Provider's client; it keeps nonces in order, so there is one per connection."""
        return Provider(self.provider_url, self.chain_id)

    @cached_property
    def cache(self) -> MetadataCache:
        """The metadata cache's client."""
        return MetadataCache(self.cache_url)

    @property
    def chain(self) -> Chain:
        """The chain, opened with the first use: the address file is read then. StateProblem where it is
        missing."""
        with self._lock:
            if self._chain is None:
                # Inside the function: the import of web3 takes a second, which most commands never need.
                from c2d_box.chain import Chain, addresses

                self._chain = Chain(self.rpc_url, addresses.load_addresses(self.address_file, self.chain_id))
            return self._chain

    def close(self) -> None:
        """Close the HTTP connections to Provider and cache. A second call does nothing."""
        self.provider.close()
        self.cache.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()
