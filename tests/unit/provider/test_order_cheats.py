"""Every way to cheat with an order, over a real chain, cache and Provider: each is refused in the right
words, and no job is made. docs/orders.md lists them; the list is compared with this file.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from c2d_box.assets.crypto import signatures
from c2d_box.chain import orders
from c2d_box.chain.accounts import from_key
from c2d_box.chain.orders import ConsumeMarketFee
from c2d_box.chain.publishing import set_state
from c2d_box.chain.transactions import send
from c2d_box.errors import Refused
from tests.conftest import sample_cells
from tests.harness.fake_services import PROVIDER_KEY
from tests.harness.local_stack import EVERY, LocalStack, StackAsset, rules

DOCS = Path(__file__).parents[3] / "docs" / "orders.md"
FREE, PAID = "ocean-compute", "paid"
STRANGERS_KEY = "0x" + "7c" * 32
Fields = dict[str, Any]


@dataclass
class Deal:
    """A dataset with two services that trusts every algorithm, an algorithm, and honest orders of both."""

    world: LocalStack
    dataset: StackAsset
    algorithm: StackAsset
    other: StackAsset
    paid: dict[str, str] = field(default_factory=dict)

    def fee(self, asset: StackAsset, **changes: Any) -> Fields:
        """A quote as the Provider makes it; ``key`` signs another."""
        fields: Fields = {
            "datatoken": asset.datatoken,
            "service_id": "0",
            "environment": FREE,
            "token": self.world.chain.addresses.ocean,
            "valid_until": int(time.time()) + 600,
            **changes,
        }
        return dict(orders.sign_fee(fields.pop("key", PROVIDER_KEY), **fields))

    def order(self, asset: StackAsset, *, buyer: int = 7, service: int = 0, **fee: Any) -> str:
        """Bought and started by ``buyer`` for the environment."""
        signer = self.world.account(buyer)
        consumer = self.world.operator.environments[0]["consumerAddress"]
        quote = self.fee(asset, **fee)
        return orders.buy_and_start(self.world.chain, signer, asset.datatoken, consumer, service, quote)

    def reuse(self, asset: StackAsset, tx: str, buyer: int = 7, **fee: Any) -> str:
        signer = self.world.account(buyer)
        return orders.reuse_order(self.world.chain, signer, asset.datatoken, tx, self.fee(asset, **fee))

    def start(self, buyer: int = 7, **changes: Any) -> httpx.Response:
        """``compute`` with honest orders, but for what ``changes`` names."""
        signer = self.world.account(buyer)
        dataset, algorithm = changes.get("dataset", self.dataset), changes.get("algorithm", self.algorithm)
        body: Fields = {
            "consumerAddress": signer.address,
            "nonce": self.world.nonce(signer),
            "environment": changes.get("environment", FREE),
            "dataset": {
                "documentId": dataset.did,
                "serviceId": changes.get("service", "0"),
                "transferTxId": changes.get("tx", self.paid["dataset"]),
            },
            "algorithm": {
                "documentId": algorithm.did,
                "serviceId": "0",
                "transferTxId": changes.get("algorithm_tx", self.paid["algorithm"]),
            },
        }
        text = signer.address + dataset.did + body["nonce"]
        body["signature"] = signatures.sign_text(signer.key, text)
        return self.world.services("compute", "POST", json=body)

    def rpc(self, method: str, *params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return httpx.post(self.world.chain_process.url, json=body, trust_env=False).json()["result"]

    def finish(self) -> None:
        for job, details in list(self.world.operator.jobs.items()):
            if not details["dateFinished"]:
                self.world.operator.finish(job)


@pytest.fixture(scope="module")
def deal(world: LocalStack) -> Deal:
    everyone = rules(publisherTrustedAlgorithms=EVERY)
    dataset = world.publish(compute=everyone, price=0)
    first = dataset.document["services"][0]
    first["timeout"] = 900
    dataset.document["services"].append({**first, "id": "1"})
    world.update(dataset)
    code = [{"type": "url", "url": f"{world.files.url}/algo.py"}]
    algorithm = world.publish("algorithm", code, service="access", price=0)
    made = Deal(world, dataset, algorithm, world.publish(compute=everyone, price=0))
    made.paid = {"dataset": made.order(dataset), "algorithm": made.order(algorithm)}
    return made


@pytest.fixture(autouse=True)
def nothing_runs(deal: Deal) -> Iterator[None]:
    yield
    deal.finish()


ORDER, ALGORITHM = ("dataset.serviceId", "order_invalid"), ("algorithm", "in_use_or_not_on_chain")
UNPAID = ("order", "fees_not_paid")
NO_FEE = "Cannot find the event for the provider fee in tx id {tx}."
NOT_MINE = "The consumer of the order is not the sender of the request."
NOT_STARTED = "Cannot find the OrderStarted event of datatoken {datatoken}."
ELSEWHERE = "Mismatch between ordered c2d environment and selected one."
UNKNOWN = "Transaction {tx} was not found on the chain."
Cheat = Callable[[Deal], httpx.Response]
CHEATS: dict[str, tuple[Cheat, tuple[str, str], str]] = {}
"""By name: how it is done, the error on the wire, and what the reason beside it says."""


def cheat(name: str, error: tuple[str, str], reason: str) -> Callable[[Cheat], Cheat]:
    def remember(how: Cheat) -> Cheat:
        CHEATS[name] = (how, error, reason)
        return how

    return remember


@cheat("an order of another consumer", ORDER, NOT_MINE)
def _cheat_1(deal: Deal) -> httpx.Response:
    return deal.start(buyer=5)


@cheat("an order of another service", ORDER, NO_FEE)
def _cheat_2(deal: Deal) -> httpx.Response:
    return deal.start(service="1")


@cheat("an order of one service with the fee of another", ORDER, "The order is not for service 0.")
def _cheat_3(deal: Deal) -> httpx.Response:
    return deal.start(tx=deal.order(deal.dataset, service=1))


@cheat("an order of another asset", ORDER, NO_FEE)
def _cheat_4(deal: Deal) -> httpx.Response:
    return deal.start(tx=deal.order(deal.other))


@cheat(
    "an order of another asset with this one's fee",
    ORDER,
    "Cannot find the event for the provider fee in tx id {tx}.",
)
def _cheat_5(deal: Deal) -> httpx.Response:
    """The fee names this asset, so its event comes from the wrong datatoken."""
    signer, quote = deal.world.account(7), deal.fee(deal.dataset)
    orders.buy_datatoken(deal.world.chain, signer, deal.other.datatoken)
    tx = orders.start_order(deal.world.chain, signer, deal.other.datatoken, signer.address, 0, quote)
    return deal.start(tx=tx)


@cheat("no transaction's id", ORDER, "'../../x' is not a transaction id.")
def _cheat_6(deal: Deal) -> httpx.Response:
    return deal.start(tx="../../x")


@cheat("a transaction nobody sent", ORDER, UNKNOWN)
def _cheat_7(deal: Deal) -> httpx.Response:
    return deal.start(tx="0x" + "1d" * 32)


@cheat("a transaction that failed", ORDER, "Transaction {tx} has failed.")
def _cheat_8(deal: Deal) -> httpx.Response:
    """A consumer who mints without being a minter, with gas enough that no estimate stops it."""
    consumer = deal.world.account(7).address
    mint = "0x40c10f19" + consumer[2:].lower().rjust(64, "0") + f"{10**18:064x}"
    call = {"from": consumer, "to": deal.dataset.datatoken, "data": mint, "gas": hex(200_000)}
    tx = deal.rpc("eth_sendTransaction", call)
    assert deal.rpc("eth_getTransactionReceipt", tx)["status"] == "0x0"
    return deal.start(tx=tx)


@cheat("a transaction that orders nothing", ORDER, NO_FEE)
def _cheat_9(deal: Deal) -> httpx.Response:
    signer = deal.world.account(7)
    call = {"from": signer.address, "to": signer.address, "value": "0x1"}
    return deal.start(tx=deal.rpc("eth_sendTransaction", call))


@cheat("the quote of another Provider", ORDER, "The providerFeeAddress is not the expected one.")
def _cheat_10(deal: Deal) -> httpx.Response:
    return deal.start(tx=deal.order(deal.dataset, key=STRANGERS_KEY))


@cheat("an order for another environment", ORDER, ELSEWHERE)
def _cheat_11(deal: Deal) -> httpx.Response:
    return deal.start(environment=PAID)


@cheat("an environment that is not there", ORDER, ELSEWHERE)
def _cheat_12(deal: Deal) -> httpx.Response:
    return deal.start(environment="none")


@cheat("an access order for compute", ORDER, ELSEWHERE)
def _cheat_13(deal: Deal) -> httpx.Response:
    return deal.start(tx=deal.order(deal.dataset, environment=None, valid_until=0))


@cheat("a fee whose time is over", ORDER, "Ordered c2d time was exceeded, check validUntil.")
def _cheat_14(deal: Deal) -> httpx.Response:
    late = int(time.time()) - 400
    return deal.start(tx=deal.order(deal.dataset, valid_until=late, now=float(time.time())))


@cheat("an order older than its service allows", ORDER, "The order has expired: it was good for 1 seconds.")
def _cheat_15(deal: Deal) -> httpx.Response:
    asset = _brief(deal)
    tx = deal.order(asset)
    time.sleep(2.1)
    return deal.start(dataset=asset, tx=tx)


@cheat("an expired order revived by a free reuse", ORDER, "The order had already expired when it was reused.")
def _cheat_16(deal: Deal) -> httpx.Response:
    asset = _brief(deal)
    tx = deal.order(asset)
    time.sleep(2.1)
    return deal.start(dataset=asset, tx=deal.reuse(asset, tx))


@cheat("a reuse of another asset's order", ORDER, NOT_STARTED)
def _cheat_17(deal: Deal) -> httpx.Response:
    return deal.start(tx=deal.reuse(deal.dataset, deal.order(deal.other)))


@cheat(
    "a reuse of a transaction nobody sent",
    ORDER,
    UNKNOWN,
)
def _cheat_18(deal: Deal) -> httpx.Response:
    return deal.start(tx=deal.reuse(deal.dataset, "0x" + "2e" * 32))


@cheat(
    "a reuse of another consumer's order",
    ORDER,
    NOT_MINE,
)
def _cheat_19(deal: Deal) -> httpx.Response:
    return deal.start(buyer=5, tx=deal.reuse(deal.dataset, deal.paid["dataset"], buyer=5))


@cheat("an order undone by a reorganisation", ORDER, UNKNOWN)
def _cheat_20(deal: Deal) -> httpx.Response:
    before = deal.rpc("evm_snapshot")
    tx = deal.order(deal.dataset)
    assert deal.start(tx=tx).status_code == 200
    deal.finish()
    assert deal.rpc("evm_revert", before) is True
    return deal.start(tx=tx)


@cheat(
    "an algorithm's order of another consumer",
    ALGORITHM,
    NOT_MINE,
)
def _cheat_21(deal: Deal) -> httpx.Response:
    mine = deal.order(deal.dataset, buyer=5)
    return deal.start(buyer=5, tx=mine)


@cheat(
    "the dataset's order for the algorithm",
    ALGORITHM,
    "Cannot find the event for the provider fee in tx id {tx}.",
)
def _cheat_22(deal: Deal) -> httpx.Response:
    return deal.start(algorithm_tx=deal.paid["dataset"])


@cheat("no order for the algorithm", ALGORITHM, "'' is not a transaction id.")
def _cheat_23(deal: Deal) -> httpx.Response:
    return deal.start(algorithm_tx="")


@cheat("a paid environment for nothing", UNPAID, "")
def _cheat_24(deal: Deal) -> httpx.Response:
    return deal.start(environment=PAID, tx=deal.order(deal.dataset, environment=PAID))


@cheat("a short time paid, a long one used", UNPAID, "")
def _cheat_25(deal: Deal) -> httpx.Response:
    """The fee pays one minute; the algorithm's free one would stretch the job to an hour."""
    minute = deal.order(deal.dataset, environment=PAID, valid_until=int(time.time()) + 60, amount=10**18)
    return deal.start(
        environment=PAID,
        tx=minute,
        algorithm_tx=deal.order(deal.algorithm, environment=PAID, valid_until=int(time.time()) + 3600),
    )


