"""The requests to start and to quote a job, parsed once: after this the rules see values, not JSON.

Clients know the order in which a request's faults are told. So only the faults that come first are refused
here; a part that a later rule refuses is parsed to a value that the rule cannot mistake for a valid one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from c2d_box import limits
from c2d_box.assets.documents.ddo import DdoContainer
from c2d_box.provider.errors import ProviderRefusal, compute_refusal
from c2d_box.provider.requests.fields import Data
from c2d_box.provider.requests.parameters import user_data
from c2d_box.strict_json import JsonRefused, parse_json


@dataclass(frozen=True)
class InputReference:
    """The reference of a request to an asset: its DID, service and order, each empty where the request does
    not name it, and the user data for the source of its files."""

    did: str = ""
    service_id: str = ""
    order_tx: str = ""
    userdata: dict[str, object] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class RawProgram:
    """An algorithm that nobody has published. ``rawcode`` is its code, empty where there is none, and None
    where the request sends anything but text. ``source`` is the file object that the code is read from."""

    rawcode: str | None = field(repr=False)
    source: dict[str, object] | None = field(repr=False)
    container: DdoContainer


@dataclass(frozen=True)
class AlgorithmReference:
    """The algorithm that a request names: the published one of ``asset``, or else ``raw``.

    A DID always wins over raw code: a request must not be able to say what a trusted DID is.
    ``stage_data`` and ``custom_data`` go to the algorithm itself. ``carried_bytes`` is the size in the job's
    record of raw code and custom data as they were sent.
    """

    asset: InputReference
    raw: RawProgram | None = None
    stage_data: dict[str, object] | None = field(default=None, repr=False)
    custom_data: dict[str, object] | None = field(default=None, repr=False)
    carried_bytes: int = 0


@dataclass(frozen=True)
class ComputeRequest:
    """The job that a request describes. The first of ``datasets`` is the main one. ``network_access`` is None
    where it is neither true nor false."""

    datasets: tuple[InputReference, ...]
    algorithm: AlgorithmReference
    environment: str
    network_access: bool | None


@dataclass(frozen=True)
class StartRequest(ComputeRequest):
    """A request to start a job. ``output`` is None where it is no JSON. ``seconds`` is None where the request
    leaves the time open, and 0 where it asks for no whole number."""

    output: Mapping[str, object] | None
    seconds: int | None


@dataclass(frozen=True)
class QuoteRequest(ComputeRequest):
    """A request, which came at ``now``, to quote a job that ends at ``valid_until``, both in unix seconds."""

    consumer: str
    now: float
    valid_until: int


def parse_start_request(data: Data) -> StartRequest:
    """Return the request that these parameters, checked by ``fields.START``, make. Raise Refusal."""
    # ``null`` and an empty text mean no further datasets.
    additional = data.get("additionalDatasets") or []
    if not isinstance(additional, list):
        raise compute_refusal("additional_input", "invalid")
    seconds = data.get("seconds")
    return StartRequest(
        datasets=_parse_inputs([data.get("dataset"), *additional]),
        algorithm=_parse_algorithm(data.get("algorithm")),
        environment=str(data.get("environment") or ""),
        output=_parse_output(data.get("output")),
        network_access=_parse_switch(data.get("networkAccess")),
        # bool is a subclass of int, and true is no number of seconds.
        # 0 is a time that no job can have, so the later rule refuses it in its place in the order.
        seconds=seconds if seconds is None or type(seconds) is int else 0,
    )


def parse_quote_request(data: Data) -> QuoteRequest:
    """Return the request that these parameters, checked by ``fields.INITIALIZE_COMPUTE``, make. Raise
    Refusal."""
    # ``now`` is taken first, since the quote's price counts from here.
    now, compute, environment = time.time(), data["compute"], data["compute"]["env"]
    # The rule ``integer`` has passed, so this cannot fail, also where the value is text.
    valid_until = int(compute["validUntil"])
    # Before anything of the request is looked at: a quote for the past has no price.
    if valid_until <= now:
        raise ProviderRefusal("The validUntil value is not correct.")
    return QuoteRequest(
        datasets=_parse_inputs(data["datasets"] if isinstance(data["datasets"], list) else []),
        algorithm=_parse_algorithm(data["algorithm"]),
        environment=environment if isinstance(environment, str) else "",
        consumer=str(data["consumerAddress"]),
        network_access=_parse_switch(compute.get("networkAccess")),
        now=now,
        valid_until=valid_until,
    )


def parse_container(section: object) -> DdoContainer:
    """Return the container that a request describes, with everything in it as text."""
    # By the model's fields: a key that is added there is read here too, and an unknown one never is.
    entry = _as_object(section)
    return DdoContainer(**{key: str(entry.get(key) or "") for key in DdoContainer.model_fields})


def _parse_inputs(items: Sequence[object]) -> tuple[InputReference, ...]:
    """Return the datasets. Raise Refusal where they are more than one job may have, before work is done for
    any: nobody may have signed the request."""
    if len(items) > limits.JOB_DATASETS:
        reason = f"a job takes at most {limits.JOB_DATASETS} datasets, {len(items)} were named"
        raise compute_refusal("datasets", "too_many", {"problem": reason})
    return tuple(_parse_input(_as_object(item)) for item in items)


def _parse_input(item: Mapping[str, object]) -> InputReference:
    """Return the reference that this part of a request makes. Any type becomes text: a DID of another type is
    simply not found."""
    # Not ``or ""``: a number 0 is an id like any other text.
    service = item.get("serviceId")
    return InputReference(
        did=str(item.get("documentId") or ""),
        service_id="" if service is None else str(service),
        order_tx=str(item.get("transferTxId") or ""),
        userdata=user_data(item.get("userdata")),
    )


def _parse_algorithm(value: object) -> AlgorithmReference:
    """Return the algorithm that the request names. Data for the program comes as ``algouserdata``; where that
    is empty, the ``userdata`` of the algorithm's files serves for both."""
    item = _as_object(value)
    asset = _parse_input(item)
    # A DID makes the raw part unread, so that nothing in it can matter.
    raw = None if asset.did else _parse_program(_as_object(item.get("meta")))
    # Measured below as it was sent: parsing may change how many bytes it takes.
    custom = item.get("algocustomdata")
    return AlgorithmReference(
        asset,
        raw,
        stage_data=user_data(item.get("algouserdata")) or asset.userdata,
        custom_data=user_data(custom),
        carried_bytes=limits.stored_bytes([raw.rawcode if raw else "", custom]),
    )


