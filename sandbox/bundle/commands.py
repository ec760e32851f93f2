"""Runs compilers and package tools: output goes to a log, runs can be cancelled, failures get error codes.

The cause of a failure is read from the tools' output, because their exit statuses do not tell it: a full disk
and a missing network are the user's to fix and have their own codes; anything else shows the last lines of
the log.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from c2d_box.errors import C2DError, EnvironmentProblem, Failed

TAIL_LINES = 12
"""Lines of a tool's output that an error shows; the log has the rest."""
POLL_SECONDS = 0.1
"""Seconds between two looks at whether the build was cancelled."""
GRACE_SECONDS = 15.0
"""Seconds between asking a command to end and killing it: mmdebstrap has mounts to undo when stopped."""

NO_NETWORK = "C2D-NO-NETWORK"
"""Code of the failures that are tried again."""
RETRY_PAUSES = (2.0, 6.0)
"""Seconds before the second and the third attempt of a command that the network failed."""

_ENGLISH = {"LC_ALL": "C.UTF-8", "LANGUAGE": ""}
"""Variables that make tools speak English: in another language the cause of a failure is not recognised."""
# What apt, pip, Go and the C library say.
_DISK_FULL = re.compile(r"no space left on device|disk quota exceeded|ENOSPC", re.IGNORECASE)
_NO_NETWORK = re.compile(
    r"no such host|temporary failure (in name resolution|resolving)|could not resolve"
    r"|name or service not known"
    r"|network is unreachable|no route to host|connection refused|connection timed out|i/o timeout"
    r"|could not connect to|failed to establish a new connection|TLS handshake timeout|max retries exceeded",
    re.IGNORECASE,
)
_NOT_GENUINE = re.compile(
    r"checksum mismatch|SECURITY ERROR|THESE PACKAGES DO NOT MATCH THE HASHES", re.IGNORECASE
)


class BuildCancelled(Exception):
    """Raised when the build was told to stop. It is not reported to the user a second time."""


def disk_full(what: str, cache: Path) -> EnvironmentProblem:
    """Return the error for a full disk, with the free space left in the folders where it may have been
    needed.
    """
    # Both, because tools write their scratch files to the temporary folder: often another file system.
    room = {str(place): shutil.disk_usage(place).free >> 20 for place in (cache, Path(tempfile.gettempdir()))}
    left = ", ".join(f"{place}: {mib} MiB free" for place, mib in room.items())
    return EnvironmentProblem(
        "C2D-DISK-FULL",
        f"There is no room left for {what} ({left}).",
        "Free some space, or point C2D_BOX_CACHE at another disk, and run the command again: "
        "finished parts are kept.",
        free_mib=room,
    )


