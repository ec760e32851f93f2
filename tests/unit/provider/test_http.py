"""The application itself, in this process and without any backend: discovery, errors, limits, signatures,
tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from c2d_box.assets.crypto import ecies, signatures
from c2d_box.errors import StateProblem
from c2d_box.limits import JOB_DATASETS
from c2d_box.provider.app import build_provider_app
from c2d_box.provider.errors import STRIPPED, without_urls
from tests.harness.fake_services import PROVIDER_KEY
from tests.harness.provider_app import ProviderClient, provider_settings

USER_KEY = "0x8467415bb2ba7c91084d932276214b11a3dd9bdb2930fefa194b666dd8020b99"
USER = signatures.address_of(USER_KEY)
BAD = "Invalid signature provided. Please check the nonce or documentId."


@pytest.fixture
def client(tmp_path: Path) -> Iterator[ProviderClient]:
    app = build_provider_app(provider_settings(tmp_path))
    yield ProviderClient(app)
    app.state.services.database.close()


def test_discovery_has_exactly_sixteen_endpoints(client: ProviderClient) -> None:
    body = client("GET", "/").json()
    assert len(body["serviceEndpoints"]) == 16
    assert body["serviceEndpoints"]["computeStop"] == ["PUT", "/api/services/compute"]
    assert body["serviceEndpoints"]["create_auth_token"] == ["GET", "/api/services/createAuthToken"]
    assert body["software"] == "Provider" and body["chainIds"] == [8996]
    assert body["providerAddresses"] == {"8996": "0xe08A1dAe983BC701D05E492DB80e0144f8f4b909"}


def test_the_root_answers_while_nothing_else_can(client: ProviderClient) -> None:
    assert client("GET", "/").status_code == 200 and client("GET", "/healthz").status_code == 503


def test_unknown_paths_and_methods_are_json(client: ProviderClient) -> None:
    answer = client("GET", "/nowhere")
    assert answer.status_code == 404 and set(answer.json()) == {"error", "context"}
    assert client("PATCH", "/api/services/compute").status_code == 405


@pytest.mark.parametrize(
    "path", ["nonce", "download", "decrypt", "compute", "computeResult", "computeEnvironments"]
)
def test_head_is_not_allowed(client: ProviderClient, path: str) -> None:
    assert client.services("HEAD", path).status_code == 405


def test_duplicate_slashes_are_one(client: ProviderClient) -> None:
    assert client("GET", f"http://provider//api//services/nonce?userAddress={USER}").json() == {"nonce": "1"}


def test_every_answer_may_be_read_by_any_origin(client: ProviderClient) -> None:
    for answer in (client("GET", "/"), client("GET", "/nowhere"), client.services("GET", "nonce")):
        assert answer.headers["access-control-allow-origin"] == "*"
    asked = {"origin": "http://x", "access-control-request-headers": "AuthToken"}
    preflight = client("OPTIONS", "/api/services/compute", headers=asked)
    assert preflight.status_code == 200 and "DELETE" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == "AuthToken"


def test_encryption_is_for_this_provider(client: ProviderClient) -> None:
    headers = {"content-type": "application/octet-stream"}
    answer = client.services("POST", "encrypt?chainId=8996", content=b"hello", headers=headers)
    assert answer.status_code == 201 and answer.headers["content-type"] == "text/plain"
    assert ecies.decrypt(PROVIDER_KEY, bytes.fromhex(answer.text[2:])) == b"hello"


@pytest.mark.parametrize(
    ("query", "kind", "text"),
    [
        (
            "?chainId=8996",
            "application/json",
            "Invalid request content type: should be application/octet-stream",
        ),
        ("", "application/octet-stream", "Missing chainId query parameter."),
        ("?chainId=1", "application/octet-stream", "Failed to encrypt."),
    ],
)
def test_encryption_refusals(client: ProviderClient, query: str, kind: str, text: str) -> None:
    answer = client.services("POST", f"encrypt{query}", content=b"x", headers={"content-type": kind})
    assert (answer.status_code, answer.json()) == (400, {"error": text})


def test_a_body_too_large_is_refused(client: ProviderClient) -> None:
    headers = {"content-type": "application/octet-stream"}
    answer = client.services("POST", "encrypt?chainId=8996", content=b"x" * (3 << 20), headers=headers)
    assert answer.status_code == 413


def test_targets_and_headers_have_limits(client: ProviderClient) -> None:
    assert client.services("GET", "nonce?userAddress=" + "x" * 40_000).status_code == 414
    assert client("GET", "/", headers={"x": "y" * 70_000}).status_code == 431


def test_containers(client: ProviderClient) -> None:
    good = {"entrypoint": "python $ALGO", "image": "i", "tag": "t", "checksum": "sha256:ab"}
    assert client.services("POST", "validateContainer", json=good).json() == good
    for change, code in (
        ({"image": ""}, "missing_entrypoint_image_checksum"),
        ({"checksum": "ab"}, "checksum_prefix"),
    ):
        answer = client.services("POST", "validateContainer", json={**good, **change})
        assert (answer.status_code, answer.json()) == (400, {"error": code})


def test_nonce_needs_an_address(client: ProviderClient) -> None:
    missing = client.services("GET", "nonce").json()
    assert missing == {
        "errors": {"userAddress": ["The userAddress field is required."]},
        "message": "Validation error",
        "success": False,
    }
    assert client.services("GET", "nonce?userAddress=me").status_code == 400


def token_query(client: ProviderClient, nonce: str, expires: int, **changes: str) -> dict[str, str]:
    query = {"address": USER, "expiration": str(expires), "nonce": nonce}
    return {**query, "signature": signatures.sign_text(USER_KEY, USER + nonce), **changes}


def test_tokens_are_made_used_and_deleted(client: ProviderClient) -> None:
    soon = int(time.time()) + 60
    token = client.services("GET", "createAuthToken", params=token_query(client, "2", soon)).json()["token"]
    replayed = client.services("GET", "createAuthToken", params=token_query(client, "2", soon))
    assert replayed.json()["errors"] == {
        "signature": "Invalid signature expected nonce (2) > current nonce (2)."
    }
    stop = {"consumerAddress": USER, "jobId": "j", "nonce": "3"}
    unsigned = client.services("PUT", "compute", json=stop)
    assert (unsigned.status_code, unsigned.json()["errors"]["signature"]) == (400, [BAD])
    with_token = client.services("PUT", "compute", json=stop, headers={"AuthToken": token})
    assert with_token.status_code == 503  # accepted; there is only no operator-service here
    wrong = {**stop, "nonce": "4", "consumerAddress": "0x" + "11" * 20}
    assert client.services("PUT", "compute", json=wrong, headers={"AuthToken": token}).status_code == 400
    query = {
        "address": USER,
        "token": token,
        "nonce": "5",
        "signature": signatures.sign_text(USER_KEY, USER + "5"),
    }
    deleted = client.services("DELETE", "deleteAuthToken", params=query)
    assert deleted.json() == {"success": "Token has been deactivated."}
    again = {**query, "nonce": "6", "signature": signatures.sign_text(USER_KEY, USER + "6")}
    for _ in range(2):  # a refused request uses no nonce up
        answer = client.services("DELETE", "deleteAuthToken", json=again)
        assert answer.json() == {"error": "Token is deleted."}
    refused = client.services("PUT", "compute", json={**stop, "nonce": "6"}, headers={"AuthToken": token})
    assert refused.json()["errors"]["signature"] == ["Token is deleted."]


def test_a_wrong_signature_is_one_text(client: ProviderClient) -> None:
    stop = {"consumerAddress": USER, "jobId": "j", "documentId": "d", "nonce": "2", "signature": "0x00"}
    errors = client.services("PUT", "compute", json=stop).json()["errors"]
    assert errors == {
        "signature": f"Invalid signature 0x00 for ethereum address {USER}, message {USER}jd and nonce 2. "
        "Got an unreadable signature"
    }


@pytest.mark.parametrize("offset", [0, 27])
def test_signatures_of_both_kinds_are_accepted(client: ProviderClient, offset: int) -> None:
    raw = bytearray.fromhex(signatures.sign_text(USER_KEY, f"{USER}jd2")[2:])
    raw[64] = raw[64] - 27 + offset
    stop = {
        "consumerAddress": USER,
        "jobId": "j",
        "documentId": "d",
        "nonce": "2",
        "signature": "0x" + raw.hex(),
    }
    assert client.services("PUT", "compute", params=stop).status_code == 503


def test_the_stop_and_delete_of_published_clients_are_understood(
    client: ProviderClient, tmp_path: Path
) -> None:
    stop = {"consumerAddress": USER, "jobId": "j", "agreementId": "ab", "nonce": "2"}
    signed = {**stop, "signature": signatures.sign_text(USER_KEY, USER + "j")}
    assert client.services("PUT", "compute", json=signed).status_code == 503
    assert client.services("PUT", "compute", json=signed).status_code == 400  # its nonce is used
    delete = {"documentId": "d", "consumerAddress": USER, "jobId": "j"}
    signed = {**delete, "signature": signatures.sign_text(USER_KEY, f"{USER}jd3")}
    assert client.services("DELETE", "compute", json=signed).status_code == 503
    strict = build_provider_app(provider_settings(tmp_path, compat={"clientQuirks": False}))
    answer = ProviderClient(strict).services("DELETE", "compute", json=signed)
    assert answer.json()["errors"] == {"nonce": ["The nonce field is required."]}
    strict.state.services.database.close()


def test_a_changed_spelling_of_the_address_replays_nothing(client: ProviderClient) -> None:
    query = token_query(client, "2", int(time.time()) + 60)
    assert client.services("GET", "createAuthToken", params=query).status_code == 200
    other = {
        **query,
        "address": USER.lower(),
        "signature": signatures.sign_text(USER_KEY, USER.lower() + "2"),
    }
    assert client.services("GET", "createAuthToken", params=other).status_code == 400


def test_computing_is_unknown_without_a_backend(tmp_path: Path) -> None:
    app = build_provider_app(provider_settings(tmp_path, operatorServiceUrl=None))
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert ProviderClient(app).services(method, "compute").status_code == 404
    assert ProviderClient(app).services("GET", "computeEnvironments").status_code == 404
    app.state.services.database.close()


def test_a_silent_backend_is_said_so(client: ProviderClient) -> None:
    answer = client.services("GET", "computeEnvironments")
    assert answer.status_code == 503
    assert answer.json()["error"].startswith("Compute envs could not be retrieved for chainId 8996")
    assert client.services("GET", f"compute?consumerAddress={USER}").status_code == 503
    assert client.services(
        "POST", "fileinfo", json={"did": "did:op:" + "0" * 64, "serviceId": "0"}
    ).json() == {
        "error": "The metadata cache does not answer now, try again.",
        "away": "metadata cache",
        "context": {},
    }


@pytest.mark.parametrize("value", ["Bearer x", "Basic x", ""])
def test_no_grant_no_file(client: ProviderClient, value: str) -> None:
    answer = client("GET", "/api/c2d/grant", headers={"authorization": value})
    assert answer.status_code == 401 and "error" in answer.json()


def test_urls_never_stand_in_an_error() -> None:
    value = {"error": 'it failed: {"url":"https://u:p@h/secret"} end', "deep": [{"x": "ftp://a/b"}], "n": 1}
    assert without_urls(value) == {"error": f"it failed: {STRIPPED} end", "deep": [{"x": STRIPPED}], "n": 1}


def test_an_unknown_file_object_is_refused_and_unreachable_ones_are_invalid(client: ProviderClient) -> None:
    empty = client.services("POST", "fileinfo", json={}).json()
    assert empty["errors"]["type"] == ["The type field is required when did is not present."]
    local = {"type": "url", "url": "http://127.0.0.1:1/secret", "method": "GET", "checksum": True}
    assert client.services("POST", "fileinfo", json=local).json() == [
        {"index": 0, "valid": False, "type": "url", "reason": "the host is not a public address"}
    ]
    unsafe = client.services("POST", "fileinfo", json={**local, "method": "DELETE"})
    assert unsafe.json() == {"error": "Unsafe method delete."}


def test_a_job_takes_only_so_many_datasets(client: ProviderClient) -> None:
    """Refused before anything is looked up: environments and assets are away here."""
    item = {"documentId": "did:op:" + "0" * 64, "serviceId": "0"}
    request = {
        "datasets": [item] * 10_000,
        "algorithm": item,
        "compute": {"env": "e", "validUntil": int(time.time()) + 600},
        "consumerAddress": USER,
    }
    answer = client.services("POST", "initializeCompute", json=request)
    assert (answer.status_code, answer.json()["error"]) == (400, {"datasets": "too_many"})
    request["datasets"] = [item] * JOB_DATASETS
    assert client.services("POST", "initializeCompute", json=request).status_code == 503
    start = {
        "consumerAddress": USER,
        "nonce": "12",
        "environment": "e",
        "dataset": {**item, "transferTxId": "0x" + "1" * 64},
        "additionalDatasets": [item] * JOB_DATASETS,
        "algorithm": item,
    }
    text = USER + item["documentId"]
    signed = {**start, "signature": signatures.sign_text(USER_KEY, text + "12")}
    answer = client.services("POST", "compute", json=signed)
    assert answer.json().get("error") == {"datasets": "too_many"}, answer.text


def test_no_browser_guesses_what_an_answer_is(client: ProviderClient) -> None:
    for path in ("/", "/nowhere", "/api/docs/", "/api/services/nonce"):
        assert client("GET", path).headers["x-content-type-options"] == "nosniff"


def test_keys_are_needed_and_named(tmp_path: Path) -> None:
    made = provider_settings(tmp_path)
    with pytest.raises(StateProblem, match="C2D-SECRET-MISSING"):
        build_provider_app(made.model_copy(update={"secrets_dir": tmp_path / "no"}))
    (tmp_path / "provider-key").write_text("nonsense")
    with pytest.raises(StateProblem, match="C2D-PROVIDER-KEY") as problem:
        build_provider_app(made)
    assert "nonsense" not in str(problem.value)
