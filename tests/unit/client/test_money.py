"""Random orders with all kinds of fees, on the real contracts: what is paid is what was quoted, token by
token, and never more than the limit; what is refused has paid nothing.

Every sale there is (dispenser, fixed rate in two tokens, pool, a datatoken in hand, enterprise templates that
sell only with an order), the publishing market's fee in either token, the Provider's, the consume market's,
and orders that are reused or extended. A few dozen by seed; ten thousand with ``--full``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from c2d_box.assets.addresses import ZERO
from c2d_box.assets.documents.ddo import DDO
from c2d_box.chain import Chain, accounts, orders, publishing
from c2d_box.chain.orders import ConsumeMarketFee
from c2d_box.chain.publishing import CreatedAsset, DispenserTerms, FixedRateTerms, PoolTerms
from c2d_box.chain.transactions import send
from c2d_box.client.payment.paying import PaymentTransaction, gas_of, pay_quote
from c2d_box.client.payment.quotes import OrderItem, OrderQuote, build_quote
from c2d_box.errors import C2DError, Refused
from tests.harness.in_process_chain import chain_in
from tests.unit.client.conftest import ENVIRONMENT, MNEMONIC

OCEAN = 10**18
PROVIDER = accounts.from_key(b"\x31" * 32)
MARKET = accounts.from_mnemonic(MNEMONIC, 4)
PUBLISHER = accounts.from_mnemonic(MNEMONIC, 3)
CONSUMER = accounts.from_mnemonic(MNEMONIC, 7)
DEPLOYER = accounts.from_mnemonic(MNEMONIC, 0)
AT_ONCE, SOME, MANY = 3, 40, 10_000


@dataclass
class Sold:
    """An asset, how it is sold, and the consumer's last order of it."""

    made: CreatedAsset
    item: OrderItem
    kind: str
    in_ocean: bool = True
    previous: str | None = None