class CommandRunner:
    """Runs commands for one part, one after the other, all writing to the part's log."""

    def __init__(
        self,
        part: str,
        log: Path,
        cancelled: threading.Event,
        pauses: tuple[float, ...] = RETRY_PAUSES,
    ) -> None:
        """``pauses`` are the seconds before each further attempt; ``cancelled`` is shared by all lanes of a
        build.
        """
        self.part = part
        self.pauses = pauses
        self.log = log
        self.cancelled = cancelled
        log.parent.mkdir(parents=True, exist_ok=True)
        # The log of an earlier build would be taken for this one's.
        log.write_bytes(b"")

    def run_command(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        terminal: bool = False,
    ) -> None:
        """Run a command to its end; raise a coded error when it fails, :class:`BuildCancelled` when told
        to stop.

        The command is tried again where the network failed it, since one lost connection in minutes of
        downloads is normal. With ``terminal`` the command stays in the user's session, so that it may ask for
        a password there.
        """
        for pause in self.pauses:
            try:
                return self._run_once(command, cwd, env, terminal)
            except C2DError as error:
                if error.code != NO_NETWORK:
                    raise
            # Not sleep(): cancelling the build ends the pause, and the next attempt then raises.
            self.cancelled.wait(pause)
        return self._run_once(command, cwd, env, terminal)

    def _run_once(
        self, command: Sequence[str | Path], cwd: Path | None, env: Mapping[str, str] | None, terminal: bool
    ) -> None:
        """Run the command once. Its output is appended to the part's log."""
        self.check_cancelled()
        words = [str(word) for word in command]
        with self.log.open("ab") as stream:
            # Output before this offset is of earlier commands and must not explain this one's failure.
            begin = stream.tell()
            stream.write(f"$ {' '.join(words)}\n".encode())
            # The child writes to the same file by its own descriptor; the command line must come first.
            stream.flush()
            process = self._start_process(words, cwd, env, stream, terminal)
            with _ending_process(process):
                status = self._wait_for_process(process)
        if status != 0:
            raise self._command_failure(words[0], status, begin)

    def _start_process(
        self,
        words: list[str],
        cwd: Path | None,
        env: Mapping[str, str] | None,
        log: BinaryIO,
        terminal: bool,
    ) -> subprocess.Popen[bytes]:
        """Start the tool with both streams to the log; raise a coded error where it is not installed."""
        try:
            return subprocess.Popen(
                words,
                cwd=cwd,
                env={**os.environ, **_ENGLISH, **(env or {})},
                # A tool that asks something would wait for ever; only sudo may, for a password.
                stdin=None if terminal else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # In a session of its own the tool is signalled with all its children, and Ctrl-C does not
                # reach it before the build has noted the end. sudo needs the user's terminal, so it stays in
                # their session.
                start_new_session=not terminal,
            )
        except FileNotFoundError as error:
            raise EnvironmentProblem(
                "C2D-BUNDLE-TOOLS",
                f"The program {words[0]}, needed for {self.part}, is not on this machine.",
                "Run `c2d-box bundle build` again: it offers to install what is missing.",
                program=words[0],
            ) from error

    def check_cancelled(self) -> None:
        """Raise :class:`BuildCancelled` if the build was told to stop."""
        if self.cancelled.is_set():
            raise BuildCancelled(self.part)

    def _wait_for_process(self, process: subprocess.Popen[bytes]) -> int:
        """Return the exit status; raise :class:`BuildCancelled` within ``POLL_SECONDS`` of a cancellation."""
        while True:
            try:
                return process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                self.check_cancelled()

    def _command_failure(self, program: str, status: int, begin: int) -> C2DError:
        """Return the error that fits what the tool said since ``begin``."""
        said = self.log.read_bytes()[begin:].decode("utf-8", "replace")
        if _DISK_FULL.search(said):
            return disk_full(self.part, self.log.parent)
        lines = [line for line in said.splitlines() if line.strip()]
        details = {"part": self.part, "log": str(self.log), "last_lines": lines[-TAIL_LINES:]}
        tail = "\n".join(f"    {line}" for line in lines[-TAIL_LINES:])
        # A wrong hash is no network trouble and must not be tried again: the same bytes would come.
        if _NOT_GENUINE.search(said):
            return Failed(
                "C2D-BUNDLE-CHECKSUM",
                f"A download for {self.part} is not the one this version of c2d-box was made with.\n{tail}",
                "Clear the downloads of the package tool (or its mirror's copy) and try again.",
                **details,
            )
        if _NO_NETWORK.search(said):
            return EnvironmentProblem(
                NO_NETWORK,
                f"{self.part} could not be downloaded: the package registries cannot be reached.\n{tail}",
                "Check the network and proxy settings and run the command again: finished parts are kept.",
                **details,
            )
        return Failed(
            "C2D-BUNDLE-BUILD",
            f"{Path(program).name} ended with status {status} while building {self.part}.\n{tail}",
            f"The whole output is in {self.log}.",
            **details,
        )


@contextlib.contextmanager
def _ending_process(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Make sure that the child process has ended, however the block is left."""
    try:
        yield
    finally:
        # Reached on cancellation and on any exception: no compiler outlives the build that started it.
        if process.poll() is None:
            _signal_process(process, signal.SIGTERM)
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                _signal_process(process, signal.SIGKILL)
                process.wait()


def _signal_process(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the tool and its children. A tool run by sudo belongs to root and may refuse it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # The whole group, but only where the child leads one: with `terminal` it is in our own group, and
        # killing that would end this process.
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