@cheat("two halves of a fee", UNPAID, "")
def _cheat_26(deal: Deal) -> httpx.Response:
    until, half = int(time.time()) + 600, 5 * 10**18
    return deal.start(
        environment=PAID,
        tx=deal.order(deal.dataset, environment=PAID, valid_until=until, amount=half),
        algorithm_tx=deal.order(deal.algorithm, environment=PAID, valid_until=until, amount=half),
    )


@cheat("a fee in another token", UNPAID, "")
def _cheat_27(deal: Deal) -> httpx.Response:
    token = deal.world.chain.addresses.raw["MockDAI"]
    deployer = deal.world.account(0)
    consumer = deal.world.account(7).address
    send(deal.world.chain, deployer, "MockERC20Decimals", token, "transfer", consumer, 100 * 10**18)
    until = int(time.time()) + 600
    tx = deal.order(deal.dataset, environment=PAID, valid_until=until, amount=20 * 10**18, token=token)
    return deal.start(environment=PAID, tx=tx)


def _brief(deal: Deal) -> StackAsset:
    """A dataset whose orders last one second."""
    asset = deal.world.publish(compute=rules(publisherTrustedAlgorithms=EVERY), price=0)
    asset.document["services"][0]["timeout"] = 1
    deal.world.update(asset)
    return asset


