"""From HTTP answers to errors a person can act on: the services' codes, reasons and texts, kept whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from c2d_box.errors import C2DError, Failed, Refused

UNREACHABLE = "C2D-SERVICE-UNREACHABLE"

_SENTENCES: Mapping[str, tuple[str, str]] = {
    "not_trusted_algo": (
        "the dataset's publisher has not permitted this algorithm",
        "ask the publisher to permit it: c2d-box permit DATASET ALGORITHM",
    ),
    "not_trusted_algo_publisher": (
        "the dataset's publisher does not trust the algorithm's owner",
        "ask the dataset's publisher to trust that owner",
    ),
    "no_raw_algo_allowed": (
        "the dataset accepts published algorithms only",
        "publish the algorithm and ask for permission",
    ),
    "algorithm_file_checksum_mismatch": (
        "the algorithm's files changed since they were permitted",
        "ask the dataset's publisher to look at the new version and permit it again",
    ),
    "algorithm_container_checksum_mismatch": (
        "the algorithm's container changed since it was permitted",
        "ask the dataset's publisher to look at the new version and permit it again",
    ),
    "network_not_allowed": (
        "network access was asked for and not everybody allows it",
        "run without network, or ask the one who refuses",
    ),
    "compute_services_not_in_same_provider": (
        "dataset and algorithm are for compute only and held by different Providers",
        "publish both through one Provider",
    ),
    "did_not_found": ("the metadata cache knows no such asset", "check the DID; see c2d-box assets"),
    "file_unavailable": (
        "the algorithm's files cannot be read",
        "ask its publisher to check where they are kept",
    ),
    "in_use_or_not_on_chain": ("the algorithm's order is not valid", "order it again"),
    "order_invalid": ("the dataset's order is not valid", "order it again"),
    "fees_not_paid": ("the compute time was not paid", "ask for a new quote and order again"),
    "main_service_compute": ("the dataset cannot be computed on", "choose one with a compute service"),
}


def client_for(
    url: str, timeout: float | httpx.Timeout, transport: httpx.BaseTransport | None = None
) -> httpx.Client:
    """An HTTP client; the environment's proxy settings are not for services on this machine."""
    local = (httpx.URL(url).host or "") in ("127.0.0.1", "localhost", "::1")
    return httpx.Client(base_url=url, timeout=timeout, transport=transport, trust_env=not local)


@contextmanager
def reaching(service: str, url: str) -> Iterator[None]:
    """Turn a connection that fails or hangs into a coded error."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise Failed(
            "C2D-SERVICE-TIMEOUT", f"the {service} at {url} took too long to answer", "try again; see its log"
        ) from error
    except httpx.HTTPError as error:
        raise Failed(
            UNREACHABLE, f"the {service} at {url} does not answer", "see whether it runs: c2d-box status"
        ) from error


def demand(response: httpx.Response, service: str, doing: str) -> httpx.Response:
    """The response itself when it is a success; the fitting error else."""
    if response.is_success:
        return response
    raise refusal(response, service, doing)


def refusal(response: httpx.Response, service: str, doing: str) -> C2DError:
    """What the service said, as an error: a rule's code, a text, or a fault of its own."""
    body = json_of(response)
    error = body.get("error") if isinstance(body, dict) else None
    errors = body.get("errors") if isinstance(body, dict) else None
    if response.status_code >= 500:
        text = error if isinstance(error, str) else f"status {response.status_code}"
        return Failed("C2D-SERVICE-FAILED", f"the {service} failed while {doing}: {text}", "see its log")
    if isinstance(error, dict) and error:
        return _rule(body, error, doing)
    if errors:
        text = "; ".join(_fields(errors))
        return Refused("C2D-REQUEST-INVALID", f"the {service} refused {doing}: {text}", errors=errors)
    text = str(error or body or f"status {response.status_code}")[:2000]
    return Refused(
        "C2D-SERVICE-REFUSED", f"the {service} refused {doing}: {text}", status=response.status_code
    )


def json_of(response: httpx.Response) -> Any:
    """The body as JSON, or an empty object."""
    try:
        return response.json()
    except ValueError:
        return {}


def deciding(reasons: Any) -> str:
    """The text of the innermost rule that refused, out of the Provider's reason tree."""
    if not isinstance(reasons, dict):
        return ""
    inner = next(
        (r for r in reasons.get("because", []) if isinstance(r, dict) and not r.get("allowed")), None
    )
    return deciding(inner) if inner else str(reasons.get("text", ""))


def _rule(body: Mapping[str, Any], error: Mapping[str, Any], doing: str) -> Refused:
    """``{"error": {resource: code}}``: the code names ours, so that scripts can match on it."""
    resource, code = next(iter(error.items()))
    sentence, next_step = _SENTENCES.get(str(code), (f"{resource}: {code}", ""))
    reasons = body.get("reasons")
    why = deciding(reasons)
    stable = str(code).upper().replace("_", "-") if str(code).replace("_", "").isalnum() else "ASSET-REFUSED"
    return Refused(
        f"C2D-{stable}",
        f"{doing} was refused: {sentence}{f' ({why})' if why else ''}",
        next_step,
        resource=resource,
        wire_code=code,
        reasons=reasons,
    )


def _fields(errors: Any) -> Iterator[str]:
    if not isinstance(errors, dict):
        yield str(errors)
        return
    for field, texts in errors.items():
        yield texts if isinstance(texts, str) else f"{field}: {' '.join(str(t) for t in texts)}"
