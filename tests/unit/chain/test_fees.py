"""Provider fees: the published vector, every second of the price, and what a forger cannot do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.assets.crypto.signatures import prefixed_hash
from c2d_box.chain import abis, events
from c2d_box.chain.orders import fee_amount, fee_hash, sign_fee, signer_of
from c2d_box.chain.orders.fees import read_data

KEY = "0xfd5c1ccea015b6d663618850824154a3b3fb2882c46cefb05b9a93fea8c3d215"
PROVIDER = "0xe08A1dAe983BC701D05E492DB80e0144f8f4b909"
TOKEN = "0x2222222222222222222222222222222222222222"
DATATOKEN = "0x000000000000000000000000000000000000dEaD"


def vector(**changes: Any) -> Any:
    fields: dict[str, Any] = {
        "datatoken": DATATOKEN,
        "service_id": "1",
        "environment": "ocean-compute",
        "token": TOKEN,
        "valid_until": 1700003600,
        "now": 1700000000.5,
    }
    return sign_fee(KEY, **{**fields, **changes})


def test_the_published_vector() -> None:
    fee = vector()
    data = bytes.fromhex(fee["providerData"][2:])
    hashed = fee_hash(data, PROVIDER, TOKEN, 0, 1700003600)
    assert data.decode() == (
        '{"environment":"ocean-compute","timestamp":1700000000.5,'
        '"dt":"0x000000000000000000000000000000000000dEaD","id":"1"}'
    )
    assert hashed.hex() == "c0276d8a31904ba3fbcdafe5e1c072cd880e80e19ba6d5db9d9fa3b521b376c2"
    assert prefixed_hash(hashed).hex() == "dae9671aa6ab18f2c00cbb764d64bf3319718928be6c95c4e0c8a6e894d8b61d"
    assert (fee["providerFeeAddress"], fee["providerFeeAmount"], fee["v"]) == (PROVIDER, "0", 27)
    assert fee["r"] == "0xb1420e97c968991eb9c5827cc0865f7129c05f2934940b1d5f1f39f9a64c0c32"
    assert fee["s"] == "0x2fef3d840bad3d3365b3e6e72185cf184226b03ca29ae1661d238c931a359692"
    assert signer_of(fee) == PROVIDER


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("providerFeeAmount", "1"),
        ("validUntil", 1700003601),
        ("providerFeeToken", DATATOKEN),
        ("providerData", "0x7b7d"),
        ("v", 28),
    ],
)
def test_a_changed_fee_is_not_the_providers(key: str, value: object) -> None:
    assert signer_of({**vector(), key: value}) != PROVIDER


@pytest.mark.parametrize("broken", [{}, {**vector(), "r": "xyz"}, {**vector(), "v": 999}])
def test_a_malformed_fee_has_no_signer(broken: dict[str, Any]) -> None:
    assert signer_of(broken) is None


@pytest.mark.parametrize(
    ("seconds", "price", "decimals", "amount"),
    [
        (60, 1.2, 18, 1_200_000_000_000_000_000),
        (25 * 3600, 1, 6, 1500 * 10**6),
        (90, 1, 0, 1),
        (30, 0.1, 18, 50_000_000_000_000_000),
        (-5, 10, 18, 0),
        (3600, 0, 18, 0),
    ],
)
def test_the_price_counts_every_second(seconds: float, price: float, decimals: int, amount: int) -> None:
    assert fee_amount(seconds, price, decimals) == amount


@given(st.floats(0, 10**7), st.floats(0, 1000), st.integers(0, 18))
def test_a_longer_time_never_costs_less(seconds: float, price: float, decimals: int) -> None:
    assert 0 <= fee_amount(seconds, price, decimals) <= fee_amount(seconds + 1, price, decimals)


@given(st.binary(max_size=64))
def test_provider_data_may_be_anything(data: bytes) -> None:
    assert read_data(data) is None or isinstance(read_data(data), dict)


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("OrderStarted", "0xe1c4fa794edfa8f619b8257a077398950357b9c6398528f94480307352f9afcc"),
        ("OrderReused", "0x526e31449ea46e2aecf9b480c8d7dfa191348ef74ffdf75b445a6ab726daa6ff"),
        ("ProviderFee", "0xf8ed11cdaaf10eca2b6c941fb802cb8682afe86cac1eb93f70d0780fa062c544"),
        ("OrderExecuted", "0xc9a10280e9c735c63092fa5431e6acb3ed342e08b69a083e5e676994eb7070f9"),
        ("MetadataCreated", "0x5463569dcc320958360074a9ab27e809e8a6942c394fb151d139b5f7b4ecb1bd"),
        ("MetadataUpdated", "0xe5c4cf86b1815151e6f453e1e133d4454ae3b0b07145db39f2e0178685deac84"),
        ("MetadataState", "0xa8336411cc72db0e5bdc4dff989eeb35879bafaceffb59b54b37645c3395adb9"),
        ("MetadataValidated", "0x2819d8badf5cff2c9220b8ee99dacc14d67058e343d7f0c2c444d198507fe941"),
        ("NFTCreated", "0x8125264ec1d174cb383ea0646ea1e6921ca3b0aba20370c8e18389e7c2d6a571"),
        ("TokenCreated", "0x567699dbf7c5f63a51a42fd451f5e065bca0dfc723adf2cc498bbb7cfb780b90"),
        ("ExchangeCreated", "0xeb7a353641f7d3cc54b497ef1553fdc292b64d9cc3be8587c23dfba01f310b19"),
        ("DispenserCreated", "0x7d0aa581e6eb87e15f58588ff20c39ff6622fc796ec9bb664df6ed3eb02442c9"),
    ],
)
def test_topics_are_the_deployed_contracts(name: str, topic: str) -> None:
    assert events.event_topic(name) == topic


def test_artifacts_carry_every_contract_used() -> None:
    for contract in (abis.FACTORY, abis.NFT, abis.DATATOKEN, abis.ENTERPRISE, abis.EXCHANGE, abis.DISPENSER):
        assert abis.contract_abi(contract)
