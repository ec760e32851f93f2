"""The value that says which job is wanted: screens, commands and the SDK hand it on, none takes it apart."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from c2d_box.client.payment.spending import NO_LIMITS, SpendingLimits
from c2d_box.strict_json import JsonRefused, parse_json

if TYPE_CHECKING:
    from c2d_box.chain.orders import ConsumeMarketFee

Algorithm = str | Mapping[str, Any]
"""A published algorithm's DID, or a raw one: ``{"rawcode" or "url", "container": {…}}``."""


@dataclass(frozen=True)
class JobRequest:
    """A job as its consumer wants it.

    ``environment`` defaults to the cheapest one, ``seconds`` of compute time to an hour or its limit.
    ``parameters`` reach the algorithm as its custom data, ``userdata`` (by DID) the services of the assets.
    ``output`` says what becomes of the results: ``{"publish": {"name": …}}`` or ``{"encrypt": …}``.
    ``spending`` limits the price, ``market`` is the fee of the market through which the consumer orders.
    Orders that are still good are used again, unless ``reuse`` is False.
    """

    dataset: str
    algorithm: Algorithm
    additional: tuple[str, ...] = ()
    environment: str | None = None
    seconds: int | None = None
    userdata: Mapping[str, Mapping[str, Any]] | None = None
    parameters: Mapping[str, Any] | None = None
    output: Mapping[str, Any] | None = None
    spending: SpendingLimits = NO_LIMITS
    reuse: bool = True
    market: ConsumeMarketFee | None = None

    @property
    def datasets(self) -> tuple[str, ...]:
        """All datasets, in the order in which the job gets them."""
        return (self.dataset, *self.additional)

    def command_line(self) -> str:
        """Return what follows ``c2d-box`` and its own options to start this job, quoted for a shell.

        Left out is what the command has no option for: ``seconds``, ``userdata``, ``reuse``, ``market`` and
        limits in base units. Raises ValueError for a raw algorithm, which only the SDK starts.
        """
        # The command has no place for code; a shell line would not carry it safely either.
        if not isinstance(self.algorithm, str):
            raise ValueError("a job with a raw algorithm is started by the SDK only")
        return shlex.join(["start", self.dataset, self.algorithm, *self._command_options()])

    def _command_options(self) -> Iterator[str]:
        """Yield the options of ``c2d-box start`` that say what this request says."""
        for did in self.additional:
            yield from ("--with", did)
        if self.environment:
            yield from ("--environment", self.environment)
        # Values keep their JSON type, see parameter_line.
        for name, value in (self.parameters or {}).items():
            yield from ("--param", parameter_line(name, value))
        output = self.output or {}
        if publish := output.get("publish"):
            yield from ("--publish", str(publish["name"]))
            if publish.get("free"):
                yield "--free"
        # A key of another reader cannot be named on the command line; the option means the account's own.
        if output.get("encrypt"):
            yield "--encrypt"
        for most in self.spending.most:
            yield from ("--max-price", most)
        # 15 digits show every float that a person writes, without the binary tail of 100 * 0.07.
        if self.spending.slippage:
            yield from ("--slippage", f"{100 * self.spending.slippage:.15g}")


def parameter_line(name: str, value: Any) -> str:
    """Return ``name=value`` so that the value is read back as it is: text stays plain unless it would be
    taken for JSON or for several lines."""
    line = f"{name}={value}"
    # The text "5" must not come back as a number, so what reads as JSON is quoted as JSON.
    if isinstance(value, str) and line.splitlines() == [line] and not _is_json(value):
        return line
    return f"{name}={json.dumps(value)}"


def _is_json(text: str) -> bool:
    try:
        parse_json(text)
    except JsonRefused:
        return False
    return True
