"""What a job or download costs, and paying exactly that.

A quote is the Provider's answer (fees, orders still valid) joined with the chain's prices. Everything due is
compared with the payer's balances before the first transaction, so that nobody pays for half a job.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from c2d_box.assets.addresses import ZERO, same
from c2d_box.assets.ddo import DDO, Service
from c2d_box.errors import C2DError, Failed, Refused

if TYPE_CHECKING:
    from c2d_box.chain import Chain, Signer

Action = Literal["order", "extend", "none"]


@dataclass(frozen=True)
class Item:
    """One asset of a job: the service to order, an earlier order of it, and what is handed to it."""

    ddo: DDO
    service: Service
    previous: str | None = None
    userdata: Mapping[str, Any] | None = None
    algocustomdata: Mapping[str, Any] | None = None

    @property
    def index(self) -> int:
        return self.ddo.index_of(self.service.id) or 0

    def request(self, order: str | None = None) -> dict[str, Any]:
        """The item as the Provider's routes take it."""
        value: dict[str, Any] = {"documentId": self.ddo.id, "serviceId": self.service.id}
        transfer = order or self.previous
        if transfer:
            value["transferTxId"] = transfer
        if self.userdata is not None:
            value["userdata"] = dict(self.userdata)
        if self.algocustomdata is not None:
            value["algocustomdata"] = dict(self.algocustomdata)
        return value


@dataclass(frozen=True)
class Cost:
    """What one asset costs: ``price`` base units of ``token`` for its datatoken, ``fee`` of ``fee_token`` for
    the Provider. ``action``: a new order, one extended by a new fee, or one that still covers all."""

    did: str
    action: Action
    price: int = 0
    token: str = ZERO
    fee: int = 0
    fee_token: str = ZERO


@dataclass(frozen=True)
class Quote:
    """A job's price before anything is paid; ``answers`` are the Provider's, in the order of ``items``."""

    items: tuple[Item, ...]
    answers: tuple[Mapping[str, Any], ...]
    costs: tuple[Cost, ...]
    environment: Mapping[str, Any] | None = None
    valid_until: int = 0

    @property
    def totals(self) -> dict[str, int]:
        """Base units due per token."""
        due: defaultdict[str, int] = defaultdict(int)
        for cost in self.costs:
            due[cost.token] += cost.price
            due[cost.fee_token] += cost.fee
        return {token: amount for token, amount in due.items() if amount}


def quoted(
    chain: Chain,
    payer: str,
    items: Sequence[Item],
    answers: Sequence[Mapping[str, Any]],
    provider: str,
    environment: Mapping[str, Any] | None = None,
    valid_until: int = 0,
) -> Quote:
    """The Provider's ``answers`` with prices. A fee for anybody but the ``provider`` asked is refused."""
    if len(answers) != len(items):
        raise Failed(
            "C2D-PROVIDER-ANSWER", "the Provider answered for other assets than asked", "see its log"
        )
    costs = tuple(_cost(chain, payer, item, answer) for item, answer in zip(items, answers, strict=True))
    for item, answer in zip(items, answers, strict=True):
        fee = answer.get("providerFee")
        own = same(item.service.service_endpoint.rstrip("/"), items[0].service.service_endpoint.rstrip("/"))
        if fee and own and not same(fee.get("providerFeeAddress"), provider):
            raise Refused(
                "C2D-PROVIDER-FEE",
                "the Provider asks for a fee to an address that is not its own",
                "do not pay it",
            )
    return Quote(tuple(items), tuple(answers), costs, environment, valid_until)


def pay(
    chain: Chain,
    signer: Signer,
    quote: Quote,
    consumer: str,
    limits: Mapping[str, int] | None = None,
    slippage: float = 0.0,
) -> list[str]:
    """Order, extend or reuse each item; the transaction per item that proves it, in the order of the items.

    ``limits`` are the most to pay per token over all; C2D-ORDER-TOO-DEAR or -FUNDS before paying anything.
    """
    from c2d_box.chain import orders

    _demand_affordable(chain, signer, quote, limits or {})
    proofs = []
    for item, answer, cost in zip(quote.items, quote.answers, quote.costs, strict=True):
        token = item.service.datatoken_address
        fee: Mapping[str, Any] = answer.get("providerFee") or {}
        if cost.action == "none":
            proofs.append(str(answer["validOrder"]))
        elif cost.action == "extend":
            proofs.append(orders.reuse(chain, signer, token, str(answer["validOrder"]), fee))
        else:
            limit = cost.price + int(cost.price * slippage)
            proofs.append(
                orders.buy_and_start(
                    chain, signer, token, consumer, item.index, fee, max_price=limit, slippage=slippage
                )
            )
    return proofs


def earlier_order(chain: Chain, account: str, service: Service, index: int, busy: set[str]) -> str | None:
    """The latest order or reuse of a service by ``account`` that is not ``busy``; the Provider judges it.

    Looking back is a convenience: a node that refuses wide log queries only costs a new order.
    """
    from c2d_box.chain import events

    token = service.datatoken_address
    try:
        logs = events.order_logs(chain, chain.addresses.start_block, "latest", token)
    except C2DError:
        return None
    mine: dict[str, str] = {}
    for event in logs:
        if event.name == "OrderStarted":
            if event["serviceIndex"] == index and (
                same(event["payer"], account) or same(event["consumer"], account)
            ):
                mine[event.tx] = event.tx
        elif event["orderTxId"] in mine and same(event["caller"], account):
            mine[event["orderTxId"]] = event.tx
    free = [
        latest
        for start, latest in mine.items()
        if not {start, latest, f"{start}:{token}:{index}".lower()} & busy
    ]
    return free[-1] if free else None


def _cost(chain: Chain, payer: str, item: Item, answer: Mapping[str, Any]) -> Cost:
    from c2d_box.chain import orders
    from c2d_box.chain.publishing import WEI

    fee = answer.get("providerFee") or {}
    amount, token = int(fee.get("providerFeeAmount") or 0), str(fee.get("providerFeeToken") or ZERO)
    if answer.get("validOrder"):
        return Cost(item.ddo.id, "extend" if fee else "none", fee=amount, fee_token=token)
    datatoken = item.service.datatoken_address
    if chain.balance(payer, datatoken) >= WEI:
        return Cost(item.ddo.id, "order", fee=amount, fee_token=token)
    offer = orders.offer_for(chain, datatoken)
    if offer is None:
        raise Refused(
            "C2D-ORDER-NOT-FOR-SALE",
            f"nobody dispenses or sells the datatoken of {item.ddo.id}",
            "ask its publisher for one, or for a price",
        )
    return Cost(item.ddo.id, "order", offer.amount, offer.token, amount, token)


def _demand_affordable(chain: Chain, signer: Signer, quote: Quote, limits: Mapping[str, int]) -> None:
    ceilings = {token.lower(): amount for token, amount in limits.items()}
    for token, due in quote.totals.items():
        ceiling = ceilings.get(token.lower())
        if ceiling is not None and due > ceiling:
            raise Refused(
                "C2D-ORDER-TOO-DEAR",
                f"the job costs {due} base units of {token}, more than the limit {ceiling}",
                "raise the limit, or ask for less time",
                due=due,
                limit=ceiling,
                token=token,
            )
        held = chain.balance(signer.address, token)
        if held < due:
            raise Refused(
                "C2D-ORDER-FUNDS",
                f"{signer.address} holds {held} base units of {token}, {due} are due",
                "get more of that token (faucet) and try again",
                due=due,
                held=held,
                token=token,
            )
