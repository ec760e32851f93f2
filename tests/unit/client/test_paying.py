"""What a start may cost: every fee is in the quote and under the limit, and nothing is paid by halves."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import httpx
import pytest

from c2d_box.chain import accounts, orders, publishing, transactions
from c2d_box.chain.amounts import base_units, whole_tokens
from c2d_box.chain.orders import purchases
from c2d_box.chain.orders.purchases import ConsumeMarketFee
from c2d_box.chain.transactions import send
from c2d_box.client import Consumer
from c2d_box.client.payment.paying import gas_of, pay_quote
from c2d_box.client.payment.prices import sale_terms
from c2d_box.errors import C2DError, Failed, Refused, UsageError
from tests.unit.client.conftest import CONTAINER, FILE, MNEMONIC

OCEAN = 10**18
MARKET = accounts.from_mnemonic(MNEMONIC, 4)
RAW = {"rawcode": "print(1)", "container": CONTAINER}


@pytest.fixture
def usdc(world: Any) -> str:
    """A token with six decimals, of which the consumer has a thousand."""
    token = str(world.chain.addresses.raw["MockUSDC"])
    deployer, consumer = accounts.from_mnemonic(MNEMONIC, 0), world.consumer.signer.address
    send(world.chain, deployer, "MockERC20Decimals", token, "transfer", consumer, 1000 * 10**6)
    return token


def charge(world: Any, datatoken: str, token: str, amount: int) -> None:
    """Let the market where it was published take a fee for every order."""
    function = "setPublishingMarketFee"
    send(world.chain, MARKET, "ERC20Template", datatoken, function, MARKET.address, token, amount)


def marketed(world: Any, price: float = 0, token: str | None = None, amount: int = 5 * OCEAN) -> Any:
    made = world.publisher.publish_dataset("Cells", [FILE], price=price, market=MARKET.address)
    charge(world, made.datatoken, token or world.chain.addresses.ocean, amount)
    return made


def held(world: Any, *tokens: str) -> dict[str, int]:
    return {token: world.chain.balance_of(world.consumer.signer.address, token) for token in tokens}


def refused(world: Any, code: str, *arguments: Any, **options: Any) -> C2DError:
    """The start is refused with ``code``, and not one transaction was sent."""
    before = world.sent_by(world.consumer.signer)
    with pytest.raises(C2DError) as error:
        world.consumer.start(*arguments, **options)
    assert error.value.code == code, error.value
    assert world.sent_by(world.consumer.signer) == before
    return error.value


def listed(error: C2DError) -> list[dict[str, str]]:
    """What the error says was paid."""
    paid: Any = error.details["paid"]
    return list(paid)


def test_the_publishing_markets_fee_is_quoted_and_limited(world: Any) -> None:
    made, ocean = marketed(world), world.chain.addresses.ocean
    assert world.consumer.quote(made.did, RAW).totals == {ocean: 5 * OCEAN}
    error = refused(world, "C2D-ORDER-TOO-DEAR", made.did, RAW, limits={ocean: 0})
    assert "5 OCEAN" in error.message
    refused(world, "C2D-ORDER-TOO-DEAR", made.did, RAW, limits={ocean.lower(): 5 * OCEAN - 1})
    before = held(world, ocean)
    job = world.consumer.start(made.did, RAW, limits={ocean: 5 * OCEAN})
    assert before[ocean] - held(world, ocean)[ocean] == 5 * OCEAN
    assert job.costs[0].market_fee == 5 * OCEAN


def test_a_fee_in_another_token_has_to_be_named(world: Any, usdc: str) -> None:
    made, ocean = marketed(world, 2, usdc, 3 * 10**6), world.chain.addresses.ocean
    totals = world.consumer.quote(made.did, RAW).totals
    assert set(totals) == {ocean, usdc} and totals[usdc] == 3 * 10**6
    error = refused(world, "C2D-ORDER-TOO-DEAR", made.did, RAW, limits={ocean: 100 * OCEAN})
    assert "3 MockUSDC" in error.message and "--max-price AMOUNT:MockUSDC" in error.next_step
    before = held(world, ocean, usdc)
    world.consumer.start(made.did, RAW, limits=totals)
    after = held(world, ocean, usdc)
    assert {token: before[token] - after[token] for token in totals} == totals


def test_the_market_that_the_consumer_comes_through_is_counted_too(world: Any, usdc: str) -> None:
    made, ocean = marketed(world, 0, usdc, 3 * 10**6), world.chain.addresses.ocean
    through = ConsumeMarketFee(MARKET.address, usdc, 7)
    totals = {usdc: 3 * 10**6 + 7}
    assert world.consumer.quote(made.did, RAW, market=through).totals == totals
    refused(world, "C2D-ORDER-TOO-DEAR", made.did, RAW, market=through, limits={ocean: 1, usdc: 3 * 10**6})
    before = held(world, usdc)
    world.consumer.start(made.did, RAW, market=through, limits=totals)
    assert before[usdc] - held(world, usdc)[usdc] == totals[usdc]


@pytest.mark.parametrize("where", ["sdk", "chain"])
def test_who_cannot_pay_every_fee_buys_no_datatoken(world: Any, where: str) -> None:
    made, ocean = marketed(world, 2), world.chain.addresses.ocean
    poor = Consumer(world.connection, accounts.from_key(b"\x32" * 32))
    send(
        world.chain,
        world.consumer.signer,
        "MockERC20Decimals",
        ocean,
        "transfer",
        poor.signer.address,
        3 * OCEAN,
    )
    before = world.sent_by(poor.signer)
    with pytest.raises(Refused, match=r"C2D-ORDER-FUNDS.*holds 3 OCEAN"):
        if where == "sdk":
            poor.start(made.did, RAW)
        else:
            fee = world.consumer.quote(made.did, RAW).answers[0]["providerFee"]
            orders.buy_and_start(world.chain, poor.signer, made.datatoken, MARKET.address, 0, fee)
    assert world.sent_by(poor.signer) == before


def test_a_fee_that_rises_after_the_quote_is_not_paid(world: Any) -> None:
    made, ocean = marketed(world, 2), world.chain.addresses.ocean
    quote = world.consumer.quote(made.did, RAW)
    charge(world, made.datatoken, ocean, 50 * OCEAN)
    before = world.sent_by(world.consumer.signer)
    with pytest.raises(Refused, match="C2D-ORDER-FEE-ROSE"):
        pay_quote(world.chain, world.consumer.signer, quote, MARKET.address)
    assert world.sent_by(world.consumer.signer) == before


def test_an_allowance_left_over_does_not_pay_a_fee_that_rises(world: Any) -> None:
    """What the datatoken may take is what is due, whatever it was allowed before."""
    made, ocean = marketed(world), world.chain.addresses.ocean
    consumer = world.consumer.signer
    send(world.chain, consumer, "ERC20Template", ocean, "approve", made.datatoken, 1000 * OCEAN)
    quote = world.consumer.quote(made.did, RAW)
    real = purchases._approve

    def approving(*arguments: Any) -> None:
        real(*arguments)
        charge(world, made.datatoken, ocean, 50 * OCEAN)

    before = held(world, ocean)
    with pytest.MonkeyPatch.context() as patched, pytest.raises(Refused, match="C2D-CHAIN-REVERTED"):
        patched.setattr(purchases, "_approve", approving)
        pay_quote(world.chain, consumer, quote, MARKET.address)
    assert held(world, ocean) == before


def test_slippage_ends_at_the_limit(world: Any) -> None:
    made, ocean = world.publisher.publish_dataset("Cells", [FILE], price=2), world.chain.addresses.ocean
    quote = world.consumer.quote(made.did, RAW)
    due = quote.totals[ocean]
    publishing.set_price(world.chain, world.publisher.signer, made.exchange_id, int(2.1 * OCEAN))
    before = held(world, ocean)
    with pytest.raises(Refused, match="C2D-ORDER-TOO-DEAR"):
        pay_quote(
            world.chain, world.consumer.signer, quote, MARKET.address, {ocean: due + 10**15}, slippage=0.5
        )
    assert held(world, ocean) == before
    pay_quote(
        world.chain, world.consumer.signer, quote, MARKET.address, {ocean: int(due * 1.06)}, slippage=0.5
    )
    assert due < before[ocean] - held(world, ocean)[ocean] <= due * 1.06


def test_one_datatoken_in_hand_pays_for_one_order(world: Any) -> None:
    made, ocean = world.publisher.publish_dataset("Cells", [FILE], price=2), world.chain.addresses.ocean
    publishing.mint_tokens(world.chain, world.publisher.signer, made.datatoken, world.consumer.signer.address)
    totals = world.consumer.quote(made.did, RAW, [made.did]).totals
    assert 2 * OCEAN <= totals[ocean] < 3 * OCEAN
    before = held(world, ocean)
    world.consumer.start(made.did, RAW, [made.did], limits=totals)
    assert before[ocean] - held(world, ocean)[ocean] == totals[ocean]


@pytest.mark.parametrize(
    "change",
    [
        {"providerFeeAmount": "-5"},
        {"providerFeeAmount": "1e3"},
        {"providerFeeAmount": str(10**30)},
        {"validUntil": 10**12},
        {"providerFeeToken": "OCEAN"},
        {"r": "0x"},
    ],
)
def test_a_fee_that_the_contract_would_refuse_is_refused_before_buying(
    world: Any, assets: Any, change: dict[str, Any]
) -> None:
    real = world.provider._initializeCompute_post

    def altered(request: httpx.Request) -> httpx.Response:
        body = real(request).json()
        body["datasets"][0]["providerFee"] |= change
        return httpx.Response(200, json=body)

    world.provider._initializeCompute_post = altered
    refused(world, "C2D-PROVIDER-ANSWER", *assets)


@pytest.mark.parametrize("answer", [{}, [], {"providerFee": 7}, {"providerFee": {}}])
def test_an_answer_without_fee_and_order_is_named(world: Any, assets: Any, answer: Any) -> None:
    world.provider.refuse["initializeCompute"] = httpx.Response(
        200, json={"datasets": [answer], "algorithm": answer}
    )
    refused(world, "C2D-PROVIDER-ANSWER", *assets)


def test_a_start_that_breaks_off_says_what_was_paid_and_goes_on(world: Any, assets: Any) -> None:
    """The Provider refuses after everything was ordered; the job's time is what was paid for."""
    world.provider.fee_amount = 7 * OCEAN
    world.provider.refuse["compute"] = httpx.Response(400, json={"error": "no place"})
    ocean = world.chain.addresses.ocean
    before = held(world, ocean)
    with pytest.MonkeyPatch.context() as patched, pytest.raises(C2DError) as error:
        patched.setattr(world.consumer, "jobs", list)
        world.consumer.start(*assets, seconds=600)
    paid = listed(error.value)
    assert [(entry["did"], entry["what"]) for entry in paid] == [
        (did, what) for did in assets for what in ("datatoken", "order")
    ]
    assert all(world.chain.find_receipt(entry["tx"]) for entry in paid)
    assert "goes on" not in error.value.message and "not lost" in error.value.next_step
    world.provider.refuse.clear()
    spent = before[ocean] - held(world, ocean)[ocean]
    assert spent >= 9 * OCEAN
    began = time.time()
    while time.time() < began + 2.1:
        time.sleep(0.01)
    job = world.consumer.start(*assets, seconds=600, limits={ocean: 0})
    assert [cost.action for cost in job.costs] == ["none", "none"]
    assert before[ocean] - held(world, ocean)[ocean] == spent
    bodies = world.provider.sent("compute")
    known = [bodies[-1][part]["transferTxId"] for part in ("dataset", "algorithm")]
    for told in (known, []):
        world.provider.jobs[job.id] |= {"dateFinished": "1.0", "orders": told}
        used = world.consumer.quote(*assets, seconds=600)
        assert used.valid_until >= int(began) + 602, "an order that a job has used pays for no new time"


