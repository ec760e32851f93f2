"""Ethereum addresses as text: one spelling (EIP-55) for comparing, storing and hashing.

Clients write addresses in any case; the DID derivation, nonces and job ownership need exactly one spelling.
"""

from __future__ import annotations

import re
from functools import lru_cache

from Crypto.Hash import keccak as _keccak

ZERO = "0x" + "0" * 40
"""The address that contracts take for nobody."""
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}\Z")


def keccak256(data: bytes) -> bytes:
    """Return Ethereum's keccak-256, which is not the SHA3-256 of ``hashlib``: the padding differs."""
    return _keccak.new(digest_bits=256, data=data).digest()


def is_address(value: object) -> bool:
    """Return whether the value is text in the form of an address, in any case and whatever its checksum."""
    return isinstance(value, str) and _ADDRESS.match(value) is not None


def checksum_address(address: str) -> str:
    """Return the EIP-55 spelling of ``address``. Raise ValueError when it is no address."""
    if not is_address(address):
        # Cut, because it may be a stranger's text of any length.
        raise ValueError(f"not an Ethereum address: {address[:80]!r}")
    return _checksum_spelling(address[2:].lower())


@lru_cache(4096)  # nearly every request names the same few addresses again, and hashing one takes 20 µs
def _checksum_spelling(bare: str) -> str:
    # EIP-55: a letter is upper case where the same digit of the address's hash is 8 or more.
    digest = keccak256(bare.encode()).hex()
    return "0x" + "".join(c.upper() if int(d, 16) > 7 else c for c, d in zip(bare, digest, strict=False))


def same_hex(left: object, right: object) -> bool:
    """Return whether both are text naming the same address, in whatever case."""
    return isinstance(left, str) and isinstance(right, str) and left.lower() == right.lower()
