"""Names of files in ``Content-Disposition``, written and read.

Ocean's clients take everything that follows ``attachment;filename=``, so a plain name is written just like
that. A name in another script comes beside an ASCII stand-in as ``filename*`` (RFC 5987); the stand-in holds
a part of the name's hash, so that two names of one length do not become one file.
"""

from __future__ import annotations

import mimetypes
import re
from hashlib import sha256
from urllib.parse import quote, unquote

_UNSAFE = re.compile(r"[^\w.\-()+@ ]", re.ASCII)
"""Characters that an ASCII name should not have: quotes, separators, and what shells and headers
interpret."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters and marks of direction: with the latter ``exe.txt`` can be shown for ``txt.exe``."""
_EXTENDED = re.compile(r"filename\*\s*=\s*([\w.-]*)'[\w-]*'([^;\s]+)", re.IGNORECASE)
"""``filename*=charset'language'value`` of RFC 5987."""
_PLAIN = re.compile(r"filename\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^;]+))", re.IGNORECASE)
"""``filename=``, quoted or bare."""
_LONGEST = 200
"""The most bytes of a name in UTF-8; a file system takes 255, and the stand-in adds a part of a hash."""


def content_disposition(name: str, content_type: str = "") -> str:
    """Return the header's value for a file that is to be saved as ``name``."""
    shown = _display_name(name, content_type)
    extended = "" if shown.isascii() else f";filename*=UTF-8''{quote(shown, safe='')}"
    return f"attachment;filename={ascii_name(name, content_type)}{extended}"


def ascii_name(name: str, content_type: str = "") -> str:
    """Return the name in ASCII, without quotes, separators or control characters; made up where there is
    none."""
    shown = _display_name(name, content_type)
    plain = _UNSAFE.sub("_", shown).strip(" .").replace(" ", "_")
    if shown.isascii():
        return plain or "file" + _guess_extension(content_type)
    stem, dot, extension = plain.rpartition(".")
    # Two names in other scripts become the same underscores; the hash keeps them apart.
    mark = sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{stem}-{mark}.{extension}" if dot and stem else f"{plain}-{mark}"


def name_in(header: str) -> str:
    """Return the name that a ``Content-Disposition`` gives, reduced to its last part; empty where it gives
    none."""
    name = ""
    # RFC 6266: where both are there, ``filename*`` counts.
    if found := _EXTENDED.search(header):
        try:
            name = unquote(found[2], encoding=found[1] or "utf-8", errors="strict")
        except (LookupError, UnicodeDecodeError):
            name = ""
    if not name and (found := _PLAIN.search(header)):
        name = re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else found[2].strip()
        name = _as_utf8(name)
    # The last part only: a path in a header of a stranger must not choose the folder.
    last = _CONTROL.sub("", re.split(r"[/\\]", name)[-1]).strip()
    # Some charsets yield half a character, which no file system takes.
    last = last.encode("utf-8", "replace").decode()
    # These two would be a folder even as a last part.
    return "" if last in (".", "..") else _cut_name(last)


def _display_name(name: str, content_type: str) -> str:
    """Return the name with an extension by type where it has none, and without what no name should hold."""
    # ``replace``: a lone surrogate cannot be written into a header.
    clean = _cut_name(_CONTROL.sub("_", name).encode("utf-8", "replace").decode())
    return clean + _guess_extension(content_type) if clean and "." not in clean else clean


def _cut_name(name: str) -> str:
    """Cut the name to ``_LONGEST`` bytes, at the end of the stem."""
    if len(name.encode()) <= _LONGEST:
        return name
    # The extension survives the cut, since it decides which program opens the file; one that is very long is
    # none.
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > 20:
        return _cut_bytes(name, _LONGEST)
    return f"{_cut_bytes(stem, _LONGEST - len(extension.encode()) - 1)}.{extension}"


def _cut_bytes(text: str, most: int) -> str:
    """Return the beginning of a text, of at most so many bytes in UTF-8 and without a half character."""
    return text.encode()[:most].decode("utf-8", "ignore")


def _guess_extension(content_type: str) -> str:
    """Return the extension of a content type; an empty text for the type that says nothing."""
    if content_type == "application/octet-stream":
        return ""
    return mimetypes.guess_extension(content_type) or ""


def _as_utf8(text: str) -> str:
    """Decode header text again as UTF-8: header bytes come as Latin-1, but many servers write UTF-8 into
    them."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text
