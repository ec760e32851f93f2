"""Finds the one thing that a user means by an id, the beginning of an id, or a name.

An exact id wins. Otherwise names and beginnings of ids count alike: names are chosen by strangers, and a
dataset that is called like the beginning of another's id must not be taken for it. What fits several things
is refused with all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from c2d_box.errors import UsageError
from sandbox.display_text import visible_line

SHORTEST = 4
"""Characters of an id that a user has to give at least, as in git: fewer are more likely a slip."""
SHOWN = 8
"""Characters of an id that tables show, where they tell it from the others."""
MOST_CANDIDATES = 10
# Users paste ids with and without it, so neither form may decide what is found.
_SCHEME = re.compile(r"did:op:|sha256:|0x")
# How the product's own texts shorten a DID; a user may paste that too.
_GAP = re.compile(r"…|\.\.\.")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing that a user may mean."""

    id: str
    names: tuple[str, ...] = ()
    text: str = ""
    """Words that tell it from others of the same name: kind, owner, age."""
    preferred: bool = True
    """False for what is of little use now, such as an asset that has ended: it counts where nothing else
    fits.
    """


def bare_id(identifier: str) -> str:
    """Return an id without its scheme (``did:op:``, ``sha256:``, ``0x``), in lower case."""
    return _SCHEME.sub("", identifier.strip().lower(), count=1)


def short_ids(identifiers: Iterable[str], shown: int = SHOWN) -> dict[str, str]:
    """Return the beginning of each id's own part that no other one of them has, at least ``shown``
    characters.
    """
    known = sorted({(bare_id(each), each) for each in identifiers})
    found = {}
    for at, (bare, identifier) in enumerate(known):
        # Sorted, so that the longest common beginning is one with a neighbour.
        beside = [known[other][0] for other in (at - 1, at + 1) if 0 <= other < len(known)]
        common = max((_common_length(bare, other) for other in beside), default=0)
        found[identifier] = bare[: max(shown, common + 1)]
    return found


def choose_candidate(kind: str, given: str, candidates: Sequence[Candidate]) -> Candidate | None:
    """Return the candidate that ``given`` means, None where there is none; raise ``C2D-ID-AMBIGUOUS`` for
    several, with their ids and names.
    """
    # An exact id wins over a name, which a stranger may have chosen to equal it.
    exact = [each for each in candidates if each.id.lower() == given.strip().lower()]
    fitting = exact or _fitting_candidates(given, candidates)
    # An ended asset of the same name must not make a living one ambiguous.
    fitting = [each for each in fitting if each.preferred] or fitting
    # By id: one thing may fit twice, by its id and by its name.
    if len({each.id for each in fitting}) > 1:
        raise _ambiguity(kind, given, fitting)
    return fitting[0] if fitting else None


def _fitting_candidates(given: str, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return what is named so or whose id begins so; names count without case where none fits with it."""
    # "did:op:1a2b...9f" has a beginning and an end; both must fit.
    head, *tail = _GAP.split(given.strip())
    beginning, end = bare_id(head), tail[-1].lower() if tail else ""
    by_id = [
        each
        for each in candidates
        if len(beginning) >= SHORTEST
        and _fits_id(each.id, given, beginning)
        and each.id.lower().endswith(end)
    ]
    # Names have no shortest length, unlike ids: a user who types a whole name means it.
    named = [each for each in candidates if given in each.names]
    folded = given.casefold()
    named = named or [each for each in candidates if folded in map(str.casefold, each.names)]
    return by_id + [each for each in named if each not in by_id]


def _fits_id(identifier: str, given: str, beginning: str) -> bool:
    """Return whether the id begins so; a scheme that was given has to be its own."""
    # "0x12ab" means an address or a hash, and must not find a DID that begins so.
    scheme = _SCHEME.match(given.strip().lower())
    return bare_id(identifier).startswith(beginning) and (
        scheme is None or identifier.lower().startswith(scheme[0])
    )


def _ambiguity(kind: str, given: str, fitting: Sequence[Candidate]) -> UsageError:
    """Return the error that lists what fits, at most ten of them and the number of the others."""
    # Names are strangers' text: ``visible_line`` keeps control characters from the terminal.
    words = (filter(None, (each.id, *each.names[:1], each.text)) for each in fitting)
    lines, more = [visible_line("  ".join(each)) for each in words], len(fitting) - MOST_CANDIDATES
    if more > 0:
        lines = [*lines[:MOST_CANDIDATES], f"and {more} more"]
    article = "an" if kind[0] in "aeiou" else "a"
    return UsageError(
        "C2D-ID-AMBIGUOUS",
        f"{given} may mean {len(fitting)} {kind}s",
        f"name {article} {kind} by its id, or by more of it",
        candidates=lines,
    )


def _common_length(one: str, other: str) -> int:
    """Return how many characters two texts have in common at their beginnings."""
    length = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        length += 1
    return length
