"""``--param name=value``: values that an algorithm receives besides its inputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from c2d_box.errors import UsageError
from c2d_box.strict_json import JsonRefused, parse_json


def parse_parameters(lines: Iterable[str]) -> dict[str, Any]:
    """Parse lines of ``name=value``; a value that is JSON is taken as JSON, any other as text. Empty lines
    are skipped; of two lines with one name the last counts.
    """
    found: dict[str, Any] = {}
    for line in lines:
        if not line.strip():
            continue
        name, sign, value = line.partition("=")
        if not sign or not name.strip():
            raise UsageError(
                "C2D-PARAMETER-INVALID", f"{line!r} is not name=value", "write for example depth=3"
            )
        try:
            # Strict JSON: ``NaN``, duplicate keys and deep nesting are refused and stay text.
            found[name.strip()] = parse_json(value)
        except JsonRefused:
            found[name.strip()] = value
    return found
