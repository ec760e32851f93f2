"""Turns HTTP answers into errors a person can act on: the services' codes, reasons and texts, kept whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx

from c2d_box.errors import C2DError, Failed, Refused
from c2d_box.proxies import may_use_proxy
from c2d_box.strict_json import WRAPPED, JsonRefused, parse_json

T = TypeVar("T")
UNREACHABLE = "C2D-SERVICE-UNREACHABLE"

AWAY: Mapping[str, str] = {
    "metadata cache": "C2D-CACHE-AWAY",
    "chain": "C2D-CHAIN-AWAY",
    "compute service": "C2D-COMPUTE-AWAY",
    "file store": "C2D-STORE-AWAY",
    "PostgreSQL": "C2D-DATABASE-AWAY",
}
"""Codes for what the Provider says is away: no fault of an asset, of its publisher or of the request."""

# Keyed by the wire's codes, which Ocean's clients match on: they stay, the sentences may change.
SENTENCES: Mapping[str, tuple[str, str]] = {
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
    "too_many": ("more datasets than one job takes", "compute on fewer at a time"),
    "file_too_large": (
        "a file of the algorithm is larger than this Provider checks",
        "put what is large into the image or into a dataset of its own",
    ),
    "in_use_or_not_on_chain": ("the algorithm's order is not valid", "order it again"),
    "order_invalid": ("the dataset's order is not valid", "order it again"),
    "fees_not_paid": ("the compute time was not paid", "ask for a new quote and order again"),
    "main_service_compute": ("the dataset cannot be computed on", "choose one with a compute service"),
}


def client_for(
    url: str, timeout: float | httpx.Timeout, transport: httpx.BaseTransport | None = None
) -> httpx.Client:
    """Return an HTTP client; the environment's proxy settings are not for services on this machine."""
    return httpx.Client(base_url=url, timeout=timeout, transport=transport, trust_env=may_use_proxy(url))


@contextmanager
def reaching_service(service: str, url: str) -> Iterator[None]:
    """Turn a connection that fails or hangs into a coded error."""
    try:
        yield
    except httpx.TimeoutException as error:
        # Before HTTPError, of which it is a kind: a slow service needs other advice than an absent one.
        raise Failed(
            "C2D-SERVICE-TIMEOUT", f"the {service} at {url} took too long to answer", "try again; see its log"
        ) from error
    except httpx.HTTPError as error:
        raise Failed(
            UNREACHABLE, f"the {service} at {url} does not answer", "see whether it runs: c2d-box status"
        ) from error


def demand_success(response: httpx.Response, service: str, doing: str) -> httpx.Response:
    """Return the response itself when it is a success; raise the fitting error else."""
    if response.is_success:
        return response
    raise response_error(response, service, doing)


def response_error(response: httpx.Response, service: str, doing: str) -> C2DError:
    """Return what the service said as an error: a rule's code, a text, or a fault of its own."""
    body = json_of(response)
    error = body.get("error") if isinstance(body, dict) else None
    errors = body.get("errors") if isinstance(body, dict) else None
    # Looked at first: an outage elsewhere must not read as this service's failure (ADR 0034).
    if response.status_code == 503 and isinstance(body, dict) and isinstance(body.get("away"), str):
        return _outage_error(body["away"], service, doing)
    if response.status_code >= 500:
        text = error if isinstance(error, str) else f"status {response.status_code}"
        return Failed("C2D-SERVICE-FAILED", f"the {service} failed while {doing}: {text}", "see its log")
    # ``{"error": {resource: code}}``: a rule of the Provider refused.
    if isinstance(error, dict) and error:
        return _rule_refusal(body, error, doing)
    # ``{"errors": ...}``: the request itself is wrong, field by field.
    if errors:
        text = "; ".join(_field_texts(errors))
        return Refused("C2D-REQUEST-INVALID", f"the {service} refused {doing}: {text}", errors=errors)
    # A foreign server may answer with a whole page: what is shown has to end somewhere.
    text = str(error or body or f"status {response.status_code}")[:2000] + _problem_suffix(body)
    return Refused(
        "C2D-SERVICE-REFUSED", f"the {service} refused {doing}: {text}", status=response.status_code
    )


