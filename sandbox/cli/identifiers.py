"""Arguments that name a thing of the box: resolved once all options are read, and completed in a shell.

A command declares the kind of thing only; which ids and names fit it is decided by
:mod:`sandbox.verbs.identifiers`.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from sandbox.identifier_match import Candidate

CONNECT_SECONDS, LIST_SECONDS = 0.2, 1.5
"""A shell waits for completions: a box that takes longer has none."""
# What every shell takes as one word without quotes.
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


class IdentifierType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5 only
    """An id, the beginning of one, or a name, of one kind of thing; the command gets the whole id."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.name = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the short ids that begin so, with their names as help; none where the box is slow."""
        return complete_identifiers(self.kind, ctx, incomplete)


class ResolvingCommand(click.Command):
    """Resolves arguments of :class:`IdentifierType` before the command runs.

    Not while they are parsed: ``--name`` and ``--as`` may stand behind them, and say which box is asked.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command with whole ids in place of what the user typed."""
        # Empty ones are options that were not given.
        wanted = [
            (str(each.name), each.type.kind)
            for each in self.params
            if isinstance(each.type, IdentifierType) and ctx.params.get(str(each.name))
        ]
        if wanted:
            _resolve_parameters(ctx.params, wanted)
        return super().invoke(ctx)


ACCOUNT, ALGORITHM, ASSET, DATASET, ENVIRONMENT, JOB, TRANSACTION, WORKFLOW = map(
    IdentifierType,
    ("account", "algorithm", "asset", "dataset", "environment", "job", "transaction", "workflow"),
)


def _resolve_parameters(values: dict[str, Any], wanted: list[tuple[str, str]]) -> None:
    """Replace the values of these parameters, each of a kind; those of repeatable ones are tuples."""
    from sandbox.cli.opening import acting_account, running_box
    from sandbox.verbs.identifiers import IdentifierResolver

    # One resolver for the command: its lists are read once, however many arguments name something.
    resolver = IdentifierResolver(running_box(), acting_account("consumer"))
    for name, kind in wanted:
        given = values[name]
        if isinstance(given, tuple):
            values[name] = tuple(resolver.resolve(kind, each) for each in given)
        else:
            values[name] = resolver.resolve(kind, given)


def complete_identifiers(kind: str, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return what a shell may put in place of ``incomplete``. Never raise; take at most ``LIST_SECONDS``."""
    from click.shell_completion import CompletionItem

    from sandbox.display_text import visible_line
    from sandbox.identifier_match import short_ids

    found = _list_in_time(kind, ctx)
    short = short_ids(each.id for each in found)
    return [
        CompletionItem(word, help=visible_line("  ".join(filter(None, (*each.names[:1], each.text)))))
        for each in found
        for word in _words_for(kind, each, short)
        if word.startswith(incomplete)
    ]


def complete_data(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return datasets that begin so; where there are none, the shell completes files."""
    from click.shell_completion import CompletionItem

    # Without a beginning the shell offers files only, and the box is not asked.
    found = complete_identifiers("dataset", ctx, incomplete) if incomplete else []
    return found or [CompletionItem(incomplete, type="file")]


def complete_owner(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the roles that begin so, and the word for everybody."""
    from sandbox.verbs.accounts import ROLES

    return [word for word in (*ROLES, "all") if word.startswith(incomplete)]


def complete_environment(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return environments that begin so."""
    return complete_identifiers("environment", ctx, incomplete)


def complete_image(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return images on the node that begin so."""
    return complete_identifiers("image", ctx, incomplete)


def _words_for(kind: str, candidate: Candidate, short: Mapping[str, str]) -> Iterator[str]:
    """Yield what a shell may offer for a candidate: a word without colon or blank, which shells split at.

    Names come from strangers; one that is no plain word is left out.
    """
    # Ids that people can read; they are never shortened.
    if kind in ("environment", "image"):
        yield candidate.id
        return
    # An account is completed by its role; its address says nothing to a reader.
    if kind != "account":
        yield short[candidate.id]
    yield from (name for name in candidate.names if _PLAIN_NAME.fullmatch(name))


def _list_in_time(kind: str, ctx: click.Context) -> list[Candidate]:
    """Return the candidates that the box lists in time."""
    found: list[Candidate] = []

    def read() -> None:
        """Fill ``found``; runs in a thread of its own."""
        # Whatever goes wrong, the shell only has nothing to offer.
        with contextlib.suppress(Exception), ctx.scope(cleanup=False):
            found.extend(_read_candidates(kind))

    # A daemon: it must not keep the shell waiting for a service that hangs.
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    # A list that comes after this is dropped whole: half of it would look complete.
    thread.join(LIST_SECONDS)
    return [] if thread.is_alive() else found


def _read_candidates(kind: str) -> list[Candidate]:
    """Read the candidates from the box that the command line names. Raises whatever goes wrong."""
    from sandbox.cli.opening import acting_account, running_box
    from sandbox.verbs.identifiers import IdentifierResolver

    box = running_box()
    address = urlsplit(box.service_urls["cache"])
    # A box that hangs is found out before a library waits for it.
    with socket.create_connection((address.hostname or "", address.port or 0), CONNECT_SECONDS):
        pass
    return IdentifierResolver(box, acting_account("consumer")).candidates(kind)
