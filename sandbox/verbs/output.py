"""What is to become of a job's results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from c2d_box.errors import UsageError


@dataclass(frozen=True, slots=True)
class Output:
    """By default results stay as they are, for the account that started the job.

    ``encrypt``: for that account's own key, so that nobody else can read them. ``publish``: the name of an
    asset of that account's which they become; ``free``: whoever asks may have it. Raises C2D-OUTPUT where
    these contradict one another.
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

    def asked(self) -> dict[str, Any] | None:
        """As the SDK's ``start`` takes it."""
        if self.publish:
            return {"publish": {"name": self.publish, "free": self.free}}
        return {"encrypt": True} if self.encrypt else None
