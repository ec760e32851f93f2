"""Compute environments, as operators write them and as consumers see them (numbers are numbers)."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Environment(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    id: str
    desc: str = ""
    cpu_number: float = 1
    cpu_type: str = ""
    gpu_number: int = 0
    gpu_type: str = ""
    # Spelt out: the alias generator would write ramGb.
    ramGB: float = 1
    diskGB: float = 1
    price_min: float = 0
    max_jobs: int = 10
    max_job_duration: int = 3600
    storage_expiry: int = 0
    consumer_address: str = ""
    allowed_chain_id: tuple[int, ...] = ()

    def announced(self, *, current_jobs: int, last_seen: float) -> dict[str, Any]:
        """The wire's object; whole numbers as integers, and ``priceMin`` a number above all."""
        values = {key: _plain(value) for key, value in self.model_dump(by_alias=True).items()}
        if not self.allowed_chain_id:
            values.pop("allowedChainId")
        return {**values, "currentJobs": current_jobs, "lastSeen": f"{last_seen:.6f}"}

    def takes_chain(self, chain_id: int | None) -> bool:
        return not self.allowed_chain_id or chain_id in self.allowed_chain_id


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return list(value) if isinstance(value, tuple) else value
