"""Consumer parameters: the publisher's description of user data that a consumer has to, or may, send along.

The original never compares the two, so values of any shape reach sources and algorithms. Where an operator
wants them compared, this is the rule; it says everything that does not fit at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from c2d_box.strict_json import JsonRefused, parse_json

_SHOWN = 64
"""Characters of a name that a message repeats: names come from strangers."""


def parameter_problems(described: Any, given: Mapping[str, Any] | None) -> list[str]:
    """Return what in ``given`` does not fit the ``consumerParameters`` of a service or an algorithm; without
    such a list there is no rule."""
    if not isinstance(described, list):
        return []
    named = {str(each["name"]): each for each in described if isinstance(each, dict) and each.get("name")}
    values = given or {}
    return [*_unknown_names(named, values), *_unfit_values(named, values)]


def _unknown_names(named: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a problem for each value that nobody described."""
    for name in values:
        if name not in named:
            yield f"{name[:_SHOWN]} is not described"


def _unfit_values(named: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a problem for each described parameter that is missing or of another type."""
    for name, parameter in named.items():
        value = values.get(name)
        # A form sends an empty text for a field that was left out.
        if value is None or value == "":
            if parameter.get("required") is True:
                yield f"{name[:_SHOWN]} is required"
        elif (wanted := _wanted_type(parameter, value)) is not None:
            yield f"{name[:_SHOWN]} has to be {wanted}"


def _wanted_type(parameter: Mapping[str, Any], value: Any) -> str | None:
    """Return what was expected instead; None where the value is of the parameter's type."""
    match parameter.get("type"):
        case "text":
            return None if isinstance(value, str) else "a text"
        case "number":
            return None if _is_number(value) else "a number"
        case "boolean":
            # Query parameters are texts: ``true`` there means what a JSON true means.
            return None if isinstance(value, bool) or value in ("true", "false") else "true or false"
        case "select":
            options = _select_options(parameter.get("options"))
            fits = isinstance(value, str) and (not options or value in options)
            return None if fits else f"one of {', '.join(options) or 'its options'}"[:256]
    return None


def _is_number(value: Any) -> bool:
    """Return whether the value is a finite number, or text of one; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        return float(value) - float(value) == 0  # neither infinite nor no number
    except (ValueError, OverflowError):
        return False


def _select_options(given: Any) -> list[str]:
    """Return the values of a select: ``[{"value": "label"}]`` as documented, texts, or either as JSON text
    (the only form that the schema takes)."""
    if isinstance(given, str):
        try:
            given = parse_json(given)
        except JsonRefused:
            return [given]
    # Without options any text fits: there is nothing to compare with.
    entries = given if isinstance(given, list) else []
    return [str(name) for entry in entries for name in (entry if isinstance(entry, dict) else [entry])]