@pytest.mark.parametrize("name", CHEATS)
def test_it_is_refused_and_no_job_is_made(
    deal: Deal, name: str, seed: str, pytestconfig: pytest.Config
) -> None:
    if name not in sample_cells(list(CHEATS), 9, seed, bool(pytestconfig.getoption("--full"))):
        pytest.skip("left out of this sample: --full runs it")
    how, (resource, code), reason = CHEATS[name]
    answer = how(deal)
    before = len(deal.world.operator.payloads)
    body = answer.json()
    assert (answer.status_code, body["error"]) == (400, {resource: code}), body
    if reason:
        pattern = re.escape(reason)
        pattern = pattern.replace(re.escape("{tx}"), "0x[0-9a-f]{64}")
        pattern = pattern.replace(re.escape("{datatoken}"), "0x[0-9a-fA-F]{40}")
        assert re.fullmatch(pattern, body["reasons"]), body
    assert len(deal.world.operator.payloads) == before


def test_the_honest_order_still_runs(deal: Deal) -> None:
    assert deal.start().status_code == 200


TAKEN = {"error": "`agreementId` already in use for other job."}
SECOND_JOBS: dict[str, Callable[[Deal], Fields]] = {
    "the same order": lambda deal: {},
    "the same order in other letters": lambda deal: {
        "tx": "0x" + deal.paid["dataset"][2:].upper(),
        "algorithm_tx": "0x" + deal.paid["algorithm"][2:].upper(),
    },
    "a free reuse of it": lambda deal: {"algorithm_tx": deal.reuse(deal.algorithm, deal.paid["algorithm"])},
    "another free order of the algorithm": lambda deal: {"algorithm_tx": deal.order(deal.algorithm)},
    "another free order of the dataset": lambda deal: {"tx": deal.order(deal.dataset)},
}


