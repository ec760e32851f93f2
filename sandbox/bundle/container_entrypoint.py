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
    try:
        run_verb(build_bundle(sys.argv[1:] or None, yes=True, container=False, for_node=False), _print_event)
    except C2DError as problem:
        print(json.dumps({"error": problem.as_dict()}, default=str), flush=True)
        return problem.exit_status
    return 0


def _print_event(event: ProgressEvent) -> None:
    print(json.dumps({"event": asdict(event)}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
