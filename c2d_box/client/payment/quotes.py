"""The cost of a job or download.

A quote is the Provider's answer (fees, orders still valid) joined with the chain's prices: all that the
contracts will take, of every token. :mod:`c2d_box.client.payment.paying` pays exactly that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from c2d_box.assets.addresses import ZERO, checksum_address, is_address, same_hex
from c2d_box.assets.documents.ddo import DDO, DdoService
from c2d_box.assets.endpoints import same_endpoint
from c2d_box.errors import C2DError, Failed, Refused
from c2d_box.units import ETHER

if TYPE_CHECKING:
    from c2d_box.chain import Chain
    from c2d_box.chain.orders import ConsumeMarketFee, DatatokenOffer

# Order anew, extend by a fee (reuseOrder), or use an order as it stands.
Action = Literal["order", "extend", "none"]


@dataclass(frozen=True)
class OrderItem:
    """One asset of a job: the service to order, an earlier order of it, and what is handed to it."""

    ddo: DDO
    service: DdoService
    previous: str | None = None
    userdata: Mapping[str, Any] | None = None
    algocustomdata: Mapping[str, Any] | None = None

    @property
    def index(self) -> int:
        """The service's position in the DDO: the contract's events name services by it."""
        return self.ddo.index_of(self.service.id) or 0

    def as_request(self, order: str | None = None) -> dict[str, Any]:
        """The item as the Provider's routes take it."""
        value: dict[str, Any] = {"documentId": self.ddo.id, "serviceId": self.service.id}
        # With the earlier order the Provider judges whether it is still good; with the new one, whether it
        # paid.
        transfer = order or self.previous
        if transfer:
            value["transferTxId"] = transfer
        if self.userdata is not None:
            value["userdata"] = dict(self.userdata)
        if self.algocustomdata is not None:
            value["algocustomdata"] = dict(self.algocustomdata)
        return value


@dataclass(frozen=True)
class ItemCost:
    """The cost of one asset: ``price`` base units of ``token`` for its datatoken (``swap_fee`` of them are
    fees of the sale), ``fee`` of ``fee_token`` for the Provider, ``market_fee`` for the market where it was
    published, ``consume_fee`` for the market through which it is ordered. ``action``: a new order, one
    extended by a new fee, or one that still covers all."""

    did: str
    action: Action
    price: int = 0
    token: str = ZERO
    fee: int = 0
    fee_token: str = ZERO
    swap_fee: int = 0
    market_fee: int = 0
    market_token: str = ZERO
    consume_fee: int = 0
    consume_token: str = ZERO

    @property
    def order_fees(self) -> dict[str, int]:
        """Base units per token that the order takes, besides the datatoken's price."""
        return _sum_by_token(
            [
                (self.fee_token, self.fee),
                (self.market_token, self.market_fee),
                (self.consume_token, self.consume_fee),
            ]
        )

    @property
    def due(self) -> dict[str, int]:
        """Base units per token in all."""
        return _sum_by_token([(self.token, self.price), *self.order_fees.items()])


@dataclass(frozen=True)
class OrderQuote:
    """A job's price before anything is paid; ``answers`` are the Provider's, in the order of ``items``."""

    items: tuple[OrderItem, ...]
    answers: tuple[Mapping[str, Any], ...]
    costs: tuple[ItemCost, ...]
    environment: Mapping[str, Any] | None = None
    valid_until: int = 0
    market: ConsumeMarketFee | None = None

    @property
    def totals(self) -> dict[str, int]:
        """Base units due per token: all that will be taken."""
        return _sum_by_token([entry for cost in self.costs for entry in cost.due.items()])


