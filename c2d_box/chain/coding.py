"""ABI coding: values to the bytes that contracts take and answer, and back.

The coder is imported with the first value: it costs a quarter of a second, which a service should not spend
before it answers its first request.

A contract's answer is not to be trusted. In ABI coding a list may refer to one element any number of times,
in each of its levels, so that six kilobytes read as a thousand million values. Honest coders write each value
once, so what is read is bounded by the size of the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eth_abi.codec import ABICodec

_READ_AGAIN = 4
"""The most times that a byte of an answer is read: heads are read twice, padding apart from its value."""
# Room for short answers, whose heads and padding weigh more than their values.
_FREE_BYTES = 4096
MOST_BYTES = 8 << 20
"""The most bytes of one answer."""


def encode_values(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """Encode ``values`` as ``types``; raise ValueError where a value does not fit its type."""
    from eth_abi.abi import encode as encoded
    from eth_abi.exceptions import EncodingError

    # Values often come from users, so both of eth_abi's kinds of refusal become one ValueError.
    try:
        return encoded(types, values)
    except (EncodingError, TypeError) as error:
        raise ValueError("the values do not fit their types") from error


def decode_values(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Decode ``data`` as ``types``; raise ValueError for bytes that are no such values."""
    from eth_abi.exceptions import DecodingError

    try:
        return _default_codec().decode(types, data)
    except (DecodingError, OverflowError) as error:
        # OverflowError: a length word of 256 bits does not fit into a Python index.
        raise ValueError("the bytes are no values of these types") from error


def bounded_codec(codec: ABICodec) -> ABICodec:
    """Return ``codec`` with a decoder that gives up on answers whose bytes are read again and again."""
    # The registry is shared: web3's own types stay known to the new codec.
    return _bounded_class()(codec._registry)


@cache
def _default_codec() -> ABICodec:
    from eth_abi.abi import default_codec

    return bounded_codec(default_codec)


@cache
def _bounded_class() -> type[ABICodec]:
    from eth_abi.codec import ABICodec
    from eth_abi.decoding import ContextFramesBytesIO
    from eth_abi.exceptions import DecodingError

    # Made inside a function because its base class is part of the import that is put off.
    class BoundedStream(ContextFramesBytesIO):
        """Counts what is read of it."""

        def __init__(self, data: bytes) -> None:
            # Refused before anything is read: a hostile node can send an answer of any size.
            if len(data) > MOST_BYTES:
                raise DecodingError(f"the answer has more than {MOST_BYTES} bytes")
            super().__init__(data)  # type: ignore[no-untyped-call]
            self._left = _READ_AGAIN * len(data) + _FREE_BYTES

        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(size)
            # A budget over the whole answer: nesting multiplies reads, so a limit per list would not hold.
            self._left -= len(found)
            if self._left < 0:
                raise DecodingError("the answer refers to the same bytes too often")
            return found

    class BoundedCodec(ABICodec):
        stream_class = BoundedStream

    return BoundedCodec
