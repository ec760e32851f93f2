"""The gate every byte of a log passes on its way to a consumer, live or later.

A log is output of an untrusted program that people read in terminals and browsers: control characters and
invalid UTF-8 are escaped visibly, direction marks too, and there is a budget.
"""

from __future__ import annotations

import codecs
import unicodedata


class LogGate:
    """A streaming filter: give it chunks as they come, then :meth:`end`."""

    def __init__(self, budget: int) -> None:
        """``budget`` in bytes of what comes out."""
        self._left = budget
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self.truncated = False

    def pass_(self, chunk: bytes) -> bytes:
        return self._charge(escape(self._decoder.decode(chunk)).encode())

    def end(self) -> bytes:
        tail = self._charge(escape(self._decoder.decode(b"", final=True)).encode())
        return tail + (b"\n[log cut off: budget exceeded]\n" if self.truncated else b"")

    def _charge(self, data: bytes) -> bytes:
        if len(data) > self._left:
            self.truncated = True
            data = data[: self._left].decode("utf-8", "ignore").encode()
            self._left = 0
            return data
        self._left -= len(data)
        return data


def escape(text: str) -> str:
    """Line ends and tabs stay, a carriage return before a line end goes, all else hidden becomes visible."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text.replace("\r\n", "\n"))


def _visible(character: str) -> str:
    if character in "\n\t" or character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
