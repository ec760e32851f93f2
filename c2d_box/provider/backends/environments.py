"""Reads the compute environments from operator-service, at most every other second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from c2d_box.provider.backends.operator_client import OperatorClient, OperatorUnavailable
from c2d_box.provider.errors import ServiceUnavailable

FRESH_SECONDS = 2.0
"""The seconds for which a list counts. It holds the number of running jobs, so it must not be much older."""
_NUMBERS = ("cpuNumber", "gpuNumber", "ramGB", "diskGB", "priceMin")
_INTEGERS = ("currentJobs", "maxJobs", "storageExpiry", "maxJobDuration")


@dataclass(frozen=True)
class EnvironmentTerms:
    """The terms of one environment: its price per minute in whole fee tokens, the seconds that a job may take
    there, and whether its operator allows network access."""

    id: str
    price_per_minute: float
    longest_seconds: int
    allows_network: bool


class EnvironmentCache:
    """The environments that this chain's jobs may use, as operator-service listed them within the last
    ``FRESH_SECONDS``."""

    def __init__(self, operator: OperatorClient, chain_id: int) -> None:
        self._operator = operator
        self._chain_id = chain_id
        self._lock = asyncio.Lock()
        self._read_at = -FRESH_SECONDS
        self._known: list[dict[str, Any]] = []

    async def list_environments(self) -> list[dict[str, Any]]:
        """Return all environments. Raise ServiceUnavailable (503) when operator-service cannot say.
        Concurrent callers share one request."""
        # A caller that waits here finds the list that another has just read.
        async with self._lock:
            if time.monotonic() - self._read_at >= FRESH_SECONDS:
                try:
                    found = await self._operator.list_environments(self._chain_id)
                except OperatorUnavailable:
                    raise ServiceUnavailable(
                        # The original's text.
                        "compute service",
                        f"Compute envs could not be retrieved for chainId {self._chain_id}, "
                        "check configuration.",
                    ) from None
                self._known = [_with_numbers(entry) for entry in found if self._is_offered(entry)]
                self._read_at = time.monotonic()
            return self._known

    async def find_environment(self, name: str) -> EnvironmentTerms | None:
        """Return the environment of this id, None where there is none. Raise ServiceUnavailable (503)."""
        entries = await self.list_environments()
        return next((_environment_terms(name, entry) for entry in entries if entry["id"] == name), None)

    async def consumer_addresses(self) -> set[str]:
        """Return the addresses in whose name environments order. Raise ServiceUnavailable (503)."""
        # An environment without an address must not let in a caller without one.
        return await self._all_addresses() - {""}

    async def has_consumer(self, address: str) -> bool:
        """Return whether an environment has this consumer address. Raise ServiceUnavailable (503) when
        operator-service cannot say."""
        return address.lower() in {entry.lower() for entry in await self._all_addresses()}

    async def _all_addresses(self) -> set[str]:
        return {str(entry.get("consumerAddress", "")) for entry in await self.list_environments()}

    def _is_offered(self, entry: dict[str, Any]) -> bool:
        """Return whether the environment takes jobs of this chain. The original lists ids as numbers or as
        text; an empty list is no restriction."""
        allowed = entry.get("allowedChainId")
        return not allowed or self._chain_id in allowed or str(self._chain_id) in allowed


def _environment_terms(name: str, entry: Mapping[str, Any]) -> EnvironmentTerms:
    return EnvironmentTerms(
        name,
        float(entry.get("priceMin") or 0),
        int(entry.get("maxJobDuration") or 0) or 3600,
        entry.get("allowNetworkAccess") is True,
    )


def _with_numbers(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an environment's description with numbers as numbers. Original engines announce them as text,
    while clients compare ``priceMin === 0``."""
    return {key: _parse_number(key, value) for key, value in entry.items()}


def _parse_number(key: str, value: Any) -> Any:
    """Return the value as a number where the field is one, and unchanged where it cannot be read as such."""
    if key not in _NUMBERS + _INTEGERS or not isinstance(value, str | int | float):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if key in _INTEGERS or number.is_integer() else number
