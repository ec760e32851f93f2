"""Buying and ordering against the real contracts: every price, every fee, every refusal before paying."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from c2d_box.chain import Chain, Signer, accounts, nfts, orders, publishing
from c2d_box.chain.orders import ConsumeMarketFee, OrderClaim
from c2d_box.chain.publishing import CreatedAsset, DispenserTerms, FixedRateTerms
from c2d_box.errors import Refused

OCEAN = 10**18


def fee_for(
    chain: Chain, provider: Signer, made: CreatedAsset, now: int, amount: int = 0, until: int = 0
) -> Any:
    return orders.sign_fee(
        provider.key,
        datatoken=made.datatoken,
        service_id="compute",
        environment="ocean-compute",
        token=chain.addresses.ocean,
        amount=amount,
        valid_until=until,
        now=now,
    )


def claim_for(made: CreatedAsset, tx: str, sender: str, provider: Signer, now: int) -> OrderClaim:
    return OrderClaim(
        tx=tx,
        sender=sender,
        nft=made.nft,
        datatoken=made.datatoken,
        service_id="compute",
        service_index=0,
        timeout=3600,
        providers=[provider.address],
        environment="ocean-compute",
        now=now,
    )


@pytest.mark.parametrize("template", [1, 2])
@pytest.mark.parametrize("price", [DispenserTerms(), FixedRateTerms(2 * OCEAN)], ids=["free", "fixed"])
def test_an_order_is_bought_paid_and_proven(
    ganache: Any,
    chain: Chain,
    publisher: Signer,
    provider: Signer,
    consumer: Signer,
    price: Any,
    template: int,
) -> None:
    made = publishing.create_asset(chain, publisher, "Cells", "C", price, template=template)
    now, environment = ganache.now(), accounts.from_key(b"\x21" * 32).address
    fee = fee_for(chain, provider, made, now, amount=OCEAN, until=now + 600)
    before = chain.balance_of(consumer.address, chain.addresses.ocean)
    tx = orders.buy_and_start(chain, consumer, made.datatoken, environment, 0, fee)
    paid = before - chain.balance_of(consumer.address, chain.addresses.ocean)
    expected = OCEAN if isinstance(price, DispenserTerms) else 3 * OCEAN
    assert expected <= paid <= expected * 1.01
    assert chain.balance_of(consumer.address, made.datatoken) == 0
    order = orders.verify_order(chain, claim_for(made, tx, consumer.address, provider, now))
    assert (order.start_tx, order.payer, order.consumer) == (tx, consumer.address, environment)
    assert (order.fee_amount, order.fee_token) == (OCEAN, chain.addresses.ocean)
    assert (order.environment, order.fee_valid_until) == ("ocean-compute", now + 600)
    assert orders.verify_order(chain, claim_for(made, tx, environment, provider, now)) == order


def test_a_datatoken_in_hand_is_used_before_another_is_bought(
    ganache: Any, chain: Chain, publisher: Signer, provider: Signer, consumer: Signer
) -> None:
    made = publishing.create_asset(chain, publisher, "Cells", "C", FixedRateTerms(2 * OCEAN))
    publishing.mint_tokens(chain, publisher, made.datatoken, consumer.address)
    before = chain.balance_of(consumer.address, chain.addresses.ocean)
    fee = fee_for(chain, provider, made, ganache.now())
    orders.buy_and_start(chain, consumer, made.datatoken, consumer.address, 0, fee)
    assert chain.balance_of(consumer.address, chain.addresses.ocean) == before


def test_the_consumers_market_gets_its_fee(
    ganache: Any, chain: Chain, publisher: Signer, provider: Signer, consumer: Signer
) -> None:
    made = publishing.create_asset(chain, publisher, "Cells", "C", DispenserTerms())
    market = ConsumeMarketFee(accounts.from_key(b"\x22" * 32).address, chain.addresses.ocean, 7)
    fee = fee_for(chain, provider, made, ganache.now(), amount=3)
    orders.buy_and_start(chain, consumer, made.datatoken, consumer.address, 0, fee, market)
    assert chain.balance_of(market.address, chain.addresses.ocean) == 7


def test_a_price_above_the_limit_is_not_paid(chain: Chain, publisher: Signer, consumer: Signer) -> None:
    made = publishing.create_asset(chain, publisher, "Cells", "C", FixedRateTerms(2 * OCEAN))
    before = chain.balance_of(consumer.address, chain.addresses.ocean)
    with pytest.raises(Refused) as refused:
        orders.buy_datatoken(chain, consumer, made.datatoken, max_price=OCEAN)
    assert refused.value.code == "C2D-ORDER-TOO-DEAR"
    assert chain.balance_of(consumer.address, chain.addresses.ocean) == before


def test_what_is_not_for_sale_cannot_be_bought(chain: Chain, publisher: Signer, consumer: Signer) -> None:
    made = publishing.create_asset(
        chain, publisher, "Cells", "C", DispenserTerms(max_tokens=1, max_balance=1)
    )
    with pytest.raises(Refused) as refused:
        orders.buy_datatoken(chain, consumer, made.datatoken)
    assert refused.value.code == "C2D-ORDER-NOT-FOR-SALE"


def test_who_holds_too_little_is_told_how_much_is_due(chain: Chain, publisher: Signer) -> None:
    made = publishing.create_asset(chain, publisher, "Cells", "C", FixedRateTerms(2 * OCEAN))
    poor = accounts.from_mnemonic("taxi music thumb unique chat sand crew more leg another off lamp", 9)
    with pytest.raises(Refused) as refused:
        orders.buy_datatoken(chain, poor, made.datatoken)
    assert refused.value.code == "C2D-ORDER-FUNDS"


def test_a_fee_somebody_altered_is_refused_by_the_contract(
    ganache: Any, chain: Chain, publisher: Signer, provider: Signer, consumer: Signer
) -> None:
    made = publishing.create_asset(chain, publisher, "Cells", "C", DispenserTerms())
    fee = {**fee_for(chain, provider, made, ganache.now(), until=5), "validUntil": 10**10}
    with pytest.raises(Refused) as refused:
        orders.buy_and_start(chain, consumer, made.datatoken, consumer.address, 0, fee)
    assert "Invalid provider fee" in refused.value.message


def test_reusing_pays_only_the_new_fee(
    ganache: Any, chain: Chain, publisher: Signer, provider: Signer, consumer: Signer
) -> None:
    made = publishing.create_asset(chain, publisher, "Cells", "C", FixedRateTerms(2 * OCEAN))
    now = ganache.now()
    first = orders.buy_and_start(
        chain,
        consumer,
        made.datatoken,
        consumer.address,
        0,
        fee_for(chain, provider, made, now, until=now + 60),
    )
    before = chain.balance_of(consumer.address, chain.addresses.ocean)
    later = fee_for(chain, provider, made, now, amount=5, until=now + 600)
    second = orders.reuse_order(chain, consumer, made.datatoken, first, later)
    assert before - chain.balance_of(consumer.address, chain.addresses.ocean) == 5
    order = orders.verify_order(chain, claim_for(made, second, consumer.address, provider, now))
    assert (order.tx, order.start_tx) == (second, first)
    assert order.reused is not None and order.fee_valid_until == now + 600


def test_a_quote_is_in_the_tokens_own_decimals(chain: Chain, provider: Signer, publisher: Signer) -> None:
    fee = orders.quote_fee(
        chain,
        provider.key,
        datatoken=chain.addresses.ocean,
        service_id="compute",
        environment="e",
        price_per_minute=1.5,
        valid_until=1060,
        now=1000,
    )
    assert (fee["providerFeeAmount"], fee["validUntil"]) == (str(3 * OCEAN // 2), 1060)
    assert fee["providerFeeToken"] == chain.addresses.ocean


def test_market_of_an_order_is_the_publishing_market(chain: Chain, publisher: Signer) -> None:
    market = accounts.from_key(b"\x23" * 32).address
    made = publishing.create_asset(chain, publisher, "Cells", "C", DispenserTerms(), market=market)
    assert nfts.publishing_market(chain, made.datatoken) == market


def test_threads_of_one_account_pay_side_by_side(
    ganache: Any, chain: Chain, publisher: Signer, provider: Signer, consumer: Signer
) -> None:
    """An allowance is the account's, not a thread's: nobody spends what another has just approved."""
    made = publishing.create_asset(chain, publisher, "Cells", "C", FixedRateTerms(OCEAN))
    now = ganache.now()

    def order(number: int) -> str:
        fee = fee_for(chain, provider, made, now, amount=number, until=now + 600)
        return orders.buy_and_start(chain, consumer, made.datatoken, consumer.address, 0, fee)

    with ThreadPoolExecutor(4) as pool:
        proofs = list(pool.map(order, range(1, 9)))
    assert len(set(proofs)) == 8
    assert sorted(
        orders.verify_order(chain, claim_for(made, tx, consumer.address, provider, now)).fee_amount
        for tx in proofs
    ) == list(range(1, 9))