def test_an_order_that_failed_names_the_datatoken_that_was_bought(world: Any, assets: Any) -> None:
    real = transactions.send

    def failing(chain: Any, signer: Any, contract: str, address: str, function: str, *rest: Any) -> Any:
        if function == "startOrder":
            raise Failed("C2D-CHAIN-UNREACHABLE", "the chain's node did not answer", "see whether it runs")
        return real(chain, signer, contract, address, function, *rest)

    with pytest.MonkeyPatch.context() as patched, pytest.raises(Failed) as error:
        patched.setattr(purchases, "send", failing)
        world.consumer.start(*assets)
    (paid,) = listed(error.value)
    assert (paid["did"], paid["what"]) == (assets[0], "datatoken")
    assert world.consumer.quote(*assets).costs[0].price == 0
    world.consumer.start(*assets, limits={})


def counting(world: Any, per_second: int) -> list[int]:
    """Let the Provider count the seconds from when it is asked; the first question comes three seconds late.
    The list of ends asked for.
    """
    real, asked = world.provider._initializeCompute_post, list[int]()

    def counted(request: httpx.Request) -> httpx.Response:
        until = json.loads(request.content)["compute"]["validUntil"]
        world.provider.fee_amount = int((until - time.time() - (0 if asked else 3)) * per_second)
        asked.append(until)
        reply: httpx.Response = real(request)
        return reply

    world.provider._initializeCompute_post = counted
    return asked


