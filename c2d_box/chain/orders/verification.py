"""Check that a transaction is a paid, still valid order of one service for one account.

Any contract can emit logs of an order's shape in a transaction of its own. So only logs of the service's own
datatoken count, in the given transaction and in the one it reuses. An order may only be reused while it was
still good, and a reuse is good for what it paid: else free reuses would carry a paid period on for ever.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from c2d_box.assets.addresses import same_hex
from c2d_box.chain import nfts
from c2d_box.chain.events import ContractEvent, decode_logs
from c2d_box.chain.node import Chain
from c2d_box.chain.orders.fees import read_data, signer_of
from c2d_box.units import ETHER

if TYPE_CHECKING:
    from web3.types import TxReceipt

# Seconds beyond the end of a fee: a start needs some time after its order is in a block.
CONFIRMATION_GRACE = 90
_HASH = re.compile(r"0x[0-9a-fA-F]{64}\Z")
# Other events of the same transaction (transfers, swaps) prove nothing about an order.
_NAMES = ("OrderStarted", "OrderReused", "ProviderFee")


class OrderInvalid(Exception):
    """No such order; ``str()`` is the wire text without its ``Provider <network>: `` prefix."""


class OrderNotMined(OrderInvalid):
    """The transaction is in no block, yet or ever."""


@dataclass(frozen=True)
class OrderClaim:
    """A consumer's claim that ``tx`` ordered this service for ``sender``.

    ``environment`` is checked when given (datasets of a compute job); ``allow_expired`` skips the end of the
    fee's validity (initialize, initializeCompute). ``providers`` are this Provider's own addresses.
    """

    tx: str
    sender: str
    # Addresses and service are those of the asset's description, not of the request.
    nft: str
    datatoken: str
    service_id: str
    service_index: int
    # Seconds that an order carries, by the service's description; 0: without end.
    timeout: int
    providers: Sequence[str]
    environment: str | None = None
    allow_expired: bool = False
    now: float | None = None
    # Seconds to wait for the block of a transaction that the node knows already.
    wait: float = 120


@dataclass(frozen=True)
class Order:
    """A proven order. ``tx`` is the transaction given, ``start_tx`` the original one: equal unless reused.

    Times are unix seconds of the chain; ``fee_amount`` is in base units of ``fee_token``.
    """

    tx: str
    start_tx: str
    consumer: str
    # May differ from the consumer: jobs are ordered for the environment's address.
    payer: str
    service_index: int
    market: str
    started: int
    reused: int | None
    block: int
    environment: str | None
    fee_amount: int
    fee_token: str
    fee_valid_until: int
    # When the Provider made the quote, by its own clock.
    quoted: float
    fee: ContractEvent = field(repr=False, compare=False)
    datatoken: str = ""

    @property
    def order_key(self) -> str:
        """The identity of the order, however it was handed in: by its transaction's hash in upper or lower
        case, or by the hash of any of its reuses. One transaction may start several orders."""
        return f"{self.start_tx}:{self.datatoken}:{self.service_index}".lower()


def verify_order(chain: Chain, claim: OrderClaim) -> Order:
    """Return the order behind ``claim``; raise OrderInvalid saying what is wrong with it."""
    now = time.time() if claim.now is None else claim.now
    # A datatoken of the attacker's, named in a DDO, must not count as the asset's.
    if not nfts.is_deployed_datatoken(chain, claim.nft, claim.datatoken):
        raise OrderInvalid(f"Datatoken {claim.datatoken} was not deployed by data NFT {claim.nft}.")
    receipt = _require_receipt(chain, claim.tx, claim.wait)
    logs = _own_logs(receipt, claim.datatoken)
    # The fee of the transaction handed in: a reuse brings its own.
    fee = _fee_event(logs, claim)
    _check_fee(chain, fee, claim, now)
    # Of several reuses in one transaction the last counts, as its fee is the last one.
    reused = next((e for e in reversed(logs) if e.name == "OrderReused"), None)
    if reused:
        # The start lies in the reused transaction, and has to be this datatoken's too.
        logs = _own_logs(_reused_receipt(chain, reused["orderTxId"]), claim.datatoken)
    started = _start_event(logs, claim)
    _check_age(started, reused, fee, claim, now)
    return _proven_order(started, reused, fee)


def _require_receipt(chain: Chain, tx: str, wait: float) -> TxReceipt:
    """Return the receipt of a successful transaction; OrderNotMined while there is none, else
    OrderInvalid."""
    # A request's text goes to the node only once it is a hash; the echo is cut.
    if not _HASH.match(tx):
        raise OrderInvalid(f"{tx[:80]!r} is not a transaction id.")
    # Lower case: an index or a lock by text must see one transaction only.
    receipt = chain.wait_for_receipt(tx.lower(), timeout=wait, unknown=2)
    if receipt is None:
        raise OrderNotMined(f"Transaction {tx} was not found on the chain.")
    if receipt["status"] != 1:
        raise OrderInvalid(f"Transaction {tx} has failed.")
    return receipt


def _reused_receipt(chain: Chain, tx: str) -> TxReceipt:
    """Return the receipt of the order that was reused. It was mined before its reuse or never will be, so
    nothing is gained by waiting for it."""
    try:
        return _require_receipt(chain, tx, 0)
    except OrderNotMined as missing:
        raise OrderInvalid(str(missing)) from None


def _own_logs(receipt: TxReceipt, datatoken: str) -> list[ContractEvent]:
    """Return the order events that the datatoken itself emitted, in their order."""
    return [e for e in decode_logs(receipt["logs"], _NAMES) if same_hex(e.address, datatoken)]


def _fee_event(logs: list[ContractEvent], claim: OrderClaim) -> ContractEvent:
    """Return the last ProviderFee event whose signed data names this datatoken and service.

    One transaction may order several services; a fee for one of them must not pay for another.
    """
    for event in reversed(logs):
        data = read_data(event["providerData"]) if event.name == "ProviderFee" else None
        if data is None or not same_hex(data.get("dt"), claim.datatoken):
            continue
        if str(data.get("id")).lower() == claim.service_id.lower():
            return event
    raise OrderInvalid(f"Cannot find the event for the provider fee in tx id {claim.tx}.")


def _check_fee(chain: Chain, fee: ContractEvent, claim: OrderClaim, now: float) -> None:
    """Raise OrderInvalid where the fee is not this Provider's, is for another environment, or has ended."""
    data = read_data(fee["providerData"]) or {}
    if claim.environment is not None and data.get("environment") != claim.environment:
        raise OrderInvalid("Mismatch between ordered c2d environment and selected one.")
    if not any(same_hex(fee["providerFeeAddress"], own) for own in claim.providers):
        raise OrderInvalid("The providerFeeAddress is not the expected one.")
    # The address alone is an argument that anybody may write; the signature is not.
    if not same_hex(signer_of(fee.arguments), fee["providerFeeAddress"]):
        raise OrderInvalid("The provider fee was not signed by this Provider.")
    valid_until = int(fee["validUntil"])
    # Access services have no end; ``allow_expired`` is for questions that start nothing.
    if valid_until == 0 or claim.environment is None or claim.allow_expired or now < valid_until:
        return
    # The time that the chain took to confirm is the consumer's loss on a slow chain, so it is added.
    confirmed = int(chain.block_header(fee.block)["timestamp"])
    # A quote without a timestamp counts as made in the infinite future: its lag is 0.
    lag = max(0.0, confirmed - _quote_time(fee))
    if now >= valid_until + lag + CONFIRMATION_GRACE:
        raise OrderInvalid("Ordered c2d time was exceeded, check validUntil.")


