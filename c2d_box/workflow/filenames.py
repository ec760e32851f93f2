"""Names of outputs: in any script, normalised rather than refused, and without hidden characters.

Names end up in URLs, headers, shells and terminals. Characters that other keyboards and file systems write
(decomposed letters, joiners within a word, blanks of other widths, emoji) are accepted; control characters,
marks that turn the direction of writing and other invisible characters are not.
"""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

from c2d_box.limits import NAME_BYTES

_JOINERS = "\u200c\u200d"
"""Zero-width joiners: part of words in Persian and languages of India, and of many emoji."""


def judge_name(raw: bytes) -> tuple[str, str | None]:
    """Return the name as the consumer gets it, and what is wrong with it (None: nothing)."""
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        # The reason is reported as text, so the bytes are shown as escapes.
        return raw.decode("utf-8", "backslashreplace"), "its name is not UTF-8"
    # macOS writes decomposed letters, others composed ones; to the consumer they are one name.
    name = unicodedata.normalize("NFC", name)
    if any(is_hidden(name, position) for position in range(len(name))):
        return name, "its name has hidden characters"
    # Blanks at an end vanish in many programs; a name of blanks alone gets a visible one.
    name = name.strip() or "_"
    # Windows takes a backslash for a separator: the result would be written into another folder.
    if "\\" in name:
        return name, "its name has a backslash"
    if len(name.encode()) > NAME_BYTES:
        return name, f"its name is longer than {NAME_BYTES} bytes"
    return name, None


def with_number(path: str, number: int) -> str:
    """Return the path with a number before its name's suffix, still within the length of a name."""
    place = PurePosixPath(path)
    end = f"-{number}{place.suffix if len(place.suffix) < 20 else ''}"
    # A suffix of twenty characters is a part of the name that happens to follow a dot.
    stem = place.name.removesuffix(place.suffix) if len(place.suffix) < 20 else place.name
    room = NAME_BYTES - len(end.encode())
    # Cut in bytes, as file systems count; half a character at the cut is dropped.
    return str(place.with_name(stem.encode()[:room].decode("utf-8", "ignore") + end))


def is_hidden(name: str, position: int) -> bool:
    """Return whether the character at ``position`` is invisible, or changes how others are shown."""
    character = name[position]
    category = unicodedata.category(character)
    # Blanks of any width are visible as a gap.
    if category == "Zs":
        return False
    # Between letters of such a script only: at an end, or beside ASCII, a joiner only makes two names look
    # alike.
    if character in _JOINERS:
        return position in (0, len(name) - 1) or name[position - 1].isascii() or name[position + 1].isascii()
    # Cf is invisible or turns the direction of writing; Co has no agreed look.
    return not character.isprintable() or category in ("Cf", "Co")
