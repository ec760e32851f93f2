"""The filter that every byte of a log passes on its way to a consumer, live or later.

A log is output of an untrusted program that people read in terminals and browsers. It leaves line by line as
a terminal would have shown it at last: a carriage return begins the line anew, so that of a progress bar its
last state is left, and colours are gone. Other control characters, invalid UTF-8 and marks of direction are
escaped visibly. There is a budget of bytes, and of lines where a publisher's rule sets one.
"""

from __future__ import annotations

import codecs
import re
import unicodedata

HELD = 8192
"""Characters of an unfinished line that are held back; a longer one leaves in parts."""
_COLOURS = re.compile(r"\x1b\[[0-9;:]*m|\x1b\[[0-2]?K")
"""Escape sequences for colours and other styles, and for erasing in a line, as progress bars write them."""
_CUT = b"\n[log cut off: budget exceeded]\n"
"""Written at the end, so that nobody takes a log that was cut for a whole one."""


class LogGate:
    """A streaming filter: call :meth:`filter_bytes` with each chunk, then :meth:`finish_log` once."""

    def __init__(self, budget: int, lines: int | None = None) -> None:
        """``budget`` is the most bytes that come out, ``lines`` the most lines (None: any number)."""
        self._left = budget
        self._lines = lines
        # Invalid bytes become escapes and never an error: a log cannot be refused.
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._held = ""
        self.truncated = False

    def filter_bytes(self, chunk: bytes) -> bytes:
        """Return what leaves of a chunk. The last line is held back until its end comes, because a carriage
        return may still replace it."""
        *lines, last = (self._held + self._decoder.decode(chunk)).split("\n")
        passed = b"".join(self._charge(f"{shown_log(line)}\n") for line in lines)
        # Only the last state of the open line is kept: a progress bar of an hour takes no memory.
        self._held = _last_state(last)
        if len(self._held) > HELD and not self._held.endswith("\r"):
            # Keep the rest from a late escape on: its sequence may not be complete yet.
            whole = self._held.rfind("\x1b", len(self._held) - 32)
            end = len(self._held) if whole < 0 else whole
            passed += self._charge(shown_log(self._held[:end]))
            self._held = self._held[end:]
        return passed

    def finish_log(self) -> bytes:
        """Return the rest: the last line without an end, and a note where the budget cut the log."""
        tail = self._charge(shown_log(self._held + self._decoder.decode(b"", final=True)))
        self._held = ""
        return tail + (_CUT if self.truncated else b"")

    def _charge(self, text: str) -> bytes:
        """Take text from the budget and return it as bytes; past the budget nothing, for good. It counts
        what comes out: escapes make a text longer."""
        if self.truncated or not text:
            return b""
        if self._lines is not None:
            if self._lines <= 0:
                self.truncated = True
                return b""
            self._lines -= text.count("\n")
        data = text.encode()
        if len(data) > self._left:
            self.truncated = True
            # Cut between characters: the result is read as UTF-8 by everybody after us.
            data = data[: self._left].decode("utf-8", "ignore").encode()
            self._left = 0
            return data
        self._left -= len(data)
        return data


def shown_log(line: str) -> str:
    """Return a line, given without its end, as a terminal shows it last; other hidden characters become
    visible.
    """
    return escape_controls(_COLOURS.sub("", _last_state(line).removesuffix("\r")))


def _last_state(line: str) -> str:
    """Return the part after the last carriage return that is followed by anything."""
    if "\r" not in line:
        return line
    # Returns at the end are followed by nothing yet, and by themselves erase nothing.
    text = line.rstrip("\r")
    state = text[text.rfind("\r") + 1 :]
    return state + "\r" if len(text) < len(line) else state


def escape_controls(text: str) -> str:
    """Escape hidden characters visibly; line ends and tabs stay."""
    # Most lines are plain ASCII, which needs no look at each character.
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    """Return a character as it may be shown: itself, or as a Python escape."""
    if character in "\n\t" or character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
