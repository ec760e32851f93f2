"""Pools on the chain a box has: the real contracts of the last release with pools, beside the current set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c2d_box.chain import Chain, Signer, accounts, addresses, nfts, orders, publishing
from c2d_box.chain.orders import OrderClaim
from c2d_box.chain.publishing import DispenserTerms, FixedRateTerms, PoolTerms
from c2d_box.chain.transactions import send
from c2d_box.client.payment.prices import PoolPrice, sale_terms
from c2d_box.errors import Refused, StateProblem, UsageError
from sandbox.testchain.deployment.contract_plans import is_same_code, load_artifact
from sandbox.testchain.local_chain import LocalChain, running_chain
from tests.harness.pool_contracts import pool_contracts
from tests.unit.chain.conftest import MNEMONIC

OCEAN = 10**18
PROVIDER = accounts.from_key(b"\x31" * 32)


@pytest.fixture(scope="module")
def local() -> Iterator[LocalChain]:
    with running_chain(poolContracts=pool_contracts()) as chain:
        yield chain


@pytest.fixture(scope="module")
def chain(local: LocalChain) -> Chain:
    return Chain(local.url, addresses.load_addresses(local.address_file, 8996))


@pytest.fixture(scope="module")
def buyer() -> Signer:
    return accounts.from_mnemonic(MNEMONIC, 7)


def pooled(
    chain: Chain, publisher: Signer, price: int = 2 * OCEAN, **more: object
) -> publishing.CreatedAsset:
    return publishing.create_asset(chain, publisher, "Cells", "C", PoolTerms(price, **more))  # type: ignore[arg-type]


def offer(chain: Chain, made: publishing.CreatedAsset) -> orders.DatatokenOffer:
    found = orders.offer_for(chain, made.datatoken)
    assert found is not None
    return found


def test_the_contracts_are_the_releases_own(local: LocalChain, chain: Chain) -> None:
    section = json.loads(local.address_file.read_text())["development-pools"]
    for name, artifact in (
        ("Staking", "SideStaking"),
        ("poolTemplate", "BPool"),
        ("Router", "FactoryRouter"),
        ("ERC721Factory", "ERC721Factory"),
    ):
        code = bytes(chain.web3.eth.get_code(section[name]))
        assert is_same_code(code, artifact, pool_contracts())
    current = load_artifact("FactoryRouter")["deployedBytecode"]
    assert current != load_artifact("FactoryRouter", pool_contracts())["deployedBytecode"]


def test_clients_that_take_a_chains_first_section_get_the_current_set(local: LocalChain) -> None:
    document = json.loads(local.address_file.read_text())
    assert list(document) == ["development", "development-pools"]
    assert {section["chainId"] for section in document.values()} == {8996}
    first, second = document.values()
    assert first["Ocean"] == second["Ocean"] and first["ERC721Factory"] != second["ERC721Factory"]
    assert "poolTemplate" not in first


def test_the_pools_section_must_be_whole(local: LocalChain) -> None:
    document = json.loads(local.address_file.read_text())
    del document["development-pools"]["Staking"]
    with pytest.raises(StateProblem, match="names no Staking"):
        addresses.parse_addresses(document, 8996)


def test_a_pool_sells_at_its_first_price_plus_its_curve(chain: Chain, publisher: Signer) -> None:
    made = pooled(chain, publisher)
    found = offer(chain, made)
    assert made.pool == found.source and found.kind == "pool" and found.token == chain.addresses.ocean
    assert found.rate == 2.0
    # A hundred datatokens against their price: one of them costs 100/99 of it, and 0.1 + 0.1 % of fees.
    assert 2 * OCEAN * 100 / 99 < found.amount < 2 * OCEAN * 100 / 99 * 1.0025


def test_the_liquidity_is_the_publishers(chain: Chain, publisher: Signer) -> None:
    before = chain.balance_of(publisher.address, chain.addresses.ocean)
    made = pooled(chain, publisher, price=OCEAN, liquidity=30 * OCEAN)
    assert before - chain.balance_of(publisher.address, chain.addresses.ocean) == 30 * OCEAN
    assert made.pool and chain.balance_of(made.pool, chain.addresses.ocean) == 30 * OCEAN
    assert chain.balance_of(made.pool, made.datatoken) == 30 * OCEAN


def test_every_purchase_raises_the_price(chain: Chain, publisher: Signer, buyer: Signer) -> None:
    made = pooled(chain, publisher)
    paid = []
    for _ in range(3):
        asked = offer(chain, made).amount
        purchase = orders.accept_offer(chain, buyer, offer(chain, made), asked)
        assert purchase.amount == asked
        paid.append(asked)
    assert paid == sorted(set(paid))
    assert chain.balance_of(buyer.address, made.datatoken) == 3 * OCEAN


def test_a_price_that_rose_meanwhile_is_not_paid(chain: Chain, publisher: Signer, buyer: Signer) -> None:
    made = pooled(chain, publisher)
    seen = offer(chain, made)
    orders.buy_datatoken(chain, accounts.from_mnemonic(MNEMONIC, 5), made.datatoken)
    before = chain.balance_of(buyer.address, chain.addresses.ocean)
    with pytest.raises(Refused) as refused:
        orders.accept_offer(chain, buyer, seen, seen.amount)
    assert refused.value.code == "C2D-ORDER-SLIPPAGE"
    assert chain.balance_of(buyer.address, chain.addresses.ocean) == before
    paid = orders.accept_offer(chain, buyer, seen, int(seen.amount * 1.05))
    assert seen.amount < paid.amount <= seen.amount * 1.05


def test_a_limit_below_the_price_sends_nothing(chain: Chain, publisher: Signer, buyer: Signer) -> None:
    made = pooled(chain, publisher)
    count = chain.web3.eth.get_transaction_count(buyer.address)  # type: ignore[arg-type]
    with pytest.raises(Refused) as refused:
        orders.buy_datatoken(chain, buyer, made.datatoken, max_price=2 * OCEAN)
    assert refused.value.code == "C2D-ORDER-TOO-DEAR"
    assert chain.web3.eth.get_transaction_count(buyer.address) == count  # type: ignore[arg-type]


def test_buy_and_order_ends_in_an_order_that_stands(chain: Chain, publisher: Signer, buyer: Signer) -> None:
    made = pooled(chain, publisher)
    fee = orders.sign_fee(
        PROVIDER.key, datatoken=made.datatoken, service_id="s", token=chain.addresses.ocean, environment="e"
    )
    tx = orders.buy_and_start(chain, buyer, made.datatoken, buyer.address, 0, fee, slippage=0.01)
    order = orders.verify_order(
        chain,
        OrderClaim(
            tx, buyer.address, made.nft, made.datatoken, "s", 0, 0, [PROVIDER.address], environment="e"
        ),
    )
    assert order.start_tx == tx and nfts.is_deployed_nft(chain, made.nft)


def test_many_buyers_at_once_each_stay_within_their_limit(chain: Chain, publisher: Signer) -> None:
    made = pooled(chain, publisher)
    asked = offer(chain, made).amount

    def buy(index: int) -> int | str:
        try:
            return orders.buy_datatoken(
                chain, accounts.from_mnemonic(MNEMONIC, index), made.datatoken, slippage=0.03
            ).amount
        except Refused as refused:
            return refused.code

    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(buy, (4, 5, 6, 8)))
    assert all(e == "C2D-ORDER-SLIPPAGE" or (isinstance(e, int) and e >= asked) for e in ended)
    assert any(isinstance(e, int) for e in ended)


def test_a_pool_that_is_nearly_empty_offers_nothing(chain: Chain, publisher: Signer, buyer: Signer) -> None:
    made = pooled(chain, publisher, price=OCEAN, liquidity=4 * OCEAN)
    assert offer(chain, made).amount > OCEAN
    while (found := orders.offer_for(chain, made.datatoken)) is not None:
        orders.accept_offer(chain, buyer, found, found.amount)
    assert made.pool and chain.balance_of(made.pool, made.datatoken) <= 3 * OCEAN
    with pytest.raises(Refused, match="C2D-ORDER-NOT-FOR-SALE"):
        orders.buy_datatoken(chain, accounts.from_mnemonic(MNEMONIC, 6), made.datatoken)


def test_the_prices_token_may_have_other_decimals(chain: Chain, publisher: Signer, buyer: Signer) -> None:
    """USDC has six: a quarter of a million base units are 0.25."""
    usdc = chain.addresses.raw["MockUSDC"]
    deployer = accounts.from_mnemonic(MNEMONIC, 0)
    for account in (publisher, buyer):
        send(chain, deployer, "MockERC20Decimals", usdc, "transfer", account.address, 1000 * 10**6)
    price = sale_terms(chain, PoolPrice("0.25"), usdc)
    assert price == PoolTerms(250_000, usdc)
    made = publishing.create_asset(chain, publisher, "Cells", "C", price)
    found = offer(chain, made)
    assert found.token == usdc and found.rate == 0.25 and 252_525 <= found.amount <= 253_600
    assert orders.buy_datatoken(chain, buyer, made.datatoken).amount == found.amount


def test_an_exchange_beside_a_pool_has_nothing_to_sell(chain: Chain, publisher: Signer) -> None:
    """The pool's staking contract minted all there will ever be: an exchange that may mint cannot."""
    made = pooled(chain, publisher, price=4 * OCEAN)
    terms = [18, 18, OCEAN, 0, 1]
    parties = [chain.addresses.ocean, publisher.address, publisher.address, "0x" + "0" * 40]
    exchange = _pools_exchange(chain)
    send(chain, publisher, "ERC20Template", made.datatoken, "createFixedRate", exchange, parties, terms)
    assert offer(chain, made).kind == "pool"


