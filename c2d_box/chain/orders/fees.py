"""Provider fees: the signed quote that a consumer hands to the datatoken when ordering.

The contract itself recovers the signer; the Provider later recognises its own quote by it. The data binds the
quote to one environment, datatoken and service, or a quote for one order would pay for another.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, TypedDict

from c2d_box.assets.addresses import ZERO, checksum_address, keccak256
from c2d_box.assets.crypto.signatures import address_of, from_vrs, recover_hash, sign_hash
from c2d_box.strict_json import parse_json


class ProviderFee(TypedDict):
    """A signed quote exactly as it stands on the wire; the amount is decimal text in base units."""

    providerFeeAddress: str
    providerFeeToken: str
    # Text, since JSON readers in other languages round numbers above 2**53.
    providerFeeAmount: str
    providerData: str
    v: int
    r: str
    s: str
    validUntil: int


def fee_amount(seconds: float, price_per_minute: float, decimals: int) -> int:
    """Return base units for ``seconds`` of compute at a price in whole tokens per minute, never below zero.

    All the seconds count; the original takes their remainder after whole days. Rounded down, as there.
    """
    if seconds <= 0 or price_per_minute <= 0:
        return 0
    # Fractions of the decimal text: with 18 decimals, floats would be wrong in the last digits.
    exact: Fraction = Fraction(str(seconds)) * Fraction(str(price_per_minute)) / 60 * Fraction(10) ** decimals
    return math.floor(exact)


def fee_hash(data: bytes, address: str, token: str, amount: int, valid_until: int) -> bytes:
    """Return the keccak of the packed fee: what the Provider signs and the datatoken recovers.

    ``data`` is ``providerData``; ``amount`` is in base units, ``valid_until`` in Unix seconds. Every field
    is inside, so that none can be altered without the contract's refusal.
    """
    # abi.encodePacked as in the contract: no padding of the addresses, the data first.
    return keccak256(
        data
        + bytes.fromhex(address[2:])
        + bytes.fromhex(token[2:])
        + amount.to_bytes(32, "big")
        + valid_until.to_bytes(32, "big")
    )


def sign_fee(
    key: bytes | str,
    *,
    datatoken: str,
    service_id: str,
    environment: str | None = None,
    token: str = ZERO,
    amount: int = 0,
    valid_until: int = 0,
    now: float | None = None,
) -> ProviderFee:
    """Return a quote of ``amount`` base units of ``token`` for one service, good until ``valid_until`` (Unix
    time).

    Access services: no environment, amount 0, ``valid_until`` 0. A zero amount is signed like any other,
    since the order's proof looks for the signature and not for the money.
    """
    data = _fee_data(environment, time.time() if now is None else now, datatoken, service_id)
    address, fee_token = address_of(key), checksum_address(token)
    # The contract recovers over the EIP-191 prefixed hash, as sign_hash makes it.
    signature = sign_hash(key, fee_hash(data, address, fee_token, amount, valid_until))
    return ProviderFee(
        providerFeeAddress=address,
        providerFeeToken=fee_token,
        providerFeeAmount=str(amount),
        providerData="0x" + data.hex(),
        v=signature.v,
        r=signature.r,
        s=signature.s,
        validUntil=valid_until,
    )


def signer_of(fee: Mapping[str, Any]) -> str | None:
    """Return the signer of a fee, given with the keys of the wire or of the ProviderFee event; None if
    malformed."""
    # Fees come from contract events and from other Providers, so any field may be anything.
    try:
        data, r, s = (_as_bytes(fee[key]) for key in ("providerData", "r", "s"))
        address, token = (
            checksum_address(fee["providerFeeAddress"]),
            checksum_address(fee["providerFeeToken"]),
        )
        hashed = fee_hash(data, address, token, int(fee["providerFeeAmount"]), int(fee["validUntil"]))
        return recover_hash(hashed, from_vrs(int(fee["v"]), r, s))
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def read_data(data: bytes | str) -> dict[str, Any] | None:
    """Return the JSON object inside ``providerData``, or None: anybody can put anything there."""
    try:
        value = parse_json(_as_bytes(data))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def as_tuple(fee: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the fee in the order of the contract's struct."""
    return (
        checksum_address(fee["providerFeeAddress"]),
        checksum_address(fee["providerFeeToken"]),
        int(fee["providerFeeAmount"]),
        int(fee["v"]),
        # Hex of a number may lack its leading zeros; the contract takes exactly 32 bytes.
        _as_bytes(fee["r"]).rjust(32, b"\0"),
        _as_bytes(fee["s"]).rjust(32, b"\0"),
        int(fee["validUntil"]),
        _as_bytes(fee["providerData"]),
    )


def _fee_data(environment: str | None, now: float, datatoken: str, service_id: str) -> bytes:
    """Return the bytes of ``providerData``: what the quote is good for, under the key names of Ocean's
    Provider."""
    value = {"environment": environment, "timestamp": now, "dt": datatoken, "id": service_id}
    return json.dumps(value, separators=(",", ":")).encode()


def _as_bytes(value: bytes | str) -> bytes:
    """Return the bytes that a text in hex gives, with or without ``0x``. Raise ValueError for other text."""
    return bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(value)
