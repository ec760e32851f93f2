"""The command line: parses, calls one verb, renders its events (stderr) and its result (stdout). No logic
of its own.

Importing this package must stay cheap: ``c2d-box --help`` answers in under 150 ms, so a command's module,
and with it everything heavy, is imported only when that command runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script ``c2d-box``: run and leave with a documented exit status (see
    ``sandbox.cli.failures``).
    """
    from sandbox.cli.app import invoke

    sys.exit(invoke(list(sys.argv[1:] if arguments is None else arguments)))
