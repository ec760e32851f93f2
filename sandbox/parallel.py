"""Runs several verbs at once: their events arrive interleaved, their results in the order of the verbs.

Threads are used because verbs wait on processes and sockets. The first failure is raised after the others
came to their end or were told to stop, so that nothing goes on behind the user's back.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sandbox.progress import Progress, ProgressEvent

T = TypeVar("T")


@dataclass(frozen=True)
class _VerbResult:
    index: int
    result: Any = None
    error: BaseException | None = None


def run_together(verbs: Sequence[Progress[T]]) -> Progress[list[T]]:
    """Run ``verbs`` in parallel; return their results in order.

    A verb that is told to stop ends at its next event, by ``close()``, so that its ``finally`` blocks run. Of
    several failures the one of the earliest verb in the list is raised, whichever came first: callers put the
    cause before its consequences.
    """
    # Unbounded, so that a verb's thread never blocks on a consumer that has gone away.
    mailbox: queue.SimpleQueue[ProgressEvent | _VerbResult] = queue.SimpleQueue()
    stopping = threading.Event()
    for index, verb in enumerate(verbs):
        # Daemons: after Ctrl-C the program must be able to end while a verb still waits in a system call.
        threading.Thread(target=_drive_verb, args=(index, verb, mailbox, stopping), daemon=True).start()
    finished: dict[int, _VerbResult] = {}
    try:
        while len(finished) < len(verbs):
            item = mailbox.get()
            if isinstance(item, ProgressEvent):
                yield item
                continue
            finished[item.index] = item
            if item.error is not None:
                stopping.set()
    # Also where the consumer closes this generator: then nobody reads the mailbox any more.
    finally:
        stopping.set()
    for item in sorted(finished.values(), key=lambda item: item.index):
        # GeneratorExit marks a verb that was only told to stop: it is nobody's error.
        if item.error is not None and not isinstance(item.error, GeneratorExit):
            raise item.error
    return [finished[index].result for index in range(len(verbs))]


def _drive_verb(
    index: int,
    verb: Progress[Any],
    mailbox: queue.SimpleQueue[ProgressEvent | _VerbResult],
    stopping: threading.Event,
) -> None:
    """Run one verb in its own thread; the last thing it puts into the mailbox is always a result."""
    try:
        while True:
            if stopping.is_set():
                verb.close()
                mailbox.put(_VerbResult(index, error=GeneratorExit()))
                return
            mailbox.put(next(verb))
    except StopIteration as stop:
        mailbox.put(_VerbResult(index, result=stop.value))
    # Nothing may escape: an exception in a thread is printed and lost, and the consumer would wait for ever.
    except BaseException as error:
        mailbox.put(_VerbResult(index, error=error))
