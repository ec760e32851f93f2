"""Runs the builder inside a container: the same code on the same cache, events as JSON lines on stdout.

``python -m sandbox.bundle.container_entrypoint PART…``; it needs Python's standard library only.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from c2d_box.errors import C2DError
from sandbox.bundle.build import build_bundle
from sandbox.progress import ProgressEvent, run_verb


def main() -> int:
    """Build the parts named on the command line; return the exit status."""
    try:
        # container=False ends the recursion; for_node=False because no cluster runs in the container.
        run_verb(build_bundle(sys.argv[1:] or None, yes=True, container=False, for_node=False), _print_event)
    except C2DError as problem:
        # The error travels as data: the process outside raises it again with the same code.
        print(json.dumps({"error": problem.as_dict()}, default=str), flush=True)
        return problem.exit_status
    return 0


def _print_event(event: ProgressEvent) -> None:
    """Print an event as one line, at once, so that progress is seen while the part is made."""
    print(json.dumps({"event": asdict(event)}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
