"""Runs the builder inside a container: the same code on the same cache, events as JSON lines on stdout.

``python -m sandbox.bundle.container_entrypoint PART…``; it needs Python's standard library only.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from c2d_box.errors import C2DError
from sandbox.bundle.build import build
from sandbox.progress import Event, run


def main() -> int:
    try:
        run(build(sys.argv[1:] or None, yes=True, container=False, for_node=False), _tell)
    except C2DError as problem:
        print(json.dumps({"error": problem.as_dict()}, default=str), flush=True)
        return problem.exit_status
    return 0


def _tell(event: Event) -> None:
    print(json.dumps({"event": asdict(event)}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