def _start_event(logs: list[ContractEvent], claim: OrderClaim) -> ContractEvent:
    """Return the OrderStarted event that serves the claim.

    The checks run one by one, so that the refusal names the first rule that no event passes.
    """
    started = [e for e in logs if e.name == "OrderStarted"]
    if not started:
        raise OrderInvalid(f"Cannot find the OrderStarted event of datatoken {claim.datatoken}.")
    served = [e for e in started if e["serviceIndex"] == claim.service_index]
    if not served:
        raise OrderInvalid(f"The order is not for service {claim.service_id}.")
    # Anybody may order a fraction of a datatoken; a whole one is the price of a service.
    paid = [e for e in served if e["amount"] >= ETHER]
    if not paid:
        raise OrderInvalid(f"The order paid {served[-1]['amount']} wei of the datatoken, {ETHER} are due.")
    # The payer may use an order too: it is made for the environment and paid by the account.
    mine = [e for e in paid if same_hex(e["consumer"], claim.sender) or same_hex(e["payer"], claim.sender)]
    if not mine:
        raise OrderInvalid("The consumer of the order is not the sender of the request.")
    return mine[-1]


def _check_age(
    started: ContractEvent, reused: ContractEvent | None, fee: ContractEvent, claim: OrderClaim, now: float
) -> None:
    """Raise OrderInvalid where the order is too old. A reuse pays the Provider and nothing to the publisher,
    so it does not buy the service's period a second time: it carries as long as what was paid for it."""
    if claim.timeout <= 0:
        return
    begun = int(started["timestamp"])
    # Else an order of years ago would come back to life for the fee of an hour.
    if reused and int(reused["timestamp"]) - begun > claim.timeout:
        raise OrderInvalid("The order had already expired when it was reused.")
    # The order itself is still good, whatever the reuse paid.
    if now - begun <= claim.timeout:
        return
    paid_until = int(fee["validUntil"]) if reused and int(fee["providerFeeAmount"]) > 0 else 0
    if now >= paid_until + CONFIRMATION_GRACE:
        raise OrderInvalid(f"The order has expired: it was good for {claim.timeout} seconds.")


def _proven_order(started: ContractEvent, reused: ContractEvent | None, fee: ContractEvent) -> Order:
    """Put the checked events together; ``environment`` is None unless the signed data has a text there."""
    environment = (read_data(fee["providerData"]) or {}).get("environment")
    return Order(
        tx=fee.tx,
        start_tx=started.tx,
        consumer=started["consumer"],
        payer=started["payer"],
        service_index=int(started["serviceIndex"]),
        market=started["publishMarketAddress"],
        started=int(started["timestamp"]),
        reused=int(reused["timestamp"]) if reused else None,
        block=fee.block,
        environment=environment if isinstance(environment, str) else None,
        fee_amount=int(fee["providerFeeAmount"]),
        fee_token=fee["providerFeeToken"],
        fee_valid_until=int(fee["validUntil"]),
        quoted=_quote_time(fee),
        fee=fee,
        datatoken=started.address,
    )


def _quote_time(fee: ContractEvent) -> float:
    """Return the time at which the Provider made the quote. The Provider signed it, so it is trustworthy once
    the signature was checked."""
    # True is an int in Python, and JSON from outside may well have it.
    stamp = (read_data(fee["providerData"]) or {}).get("timestamp")
    return float(stamp) if isinstance(stamp, int | float) and not isinstance(stamp, bool) else float("inf")
