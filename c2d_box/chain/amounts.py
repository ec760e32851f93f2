"""Amounts of tokens as people read and write them, next to the base units that the chain counts in."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation, localcontext
from typing import TYPE_CHECKING

from c2d_box.assets.addresses import checksum_address, is_address, same_hex
from c2d_box.errors import C2DError

if TYPE_CHECKING:
    from c2d_box.chain.node import Chain

OCEAN = "OCEAN"
HIGHEST = 2**128
"""The highest amount, in base units. It is more than any supply there is; the exchange multiplies prices
twice by 10**18, which has to fit into 256 bits."""


def token_name(chain: Chain, token: str) -> str:
    """Return OCEAN, the name that the address file has for a token, or its address. What a token says of
    itself does not count: every token can call itself OCEAN."""
    if same_hex(token, chain.addresses.ocean):
        return OCEAN
    # The address file is the operator's word. An attacker's token named "OCEAN" or "USDC" stays an address.
    for name, address in chain.addresses.raw.items():
        if isinstance(address, str) and is_address(address) and same_hex(address, token):
            return str(name)
    return token


def token_called(chain: Chain, name: str) -> str | None:
    """The address of a token by its name in :func:`token_name`, or by address; None where there is none."""
    if is_address(name):
        return checksum_address(name)
    if name.upper() == OCEAN:
        return chain.addresses.ocean
    # Users type names in any case; the file's own spelling is kept for output only.
    known = {str(key).lower(): value for key, value in chain.addresses.raw.items()}
    found = known.get(name.lower())
    return checksum_address(found) if isinstance(found, str) and is_address(found) else None


def amount_text(chain: Chain, amount: int, token: str) -> str:
    """``2.5 OCEAN``: exact, in whole tokens; in base units where the token does not say its decimals."""
    try:
        decimals = chain.decimals(token)
    except C2DError:
        # A token that is no contract or does not answer must not keep an error message from being made.
        return f"{amount} base units of {token}"
    return f"{whole_tokens(amount, decimals)} {token_name(chain, token)}"


def whole_tokens(amount: int, decimals: int) -> str:
    """Return base units as text in whole tokens: exact, without trailing zeros."""
    with localcontext() as context:
        # The default of 28 digits would round a 256-bit amount, which has up to 78.
        context.prec = 100
        text = f"{Decimal(amount).scaleb(-decimals):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def base_units(said: object, decimals: int) -> int | None:
    """Return whole tokens as base units, rounded down; None for what is no amount, or more than
    there can be."""
    try:
        # By way of text: the float 0.1 means a tenth, not its 55 binary digits.
        value = Decimal(str(said))
    except InvalidOperation:
        return None
    # The bound on the exponent comes before the arithmetic: ``1e999999999`` would fill the memory.
    if not value.is_finite() or value < 0 or value.adjusted() + decimals > 60:
        return None
    with localcontext() as context:
        context.prec = 100
        units = int(value.scaleb(decimals))
    return units if units < HIGHEST else None
