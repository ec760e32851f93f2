"""What the Provider remembers and seals: nonces, tokens, grants."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from c2d_box.provider import tokens as texts
from c2d_box.provider.database import Database
from c2d_box.provider.grants import Grant, GrantExpired, GrantInvalid, Grants
from c2d_box.provider.nonces import Freshness, Nonces
from c2d_box.provider.secrets import TokenSecret
from c2d_box.provider.tokens import Tokens

PATIENT = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

A = "0x02354A1F160A3fd7ac8b02ee91F04104440B28E7"
B = "0xBE5449a6A97aD46c8558A3356267Ee5D2731ab5e"


def test_an_unknown_address_reads_as_one_and_begins_anywhere_from_there() -> None:
    nonces = Nonces(Database(":memory:"))
    assert nonces.stored(A) == "1" and nonces.stored_or_none(A) is None
    assert nonces.use(A, Decimal(0)) is Freshness.STALE
    assert nonces.use(A, Decimal(1)) is Freshness.FRESH
    assert nonces.stored_or_none(A.lower()) == "1"


def test_nonces_only_rise() -> None:
    nonces = Nonces(Database(":memory:"))
    assert nonces.use(A, Decimal(5)) is Freshness.FRESH
    for used in (5, 4, Decimal("4.999")):
        assert nonces.use(A, Decimal(used)) is Freshness.STALE
    assert nonces.use(A, Decimal("5.5")) is Freshness.FRESH and nonces.stored(A) == "5.5"
    assert nonces.use(B, Decimal(2)) is Freshness.FRESH


def test_decrypters_count_apart() -> None:
    nonces = Nonces(Database(":memory:"))
    nonces.use(A, Decimal(1_700_000_000_000_000_000), scale="decrypter")
    assert nonces.stored(A) == "1" and nonces.use(A, Decimal(2)) is Freshness.FRESH


def test_a_nonce_may_be_repeated_only_for_what_it_was_used_for() -> None:
    nonces = Nonces(Database(":memory:"))
    nonces.use(A, Decimal(2), "this request")
    assert nonces.use(A, Decimal(2), "this request") is Freshness.REPEATED
    assert nonces.use(A, Decimal(2), "another request") is Freshness.STALE
    assert nonces.use(A, Decimal(2)) is Freshness.STALE
    nonces.use(A, Decimal(3))
    assert nonces.use(A, Decimal(2), "this request") is Freshness.STALE


def test_of_many_equal_requests_one_wins(tmp_path: Path) -> None:
    """Also over several connections: two replicas on one file."""
    databases = [Database(tmp_path / "nonces.sqlite") for _ in range(3)]
    won: list[Freshness] = []
    barrier = threading.Barrier(24)

    def use(at: int) -> None:
        barrier.wait()
        won.append(Nonces(databases[at % 3]).use(A, Decimal(2)))

    threads = [threading.Thread(target=use, args=(at,)) for at in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in databases:
        database.close()
    assert won.count(Freshness.FRESH) == 1 and len(won) == 24


def test_nonces_survive_a_restart(tmp_path: Path) -> None:
    first = Database(tmp_path / "nonces.sqlite")
    Nonces(first).use(A, Decimal(7))
    first.close()
    again = Database(tmp_path / "nonces.sqlite")
    assert Nonces(again).use(A, Decimal(7)) is Freshness.STALE
    again.close()


def make_tokens() -> Tokens:
    return Tokens(TokenSecret(b"s" * 32).derive("tokens"), Database(":memory:"))


def test_a_token_speaks_for_its_address_until_it_expires_or_is_deleted() -> None:
    tokens, soon = make_tokens(), int(time.time()) + 60
    token = tokens.create(A.lower(), soon)
    assert tokens.create(A, soon) == token
    assert tokens.problem(token, A) is None and tokens.problem(token, A.lower()) is None
    assert tokens.problem(token, B) == texts.INVALID
    assert tokens.problem(tokens.create(A, 1), A) == texts.EXPIRED
    tokens.delete(token)
    assert tokens.problem(token, A) == texts.DELETED
    assert tokens.create(A, soon) == token and tokens.problem(token, A) is None


@PATIENT
@given(st.text(max_size=80))
def test_no_text_is_a_token(text: str) -> None:
    assert make_tokens().problem(text, A) == texts.INVALID


def test_a_token_cannot_be_changed_or_made_with_another_algorithm() -> None:
    tokens = make_tokens()
    head, payload, signature = tokens.create(A, int(time.time()) + 60).split(".")
    none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
    for bad in (
        f"{head}.{payload}.",
        f"{none}.{payload}.",
        f"{none}.{payload}.{signature}",
        f"{head}.{payload[:-2]}.{signature}",
    ):
        assert tokens.problem(bad, A) == texts.INVALID
    assert (
        Tokens(b"x" * 32, Database(":memory:")).problem(f"{head}.{payload}.{signature}", A) == texts.INVALID
    )


def test_purposes_have_keys_of_their_own() -> None:
    secret = TokenSecret(b"s" * 32)
    assert len({secret.derive(purpose) for purpose in ("tokens", "grants", "jobs")}) == 3
    assert "s" * 4 not in repr(secret)


GRANT = Grant(
    "file", "job", "did:op:x", int(time.time()) + 100_000, "0", 1, "0xtx", A, "ab" * 32, {"a": 1}, None
)


def test_a_grant_opens_to_what_was_sealed() -> None:
    grants = Grants(b"k" * 32)
    assert grants.open(grants.seal(GRANT)) == GRANT
    assert grants.seal(GRANT) != grants.seal(GRANT)
    raw = replace(GRANT, what="raw", did="", source={"type": "url", "url": "https://x/secret"})
    assert b"secret" not in grants.seal(raw).encode() and grants.open(grants.seal(raw)) == raw
    assert "secret" not in repr(raw)


def test_a_late_grant_is_told_from_a_false_one() -> None:
    grants = Grants(b"k" * 32)
    with pytest.raises(GrantExpired):
        grants.open(grants.seal(replace(GRANT, expires=int(time.time()) - 1)))
    with pytest.raises(GrantInvalid):
        Grants(b"j" * 32).open(grants.seal(GRANT))


@PATIENT
@given(st.data())
def test_no_changed_grant_opens(data: st.DataObject) -> None:
    grants = Grants(b"k" * 32)
    token = grants.seal(GRANT)
    at = data.draw(st.integers(0, len(token) - 5))
    other = data.draw(st.sampled_from("ABCDEFabcdef0123456789-_"))
    changed = token[:at] + other + token[at + 1 :]
    if changed != token:
        with pytest.raises(GrantInvalid):
            grants.open(changed)


@PATIENT
@given(st.text(max_size=100))
def test_no_text_is_a_grant(text: str) -> None:
    with pytest.raises(GrantInvalid):
        Grants(b"k" * 32).open(text)
