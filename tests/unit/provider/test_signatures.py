"""What a signature is good for: one call, once. Every message that a client may sign, read as every other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from c2d_box.assets.crypto import signatures
from c2d_box.provider.app import build_provider_app
from c2d_box.provider.auth import nonces, signed_texts
from c2d_box.provider.auth.caller import CallerVerifier, SignedClaim, VerifiedCaller
from c2d_box.provider.auth.nonces import NonceFreshness, NonceStore
from c2d_box.provider.auth.tokens import EXPIRED, AuthTokens
from c2d_box.provider.database import ProviderDatabase
from c2d_box.provider.errors import ApiError, InvalidParameters
from c2d_box.provider.requests import fields
from c2d_box.provider.settings import LONGEST_TOKEN_SECONDS
from tests.harness.provider_app import ProviderClient, provider_settings

KEY = "0x8467415bb2ba7c91084d932276214b11a3dd9bdb2930fefa194b666dd8020b99"
USER = signatures.address_of(KEY)
JOB, OTHER_JOB = "0123456789abcdef0123456789abcdef", "f" * 31 + "1"
DID = "did:op:" + "ab" * 31 + "07"
LOCKED = 2**53 - 1


@dataclass(frozen=True)
class Call:
    """One signed call: its rules, its claim, and the fields whose texts are joined before the nonce."""

    name: str
    rules: tuple[fields.RequestField, ...]
    claim: Callable[[dict[str, Any]], SignedClaim]
    signed: tuple[str, ...]
    unsigned: tuple[tuple[str, Any], ...] = ()

    def request(self, parts: tuple[str, ...], nonce: str, signature: str) -> dict[str, Any]:
        data: dict[str, Any] = dict(self.unsigned)
        for name, part in zip(self.signed, parts, strict=True):
            if name == "dataset.documentId":
                data["dataset"] = {"documentId": part, "serviceId": "0", "transferTxId": "0x1"}
            else:
                data[name] = part
        return {**data, "nonce": nonce, "signature": signature}


_START = (("algorithm", {"meta": {"rawcode": "print(1)"}}),)
_TOKEN = (("expiration", 4_000_000_000),)
CALLS = (
    Call(
        "download",
        fields.DOWNLOAD,
        signed_texts.download_claim,
        ("documentId",),
        (("serviceId", "0"), ("consumerAddress", USER), ("transferTxId", "0x1"), ("fileIndex", "0")),
    ),
    Call("start", fields.START, signed_texts.start_claim, ("consumerAddress", "dataset.documentId"), _START),
    Call(
        "stop",
        fields.STOP,
        lambda data: signed_texts.stop_claim(data, quirks=True),
        ("consumerAddress", "jobId"),
    ),
    Call(
        "stop with DID",
        fields.STOP,
        lambda data: signed_texts.stop_claim(data, quirks=True),
        ("consumerAddress", "jobId", "documentId"),
    ),
    Call("delete", fields.DELETE, signed_texts.delete_claim, ("consumerAddress", "jobId", "documentId")),
    Call("delete without DID", fields.DELETE, signed_texts.delete_claim, ("consumerAddress", "jobId")),
    Call("result", fields.RESULT, signed_texts.result_claim, ("consumerAddress", "jobId", "index")),
    Call("logs", fields.LOGS, signed_texts.logs_claim, ("consumerAddress", "jobId", "component")),
    Call("logs of the algorithm", fields.LOGS, signed_texts.logs_claim, ("consumerAddress", "jobId")),
    Call("create token", fields.CREATE_TOKEN, signed_texts.token_claim, ("address",), _TOKEN),
    Call("delete token", fields.DELETE_TOKEN, signed_texts.token_claim, ("address",), (("token", "x"),)),
    Call(
        "decrypt",
        fields.DECRYPT,
        lambda data: signed_texts.decrypt_claim(data, 8996),
        ("dataNftAddress", "decrypterAddress", "chainId"),
        (("encryptedDocument", "0x"), ("flags", 0), ("documentHash", "0x")),
    ),
)
WITHOUT_DID = {"stop", "delete without DID"}
"""No client signs these; as calls that a message may be read as, they are tried."""


class Bench:
    """Callers, nonces and tokens of a Provider, on a database in memory."""

    def __init__(self) -> None:
        self.database = ProviderDatabase(":memory:")
        self.nonces = NonceStore(self.database)
        self.callers = CallerVerifier(self.nonces, AuthTokens(b"k" * 32, self.database))

    def verified(self, call: Call, request: dict[str, Any]) -> VerifiedCaller | None:
        """None where the call is refused."""
        try:
            return self.callers.verify_caller(request, call.rules, call.claim(request))
        except ApiError:
            return None

    def taken(self, call: Call, request: dict[str, Any]) -> VerifiedCaller | None:
        """The caller once its nonce is used."""
        if caller := self.verified(call, request):
            caller.use_nonce(self.nonces)
        return caller


def names_something(call: Call, parts: tuple[str, ...]) -> bool:
    """Whether there can be what the request names."""
    named = dict(zip(call.signed, parts, strict=True))
    dids = [named[key] for key in ("documentId", "dataset.documentId") if key in named]
    if call.name in ("download", "start") and not all(len(did) == 71 for did in dids):
        return False
    return "jobId" not in named or signed_texts.is_job_id(named["jobId"])


def readings(call: Call, text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The text cut into the call's parts and a nonce, wherever some call has a border and anywhere in the
    last 20 characters, as far as what is then named can exist: of the rest nothing comes."""
    borders = {len(USER), len(USER) + 32, len(USER) + 71, len(USER) + 103, 2 * len(USER), 71}
    cuts = sorted({*borders, *range(len(text) - 20, len(text))} & set(range(1, len(text))))
    for chosen in combinations(cuts, len(call.signed)):
        pieces = [text[begin:end] for begin, end in zip((0, *chosen), (*chosen, len(text)), strict=True)]
        if pieces[-1].isdigit() and names_something(call, tuple(pieces[:-1])):
            yield tuple(pieces[:-1]), pieces[-1]