def _parse_program(meta: Mapping[str, object]) -> RawProgram | None:
    """Return the program that ``meta`` describes, None where it describes nothing."""
    if not meta:
        return None
    code, remote = meta.get("rawcode") or "", meta.get("url") or meta.get("remote")
    # A text is a plain URL; an object is a file object, which may name method and headers.
    source = remote if isinstance(remote, dict) else {"type": "url", "url": remote}
    return RawProgram(
        str(code) if not code or limits.carries_code(code) else None,
        source if remote else None,
        parse_container(meta.get("container")),
    )


def _parse_output(output: object) -> Mapping[str, object] | None:
    """Return the parts of the output section, which a query has as JSON text; what is no object has none."""
    # A query can carry only texts, and a body may carry the object itself.
    if isinstance(output, str) and output:
        try:
            output = parse_json(output)
        except JsonRefused:
            return None
    return _as_object(output)


def _parse_switch(value: object) -> bool | None:
    """Return whether the request asks for it, None where it says neither true nor false."""
    return False if value is None else value if isinstance(value, bool) else None


def _as_object(value: object) -> Mapping[str, object]:
    """Return the value where it is an object, else an empty one: absent parts and parts of a wrong type meet
    the same rules afterwards."""
    return value if isinstance(value, Mapping) else {}
