"""What one network address may ask for, and how long the Provider waits for an order that does not come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2d_box.chain.orders import OrderInvalid, OrderNotMined
from c2d_box.provider.app import build_provider_app
from c2d_box.provider.auth.grants import InputGrant
from c2d_box.provider.errors import ProviderRefusal
from c2d_box.provider.limits import order_waits as patience_module
from c2d_box.provider.limits.client_rates import VisitorRateLimiter, VisitorResolver, visitor
from c2d_box.provider.limits.log_followers import LogStreamLimiter
from c2d_box.provider.limits.order_waits import OrderWaitLimiter
from tests.harness.provider_app import ProviderClient, provider_settings


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_allowance_is_used_up_and_comes_back() -> None:
    time = Time()
    allowance = VisitorRateLimiter(per_minute=40, clock=time)
    assert [allowance.take_allowance("a") for _ in range(10)] == [0.0] * 10
    wait = allowance.take_allowance("a")
    assert wait == pytest.approx(1.5) and allowance.is_exhausted("a")
    assert allowance.take_allowance("b") == 0.0 and not allowance.is_exhausted("c")
    time.now += wait
    assert (
        not allowance.is_exhausted("a")
        and allowance.take_allowance("a") == 0.0
        and allowance.take_allowance("a") > 0
    )


@given(st.lists(st.floats(0, 20), max_size=80), st.floats(1, 600))
def test_nobody_gets_more_than_the_allowance(pauses: list[float], per_minute: float) -> None:
    time = Time()
    allowance = VisitorRateLimiter(per_minute, clock=time)
    allowed = 0
    for pause in pauses:
        time.now += pause
        allowed += allowance.take_allowance("a") == 0.0
    assert allowed <= max(1.0, per_minute / 4) + per_minute * sum(pauses) / 60 + 1


def scope(peer: str, forwarded: str = "") -> Any:
    return {"client": (peer, 1), "headers": [(b"x-forwarded-for", forwarded.encode())] if forwarded else []}


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # written by the client itself
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:203.0.113.7", "", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
    ],
)
def test_a_visitor_is_an_address_that_it_cannot_choose(peer: str, forwarded: str, found: str) -> None:
    assert VisitorResolver(["10.0.0.0/8"]).resolve_visitor(scope(peer, forwarded)) == found


@given(st.text(), st.text())
def test_any_forwarding_is_read(peer: str, forwarded: str) -> None:
    headers = [(b"x-forwarded-for", forwarded.encode("utf-8", "ignore"))]
    assert isinstance(
        VisitorResolver(["0.0.0.0/0", "::/0"]).resolve_visitor({"client": (peer, 1), "headers": headers}), str
    )


def test_requests_are_not_limited_unless_told(tmp_path: Path) -> None:
    client = ProviderClient(build_provider_app(provider_settings(tmp_path)))
    assert {client("GET", "/").status_code for _ in range(50)} == {200}


def test_too_many_requests_are_told_when_to_come_back(tmp_path: Path) -> None:
    client = ProviderClient(build_provider_app(provider_settings(tmp_path, limits={"perMinute": 8})))
    answers = [client("GET", "/") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    refused = answers[-1]
    assert int(refused.headers["retry-after"]) >= 1 and refused.headers["access-control-allow-origin"] == "*"
    assert refused.json() == {"error": "Too many requests from this address."}
    assert client("GET", "/healthz").status_code == 503, "who asks for readiness is not counted"
    assert client("GET", "/livez").status_code == 200


def test_what_services_ask_for_counts_only_where_it_is_refused(tmp_path: Path) -> None:
    app = build_provider_app(provider_settings(tmp_path, limits={"perMinute": 16}))
    client, grants = ProviderClient(app), app.state.services.grants
    good = grants.seal_grant(InputGrant("ddo", "job", "did:op:" + "0" * 64, int(time.time()) + 60))
    bearer = {"authorization": f"Bearer {good}"}
    answers = [client("GET", "/api/c2d/grant", headers=bearer).status_code for _ in range(12)]
    assert set(answers) == {503}, "the cache is away, and no grant is one too many"
    bad = [client("GET", "/api/c2d/grant").status_code for _ in range(8)]
    assert bad == [401] * 4 + [429] * 4


def never() -> Callable[[], Any]:
    async def verified() -> None:
        verified.asked += 1  # type: ignore[attr-defined]
        raise OrderNotMined("Transaction 0x0 was not found on the chain.")

    verified.asked = 0  # type: ignore[attr-defined]
    return verified


async def unknown() -> bool:
    return False


async def pending() -> bool:
    return True


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience_module, "UNKNOWN_SECONDS", 0.05)
    visitor.set("192.0.2.1")


async def test_an_order_mined_a_moment_later_is_waited_for() -> None:
    asked = 0

    async def verified() -> str:
        nonlocal asked
        asked += 1
        if asked < 4:
            raise OrderNotMined("not yet")
        return "order"

    assert await OrderWaitLimiter(1).until_mined(verified, pending, 5) == "order"


async def test_a_pending_order_is_waited_for_until_the_end() -> None:
    verified = never()
    with pytest.raises(OrderInvalid, match="not found"):
        await OrderWaitLimiter(1).until_mined(verified, pending, 0.2)
    assert verified.asked > 4  # type: ignore[attr-defined]


async def test_who_invents_orders_is_answered_at_once_from_then_on() -> None:
    patience = OrderWaitLimiter(4)
    asked = []
    for _ in range(3):
        verified = never()
        with pytest.raises(OrderInvalid):
            await patience.until_mined(verified, unknown, 5)
        asked.append(verified.asked)  # type: ignore[attr-defined]
    assert asked[0] > 1 and asked[1:] == [1, 1]
    visitor.set("192.0.2.2")
    other = never()
    with pytest.raises(OrderInvalid):
        await patience.until_mined(other, unknown, 5)
    assert other.asked > 1, "somebody else is not punished"  # type: ignore[attr-defined]


async def test_only_so_many_wait_in_one_name() -> None:
    patience = OrderWaitLimiter(1000)
    each = [never() for _ in range(30)]
    waits = [patience.until_mined(verified, pending, 0.2) for verified in each]
    found = await asyncio.gather(*waits, return_exceptions=True)
    assert all(isinstance(problem, OrderInvalid) for problem in found)
    assert sum(verified.asked > 1 for verified in each) == 10  # type: ignore[attr-defined]


def test_only_so_many_logs_are_followed() -> None:
    followers = LogStreamLimiter(in_all=3, each=2)
    followers.acquire_slot("a")
    followers.acquire_slot("a")
    with pytest.raises(ProviderRefusal):
        followers.acquire_slot("a")
    followers.acquire_slot("b")
    with pytest.raises(ProviderRefusal):
        followers.acquire_slot("c")
    followers.release_slot("a")
    followers.acquire_slot("c")