def honest(call: Call, draw: Callable[[Any], Any]) -> tuple[str, ...]:
    hexadecimal = "0123456789abcdef"
    drawn = {
        "documentId": "did:op:" + draw(st.text(hexadecimal, min_size=64, max_size=64)),
        "dataset.documentId": "did:op:" + draw(st.text(hexadecimal, min_size=64, max_size=64)),
        "consumerAddress": USER,
        "address": USER,
        "decrypterAddress": USER,
        "dataNftAddress": "0x" + draw(st.text(hexadecimal, min_size=40, max_size=40)),
        "chainId": "8996",
        "jobId": draw(st.text(hexadecimal, min_size=32, max_size=32)),
        "index": str(draw(st.integers(0, 2_000))),
        "component": draw(st.sampled_from(["algorithm", "configuration", "publishing"])),
    }
    return tuple(drawn[name] for name in call.signed)


@pytest.mark.parametrize(
    "made", [call for call in CALLS if call.name not in WITHOUT_DID], ids=lambda c: c.name
)
@hypothesis_settings(deadline=None, max_examples=5, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_message_of_one_call_is_one_of_another(made: Call, data: st.DataObject) -> None:
    """All pairs of calls, a call with itself included, with all readings of the text that was signed."""
    bench = Bench()
    parts = honest(made, data.draw)
    counter = data.draw(st.integers(2, 9_000))
    nonce = str(data.draw(st.sampled_from([counter, int(time.time()) + 1, int(time.time() * 1000) + 1])))
    signature = signatures.sign_text(KEY, "".join(parts) + nonce)
    assert bench.taken(made, made.request(parts, nonce, signature)), "its author is refused"
    for other in CALLS:
        for read, moved in readings(other, "".join(parts) + nonce):
            if (other, read, moved) == (CALLS[1], parts, nonce):
                continue  # the same start again is the same job
            taken = bench.taken(other, other.request(read, moved, signature))
            assert taken is None, f"{other.name}: {read}, nonce {moved}"


def test_messages_that_were_never_used_differ_too_but_for_those_that_ocean_makes_equal() -> None:
    equal = {
        ("stop with DID", "delete"),
        ("create token", "delete token"),
        ("result", "logs of the algorithm"),  # digits behind a job: of an index and a nonce, or of a nonce
    }
    bench = Bench()
    for made in CALLS:
        if made.name in WITHOUT_DID:
            continue
        known = {"documentId": DID, "dataset.documentId": DID, "consumerAddress": USER, "address": USER}
        known |= {"jobId": JOB, "index": "12", "component": "algorithm", "chainId": "8996"}
        known |= {"dataNftAddress": "0x" + "12" * 20, "decrypterAddress": USER}
        text = "".join(known[name] for name in made.signed) + "35"
        signature = signatures.sign_text(KEY, text)
        for other in CALLS:
            for read, moved in readings(other, text):
                taken = bench.verified(other, other.request(read, moved, signature))
                if taken and other is not made:
                    pair = {(made.name, other.name), (other.name, made.name)}
                    assert pair & equal, f"{made.name} is also {other.name}: {read}, nonce {moved}"


def result_of(index: str, nonce: str, signed: str) -> dict[str, Any]:
    return {
        "consumerAddress": USER,
        "jobId": JOB,
        "index": index,
        "nonce": nonce,
        "signature": signatures.sign_text(KEY, f"{USER}{JOB}{signed}"),
    }


@pytest.mark.parametrize("nonce", ["5", "95", "987", "7.5"])
def test_a_used_result_signature_is_none_for_another_index_also_after_a_restart(
    tmp_path: Path, nonce: str
) -> None:
    app = build_provider_app(provider_settings(tmp_path))
    client = ProviderClient(app)
    first = result_of("12", nonce, "12" + nonce)
    assert client.services("GET", "computeResult", params=first).status_code == 503, "its nonce is used"
    moved = result_of("1", "2" + nonce, "12" + nonce)
    refused = client.services("GET", "computeResult", params=moved).json()
    assert refused["errors"] == {"signature": "Invalid signature: the signed message was used before."}
    app.state.services.database.close()
    again = build_provider_app(provider_settings(tmp_path))
    assert ProviderClient(again).services("GET", "computeResult", params=moved).json() == refused
    again.state.services.database.close()


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("used", [True, False])
def test_a_result_signature_stops_and_deletes_nothing(tmp_path: Path, method: str, used: bool) -> None:
    app = build_provider_app(provider_settings(tmp_path))
    client = ProviderClient(app)
    if used:
        client.services("GET", "computeResult", params=result_of("1", "5", "15"))
    for extra in ({}, {"documentId": "1", "nonce": "5"}, {"documentId": ""}):
        asked = {**result_of("", "15", "15"), **extra}
        answer = client.services(method, "compute", json=asked)
        assert answer.status_code == 400 and "signature" in answer.json()["errors"], answer.text
    app.state.services.database.close()


def bare_stop(nonce: int | str, job: str = JOB) -> dict[str, Any]:
    """As ocean.js 3.3.3 and later send it: the nonce is not signed."""
    stop = {"consumerAddress": USER, "jobId": job, "agreementId": "ab", "nonce": str(nonce)}
    return {**stop, "signature": signatures.sign_text(KEY, f"{USER}{job}")}


def test_a_captured_stop_does_not_move_the_nonce_out_of_reach(tmp_path: Path) -> None:
    app = build_provider_app(provider_settings(tmp_path))
    client = ProviderClient(app)
    for _ in range(5):
        for nonce in (LOCKED, int(time.time() * 1000)):
            assert client.services("PUT", "compute", json=bare_stop(nonce)).status_code == 503
    assert client.services("GET", f"nonce?userAddress={USER}").json() == {"nonce": "2"}
    client.services("PUT", "compute", json=bare_stop(LOCKED, OTHER_JOB))
    assert client.services("GET", f"nonce?userAddress={USER}").json() == {"nonce": "3"}
    signed = result_of("0", "4", "04")
    assert client.services("GET", "computeResult", params=signed).status_code == 503, "the owner goes on"
    app.state.services.database.close()


def test_a_tokens_bearer_does_not_move_the_nonce_out_of_reach(tmp_path: Path) -> None:
    app = build_provider_app(provider_settings(tmp_path))
    client = ProviderClient(app)
    asked = {"address": USER, "expiration": int(time.time()) + 60, "nonce": "2"}
    query = {**asked, "signature": signatures.sign_text(KEY, USER + "2")}
    token = client.services("GET", "createAuthToken", params=query).json()["token"]
    for nonce in (LOCKED, LOCKED, 5_000_000):
        asked = {"consumerAddress": USER, "jobId": JOB, "documentId": DID, "nonce": str(nonce)}
        assert client.services("PUT", "compute", json=asked, headers={"AuthToken": token}).status_code == 503
    assert client.services("GET", f"nonce?userAddress={USER}").json() == {"nonce": "5"}
    for name, method in (("createAuthToken", "GET"), ("deleteAuthToken", "DELETE")):
        query = {"address": USER, "expiration": 4_000_000_000, "token": token, "nonce": "6"}
        answer = client.services(method, name, params=query, headers={"AuthToken": token})
        assert answer.status_code == 400, "a bearer makes, prolongs and deletes no token"
    app.state.services.database.close()


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def test_clients_that_count_in_different_ways_share_an_account() -> None:
    clock = Clock()
    known = NonceStore(ProviderDatabase(":memory:"), clock=clock)
    clock.now += 5
    takes = [2, 3, 250, int(clock.now), int(clock.now) + 1, int(clock.now * 1e3), int(clock.now * 1e3) + 1]
    takes += [int(clock.now * 1e6), int(clock.now * 1e6) + 1, int(clock.now * 1e6) + 2]
    assert {known.take_nonce(USER, Decimal(nonce)) for nonce in takes} == {NonceFreshness.FRESH}


@pytest.mark.parametrize("nonce", [10_002, 9_999_999, 40_000_000_000, 5 * 10**12, LOCKED])
def test_a_nonce_is_the_next_of_a_counter_or_the_time(nonce: int) -> None:
    known = NonceStore(ProviderDatabase(":memory:"))
    assert known.take_nonce(USER, Decimal(nonce)) is NonceFreshness.FAR
    assert known.last_used(USER) == "1" and known.take_nonce(USER, Decimal(2)) is NonceFreshness.FRESH


def test_the_limit_is_told(tmp_path: Path) -> None:
    app = build_provider_app(provider_settings(tmp_path))
    answer = ProviderClient(app).services(
        "GET", "computeResult", params=result_of("0", "99999999", "099999999")
    )
    assert answer.json()["errors"] == {"nonce": ["The nonce must be at most 10001, or the time now (s, ms)."]}
    app.state.services.database.close()


@pytest.mark.parametrize("scale", ["client", "decrypter"])
def test_a_locked_account_is_free_after_a_restart(tmp_path: Path, scale: nonces.Scale) -> None:
    locked = LOCKED if scale == "client" else 6 * 10**19
    database = ProviderDatabase(tmp_path / "provider.sqlite")
    with database.transaction() as connection:
        connection.execute("INSERT INTO nonces VALUES (?, ?, ?, '')", (scale, USER, str(locked)))
    clock = Clock()
    known = NonceStore(database, clock=clock)
    clock.now += 1
    assert known.take_nonce(USER, Decimal(locked), scale=scale) is NonceFreshness.FAR, (
        "the locking message again"
    )
    unit = 1e3 if scale == "client" else 1e9
    assert known.take_nonce(USER, Decimal(int(clock.now * unit)), scale=scale) is NonceFreshness.FRESH
    following = Decimal(known.last_used(USER, scale)) + 1
    assert known.take_nonce(USER, following, scale=scale) is NonceFreshness.FRESH
    database.close()


@pytest.mark.parametrize("counter", [True, False])
def test_a_decrypters_chain_id_lends_no_digit_to_its_nonce(tmp_path: Path, counter: bool) -> None:
    """Else whoever sees one call of a metadata cache locks that cache out."""
    app = build_provider_app(provider_settings(tmp_path))
    client, nonce = ProviderClient(app), "5" if counter else str(time.time_ns())
    asked = {
        "decrypterAddress": USER,
        "dataNftAddress": "0x" + "12" * 20,
        "transactionId": "0x" + "34" * 32,
    }
    signature = signatures.sign_text(KEY, f"{asked['transactionId']}{USER}8996{nonce}")
    moved = {**asked, "chainId": "899", "nonce": "6" + nonce, "signature": signature}
    answer = client.services("POST", "decrypt", json=moved)
    assert answer.status_code == 400
    assert counter is (answer.json() == {"error": "Unsupported chain ID 899"}), answer.text
    assert app.state.services.nonces.last_used(USER, "decrypter") == "1"
    app.state.services.database.close()


def test_times_from_before_a_lost_database_are_stale() -> None:
    clock = Clock()
    before = int(clock.now * 1000)
    clock.now += 60
    lost = ProviderDatabase(":memory:")
    lost.created = clock.now
    known = NonceStore(lost, clock=clock)
    for old in (before, before // 1000, before * 1000):
        assert known.take_nonce(USER, Decimal(old)) is NonceFreshness.FAR
    clock.now += 1
    assert known.take_nonce(USER, Decimal(int(clock.now * 1000))) is NonceFreshness.FRESH


def test_counters_from_before_a_lost_database_are_stale_where_they_begin_at_its_time(tmp_path: Path) -> None:
    changed = {"signatures": {"firstNonce": "created"}}
    app = build_provider_app(provider_settings(tmp_path, **changed))
    used = result_of("0", "7", "07")
    stored = ProviderClient(app).services("GET", f"nonce?userAddress={USER}").json()["nonce"]
    assert abs(int(stored) - time.time()) < 60
    refused = ProviderClient(app).services("GET", "computeResult", params=used)
    assert "expected nonce" in refused.json()["errors"]["signature"]
    following = str(int(stored) + 1)
    answer = ProviderClient(app).services(
        "GET", "computeResult", params=result_of("0", following, "0" + following)
    )
    assert answer.status_code == 503
    app.state.services.database.close()


def test_what_is_remembered_of_an_account_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonces, "USED_PER_ADDRESS", 20)
    bench = Bench()
    for nonce in range(2, 60):
        stored = max(nonce, int(bench.nonces.last_used(USER)) + 1)
        asked = result_of("12", str(stored), f"12{stored}")
        assert bench.taken(CALLS[6], asked), nonce
    row = bench.database.fetch_one("SELECT count(*) FROM used_messages")
    assert row is not None and int(str(row[0])) <= 20
    assert bench.taken(CALLS[6], result_of("1", "25", "125")) is None, "forgotten, and stale by its nonce"


@pytest.mark.parametrize("nonce", ["07", "+7", "7e1", "7_0", " 7", "٧", "-0", "0x7"])
def test_a_nonce_has_one_spelling(nonce: str) -> None:
    with pytest.raises(InvalidParameters) as refused:
        Bench().callers.verify_caller(
            result_of("0", nonce, "0" + nonce), fields.RESULT, signed_texts.result_claim({})
        )
    assert refused.value.body["errors"] == {"nonce": ["The nonce must be a number."]}


def test_no_token_is_for_ever() -> None:
    tokens = AuthTokens(b"k" * 32, ProviderDatabase(":memory:"))
    token = tokens.create_token(USER, 10**30)
    assert token == tokens.create_token(USER, 10**31) and tokens.token_problem(token, USER) is None
    tokens.delete_token(token)
    longer = AuthTokens(b"k" * 32, ProviderDatabase(":memory:"), 100 * LONGEST_TOKEN_SECONDS)
    shorter = AuthTokens(b"k" * 32, longer._database, LONGEST_TOKEN_SECONDS)
    assert shorter.token_problem(longer.create_token(USER, 10**30), USER) == EXPIRED, (
        "made before there was a limit"
    )


def test_tokens_end_with_the_list_of_deleted_ones(tmp_path: Path) -> None:
    soon = int(time.time()) + 600
    token = AuthTokens(b"k" * 32, ProviderDatabase(tmp_path / "first.sqlite")).create_token(USER, soon)
    assert (
        AuthTokens(b"k" * 32, ProviderDatabase(tmp_path / "first.sqlite")).token_problem(token, USER) is None
    )
    assert (
        AuthTokens(b"k" * 32, ProviderDatabase(tmp_path / "second.sqlite")).token_problem(token, USER)
        is not None
    )