def test_a_limit_that_was_quoted_suffices_when_the_next_quote_counts_more_seconds(world: Any) -> None:
    made, ocean = world.publisher.publish_dataset("Cells", [FILE], price=2), world.chain.addresses.ocean
    asked = counting(world, OCEAN)
    limits = world.consumer.quote(made.did, RAW, seconds=600).totals
    before = held(world, ocean)
    job = world.consumer.start(made.did, RAW, seconds=600, limits=limits)
    assert len(asked) == 3 and asked[1] - 10 <= asked[2] < asked[1], "the case needs a dearer second quote"
    paid = before[ocean] - held(world, ocean)[ocean]
    assert paid == job.costs[0].price + job.costs[0].fee <= limits[ocean]


@pytest.mark.parametrize("short", [20, 300])
def test_a_limit_for_much_less_time_is_refused(world: Any, assets: Any, short: int) -> None:
    counting(world, OCEAN)
    limits = world.consumer.quote(*assets, seconds=600 - short).totals
    refused(world, "C2D-ORDER-TOO-DEAR", *assets, seconds=600, limits=limits)


def test_a_job_is_never_cut_to_less_than_half(world: Any, assets: Any) -> None:
    """Seven seconds too many are few of ten minutes, and too many of twelve seconds."""
    counting(world, OCEAN)
    ocean = world.chain.addresses.ocean
    limits = {ocean: world.consumer.quote(*assets, seconds=12).totals[ocean] - 4 * OCEAN}
    refused(world, "C2D-ORDER-TOO-DEAR", *assets, seconds=12, limits=limits)


