"""Errors for JSON-RPC callers, with geth's codes and words: clients match on them."""

from __future__ import annotations

# The first five are JSON-RPC's own codes; -32000 and 3 are geth's.
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL = -32603
SERVER = -32000
REVERTED = 3


class RpcFault(Exception):
    """A JSON-RPC error object: ``code``, ``message`` and, for reverts, the returned ``data`` as hex."""

    def __init__(self, code: int, message: str, data: object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def as_dict(self) -> dict[str, object]:
        """Return the error object as it goes over the wire."""
        fault: dict[str, object] = {"code": self.code, "message": self.message}
        if self.data is not None:
            fault["data"] = self.data
        return fault


def invalid_params(message: str) -> RpcFault:
    """Return the fault for a parameter that is missing, of the wrong type or out of range."""
    return RpcFault(INVALID_PARAMS, message)


def refusal_fault(message: str) -> RpcFault:
    """Return the fault of a transaction or call that the node will not take (geth: ``-32000`` and the
    reason)."""
    return RpcFault(SERVER, message)


# Solidity's panic codes with the words that geth and Hardhat show.
_PANICS = {
    0x00: "generic panic",
    0x01: "assert(false)",
    0x11: "arithmetic underflow or overflow",
    0x12: "division or modulo by zero",
    0x21: "enum overflow",
    0x22: "invalid encoded storage byte array accessed",
    0x31: "out-of-bounds array access; popping on an empty array",
    0x32: "out-of-bounds access of an array or bytesN",
    0x41: "out of memory",
    0x51: "uninitialized function",
}
# The first four bytes of keccak("Error(string)") and keccak("Panic(uint256)").
_ERROR_SELECTOR = bytes.fromhex("08c379a0")
_PANIC_SELECTOR = bytes.fromhex("4e487b71")


def revert_fault(output: bytes) -> RpcFault:
    """Return the fault for a revert that returned ``output``: code 3, the decoded reason, the raw data."""
    reason = revert_reason(output)
    message = "execution reverted" if reason is None else f"execution reverted: {reason}"
    return RpcFault(REVERTED, message, "0x" + output.hex())


def revert_reason(output: bytes) -> str | None:
    """Return the text of ``Error(string)`` or ``Panic(uint256)``; None for custom errors and empty output."""
    # Read by hand: the bytes are the contract's own, and slices beyond their end are just short.
    if output[:4] == _ERROR_SELECTOR and len(output) >= 68:
        offset = 4 + int.from_bytes(output[4:36], "big")
        length = int.from_bytes(output[offset : offset + 32], "big")
        text = output[offset + 32 : offset + 32 + length]
        # A length beyond the bytes means that it is no honest Error(string).
        return text.decode("utf-8", "replace") if len(text) == length else None
    if output[:4] == _PANIC_SELECTOR and len(output) == 36:
        number = int.from_bytes(output[4:], "big")
        return _PANICS.get(number, f"unknown panic code: {number:#x}")
    return None
