"""All pairs of operator-service's calls, in both signed forms, and of the Provider's: what is signed for one
is not taken for another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.requests import Request

from c2d_box.assets.crypto import signatures
from c2d_box.operator_service.arguments import OperatorRefusal
from c2d_box.operator_service.callers import SignatureVerifier
from c2d_box.provider.auth import signed_texts
from c2d_box.provider.backends.operator_client import OperatorClient
from c2d_box.provider.secrets import ProviderKey
from tests.unit.operator_service.conftest import KEY, PREFIX, RememberedNonces, settings_for
from tests.unit.provider import test_signatures as provider_corpus

OWNER = "0xE2DD09d719Da89e5a3D0F2549c7E24566e947260"
CALLS = (
    ("POST", "/compute"),
    ("GET", "/compute"),
    ("PUT", "/compute"),
    ("DELETE", "/compute"),
    ("GET", "/getResult"),
    ("GET", "/logs"),
    ("GET", "/events"),
)
HEX = "0123456789abcdef"
NONCES = st.integers(1, 2 * 10**19).map(str)
JOBS = st.one_of(st.text(HEX, min_size=32, max_size=32), st.text("0123456789", min_size=32, max_size=32))


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> SignatureVerifier:
    return callers_in(tmp_path_factory.mktemp("settings"))


def callers_in(folder: Path) -> SignatureVerifier:
    chosen = settings_for(folder, compat={"bareSignatures": True})
    return SignatureVerifier(chosen, RememberedNonces())


def request(method: str, path: str, query: str = "", signature: str = "", nonce: str = "") -> Request:
    headers = [(b"x-c2d-signature", signature.encode()), (b"x-c2d-nonce", nonce.encode())]
    scope = {"type": "http", "method": method, "raw_path": (PREFIX + path).encode()}
    return Request({**scope, "query_string": query.encode(), "headers": headers if signature else []})


async def is_taken(
    callers: SignatureVerifier,
    asked: Request,
    owner: str,
    job: str,
    nonce: str,
    bare: str = "",
    body: bytes = b"",
) -> bool:
    """Whether the call is taken by a service that has seen no nonce yet."""
    callers._taken = RememberedNonces()
    try:
        await callers.check_caller(asked, body, {"providerSignature": bare, "nonce": nonce}, owner, job)
    except OperatorRefusal:
        return False
    return True


def cuts(text: str) -> Iterator[tuple[str, str, str]]:
    """Owner, job and nonce wherever the text can be cut; of owners those that end near a border."""
    borders = {0, 41, 42, 43, *(at + 1 for at, sign in enumerate(text) if sign == "\n")}
    for first in sorted(at for at in borders if at <= len(text)):
        for second in range(first, len(text) + 1):
            yield text[:first], text[first:second], text[second:]
        yield text[:first], text[first:], "5"  # the form without nonce


def names_something(method: str, owner: str, job: str) -> bool:
    """A job has 32 hexadecimal digits; without a job all of an owner are meant."""
    return signed_texts.is_job_id(job) or (not job and bool(owner) and method in ("POST", "GET"))


@hypothesis_settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(job=st.one_of(st.just(""), JOBS), nonce=NONCES)
async def test_a_bare_text_is_none_of_another_job_owner_or_nonce(
    callers: SignatureVerifier, job: str, nonce: str
) -> None:
    """Which of the calls that name one owner and job is meant, the original does not sign: its nonce makes
    one signature good for one of them."""
    text = OWNER + job + nonce
    signature = signatures.sign_text(KEY, text)
    assert await is_taken(callers, request("GET", "/compute"), OWNER, job, nonce, signature)
    for owner, other_job, moved in cuts(text):
        if (owner, other_job, moved) == (OWNER, job, nonce):
            continue
        for method in ("POST", "GET", "PUT"):
            read = "" if method == "POST" else other_job
            if not names_something(method, owner, read):
                continue
            taken = await is_taken(callers, request(method, "/compute"), owner, read, moved, signature)
            assert not taken, f"{method} of {owner!r}, {read!r} with nonce {moved!r}"


@pytest.mark.parametrize("made", CALLS, ids=" ".join)
@hypothesis_settings(deadline=None, max_examples=5, suppress_health_check=list(HealthCheck))
@given(job=JOBS, nonce=NONCES)
async def test_a_header_signature_is_for_its_call_in_both_forms(
    callers: SignatureVerifier, made: tuple[str, str], job: str, nonce: str
) -> None:
    query = urlencode({"owner": OWNER, "jobId": job})
    text = f"{made[0]}\n{PREFIX}{made[1]}?{query}\n{hashlib.sha256(b'').hexdigest()}\n{nonce}"
    signature = signatures.sign_text(KEY, text)
    for method, path in CALLS:
        asked = request(method, path, query, signature, nonce)
        assert await is_taken(callers, asked, OWNER, job, nonce) is ((method, path) == made)
        assert not await is_taken(callers, asked, OWNER, job, nonce, body=b"{}")
        asked = request(method, path, query + "&index=0", signature, nonce)
        assert not await is_taken(callers, asked, OWNER, job, nonce)
    for owner, other_job, moved in cuts(text):
        asked = request("POST", "/compute")
        assert not await is_taken(callers, asked, owner, "", other_job + moved, signature)
        assert not await is_taken(callers, asked, owner, other_job, moved, signature)


@pytest.mark.parametrize("call", provider_corpus.CALLS, ids=lambda call: call.name)
@hypothesis_settings(deadline=None, max_examples=3, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_no_message_of_a_user_is_one_of_a_provider_and_the_other_way(
    callers: SignatureVerifier, call: provider_corpus.Call, data: st.DataObject
) -> None:
    nonce = str(data.draw(st.integers(2, 9_000)))
    text = "".join(provider_corpus.honest(call, data.draw)) + nonce
    signature = signatures.sign_text(provider_corpus.KEY, text)
    for owner, job, moved in cuts(text):
        assert not await is_taken(callers, request("PUT", "/compute"), owner, job, moved, signature)
    bench, job = provider_corpus.Bench(), data.draw(JOBS)
    # Also where the user is the one for whom the Provider asks.
    bare = provider_corpus.USER + job + nonce
    head = f"PUT\n{PREFIX}/compute?owner={provider_corpus.USER}\n{hashlib.sha256(b'').hexdigest()}\n{nonce}"
    for made in (bare, head):
        signature = signatures.sign_text(KEY, made)
        for read, moved in provider_corpus.readings(call, made):
            assert bench.verified(call, call.request(read, moved, signature)) is None


async def test_one_request_of_our_provider_uses_up_both_of_its_signatures(tmp_path: Path) -> None:
    """Else what a Provider sent to ask for a status would stop the job, where bare signatures are taken."""
    sent: list[httpx.Request] = []

    def answer(asked: httpx.Request) -> httpx.Response:
        sent.append(asked)
        return httpx.Response(200, json=[])

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        operator = OperatorClient(client, "http://operator", ProviderKey(KEY))
        await operator.job_status(OWNER, HEX * 2, 8996)
        await operator.start_job({"owner": OWNER})
    callers = callers_in(tmp_path)
    asked = sent[0]
    arguments = dict(asked.url.params)
    path, query = asked.url.path.removeprefix(PREFIX), asked.url.query.decode()
    original = request("GET", path, query, asked.headers["x-c2d-signature"], asked.headers["x-c2d-nonce"])
    await callers.check_caller(original, b"", arguments, OWNER, HEX * 2)
    with pytest.raises(OperatorRefusal, match="used before"):
        await callers.check_caller(request("PUT", path), b"", arguments, OWNER, HEX * 2)
    assert f'"nonce":{sent[1].headers["x-c2d-nonce"]}' in sent[1].content.decode()
