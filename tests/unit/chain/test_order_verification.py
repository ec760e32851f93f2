"""Every way an order can be no good is refused, in the words clients know."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from eth_abi.abi import encode

from c2d_box.chain import Chain, Signer, events, orders, publishing
from c2d_box.chain.orders import OrderClaim, OrderInvalid
from c2d_box.chain.publishing import CreatedAsset, DispenserTerms


@dataclasses.dataclass
class Scene:
    """One asset, one order of it, and what a consumer claims with it."""

    ganache: Any
    made: CreatedAsset
    provider: Signer
    consumer: Signer
    tx: str
    quoted: int

    def claim(self, **changes: Any) -> OrderClaim:
        plain = OrderClaim(
            tx=self.tx,
            sender=self.consumer.address,
            nft=self.made.nft,
            datatoken=self.made.datatoken,
            service_id="compute",
            service_index=0,
            timeout=3600,
            providers=[self.provider.address],
            environment="ocean-compute",
            now=self.quoted + 1,
            wait=0,
        )
        return dataclasses.replace(plain, **changes)

    def fee(self, **changes: Any) -> Any:
        fields: dict[str, Any] = {
            "datatoken": self.made.datatoken,
            "service_id": "compute",
            "environment": "ocean-compute",
            "valid_until": self.quoted + 60,
            "now": self.quoted,
        }
        return orders.sign_fee(self.provider.key, **{**fields, **changes})


@pytest.fixture(scope="module")
def scene(ganache: Any, chain: Chain, publisher: Signer, provider: Signer, consumer: Signer) -> Scene:
    made = publishing.create_asset(chain, publisher, "Cells", "C", DispenserTerms())
    scene = Scene(ganache, made, provider, consumer, "", ganache.now())
    scene.tx = orders.buy_and_start(chain, consumer, made.datatoken, consumer.address, 0, scene.fee())
    return scene


def refused(chain: Chain, claim: OrderClaim) -> str:
    with pytest.raises(OrderInvalid) as invalid:
        orders.verify_order(chain, claim)
    return str(invalid.value)


def test_an_honest_order_stands(chain: Chain, scene: Scene) -> None:
    assert orders.verify_order(chain, scene.claim()).start_tx == scene.tx


def test_the_fee_names_the_service_in_any_case(chain: Chain, scene: Scene) -> None:
    assert orders.verify_order(
        chain, scene.claim(service_id="COMPUTE", datatoken=scene.made.datatoken.lower())
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"environment": "another"}, "Mismatch between ordered c2d environment and selected one."),
        ({"service_id": "other"}, "Cannot find the event for the provider fee in tx id"),
        ({"service_index": 1}, "not for service"),
        ({"sender": "0x" + "99" * 20}, "not the sender"),
        ({"providers": ["0x" + "99" * 20]}, "providerFeeAddress"),
        ({"tx": "0x" + "00" * 32}, "was not found"),
        ({"tx": "../../etc"}, "is not a transaction id"),
        ({"datatoken": "0x" + "99" * 20}, "was not deployed by"),
    ],
)
def test_a_claim_that_differs_is_refused(
    chain: Chain, scene: Scene, changes: dict[str, Any], text: str
) -> None:
    assert text in refused(chain, scene.claim(**changes))


def test_a_fee_expires_ninety_seconds_after_its_confirmation_lag(chain: Chain, scene: Scene) -> None:
    lag = int(chain.block_header(orders.verify_order(chain, scene.claim()).block)["timestamp"]) - scene.quoted
    end = scene.quoted + 60 + lag + 90
    assert orders.verify_order(chain, scene.claim(now=end - 1))
    assert refused(chain, scene.claim(now=end)) == "Ordered c2d time was exceeded, check validUntil."


def test_an_expired_fee_passes_where_no_compute_time_is_used(chain: Chain, scene: Scene) -> None:
    late = scene.quoted + 2000
    assert orders.verify_order(chain, scene.claim(now=late, allow_expired=True))
    assert orders.verify_order(chain, scene.claim(now=late, environment=None))


def test_an_order_ends_with_its_services_timeout(chain: Chain, scene: Scene) -> None:
    order = orders.verify_order(chain, scene.claim())
    assert "expired" in refused(chain, scene.claim(now=order.started + 3601, environment=None))
    assert orders.verify_order(chain, scene.claim(now=order.started + 10**8, environment=None, timeout=0))


def test_another_assets_order_is_not_an_order_of_this_one(
    chain: Chain, scene: Scene, publisher: Signer
) -> None:
    own = publishing.create_asset(chain, scene.consumer, "Bait", "B", DispenserTerms())
    tx = orders.buy_and_start(chain, scene.consumer, own.datatoken, scene.consumer.address, 0, scene.fee())
    assert "Cannot find the event for the provider fee" in refused(chain, scene.claim(tx=tx))


def test_logs_forged_by_another_contract_are_worth_nothing(chain: Chain, scene: Scene) -> None:
    tx = forge(scene)
    names = [e.name for e in events.decode_logs(chain.find_receipt(tx)["logs"], events.ORDERS)]  # type: ignore[index]
    assert names == ["OrderStarted", "ProviderFee"]
    assert "Cannot find the event for the provider fee" in refused(chain, scene.claim(tx=tx))


def test_reusing_an_order_that_only_a_forger_started_is_refused(chain: Chain, scene: Scene) -> None:
    tx = orders.reuse_order(chain, scene.consumer, scene.made.datatoken, forge(scene), scene.fee())
    assert "Cannot find the OrderStarted event" in refused(chain, scene.claim(tx=tx))


def test_reusing_somebody_elses_order_is_refused(chain: Chain, scene: Scene, publisher: Signer) -> None:
    tx = orders.reuse_order(chain, publisher, scene.made.datatoken, scene.tx, scene.fee())
    assert "not the sender" in refused(chain, scene.claim(tx=tx, sender=publisher.address))


def test_reusing_an_unknown_order_is_refused(chain: Chain, scene: Scene) -> None:
    tx = orders.reuse_order(chain, scene.consumer, scene.made.datatoken, "0x" + "31" * 32, scene.fee())
    assert "was not found" in refused(chain, scene.claim(tx=tx))


def test_a_fee_signed_by_anybody_else_is_refused(chain: Chain, scene: Scene, publisher: Signer) -> None:
    stranger = orders.sign_fee(
        publisher.key, datatoken=scene.made.datatoken, service_id="compute", environment="ocean-compute"
    )
    tx = orders.buy_and_start(
        chain, scene.consumer, scene.made.datatoken, scene.consumer.address, 0, stranger
    )
    assert "providerFeeAddress" in refused(chain, scene.claim(tx=tx))


def test_a_failed_transaction_is_no_order(chain: Chain, scene: Scene) -> None:
    web3 = scene.ganache.web3
    tx = web3.eth.send_transaction(
        {"from": scene.ganache.deployer, "to": scene.made.datatoken, "data": "0x79d9d7f3", "gas": 100_000}
    )
    assert "has failed" in refused(chain, scene.claim(tx="0x" + bytes(tx).hex()))


def test_an_expired_order_cannot_be_revived_by_reusing_it(chain: Chain, scene: Scene) -> None:
    scene.ganache.travel(3700)
    late = scene.ganache.now()
    fee = scene.fee(now=late, valid_until=late + 600)
    tx = orders.reuse_order(chain, scene.consumer, scene.made.datatoken, scene.tx, fee)
    text = refused(chain, scene.claim(tx=tx, now=late + 5))
    assert text == "The order had already expired when it was reused."


@pytest.mark.parametrize("amount", [0, 5])
def test_a_reuse_carries_a_paid_period_as_long_as_it_pays(
    chain: Chain, scene: Scene, publisher: Signer, amount: int
) -> None:
    """In the last minute: a day pass is none for two days, and a paid reuse is worth what was paid."""
    made = publishing.create_asset(chain, publisher, "Cells", "C", DispenserTerms())
    now = scene.ganache.now()
    fresh = dataclasses.replace(scene, made=made, quoted=now)
    buyer, token = scene.consumer, made.datatoken
    fresh.tx = orders.buy_and_start(chain, buyer, token, buyer.address, 0, fresh.fee())
    scene.ganache.travel(3500)
    late = scene.ganache.now()
    fee = fresh.fee(now=late, valid_until=late + 600, amount=amount, token=chain.addresses.ocean)
    tx = orders.reuse_order(chain, buyer, token, fresh.tx, fee)
    assert orders.verify_order(chain, fresh.claim(tx=tx, now=late + 1)).reused
    expired = "The order has expired: it was good for 3600 seconds."
    if amount:
        assert orders.verify_order(chain, fresh.claim(tx=tx, now=late + 500)).reused
    else:
        assert refused(chain, fresh.claim(tx=tx, now=late + 500, allow_expired=True)) == expired
    assert refused(chain, fresh.claim(tx=tx, now=late + 3000, allow_expired=True)) == expired


def forge(scene: Scene) -> str:
    """A transaction of a hostile contract whose logs look exactly like a paid order."""
    web3 = scene.ganache.web3
    runtime = _assembled()
    size = len(runtime) // 2
    creation = f"60{size:02x}80600b6000396000f3" + runtime
    tx = web3.eth.send_transaction({"from": scene.ganache.deployer, "data": "0x" + creation, "gas": 500_000})
    contract = web3.eth.wait_for_transaction_receipt(tx)["contractAddress"]
    numbers = [scene.consumer.address, 10**18, 0, scene.quoted, 1]
    started = encode(["address", "uint256", "uint256", "uint256", "uint256"], numbers)
    fee = scene.fee()
    paid = encode(
        ["uint256", "bytes", "uint8", "bytes32", "bytes32", "uint256"],
        [0, _raw(fee["providerData"]), fee["v"], _raw(fee["r"]), _raw(fee["s"]), fee["validUntil"]],
    )
    data = (
        _topics("OrderStarted", scene.consumer.address, fee["providerFeeToken"])
        + started
        + _topics("ProviderFee", fee["providerFeeAddress"], fee["providerFeeToken"])
        + paid
    )
    call = {"from": scene.ganache.deployer, "to": contract, "data": data, "gas": 500_000}
    sent = web3.eth.send_transaction(call)
    return "0x" + bytes(sent).hex()


def _assembled() -> str:
    """Runtime code emitting two LOG3 from calldata: topics (96), data (160), topics (96), data (the rest)."""
    first = "60403560203560003560a0606060003760a06000a3"
    second = "6101403561012035610100356101603603806101606000376000a300"
    return first + second


def _raw(value: str) -> bytes:
    return bytes.fromhex(value[2:])


def _topics(name: str, *addresses: str) -> bytes:
    words = [bytes.fromhex(a[2:]).rjust(32, b"\0") for a in addresses]
    return bytes.fromhex(events.event_topic(name)[2:]) + b"".join(words)


def test_a_reuse_of_a_transaction_nobody_sent_is_not_waited_for(chain: Chain, scene: Scene) -> None:
    """Whoever waits for a transaction to be mined must not wait for one that its reuse says came before."""
    tx = orders.reuse_order(chain, scene.consumer, scene.made.datatoken, "0x" + "2e" * 32, scene.fee())
    with pytest.raises(OrderInvalid, match="was not found on the chain") as refused:
        orders.verify_order(chain, scene.claim(tx=tx))
    assert type(refused.value) is OrderInvalid
