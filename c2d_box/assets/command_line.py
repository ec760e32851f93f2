"""Splits an entrypoint line where there is no shell: POSIX words and quotes, nothing that only a shell can
do.

The original ran every entrypoint through ``sh -c``; where an image has ``/bin/sh``, so do we. For an image
without one the line is split by these rules, which the gate (``pods/gate/gate.c``) follows word for word:
what a shell would not just hand on is refused, never guessed at. Knowing the rules here as well lets a line
be refused before anybody has paid.
"""

from __future__ import annotations

import re

from c2d_box.errors import Refused

WORDS = 1024
"""The most words of a line; one with more is refused."""
RESERVED = frozenset(
    (
        *("!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then"),
        *("until", "while", ".", ":", "break", "continue", "eval", "exec", "exit", "export", "readonly"),
        *(
            "return",
            "set",
            "shift",
            "times",
            "trap",
            "unset",
            "alias",
            "bg",
            "cd",
            "command",
            "fg",
            "getopts",
            "hash",
            "jobs",
        ),
        *("read", "type", "ulimit", "umask", "unalias", "wait"),
    )
)
"""Words that a shell interprets itself where a command begins: no program is meant by them."""
_OPERATORS = frozenset("|&;<>()\n")
"""Characters that end a word and begin something that only a shell does: pipes, lists, redirections."""
_EXPANSIONS = frozenset("$`")
"""Characters that a shell replaces by a value, inside of double quotes as well."""
_PATTERNS = frozenset("*?[")
"""Characters that a shell matches against names of files."""
_BLANK = " \t"
_SHELL = "this image has no /bin/sh, and the entrypoint uses shell syntax"
_OPEN_QUOTE = "the entrypoint has an open quote"
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
"""The beginning of ``NAME=value``, which before a command is no argument."""


def split_words(line: str) -> tuple[str, ...]:
    """Split ``line`` into words; raise ``C2D-ENTRYPOINT-NEEDS-SHELL`` where splitting does not do."""
    # An argument of ``execve`` ends at a NUL: the program would be called with another one.
    if "\0" in line:
        raise _needs_shell(_SHELL)
    found: list[str] = []
    at = _past_blanks(line, 0)
    while at < len(line):
        # The gate's array holds as many.
        if len(found) == WORDS:
            raise _needs_shell("the entrypoint has too many words")
        # At the beginning of a word ``#`` is a comment and ``~`` a home; elsewhere both are themselves.
        if line[at] in "#~" or (not found and _shells_own(line[at:])):
            raise _needs_shell(_SHELL)
        word, at = _read_word(line, at)
        found.append(word)
        at = _past_blanks(line, at)
    if not found:
        raise _needs_shell("the entrypoint is empty")
    return tuple(found)


def _past_blanks(line: str, at: int) -> int:
    """Return the position of the next character that is no blank."""
    while at < len(line) and line[at] in _BLANK:
        at += 1
    return at


def _shells_own(rest: str) -> bool:
    """Return whether ``rest`` begins with a word of the shell's own, or ``NAME=…``, which sets a variable."""
    # Up to the first blank, quotes included: a quoted word is never the shell's own.
    first = rest.replace("\t", " ").partition(" ")[0]
    return first in RESERVED or _ASSIGNMENT.match(first) is not None


def _read_word(line: str, at: int) -> tuple[str, int]:
    """Return the word at ``at``, without its quotes, and the position behind it. Parts without a blank
    between are one word."""
    text = ""
    while at < len(line) and line[at] not in _BLANK:
        char = line[at]
        if char == "'":
            # In single quotes nothing has a meaning but the closing quote.
            end = line.find("'", at + 1)
            if end < 0:
                raise _needs_shell(_OPEN_QUOTE)
            text, at = text + line[at + 1 : end], end + 1
        elif char == '"':
            quoted, at = _read_double_quoted(line, at + 1)
            text += quoted
        elif char == "\\":
            text, at = text + _escaped_character(line, at), at + 2
        elif char in _OPERATORS or char in _EXPANSIONS or char in _PATTERNS:
            raise _needs_shell(_SHELL)
        else:
            text, at = text + char, at + 1
    return text, at


def _escaped_character(line: str, at: int) -> str:
    """Return the character after a backslash. A line's end there joins two lines, which we leave
    to shells."""
    if at + 1 == len(line):
        raise _needs_shell(_OPEN_QUOTE)
    if line[at + 1] == "\n":
        raise _needs_shell(_SHELL)
    return line[at + 1]


def _read_double_quoted(line: str, at: int) -> tuple[str, int]:
    """Read a part in double quotes, where a backslash escapes four characters only; ``at``: after the opening
    quote."""
    text = ""
    while at < len(line):
        char, after = line[at], line[at + 1 : at + 2]
        # The end is found by reading on: a quote behind a backslash does not close.
        if char == '"':
            return text, at + 1
        if char == "\\" and after and after in '\\"$`':
            text, at = text + after, at + 2
        elif char in _EXPANSIONS or (char == "\\" and after == "\n"):
            raise _needs_shell(_SHELL)
        else:
            text, at = text + char, at + 1
    raise _needs_shell(_OPEN_QUOTE)


def _needs_shell(why: str) -> Refused:
    """Return the refusal. Its next step is for the algorithm's publisher, who writes the entrypoint."""
    return Refused(
        "C2D-ENTRYPOINT-NEEDS-SHELL",
        why,
        "write the entrypoint as one program with plain arguments, or use an image that has /bin/sh",
    )