@pytest.mark.parametrize("share", [0.0, 0.9])
def test_who_cannot_pay_the_gas_of_all_transactions_sends_none(world: Any, assets: Any, share: float) -> None:
    """Nine tenths pay for the first transactions, and would leave half a job paid."""
    quote = world.consumer.quote(*assets)
    due = gas_of(quote) * transactions.highest_price(world.chain)
    assert due > 0
    address = world.consumer.signer.address
    set_balance(world, address, int(due * share))
    error = refused(world, "C2D-CHAIN-FUNDS", *assets)
    assert "gas may take" in error.message and "nothing was paid" in error.next_step
    set_balance(world, address, due)
    world.consumer.start(*assets)


def test_a_start_that_pays_nothing_needs_no_coins(world: Any, assets: Any) -> None:
    job = world.consumer.start(*assets)
    world.provider.jobs[job.id] |= {"dateFinished": "1.0", "status": 70}
    set_balance(world, world.consumer.signer.address, 0)
    assert {cost.action for cost in world.consumer.start(*assets, seconds=60).costs} == {"none"}


def set_balance(world: Any, address: str, amount: int) -> None:
    world.chain.web3.provider.make_request("hardhat_setBalance", [address, hex(amount)])


@pytest.mark.parametrize("price", ["1e60", "1e59", "1e21", "nan", "inf", "-1", "x", 2.0**200, "9" * 50])
def test_a_price_that_nobody_could_pay_is_no_price(world: Any, price: Any) -> None:
    with pytest.raises(UsageError, match="C2D-PUBLISH-PRICE"):
        sale_terms(world.chain, price)


def test_the_highest_price_can_be_published_and_quoted(world: Any) -> None:
    made = world.publisher.publish_dataset("Cells", [FILE], price=str(3 * 10**20))
    error = refused(world, "C2D-ORDER-FUNDS", made.did, RAW)
    assert "00 OCEAN are due" in error.message


def test_amounts_are_written_whole_and_exactly() -> None:
    assert whole_tokens(2012056240996048096, 18) == "2.012056240996048096"
    assert [whole_tokens(amount, 6) for amount in (0, 1, 10**6, 1200000)] == ["0", "0.000001", "1", "1.2"]
    assert whole_tokens(10**30, 18) == "1000000000000"
    assert base_units("2.5", 6) == 2_500_000 and base_units("1e-30", 18) == 0
    assert base_units("1e999999999", 18) is None and base_units("-1e-999999999", 18) is None


def test_a_cost_without_fees_is_due_nowhere(world: Any, assets: Any) -> None:
    cost = world.consumer.quote(*assets).costs[1]
    assert cost.due == {} and replace(cost, price=3, token=world.chain.addresses.ocean).due