def build_quote(
    chain: Chain,
    payer: str,
    items: Sequence[OrderItem],
    answers: Sequence[Mapping[str, Any]],
    provider: str,
    environment: Mapping[str, Any] | None = None,
    valid_until: int = 0,
    market: ConsumeMarketFee | None = None,
) -> OrderQuote:
    """Return the Provider's ``answers`` with prices. A fee for anybody but the ``provider`` asked
    is refused."""
    if len(answers) != len(items):
        raise _unusable_answer("it answered for other assets than were asked")
    # All fees are judged before the first price is asked: a bad answer needs no chain.
    for item, answer in zip(items, answers, strict=True):
        _demand_own_fee(item, answer, items[0], provider)
    # One for all items: a datatoken in the purse pays for the first item that needs it.
    purse = _PayerBalances(chain, payer)
    costs = tuple(
        _item_cost(chain, purse, item, answer, market) for item, answer in zip(items, answers, strict=True)
    )
    return OrderQuote(tuple(items), tuple(answers), costs, environment, valid_until, market)


def earlier_order(chain: Chain, account: str, service: DdoService, index: int, busy: set[str]) -> str | None:
    """Return the latest order or reuse of a service by ``account`` that is not ``busy``; the Provider judges
    it.

    Looking back is a convenience: a node that refuses wide log queries only costs a new order.
    """
    from c2d_box.chain import events

    token = service.datatoken_address
    try:
        logs = events.order_logs(chain, chain.addresses.start_block, "latest", token)
    except C2DError:
        return None
    # Start transaction to the latest transaction of the same order.
    mine: dict[str, str] = {}
    for event in logs:
        if event.name == "OrderStarted":
            # A job's order names the environment as consumer, a download's the account itself.
            if event["serviceIndex"] == index and (
                same_hex(event["payer"], account) or same_hex(event["consumer"], account)
            ):
                mine[event.tx] = event.tx
        elif event["orderTxId"] in mine and same_hex(event["caller"], account):
            # Someone else's reuse would bring a fee that this account did not agree to.
            mine[event["orderTxId"]] = event.tx
    # A Provider tells an order by its key or by any transaction of it, so all are looked up.
    free = [
        latest
        for start, latest in mine.items()
        if not {start, latest, f"{start}:{token}:{index}".lower()} & busy
    ]
    return free[-1] if free else None


def paid_until(chain: Chain, item: OrderItem, environment: str, used: set[str]) -> int | None:
    """Return until when computing in ``environment`` is paid by an order that no job has used: one of a start
    that broke off. None where the item's earlier order is none of that kind."""
    from c2d_box.chain import events, orders

    # An order that a job has used is no left-over of a start, whatever its fee says.
    if item.previous is None or item.previous in used:
        return None
    receipt = chain.find_receipt(item.previous)
    fees = list(events.decode_logs(receipt["logs"] if receipt else (), ("ProviderFee", "OrderReused")))
    # The key under which a job's orders are listed: transaction, datatoken, service.
    token, key = item.service.datatoken_address, f"{item.previous}:{item.service.datatoken_address}"
    if any(event.name == "OrderReused" and event["orderTxId"] in used for event in fees):
        return None
    if f"{key}:{item.index}".lower() in used:
        return None
    for event in fees:
        # Only the fee of this datatoken and environment says until when computing is paid.
        data = orders.read_data(event["providerData"]) if event.name == "ProviderFee" else None
        if data and same_hex(event.address, token) and data.get("environment") == environment:
            return int(event["validUntil"])
    return None


class _PayerBalances:
    """The payer's datatokens while a quote is made up: each of them pays for one order only."""

    def __init__(self, chain: Chain, payer: str) -> None:
        self._chain, self._payer = chain, payer
        self._left: dict[str, int] = {}
        self._pools: set[str] = set()

    def spend_datatoken(self, datatoken: str) -> bool:
        """Spend one datatoken; return whether the payer had one more."""
        # Asked once: the balance must not change between two items of one quote.
        if datatoken not in self._left:
            self._left[datatoken] = self._chain.balance_of(self._payer, datatoken)
        if self._left[datatoken] < ETHER:
            return False
        self._left[datatoken] -= ETHER
        return True

    def demand_one_purchase(self, offer: DatatokenOffer, did: str) -> None:
        """Refuse a second purchase from one pool: its price is known only after the first."""
        # A fixed rate stays the same however often one buys, so only pools are refused.
        if offer.kind == "pool" and offer.source in self._pools:
            raise Refused(
                "C2D-ORDER-POOL-TWICE",
                f"{did} would be bought twice from its pool, and the first purchase raises the price of the "
                "second",
                "name it once, or get a datatoken first",
            )
        self._pools.add(offer.source)


