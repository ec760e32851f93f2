"""The value that a check returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]
"""``problem``: the box will not work; ``warning``: it may, with limits; ``ok``."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found. ``id`` is stable (``C2D-DOC-…``) and documented in
    :mod:`sandbox.doctor.catalogue`; ``evidence`` is what was seen; ``fix`` is a command or a sentence, and
    empty where all is well.
    """

    id: str
    level: Level
    title: str
    evidence: str
    fix: str = ""
