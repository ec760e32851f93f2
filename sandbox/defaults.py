"""What an algorithm runs in where nobody says: said once for verbs, screens, fixtures and help texts."""

from __future__ import annotations

from typing import Final

IMAGE: Final = "c2d.local/algo-python"
ENTRYPOINT: Final = "python3 $ALGO"