def _item_cost(
    chain: Chain,
    purse: _PayerBalances,
    item: OrderItem,
    answer: Mapping[str, Any],
    market: ConsumeMarketFee | None,
) -> ItemCost:
    """Return what one item costs: nothing but a fee where an order is valid, else all of a new order."""
    from c2d_box.chain import orders

    fee = answer.get("providerFee") or {}
    amount, token = int(fee.get("providerFeeAmount") or 0), str(fee.get("providerFeeToken") or ZERO)
    # The Provider's word: with a fee the order has to be extended, without one it covers all.
    if answer.get("validOrder"):
        return ItemCost(item.ddo.id, "extend" if fee else "none", fee=amount, fee_token=token)
    datatoken = item.service.datatoken_address
    # Read from the contract: the publishing market's fee is no business of the Provider.
    market_token, market_fee = orders.publishing_fee(chain, datatoken)
    cost = ItemCost(
        item.ddo.id, "order", fee=amount, fee_token=token, market_fee=market_fee, market_token=market_token
    )
    if market is not None and market.address != ZERO:
        cost = replace(cost, consume_fee=market.amount, consume_token=market.token)
    # Held already: nothing to buy, the fees of the order stay.
    if purse.spend_datatoken(datatoken):
        return cost
    offer = orders.offer_for(chain, datatoken)
    if offer is None:
        raise Refused(
            "C2D-ORDER-NOT-FOR-SALE",
            f"nobody dispenses or sells the datatoken of {item.ddo.id}",
            "ask its publisher for one, or for a price",
        )
    purse.demand_one_purchase(offer, item.ddo.id)
    return replace(cost, price=offer.amount, token=offer.token, swap_fee=offer.fees)


def _demand_own_fee(item: OrderItem, answer: Mapping[str, Any], first: OrderItem, provider: str) -> None:
    """Refuse a fee that the contract would only refuse after the datatoken was bought."""
    from c2d_box.chain import orders

    fee = answer.get("providerFee") if isinstance(answer, Mapping) else None
    if not isinstance(fee, Mapping) or not fee:
        if not isinstance(answer, Mapping) or not answer.get("validOrder"):
            raise _unusable_answer("it names neither a fee nor a valid order")
        return
    # Another Provider's asset brings that one's fee; its address is not known here.
    own = same_endpoint(item.service.service_endpoint, first.service.service_endpoint)
    if own and not same_hex(fee.get("providerFeeAddress"), provider):
        raise Refused(
            "C2D-PROVIDER-FEE",
            "the Provider asks for a fee to an address that is not its own",
            "do not pay it",
        )
    # The contract recovers the signer too, yet only in startOrder, when the datatoken is paid.
    signer = orders.signer_of(fee)
    if signer is None or not same_hex(signer, fee["providerFeeAddress"]):
        raise _unusable_answer("its fee is not signed by whom it is for")


def _unusable_answer(why: str) -> Failed:
    """Return the error for an answer of the Provider that no payment can be built on."""
    return Failed("C2D-PROVIDER-ANSWER", f"the Provider's answer cannot be used: {why}", "see its log")


def _sum_by_token(entries: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return the sum per token, without tokens of which nothing is due; the zero address is the token of what
    is free."""
    due: defaultdict[str, int] = defaultdict(int)
    for token, amount in entries:
        if amount and token != ZERO:
            due[checksum_address(token) if is_address(token) else token] += amount
    return dict(due)
