"""A start that breaks off at any of its transactions, or at the Provider: it says what was paid, and the same
start goes on from there. Chain, contracts, metadata cache and Provider are real.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from c2d_box.chain import transactions
from c2d_box.chain.transactions import send
from c2d_box.client import Connection, Consumer
from c2d_box.client.jobs import Job
from c2d_box.errors import C2DError, Failed
from tests.harness.local_stack import EVERY, LocalStack, StackAsset, rules, world_in

OCEAN = 10**18
SECONDS = 1800
STEPS = ("approve", "buyDT", "approve", "approve", "startOrder", "approve", "buyDT", "startOrder")
"""The consumer's transactions: price, fees in two tokens and order of the dataset, then of the algorithm."""
SOME_SECONDS = OCEAN // 2
"""More than what the seconds between two quotes cost, less than anything that could be paid twice."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with world_in(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="module")
def usdc(world: LocalStack) -> str:
    token = str(world.chain.addresses.raw["MockUSDC"])
    consumer, deployer = world.account(7), world.account(0)
    send(world.chain, deployer, "MockERC20Decimals", token, "transfer", consumer.address, 10**12)
    ocean = world.chain.addresses.ocean
    send(world.chain, deployer, "OceanToken", ocean, "mint", consumer.address, 10_000 * OCEAN)
    return token


@pytest.fixture(scope="module")
def pair(world: LocalStack, usdc: str) -> tuple[StackAsset, StackAsset]:
    """A dataset whose publishing market takes a fee in another token, and a paid algorithm."""
    market, function = world.account(4), "setPublishingMarketFee"
    trusting = rules(publisherTrustedAlgorithms=EVERY)
    dataset = world.publish(compute=trusting, price=2 * OCEAN, market=market.address)
    token = dataset.datatoken
    send(world.chain, market, "ERC20Template", token, function, market.address, usdc, 3_000_000)
    return dataset, world.publish("algorithm", service="access", price=OCEAN)


@pytest.fixture
def consumer(world: LocalStack) -> Iterator[Consumer]:
    process = world.chain_process
    with Connection(world.provider_url, world.cache_url, process.url, process.address_file) as connection:
        yield Consumer(connection, world.account(7))


class Faults:
    """Counts the account's transactions and breaks off at one: before it is sent, or when it was sent and
    the answer is lost.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self.at, self.sent_all_the_same = math.inf, False
        real = transactions._submit

        def submit(chain: Any, signer: Any, call: Any, function: str) -> str:
            self.names.append(function)
            broken = len(self.names) - 1 == self.at
            if broken and not self.sent_all_the_same:
                raise Failed("C2D-CHAIN-UNREACHABLE", f"the node did not answer ({function})", "try again")
            tx = real(chain, signer, call, function)
            if broken:
                raise Failed("C2D-CHAIN-UNREACHABLE", f"the answer to {function} is lost", "try again")
            return tx

        monkeypatch.setattr(transactions, "_submit", submit)

    def arm(self, step: float, sent: bool) -> None:
        self.names.clear()
        self.at, self.sent_all_the_same = step, sent


def go(consumer: Consumer, pair: tuple[StackAsset, StackAsset], **options: Any) -> Job:
    dataset, algorithm = pair
    return consumer.start(dataset.did, algorithm.did, environment="paid", seconds=SECONDS, **options)


def balances(world: LocalStack, usdc: str) -> dict[str, int]:
    return {
        token: world.chain.balance_of(world.account(7).address, token)
        for token in (world.chain.addresses.ocean, usdc)
    }


def told(error: C2DError) -> list[dict[str, str]]:
    paid: Any = error.details.get("paid", [])
    return list(paid)


def spent(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {token: before[token] - after[token] for token in before}


def test_a_start_broken_off_at_any_transaction_goes_on_and_pays_once(
    world: LocalStack,
    usdc: str,
    pair: tuple[StackAsset, StackAsset],
    consumer: Consumer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faults = Faults(monkeypatch)
    for sent in (False, True):
        for step, function in enumerate(STEPS):
            ocean = world.chain.addresses.ocean
            before = balances(world, usdc)
            quote = consumer.quote(pair[0].did, pair[1].did, environment="paid", seconds=SECONDS)
            assert [cost.action for cost in quote.costs] == ["order", "order"]
            faults.arm(step, sent)
            with pytest.raises(Failed, match="C2D-CHAIN-UNREACHABLE") as error:
                go(consumer, pair, limits=quote.totals)
            assert tuple(faults.names) == STEPS[: step + 1], (faults.names, step)
            listed = told(error.value)
            done = [name for name in STEPS[:step] if name != "approve"]
            assert [entry["what"] for entry in listed] == [
                {"buyDT": "datatoken", "startOrder": "order"}[name] for name in done
            ], (function, listed)
            for entry in listed:
                receipt = world.chain.find_receipt(entry["tx"])
                assert receipt is not None and receipt["status"] == 1
            assert ("is not lost" in error.value.next_step) == bool(listed)
            paid = spent(before, balances(world, usdc))
            faults.arm(math.inf, False)
            left = {token: quote.totals[token] - paid[token] for token in quote.totals}
            job = go(consumer, pair, limits=left)
            assert job.id in world.operator.jobs and faults.names.count("startOrder") <= 2
            total = spent(before, balances(world, usdc))
            assert total[usdc] == quote.totals[usdc] == 3_000_000
            assert quote.totals[ocean] - SOME_SECONDS < total[ocean] <= quote.totals[ocean], (function, sent)


def test_a_start_that_the_provider_cannot_take_goes_on_and_pays_nothing_more(
    world: LocalStack, usdc: str, pair: tuple[StackAsset, StackAsset], consumer: Consumer
) -> None:
    """Seconds pass until the second try: the time that was paid for is used, not paid again."""
    before, jobs = balances(world, usdc), set(world.operator.jobs)
    world.operator.takes_no_starts = True
    try:
        with pytest.raises(C2DError) as error:
            go(consumer, pair)
    finally:
        world.operator.takes_no_starts = False
    assert [entry["what"] for entry in told(error.value)] == ["datatoken", "order"] * 2
    paid = spent(before, balances(world, usdc))
    assert set(world.operator.jobs) == jobs and paid[usdc] == 3_000_000
    job = go(consumer, pair, limits={})
    assert [cost.action for cost in job.costs] == ["none", "none"]
    assert spent(before, balances(world, usdc)) == paid
    assert set(world.operator.jobs) == jobs | {job.id}
