"""Ordered assets for benchmarks: consumers with an order each, and the signed queries that download."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from c2d_box.assets.crypto import signatures
from c2d_box.chain import orders
from c2d_box.chain.accounts import from_key
from tests.harness.local_stack import LocalStack, StackAsset


@dataclass
class OrderBuyer:
    """One consumer with its order; each query takes the next nonce."""

    address: str
    key: bytes
    asset: str
    tx: str
    nonce: int = 1

    def signed_query(self) -> str:
        self.nonce += 1
        plain = {
            "documentId": self.asset,
            "serviceId": "0",
            "consumerAddress": self.address,
            "transferTxId": self.tx,
            "fileIndex": "0",
            "nonce": str(self.nonce),
        }
        signature = signatures.sign_text(self.key, f"{self.asset}{self.nonce}")
        return urlencode({**plain, "signature": signature})


def make_buyers(world: LocalStack, asset: StackAsset, count: int) -> list[OrderBuyer]:
    """Return ``count`` consumers with accounts of their own, each with an order; one account pays for all."""
    payer = world.account(7)
    found = []
    for number in range(count):
        signer = from_key("0x" + f"{number + 1:064x}")
        query = {"documentId": asset.did, "serviceId": "0", "consumerAddress": signer.address}
        fee = world.services("initialize", params=query).json()["providerFee"]
        orders.buy_datatoken(world.chain, payer, asset.datatoken)
        tx = orders.start_order(world.chain, payer, asset.datatoken, signer.address, 0, fee)
        found.append(OrderBuyer(signer.address, signer.key, asset.did, tx))
    return found
