"""Options that limit what a purchase may cost."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click


def spending_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--max-price`` and ``--slippage``, handed on as one ``spending``."""

    @click.option(
        "--max-price",
        "most",
        multiple=True,
        metavar="AMOUNT[:TOKEN]",
        help="Most to pay over everything, in OCEAN or in TOKEN (name or address; repeatable). With it, "
        "nothing is paid of a token that is not named.",
    )
    @click.option(
        "--slippage",
        type=click.FloatRange(0, 100),
        default=0.0,
        show_default=True,
        help="Per cent that a price may rise between quote and purchase.",
    )
    @functools.wraps(function)
    def limited(*, most: tuple[str, ...], slippage: float, **others: Any) -> Any:
        # Imported when a command runs: the SDK is far too heavy for ``--help``.
        from c2d_box.client import SpendingLimits

        return function(spending=SpendingLimits(most, slippage / 100), **others)

    return limited
