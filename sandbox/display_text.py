"""Makes untrusted text safe to print on a terminal: names, logs, reasons and results of other people.

A name may hold escape sequences that move the cursor, retitle the window or write the clipboard, a line feed
that forges a row of a table, or direction marks that show another text than the one that is there. This
module turns each into a visible picture. Command line, screens and errors use this one table; ``--json``
stays exact.
"""

from __future__ import annotations

# U+2400 and above are the pictures of the control characters: ESC becomes a visible symbol. Tab and line feed
_CONTROLS = {code: 0x2400 + code for code in range(0x20) if code not in (0x09, 0x0A)}
# C1 controls: U+009B alone begins an escape sequence on terminals that obey 8-bit controls.
_HIGH_CONTROLS = dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
# Direction overrides and isolates reorder what is shown without changing the text (CVE-2021-42574).
_DIRECTIONS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x061C, 0x200E, 0x200F], 0xFFFD)
# U+2028 and U+2029 end a line for `str.splitlines`, so they could forge a table row as a line feed could.
_LINE_ENDS = {0x2028: 0xFFFD, 0x2029: 0xFFFD}
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), 0xFFFD)
"""Replaces surrogates: half of a pair cannot be written to a terminal at all, printing it raises."""
_TABLE = {**_CONTROLS, 0x7F: 0x2421, **_HIGH_CONTROLS, **_DIRECTIONS, **_LINE_ENDS, **_SURROGATES}


def visible_text(value: object) -> str:
    """Return ``value`` as text without anything a terminal would obey; line feeds and tabs stay."""
    return str(value).translate(_TABLE)


def visible_line(value: object) -> str:
    """Return :func:`visible_text` on one line: a line feed is shown as its picture, a tab as a blank."""
    return visible_text(value).replace("\n", "␊").replace("\t", " ")