def answer_of(response: httpx.Response, service: str, kind: type[T]) -> T:
    """Return the body, which must be JSON of this kind; where a service answers something else, the error
    says so."""
    try:
        found = parse_json(response.content, WRAPPED)
    except JsonRefused as refused:
        reason = refused.reason
    else:
        if isinstance(found, kind):
            return found
        # A list where an object belongs is as unusable as no JSON; the caller indexes into it.
        reason = f"It is no {'object' if kind is dict else 'list'}."
    raise Failed(
        "C2D-ANSWER-INVALID",
        f"the {service} gave an answer that cannot be used: {reason}",
        "see whether the address is that of such a service",
    )


def is_outage(error: C2DError) -> bool:
    """Return whether a service that is needed does not answer now, and the same call may be made again."""
    return error.code in (*AWAY.values(), "C2D-SERVICE-AWAY")


def _outage_error(away: str, service: str, doing: str) -> Failed:
    name = away if away == "PostgreSQL" else f"the {away}"
    return Failed(
        AWAY.get(away, "C2D-SERVICE-AWAY"),
        f"{name} does not answer now, and the {service} needs it for {doing}",
        "try again; see whether it runs: c2d-box status",
        away=away,
    )


def json_of(response: httpx.Response) -> Any:
    """Return the body as JSON, or an empty object.

    For error answers, whose status says enough where the body is unreadable.
    """
    try:
        return parse_json(response.content, WRAPPED)
    except JsonRefused:
        return {}


def deciding_text(reasons: Any) -> str:
    """Return the text of the innermost rule that refused, out of the Provider's reason tree."""
    if not isinstance(reasons, dict):
        return ""
    # Rules hold rules: the innermost refusal is the one that a person can do something about.
    inner = next(
        (r for r in reasons.get("because", []) if isinstance(r, dict) and not r.get("allowed")), None
    )
    return deciding_text(inner) if inner else str(reasons.get("text", ""))


def _rule_refusal(body: Mapping[str, Any], error: Mapping[str, Any], doing: str) -> Refused:
    """Return the error for ``{"error": {resource: code}}``; its code is made of that one, so that scripts can
    match on it."""
    resource, code = next(iter(error.items()))
    sentence, next_step = SENTENCES.get(str(code), (f"{resource}: {code}", ""))
    reasons = body.get("reasons")
    why = deciding_text(reasons) or _file_problem(reasons)
    # A code that is no plain word could break the format of our own codes.
    stable = str(code).upper().replace("_", "-") if str(code).replace("_", "").isalnum() else "ASSET-REFUSED"
    return Refused(
        f"C2D-{stable}",
        f"{doing} was refused: {sentence}{f' ({why})' if why else ''}",
        next_step,
        resource=resource,
        wire_code=code,
        reasons=reasons,
    )


def _file_problem(reasons: Any) -> str:
    """Return why a file cannot be read, as the Provider found it."""
    return str(reasons.get("problem") or "") if isinstance(reasons, dict) else ""


def _problem_suffix(body: Any) -> str:
    """Return the Provider's finding about a file in parentheses, or the empty text."""
    why = _file_problem(body.get("reasons")) if isinstance(body, dict) else ""
    return f" ({why})" if why else ""


def _field_texts(errors: Any) -> Iterator[str]:
    """Yield one text per refused field, whatever shape the service gives its errors."""
    if not isinstance(errors, dict):
        yield str(errors)
        return
    for field, texts in errors.items():
        yield texts if isinstance(texts, str) else f"{field}: {' '.join(str(t) for t in texts)}"