@pytest.mark.parametrize("name", SECOND_JOBS)
def test_a_second_job_at_a_time_is_refused(deal: Deal, name: str) -> None:
    first = deal.start()
    assert first.status_code == 200
    changes = SECOND_JOBS[name](deal)
    second = deal.start(**changes)
    assert (second.status_code, second.json()) == (400, TAKEN)
    deal.world.operator.finish(first.json()[0]["jobId"])
    assert deal.start(**changes).status_code == 200


def test_orders_of_one_transaction_are_several(deal: Deal) -> None:
    """Two jobs side by side, each with an order of its own for everything, are nobody's cheating."""
    assert deal.start().status_code == 200
    mine: Fields = {"tx": deal.order(deal.dataset), "algorithm_tx": deal.order(deal.algorithm)}
    assert deal.start(**mine).status_code == 200


ALTERED: dict[str, Fields] = {
    "an amount": {"providerFeeAmount": "0"},
    "an end": {"validUntil": 2**40},
    "data": {"providerData": "0x7b7d"},
    "a signer": {"providerFeeAddress": from_key(STRANGERS_KEY).address},
}


@pytest.mark.parametrize("what", ALTERED)
def test_the_contract_refuses_a_quote_with_altered(deal: Deal, what: str) -> None:
    fee = {**deal.fee(deal.dataset, environment=PAID, amount=10**18), **ALTERED[what]}
    signer = deal.world.account(7)
    with pytest.raises(Refused, match="Invalid provider fee"):
        orders.buy_and_start(deal.world.chain, signer, deal.dataset.datatoken, signer.address, 0, fee)


STATES = {1: "end of life", 2: "deprecated", 3: "revoked", 4: "ordering disabled"}
NOT_CONSUMABLE = "Asset is not consumable."


@pytest.mark.parametrize("state", STATES, ids=lambda state: STATES[state].replace(" ", "-"))
@pytest.mark.parametrize("which", ["dataset", "algorithm"])
def test_an_asset_that_is_not_active_is_neither_quoted_nor_used(
    deal: Deal, which: str, state: int, seed: str, pytestconfig: pytest.Config
) -> None:
    cells = [(name, number) for name in ("dataset", "algorithm") for number in STATES]
    if (which, state) not in sample_cells(cells, 3, seed, bool(pytestconfig.getoption("--full"))):
        pytest.skip("left out of this sample: --full runs it")
    asset, publisher = getattr(deal, which), deal.world.account(3)
    set_state(deal.world.chain, publisher, asset.nft, state)
    try:
        key = "dataset" if which == "dataset" else "algorithm.credentials"
        refused = deal.start()
        assert refused.status_code == 400
        error = refused.json()["error"]
        gone = {"dataset": {"dataset.serviceId": "not_found"}, "algorithm": {"algorithm": "file_unavailable"}}
        # Of these two the cache soon tells no more than that they are.
        also = [gone[which], {"algorithm": "not_algo"}] if state in (2, 3) else []
        assert error in [{key: NOT_CONSUMABLE}, *also]
    finally:
        tx = set_state(deal.world.chain, publisher, asset.nft, 0)
        _settled(deal, asset, tx)
    assert deal.start().status_code == 200


