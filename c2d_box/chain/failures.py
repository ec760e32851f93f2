"""Errors of nodes and contracts as coded errors with a next step. They are wrapped once, here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from c2d_box.errors import C2DError, Failed, Refused
from c2d_box.recursion import kept_recursion_limit

REVERTED = "C2D-CHAIN-REVERTED"
UNREACHABLE = "C2D-CHAIN-UNREACHABLE"
UNFUNDED = "C2D-CHAIN-FUNDS"
REFUSED_BY_NODE = "C2D-CHAIN-NODE"
NOT_MINED = "C2D-CHAIN-NOT-MINED"

# geth, anvil and ganache put different words before a contract's own; only its own words are kept.
_REASON = re.compile(
    r"(?:execution reverted|VM Exception[^:]*revert(?:ed)?)[:\s]*(?:reason string )?", re.IGNORECASE
)


@contextmanager
def wrapped(doing: str) -> Iterator[None]:
    """Turn whatever web3 raises while ``doing`` something into a C2DError, cause chained."""
    try:
        yield
    except C2DError:
        # An inner call has coded it already; coding it again would hide the first cause.
        raise
    except Exception as error:
        coded = _coded_error(doing, error)
        # A programming error, or an exception of the caller's own code, goes through unchanged.
        if coded is None:
            raise
        raise coded from error


def _coded_error(doing: str, error: Exception) -> C2DError | None:
    """Return the coded error; None for an exception that neither a node nor web3 raises."""
    # Imported with the first error: a service that has not met one should not pay for it.
    import requests

    with kept_recursion_limit():
        from web3 import exceptions

    # The order matters: ContractLogicError and TimeExhausted are Web3Exceptions too.
    match error:
        case exceptions.ContractLogicError():
            return revert_error(doing, _revert_reason(error))
        case requests.RequestException() | ConnectionError():
            return Failed(
                UNREACHABLE,
                f"the chain's node did not answer while {doing}",
                "see whether the chain is running and its address is right",
            )
        case exceptions.TimeExhausted():
            return Failed(NOT_MINED, f"no block took the transaction in time while {doing}", "try again")
        case exceptions.Web3RPCError() | exceptions.TransactionNotFound():
            return _node_error(doing, error)
        # ValueError and TypeError are how web3 reports arguments and answers that do not fit.
        case exceptions.Web3Exception() | ValueError() | TypeError():
            return Failed(REFUSED_BY_NODE, f"{_error_text(error)} (while {doing})", "see the node's log")
    return None


def revert_error(doing: str, reason: str) -> Refused:
    """Return the error for a contract's refusal; the contract's own words are the reason."""
    return Refused(
        REVERTED,
        f"the contract refused {doing}: {reason or 'it gave no reason'}",
        "this transaction changed nothing on the chain; the reason names what the contract asks for",
        reason=reason,
    )


def is_nonce_conflict(error: C2DError) -> bool:
    """Return whether a node refused a transaction only because another one of the same account came first.

    JSON-RPC has no code for it (geth says -32000 for everything), so the words of the known nodes decide.
    """
    text = f"{error.message} {error.__cause__}".lower()
    signs = (
        "nonce too low",
        "already known",
        "replacement transaction underpriced",
        "invalid nonce",
        "nonce",
    )
    # Only refusals by the node: a contract may revert with "nonce" in its own reason.
    return error.code == REFUSED_BY_NODE and any(sign in text for sign in signs)


def _node_error(doing: str, error: Exception) -> C2DError:
    text = _error_text(error)
    # These words differ per node and decide what the user has to do, so they are looked for first.
    if any(sign in text.lower() for sign in ("insufficient funds", "insufficient balance", "cannot afford")):
        return Refused(UNFUNDED, f"the account cannot pay for {doing}", "fund it (faucet) and try again")
    # Some nodes report a revert as a plain RPC error, without the type that web3 maps.
    if "revert" in text.lower():
        return revert_error(doing, _revert_reason(error))
    return Failed(REFUSED_BY_NODE, f"the node refused {doing}: {text}", "see the node's log")


def _revert_reason(error: Exception) -> str:
    return _REASON.sub("", _error_text(error)).strip(" :'\"")


def _error_text(error: Exception) -> str:
    # web3 puts the whole response into the message; the node's own words are one level deeper.
    response = getattr(error, "rpc_response", None)
    if isinstance(response, dict) and isinstance(response.get("error"), dict):
        return str(response["error"].get("message", error))
    message = getattr(error, "message", None)
    return str(message or error)
