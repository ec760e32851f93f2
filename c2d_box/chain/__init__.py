"""The chain: contracts, publishing, prices, orders, fees. The only package that imports web3.

Synchronous and thread-safe: services call it with ``asyncio.to_thread``.
"""

from c2d_box.chain.accounts import Signer
from c2d_box.chain.addresses import ContractAddresses
from c2d_box.chain.node import Chain

__all__ = ["Chain", "ContractAddresses", "Signer"]