def _settled(deal: Deal, asset: StackAsset, tx: str) -> None:
    deadline = time.monotonic() + 10
    while deal.world.record(asset.did).get("nft", {}).get("state") != 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_unlisted_asset_can_be_used(deal: Deal) -> None:
    tx = set_state(deal.world.chain, deal.world.account(3), deal.dataset.nft, 5)
    try:
        assert deal.start().status_code == 200
    finally:
        tx = set_state(deal.world.chain, deal.world.account(3), deal.dataset.nft, 0)
        _settled(deal, deal.dataset, tx)


@pytest.mark.parametrize(
    ("lists", "code"),
    [
        ({"allow": [], "deny": ["me"]}, "CREDENTIAL_IN_DENY_LIST"),
        ({"allow": ["another"], "deny": []}, "CREDENTIAL_NOT_IN_ALLOW_LIST"),
        ({"allow": ["me"], "deny": ["me"]}, None),
    ],
)
def test_the_consumers_credentials_decide(deal: Deal, lists: dict[str, list[str]], code: str | None) -> None:
    who = {"me": deal.world.account(7).address.lower(), "another": deal.world.account(5).address}
    before = deal.dataset.document.get("credentials")
    deal.dataset.document["credentials"] = {
        name: [{"type": "address", "values": [who[entry] for entry in listed]}] if listed else []
        for name, listed in lists.items()
    }
    try:
        deal.world.update(deal.dataset)
        answer = deal.start()
        if code is None:
            assert answer.status_code == 200
        else:
            text = f"Error: Access to asset {deal.dataset.did} was denied with code: ConsumableCodes.{code}."
            assert (answer.status_code, answer.json()["error"]) == (400, {"dataset": text})
    finally:
        deal.dataset.document["credentials"] = before or {"allow": [], "deny": []}
        deal.world.update(deal.dataset)


@pytest.mark.parametrize("template", [1, 2])
def test_a_paid_environment_is_paid_on_the_chain(deal: Deal, template: int) -> None:
    """The Provider's own quote, paid with both templates, its market's fee on top, and used."""
    world, consumer = deal.world, deal.world.account(7)
    dataset = world.publish(compute=rules(publisherTrustedAlgorithms=EVERY), price=10**18, template=template)
    until = int(time.time()) + 600
    quote = world.services(
        "initializeCompute",
        "POST",
        json={
            "datasets": [{"documentId": dataset.did, "serviceId": "0"}],
            "algorithm": {"documentId": deal.algorithm.did, "serviceId": "0"},
            "compute": {"env": PAID, "validUntil": until},
            "consumerAddress": consumer.address,
        },
    ).json()
    fee, free = quote["datasets"][0]["providerFee"], quote["algorithm"]["providerFee"]
    ocean, provider = world.chain.addresses.ocean, signatures.address_of(PROVIDER_KEY)
    market = ConsumeMarketFee(from_key(b"\x44" * 32).address, ocean, 12345)
    before = world.chain.balance_of(provider, ocean), world.chain.balance_of(market.address, ocean)
    place = world.operator.environments[1]["consumerAddress"]
    tx = orders.buy_and_start(world.chain, consumer, dataset.datatoken, place, 0, fee, market)
    got = (
        world.chain.balance_of(provider, ocean) - before[0],
        world.chain.balance_of(market.address, ocean) - before[1],
    )
    assert got[0] == int(fee["providerFeeAmount"]) >= 9 * 10**18 and got[1] == 12345
    other = orders.buy_and_start(world.chain, consumer, deal.algorithm.datatoken, place, 0, free)
    answer = deal.start(dataset=dataset, environment=PAID, tx=tx, algorithm_tx=other)
    assert answer.status_code == 200, answer.text
    assert answer.json()[0]["agreementId"] == tx, "the item that paid gives the agreement"


def test_the_page_lists_every_cheat_with_its_words() -> None:
    text = DOCS.read_text()
    for name, (_, (resource, code), reason) in CHEATS.items():
        said = reason.replace("{tx}", "…").replace("{datatoken}", "…")
        assert f"| {name} | `{resource}: {code}` | {said} |" in text, name
    for name in SECOND_JOBS:
        assert f"| a second job with {name} |" in text, name