@dataclass
class Bazaar:
    """A chain with one asset per kind of sale, and what has happened there."""

    chain: Chain
    usdc: str
    assets: list[Sold] = field(default_factory=list)
    orders: int = 0
    gas_price: int = 0
    refusals: dict[str, int] = field(default_factory=dict)

    @property
    def tokens(self) -> tuple[str, str]:
        return self.chain.addresses.ocean, self.usdc

    def balances(self) -> dict[str, int]:
        return {token: self.chain.balance_of(CONSUMER.address, token) for token in self.tokens}

    def sent(self) -> int:
        return int(self.chain.web3.eth.get_transaction_count(CONSUMER.address))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bazaar]:
    with chain_in(tmp_path_factory.mktemp("bazaar")) as chain:
        made = Bazaar(chain, str(chain.addresses.raw["MockUSDC"]))
        for token, amount in ((chain.addresses.ocean, 10**7 * OCEAN), (made.usdc, 10**12)):
            for signer in (CONSUMER, PUBLISHER):
                fund(chain, token, signer.address, amount)
        for name, price, template in (
            ("free", DispenserTerms(), 1),
            ("fixed", FixedRateTerms(2 * OCEAN), 1),
            ("fixed", FixedRateTerms(3_000_000, made.usdc), 1),
            ("pool", PoolTerms(OCEAN, liquidity=200_000 * OCEAN), 1),
            ("pool", PoolTerms(500_000, made.usdc, 50_000 * 10**6), 1),
            ("in hand", None, 1),
            ("free", DispenserTerms(), 2),
            ("fixed", FixedRateTerms(OCEAN // 3), 2),
            ("fixed", FixedRateTerms(7, made.usdc), 2),
        ):
            made.assets.append(sold(chain, name, price, template))
        eth = chain.web3.eth
        made.gas_price = int(eth.get_block("latest")["baseFeePerGas"]) + int(eth.max_priority_fee)
        yield made


def fund(chain: Chain, token: str, address: str, amount: int) -> None:
    contract, function = ("OceanToken", "mint") if token == chain.addresses.ocean else ("", "transfer")
    send(chain, DEPLOYER, contract or "MockERC20Decimals", token, function, address, amount)


def sold(chain: Chain, kind: str, price: Any, template: int) -> Sold:
    made = publishing.create_asset(
        chain, PUBLISHER, "Cells", "C", price, market=MARKET.address, template=template
    )
    document = {
        "@context": ["https://w3id.org/did/v1"],
        "id": f"did:op:{made.nft[2:].lower():0>64}",
        "version": "4.1.0",
        "chainId": 8996,
        "nftAddress": made.nft,
        "metadata": {"type": "dataset", "name": kind},
        "services": [
            {
                "id": "0",
                "type": "compute",
                "datatokenAddress": made.datatoken,
                "serviceEndpoint": "http://provider.test",
                "files": "0x",
                "timeout": 0,
            }
        ],
    }
    ddo = DDO.parse(document)
    return Sold(made, OrderItem(ddo, ddo.services[0]), kind, getattr(price, "token", None) is None)


def charge(bazaar: Bazaar, asset: Sold, token: str, amount: int) -> None:
    function, target = "setPublishingMarketFee", asset.made.datatoken
    send(bazaar.chain, MARKET, "ERC20Template", target, function, MARKET.address, token, amount)


def some_amount(chance: random.Random) -> int:
    return chance.choice([0, 0, 1, chance.randrange(1, 10**6), chance.randrange(1, 10**4)])


def answer_for(bazaar: Bazaar, asset: Sold, chance: random.Random) -> dict[str, Any]:
    """What a Provider could answer: a fee, a fee to extend an order, or an order that is still good."""
    fee = orders.sign_fee(
        PROVIDER.key,
        datatoken=asset.made.datatoken,
        service_id="0",
        environment="e",
        token=chance.choice([*bazaar.tokens, ZERO]),
        amount=some_amount(chance),
        valid_until=2**40,
    )
    if asset.previous is None or chance.random() < 0.6:
        return {"datatoken": asset.made.datatoken, "providerFee": fee}
    if chance.random() < 0.5:
        return {"validOrder": asset.previous}
    return {"validOrder": asset.previous, "providerFee": fee}


def quote_of(bazaar: Bazaar, chosen: list[Sold], chance: random.Random) -> OrderQuote:
    market = None
    if chance.random() < 0.5:
        market = ConsumeMarketFee(MARKET.address, chance.choice(bazaar.tokens), some_amount(chance))
    answers = [answer_for(bazaar, asset, chance) for asset in chosen]
    items = [asset.item for asset in chosen]
    return build_quote(bazaar.chain, CONSUMER.address, items, answers, PROVIDER.address, market=market)


def limits_for(quote: OrderQuote, chance: random.Random) -> tuple[Mapping[str, int] | None, bool]:
    """A limit of some kind, and whether it must be refused."""
    totals = dict(quote.totals)
    kind = chance.choice(["none", "exact", "exact", "above", "below", "unnamed"])
    if kind == "none":
        return None, False
    if kind == "above":
        return {token: amount + chance.randrange(10**6) for token, amount in totals.items()}, False
    if kind in ("below", "unnamed") and totals:
        token = chance.choice(sorted(totals))
        totals[token] -= 1
        return ({t: a for t, a in totals.items() if t != token} if kind == "unnamed" else totals), True
    return totals, False


def disturb(bazaar: Bazaar, chosen: list[Sold], chance: random.Random) -> bool:
    """Sometimes a seller or a market changes what it asks between quote and payment."""
    if chance.random() > 0.15:
        return False
    asset = chance.choice(chosen)
    if asset.made.exchange_id and chance.random() < 0.5:
        amount = chance.randrange(1, 3 * 10**6) * (10**12 if asset.in_ocean else 1)
        publishing.set_price(bazaar.chain, PUBLISHER, asset.made.exchange_id, amount)
    else:
        charge(bazaar, asset, chance.choice(bazaar.tokens), some_amount(chance))
    return True


def one_start(bazaar: Bazaar, chance: random.Random) -> None:
    """Choose, quote, limit, pay, and compare."""
    chosen = chance.choices(bazaar.assets, k=chance.randint(1, AT_ONCE))
    for asset in chosen:
        if asset.kind == "in hand":
            publishing.mint_tokens(bazaar.chain, PUBLISHER, asset.made.datatoken, CONSUMER.address)
        if chance.random() < 0.2:
            charge(bazaar, asset, chance.choice(bazaar.tokens), some_amount(chance))
    try:
        quote = quote_of(bazaar, chosen, chance)
    except Refused as refused:
        assert refused.code in ("C2D-ORDER-POOL-TWICE", "C2D-ORDER-NOT-FOR-SALE")
        bazaar.refusals[refused.code] = bazaar.refusals.get(refused.code, 0) + 1
        return
    limits, must_refuse = limits_for(quote, chance)
    changed = not must_refuse and disturb(bazaar, chosen, chance)
    slippage = chance.choice([0.0, 0.0, 0.05])
    before, sent, payments = bazaar.balances(), bazaar.sent(), list[PaymentTransaction]()
    coins = bazaar.chain.balance_of(CONSUMER.address)
    refused_with, proofs = "", list[str]()
    try:
        proofs = pay_quote(bazaar.chain, CONSUMER, quote, ENVIRONMENT, limits, slippage, payments)
    except C2DError as error:
        refused_with = error.code
        bazaar.refusals[error.code] = bazaar.refusals.get(error.code, 0) + 1
        assert [entry["tx"] for entry in error.details.get("paid", [])] == [p.tx for p in payments]  # type: ignore[attr-defined]
    after = bazaar.balances()
    paid = {token: before[token] - after[token] for token in before if before[token] != after[token]}
    case = (quote.costs, limits, slippage, refused_with, paid)
    assert coins - bazaar.chain.balance_of(CONSUMER.address) <= gas_of(quote) * bazaar.gas_price, case
    bazaar.orders += len(chosen)
    if must_refuse:
        assert refused_with == "C2D-ORDER-TOO-DEAR" and not paid and bazaar.sent() == sent, case
        return
    if not changed:
        assert not refused_with and paid == quote.totals, case
    if limits is not None:
        assert all(amount <= limits.get(token, 0) for token, amount in paid.items()), case
    elif not slippage:
        assert all(amount <= quote.totals.get(token, 0) for token, amount in paid.items()), case
    assert not paid or payments, case
    for asset, proof in zip(chosen, proofs, strict=bool(proofs)):
        asset.previous = proof


def test_what_is_paid_is_what_was_quoted_and_never_above_the_limit(
    bazaar: Bazaar, seed: str, pytestconfig: pytest.Config
) -> None:
    wanted, chance = MANY if pytestconfig.getoption("--full") else SOME, random.Random(f"money {seed}")
    while bazaar.orders < wanted:
        one_start(bazaar, chance)
    assert bazaar.refusals.get("C2D-ORDER-TOO-DEAR"), "no limit was met"
