"""A started job: its id, what it cost, and what the Provider said about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from c2d_box.client.payment.quotes import ItemCost
from c2d_box.errors import Failed
from c2d_box.workflow.states import State


@dataclass(frozen=True)
class JobDetails:
    """A job as a Provider reported it, parsed once.

    What the Provider does not tell, or tells to the owner alone, is empty, 0 or None. ``wire`` is its own
    object: what scripts get, with all fields that only this Provider knows.
    """

    id: str
    status: int
    """The state's number: 70 is finished, 75 an algorithm that failed."""
    text: str
    owner: str
    algorithm: str
    """The algorithm's DID; ``raw`` for a raw one."""
    inputs: tuple[str, ...]
    """The datasets' DIDs."""
    environment: str
    agreement: str
    """The first dataset's order; ``orders`` are all of them."""
    orders: tuple[str, ...]
    created: float
    ended: float
    """The end in seconds since 1970; 0 while the job has not ended."""
    times: Mapping[str, float]
    """The moments of the job's life, by name."""
    stop_reason: int
    """1 where the owner stopped the job, 2 where it reached its time limit, else 0."""
    reason: str
    exit_code: int | None
    results: tuple[Mapping[str, Any], ...]
    """``filename, filesize, type, index`` of each result; empty until they are published."""
    asset: str
    """The DID of the results as an asset."""
    evidence_head: str | None
    wire: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, wire: Any) -> JobDetails:
        """Parse the object of a Provider. Raises Failed C2D-ANSWER-INVALID where it is none."""
        if not isinstance(wire, Mapping):
            raise Failed(
                "C2D-ANSWER-INVALID",
                "the Provider gave an answer that cannot be used: a job is no object",
                "see whether the address is that of such a service",
            )
        # Missing and wrong fields become empty ones: Providers of other makes tell less.
        exit_code, evidence, times = (
            wire.get("exitCode"),
            _parse_fields(wire, "evidence"),
            _parse_fields(wire, "times"),
        )
        return cls(
            id=_text(wire.get("jobId")),
            status=int(_number(wire.get("status"))),
            text=_text(wire.get("statusText")).strip(),
            owner=_text(wire.get("owner")),
            algorithm=_text(wire.get("algoDID")),
            inputs=tuple(map(_text, _text_list(wire.get("inputDID")))),
            environment=_text(wire.get("environment")),
            # Ocean's name for the order of the first dataset; it is a transaction's hash.
            agreement=_text(wire.get("agreementId")),
            orders=tuple(map(_text, _text_list(wire.get("orders")))),
            created=_number(wire.get("dateCreated")),
            ended=_number(wire.get("dateFinished")),
            # Only moments that have happened; a 0 would be the year 1970.
            times={str(name): _number(moment) for name, moment in times.items() if moment},
            stop_reason=int(_number(wire.get("stopreq"))),
            reason=_text(wire.get("reason")),
            # None where the Provider does not tell it: 0 would be a success.
            exit_code=exit_code if isinstance(exit_code, int) else None,
            results=tuple(_parse_results(wire.get("results"))),
            asset=_text(wire.get("asset")),
            evidence_head=evidence.get("head"),
            wire=wire,
        )

    @property
    def has_ended(self) -> bool:
        """True once the job has ended, in whatever way: every final state sets the end date."""
        return bool(self.ended)

    @property
    def has_succeeded(self) -> bool:
        """True where the algorithm ran to its end and the results are published."""
        return self.status == State.FINISHED


@dataclass(frozen=True)
class Job:
    """A started job. ``details`` are those at the time of starting; ask the consumer for newer ones."""

    id: str
    costs: tuple[ItemCost, ...] = ()
    details: JobDetails = field(default_factory=lambda: JobDetails.parse({}), compare=False, repr=False)

    def __str__(self) -> str:
        return self.id


def id_of(job: Job | str) -> str:
    """Return the id of a job that is given as such or as an object; every method of the SDK takes both."""
    return job.id if isinstance(job, Job) else job


def _parse_results(listed: Any) -> list[Mapping[str, Any]]:
    """Return the results with their index, which some Providers leave to the position."""
    return [
        {"index": position, **entry}
        for position, entry in enumerate(_text_list(listed))
        if isinstance(entry, Mapping)
    ]


def _text_list(value: Any) -> list[Any]:
    """Return a list that a Provider gives as such, as its only member, or as nothing at all."""
    if isinstance(value, list):
        return value
    return [value] if value else []


def _parse_fields(wire: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the object under ``key``, or an empty one where there is none."""
    found = wire.get(key)
    return found if isinstance(found, Mapping) else {}


def _text(value: Any) -> str:
    """Return a value as text; None, which stands for "not told", becomes the empty text."""
    return "" if value is None else str(value)


def _number(value: Any) -> float:
    """Return the number that a Provider gives as such or as text; 0 where it is none."""
    try:
        found = float(value or 0)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    # NaN and infinity are not JSON, yet some encoders write them; they break every comparison.
    return found if math.isfinite(found) else 0.0
