"""Values to the bytes that contracts speak and back.

The coder is imported with the first value: it costs a quarter of a second, which a service should not spend
before it answers its first request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def encode(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """Raises ValueError where a value does not fit its type."""
    from eth_abi.abi import encode as encoded
    from eth_abi.exceptions import EncodingError

    try:
        return encoded(types, values)
    except (EncodingError, TypeError) as error:
        raise ValueError("the values do not fit their types") from error


def decode(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Raises ValueError for bytes that are no such values."""
    from eth_abi.abi import decode as decoded
    from eth_abi.exceptions import DecodingError

    try:
        return decoded(types, data)
    except (DecodingError, OverflowError) as error:
        raise ValueError("the bytes are no values of these types") from error
