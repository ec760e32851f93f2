"""Limits as a user writes them, and prices as a user reads them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from c2d_box.chain.amounts import whole_tokens
from c2d_box.client.payment.spending import SpendingLimits
from c2d_box.errors import UsageError
from sandbox.cli.app import invoke
from sandbox.verbs.compute import quotes
from sandbox.verbs.compute.quotes import AssetPrice, price_totals
from tests.harness.unasked_box import take_words_as_ids

OCEAN, USDC = "0x" + "ab" * 20, "0x" + "cd" * 20


def chain() -> Any:
    """A chain that knows two tokens."""
    addresses = SimpleNamespace(ocean=OCEAN, raw={"MockUSDC": USDC, "chainId": 8996})
    return SimpleNamespace(addresses=addresses, decimals=lambda token: 6 if token.lower() == USDC else 18)


def limits(*said: str) -> dict[str, int] | None:
    found = SpendingLimits(said).limits_for(chain())
    return None if found is None else {token.lower(): amount for token, amount in found.items()}


def test_a_limit_names_its_token() -> None:
    assert limits() is None
    assert limits("0") == {OCEAN: 0}
    assert limits("2.5", "3:mockusdc") == {OCEAN: 25 * 10**17, USDC: 3_000_000}
    assert limits(f"1.9999999:{USDC}") == {USDC: 1_999_999}, "a limit is never rounded up"
    assert limits("1:ocean") == {OCEAN: 10**18}


@pytest.mark.parametrize("said", ["nan", "inf", "-1", "x", "", "1:0x12", "1:Nothing", "1e60", "1:chainId"])
def test_what_is_no_limit_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="C2D-USAGE-LIMIT"):
        limits(said)


def test_one_token_has_one_limit() -> None:
    with pytest.raises(UsageError, match="a limit already"):
        limits("1", "2:OCEAN")


def test_a_quote_counts_every_fee(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    due = {"OCEAN": "3.001", "MockUSDC": "5"}
    prices = [
        AssetPrice("did:op:a", "order", 1.001, "OCEAN", 2.0, "OCEAN", 0.001, 5.0, "MockUSDC", due),
        AssetPrice("did:op:b", "order", 0.0, "OCEAN", 0.0, "OCEAN"),
        AssetPrice("did:op:c", "none", 0.0, "OCEAN", 0.0, "OCEAN"),
    ]
    assert price_totals(prices) == {"OCEAN": 3.001, "MockUSDC": 5.0}
    take_words_as_ids(monkeypatch)
    monkeypatch.setattr(quotes, "quote", lambda *_arguments: prices)
    assert invoke(["--home", str(tmp_path), "quote", "did:op:a", "did:op:b"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "1.001 OCEAN (0.001 of it fees)" in shown
    assert "in all: 3.001 OCEAN and 5 MockUSDC" in shown


@pytest.mark.parametrize("units", [2012056240996048096, 1, 10**18 - 1, 3 * 10**38 + 7])
def test_the_sum_of_a_quote_is_a_limit_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], units: int
) -> None:
    """What is printed, put after --max-price, is the very amount: not a digit is rounded away."""
    halves = [{"OCEAN": whole_tokens(part, 18)} for part in (units // 2, units - units // 2)]
    prices = [AssetPrice("did:op:a", "order", 0.1, "OCEAN", 0.0, "OCEAN", due=due) for due in halves]
    take_words_as_ids(monkeypatch)
    monkeypatch.setattr(quotes, "quote", lambda *_arguments: prices)
    assert invoke(["--home", str(tmp_path), "quote", "did:op:a", "did:op:b"]) == 0
    shown = capsys.readouterr().out.rsplit("in all: ", 1)[1].split()
    assert shown[1] == "OCEAN" and limits(shown[0]) == {OCEAN: units}
