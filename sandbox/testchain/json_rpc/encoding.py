"""Hex as the execution API writes it, and the reading of parameters.

Quantities are written without leading zeros (``0x0`` for zero), data with two digits per byte. Reading
forgives what clients are known to send (leading zeros, ``0x`` for zero, JSON integers); the rest is
``-32602``.
"""

from __future__ import annotations

from collections.abc import Mapping

from eth_hash.auto import keccak

from sandbox.testchain.json_rpc.rpc_errors import invalid_params


def hex_quantity(value: int) -> str:
    """Return an integer as the API's QUANTITY: hex without leading zeros, ``0x0`` for zero."""
    return hex(value)


def hex_data(value: bytes) -> str:
    """Return bytes as the API's DATA: two digits per byte."""
    return "0x" + value.hex()


def hex_word(value: int) -> str:
    """Return a 256-bit value as 32 bytes of data."""
    return f"0x{value:064x}"


def checksum_address(address: bytes) -> str:
    """Return the EIP-55 form, for the address file and ``eth_accounts`` of humans; the API itself answers in
    lower case."""
    digits = address.hex()
    # EIP-55 hashes the hex text in lower case, not the 20 bytes.
    digest = keccak(digits.encode()).hex()
    return "0x" + "".join(d.upper() if int(h, 16) >= 8 else d for d, h in zip(digits, digest, strict=False))


def as_bytes(value: object, name: str, length: int | None = None) -> bytes:
    """Read DATA, of ``length`` bytes where that is given; ``name`` stands in the fault."""
    if not isinstance(value, str) or not value.startswith(("0x", "0X")):
        raise invalid_params(f"invalid {name}: hex string with 0x prefix expected")
    try:
        # Odd numbers of digits are refused, as in geth: the value would be ambiguous.
        raw = bytes.fromhex(value[2:])
    except ValueError as error:
        raise invalid_params(f"invalid {name}: {error}") from error
    if length is not None and len(raw) != length:
        raise invalid_params(f"invalid {name}: hex string has length {len(raw) * 2}, want {length * 2}")
    return raw


def as_address(value: object, name: str = "address") -> bytes:
    """Read an address. Its checksum is not looked at: geth does not either."""
    return as_bytes(value, name, 20)


def as_hash(value: object, name: str = "hash") -> bytes:
    """Read 32 bytes: a hash, a topic or a storage slot."""
    return as_bytes(value, name, 32)


def as_quantity(value: object, name: str = "quantity") -> int:
    """Read a hex quantity; plain JSON integers are taken too (evm_* callers send them)."""
    # In Python True is an int, and would pass for 1.
    if isinstance(value, bool):
        raise invalid_params(f"invalid {name}: number expected")
    if isinstance(value, int):
        number = value
    elif isinstance(value, str) and value.startswith(("0x", "0X")):
        number = _from_hex(value, name)
    else:
        raise invalid_params(f"invalid {name}: hex quantity expected")
    # The EVM's words have 256 bits.
    if not 0 <= number < 2**256:
        raise invalid_params(f"invalid {name}: out of range")
    return number


def _from_hex(value: str, name: str) -> int:
    """Return the number of a hex text; ``0x`` alone is zero, as some clients write it."""
    try:
        return int(value[2:], 16) if len(value) > 2 else 0
    except ValueError as error:
        raise invalid_params(f"invalid {name}: {value!r} is not hex") from error


def optional_quantity(call: Mapping[str, object], *names: str) -> int | None:
    """Read the first of ``names`` that is present and not null."""
    for name in names:
        if call.get(name) is not None:
            return as_quantity(call[name], name)
    return None
