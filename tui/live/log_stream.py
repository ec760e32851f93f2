"""Streams a log while it is written: a thread reads a blocking stream and delivers its lines in batches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from textual.message import Message
from textual.message_pump import MessagePump

from c2d_box.errors import C2DError

# A container may print a million lines a second. The event loop gets at most 2,000 per message, five times a
# second, so that it still answers to keys.
BATCH_SECONDS, BATCH_LINES = 0.2, 2000


class LinesReceived(Message, bubble=False):
    """New lines of a stream; ``over`` if there will be no more, ``problem`` if an error ended it."""

    def __init__(self, name: str, lines: list[str], over: bool = False, problem: str = "") -> None:
        super().__init__()
        self.name, self.lines, self.over, self.problem = name, lines, over, problem


class LineStream:
    """Reads one stream for one listener. ``stop_reading`` does not wait for the blocked reader: its thread is
    a daemon.
    """

    def __init__(
        self, name: str, follow: Callable[[], Iterator[str]], listener: MessagePump, prefix: str = ""
    ) -> None:
        self.name, self._follow, self._listener, self._prefix = name, follow, listener, prefix
        self._left = threading.Event()
        self._lines: list[str] = []
        self._lock = threading.Lock()

    def start_reading(self) -> LineStream:
        """Start the reader and return the stream itself."""
        threading.Thread(target=self._read_lines, name=f"stream {self.name}", daemon=True).start()
        return self

    def stop_reading(self) -> None:
        """Deliver nothing more. The reader notices at its next line."""
        self._left.set()

    def _read_lines(self) -> None:
        """Read to the end; a second thread delivers batches meanwhile, as reading blocks without a time
        limit.
        """
        pump = threading.Thread(target=self._hand_over, name=f"batches {self.name}", daemon=True)
        pump.start()
        problem = ""
        try:
            for line in self._follow():
                if self._left.is_set():
                    return
                with self._lock:
                    self._lines.append(f"{self._prefix}{line}")
        except C2DError as failed:
            problem = failed.message
        except Exception as surprise:
            # Never let the thread die without a word: the listener would wait for the end for ever.
            problem = f"{type(surprise).__name__}: {surprise}"
        finally:
            # Stops the second thread, so that the lines left over are sent once, with the message of the end.
            self._left.set()
            pump.join()
        self._listener.post_message(LinesReceived(self.name, self._take_batch(), over=True, problem=problem))

    def _hand_over(self) -> None:
        while not self._left.wait(BATCH_SECONDS):
            while lines := self._take_batch():
                self._listener.post_message(LinesReceived(self.name, lines))

    def _take_batch(self) -> list[str]:
        with self._lock:
            taken, self._lines = self._lines[:BATCH_LINES], self._lines[BATCH_LINES:]
            return taken