def _pools_exchange(chain: Chain) -> str:
    pools = chain.addresses.pools
    assert pools is not None
    return str(chain.read_view("FactoryRouter", pools.router, "getFixedRatesContracts")[0])


def test_too_little_liquidity_is_refused_before_anything_is_sent(chain: Chain, publisher: Signer) -> None:
    with pytest.raises(UsageError, match="C2D-PUBLISH-LIQUIDITY"):
        pooled(chain, publisher, price=OCEAN, liquidity=3 * OCEAN)


def test_a_chain_without_the_contracts_says_so(publisher: Signer) -> None:
    with running_chain() as plain:
        chain = Chain(plain.url, addresses.load_addresses(plain.address_file, 8996))
        assert chain.addresses.pools is None
        with pytest.raises(Refused, match="C2D-POOLS-NONE"):
            pooled(chain, publisher)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.one_of(st.decimals(allow_nan=True, allow_infinity=True), st.floats(), st.text(max_size=8)))
def test_whatever_is_said_for_a_price_is_one_or_is_refused(chain: Chain, said: Decimal | float | str) -> None:
    try:
        price = sale_terms(chain, said)
    except UsageError as error:
        assert error.code == "C2D-PUBLISH-PRICE"
        return
    assert isinstance(price, DispenserTerms) or (isinstance(price, FixedRateTerms) and price.amount > 0)
    assert isinstance(price, DispenserTerms) == (Decimal(str(said)) == 0)
