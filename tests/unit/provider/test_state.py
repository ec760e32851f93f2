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

from c2d_box.provider.auth import tokens as texts
from c2d_box.provider.auth.grants import GrantCipher, GrantExpired, GrantInvalid, InputGrant
from c2d_box.provider.auth.nonces import NonceFreshness, NonceStore
from c2d_box.provider.auth.tokens import AuthTokens
from c2d_box.provider.database import ProviderDatabase
from c2d_box.provider.secrets import TokenSecret

PATIENT = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

A = "0x02354A1F160A3fd7ac8b02ee91F04104440B28E7"
B = "0xBE5449a6A97aD46c8558A3356267Ee5D2731ab5e"


def test_an_unknown_address_reads_as_one_and_begins_anywhere_from_there() -> None:
    nonces = NonceStore(ProviderDatabase(":memory:"))
    assert nonces.last_used(A) == "1" and nonces.last_used_or_none(A) is None
    assert nonces.take_nonce(A, Decimal(0)) is NonceFreshness.STALE
    assert nonces.take_nonce(A, Decimal(1)) is NonceFreshness.FRESH
    assert nonces.last_used_or_none(A.lower()) == "1"


def test_nonces_only_rise() -> None:
    nonces = NonceStore(ProviderDatabase(":memory:"))
    assert nonces.take_nonce(A, Decimal(5)) is NonceFreshness.FRESH
    for used in (5, 4, Decimal("4.999")):
        assert nonces.take_nonce(A, Decimal(used)) is NonceFreshness.STALE
    assert nonces.take_nonce(A, Decimal("5.5")) is NonceFreshness.FRESH and nonces.last_used(A) == "5.5"
    assert nonces.take_nonce(B, Decimal(2)) is NonceFreshness.FRESH


def test_decrypters_count_apart() -> None:
    nonces = NonceStore(ProviderDatabase(":memory:"))
    nonces.take_nonce(A, Decimal(1_700_000_000_000_000_000), scale="decrypter")
    assert nonces.last_used(A) == "1" and nonces.take_nonce(A, Decimal(2)) is NonceFreshness.FRESH


def test_a_nonce_may_be_repeated_only_for_what_it_was_used_for() -> None:
    nonces = NonceStore(ProviderDatabase(":memory:"))
    nonces.take_nonce(A, Decimal(2), "this request")
    assert nonces.take_nonce(A, Decimal(2), "this request") is NonceFreshness.REPEATED
    assert nonces.take_nonce(A, Decimal(2), "another request") is NonceFreshness.STALE
    assert nonces.take_nonce(A, Decimal(2)) is NonceFreshness.STALE
    nonces.take_nonce(A, Decimal(3))
    assert nonces.take_nonce(A, Decimal(2), "this request") is NonceFreshness.STALE


def test_of_many_equal_requests_one_wins(tmp_path: Path) -> None:
    """Also over several connections: two replicas on one file."""
    databases = [ProviderDatabase(tmp_path / "nonces.sqlite") for _ in range(3)]
    won: list[NonceFreshness] = []
    barrier = threading.Barrier(24)

    def use(at: int) -> None:
        barrier.wait()
        won.append(NonceStore(databases[at % 3]).take_nonce(A, Decimal(2)))

    threads = [threading.Thread(target=use, args=(at,)) for at in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in databases:
        database.close()
    assert won.count(NonceFreshness.FRESH) == 1 and len(won) == 24


def test_nonces_survive_a_restart(tmp_path: Path) -> None:
    first = ProviderDatabase(tmp_path / "nonces.sqlite")
    NonceStore(first).take_nonce(A, Decimal(7))
    first.close()
    again = ProviderDatabase(tmp_path / "nonces.sqlite")
    assert NonceStore(again).take_nonce(A, Decimal(7)) is NonceFreshness.STALE
    again.close()


def make_tokens() -> AuthTokens:
    return AuthTokens(TokenSecret(b"s" * 32).derive_key("tokens"), ProviderDatabase(":memory:"))


def test_a_token_speaks_for_its_address_until_it_expires_or_is_deleted() -> None:
    tokens, soon = make_tokens(), int(time.time()) + 60
    token = tokens.create_token(A.lower(), soon)
    assert tokens.create_token(A, soon) == token
    assert tokens.token_problem(token, A) is None and tokens.token_problem(token, A.lower()) is None
    assert tokens.token_problem(token, B) == texts.INVALID
    assert tokens.token_problem(tokens.create_token(A, 1), A) == texts.EXPIRED
    tokens.delete_token(token)
    assert tokens.token_problem(token, A) == texts.DELETED
    assert tokens.create_token(A, soon) == token and tokens.token_problem(token, A) is None


@PATIENT
@given(st.text(max_size=80))
def test_no_text_is_a_token(text: str) -> None:
    assert make_tokens().token_problem(text, A) == texts.INVALID


def test_a_token_cannot_be_changed_or_made_with_another_algorithm() -> None:
    tokens = make_tokens()
    head, payload, signature = tokens.create_token(A, int(time.time()) + 60).split(".")
    none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
    for bad in (
        f"{head}.{payload}.",
        f"{none}.{payload}.",
        f"{none}.{payload}.{signature}",
        f"{head}.{payload[:-2]}.{signature}",
    ):
        assert tokens.token_problem(bad, A) == texts.INVALID
    assert (
        AuthTokens(b"x" * 32, ProviderDatabase(":memory:")).token_problem(f"{head}.{payload}.{signature}", A)
        == texts.INVALID
    )


def test_purposes_have_keys_of_their_own() -> None:
    secret = TokenSecret(b"s" * 32)
    assert len({secret.derive_key(purpose) for purpose in ("tokens", "grants", "jobs")}) == 3
    assert "s" * 4 not in repr(secret)


GRANT = InputGrant(
    "file", "job", "did:op:x", int(time.time()) + 100_000, "0", 1, "0xtx", A, "ab" * 32, {"a": 1}, None
)


def test_a_grant_opens_to_what_was_sealed() -> None:
    grants = GrantCipher(b"k" * 32)
    assert grants.open_grant(grants.seal_grant(GRANT)) == GRANT
    assert grants.seal_grant(GRANT) != grants.seal_grant(GRANT)
    raw = replace(GRANT, what="raw", did="", source={"type": "url", "url": "https://x/secret"})
    assert (
        b"secret" not in grants.seal_grant(raw).encode() and grants.open_grant(grants.seal_grant(raw)) == raw
    )
    assert "secret" not in repr(raw)


def test_a_late_grant_is_told_from_a_false_one() -> None:
    grants = GrantCipher(b"k" * 32)
    with pytest.raises(GrantExpired):
        grants.open_grant(grants.seal_grant(replace(GRANT, expires=int(time.time()) - 1)))
    with pytest.raises(GrantInvalid):
        GrantCipher(b"j" * 32).open_grant(grants.seal_grant(GRANT))


@PATIENT
@given(st.data())
def test_no_changed_grant_opens(data: st.DataObject) -> None:
    grants = GrantCipher(b"k" * 32)
    token = grants.seal_grant(GRANT)
    at = data.draw(st.integers(0, len(token) - 5))
    other = data.draw(st.sampled_from("ABCDEFabcdef0123456789-_"))
    changed = token[:at] + other + token[at + 1 :]
    if changed != token:
        with pytest.raises(GrantInvalid):
            grants.open_grant(changed)


@PATIENT
@given(st.text(max_size=100))
def test_no_text_is_a_grant(text: str) -> None:
    with pytest.raises(GrantInvalid):
        GrantCipher(b"k" * 32).open_grant(text)
