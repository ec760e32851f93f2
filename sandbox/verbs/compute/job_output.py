"""Describes what becomes of a job's results: kept, encrypted or published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from c2d_box.errors import UsageError


@dataclass(frozen=True, slots=True)
class JobOutput:
    """Options for the results. By default they stay as they are, for the account that started the job.

    ``encrypt``: encrypt them for that account's own key, so that nobody else can read them. ``publish``: the
    name of an asset of that account that the results become; ``free``: anyone who asks gets it. Raises
    C2D-OUTPUT where these contradict one another.
    """

    encrypt: bool = False
    publish: str = ""
    free: bool = False

    def __post_init__(self) -> None:
        if self.encrypt and self.publish:
            raise UsageError(
                "C2D-OUTPUT",
                "results that are encrypted for one reader cannot become an asset",
                "choose one of --encrypt and --publish",
            )
        if self.free and not self.publish:
            raise UsageError(
                "C2D-OUTPUT",
                "--free says who may have an asset, and the results become none",
                "add --publish NAME",
            )

    def sdk_output(self) -> dict[str, Any] | None:
        """Return the choice as the SDK's ``start`` takes it."""
        if self.publish:
            return {"publish": {"name": self.publish, "free": self.free}}
        return {"encrypt": True} if self.encrypt else None
