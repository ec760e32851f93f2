"""The value a check returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``id`` is stable (``C2D-DOC-…``); ``evidence`` is what was seen; ``fix`` is a command or a sentence."""

    id: str
    level: Level
    title: str
    evidence: str
    fix: str = ""
