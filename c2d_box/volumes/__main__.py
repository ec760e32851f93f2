"""``python3 -m c2d_box.volumes --config FILE`` serves; ``… unmount --root DIR`` clears a node."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

from c2d_box.errors import C2DError, UsageError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="c2d_box.volumes", description="The provisioner of job and service volumes."
    )
    parser.add_argument("--config", type=Path, help="the configuration file of the service")
    verbs = parser.add_subparsers(dest="verb")
    unmount = verbs.add_parser(
        "unmount", help="unmount every volume under a folder and detach its loop devices"
    )
    unmount.add_argument("--root", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        if options.verb == "unmount":
            return _unmount(options.root)
        if options.config is None:
            raise UsageError(
                "C2D-VOLUMES-USAGE", "neither --config nor a verb", "python3 -m c2d_box.volumes --help"
            )
        return asyncio.run(_serve(options.config))
    except C2DError as problem:
        print(problem, problem.next_step, sep="\n", file=sys.stderr)
        return problem.exit_status


def _unmount(root: Path) -> int:
    from c2d_box.volumes.unmounting import unmount_all

    done = unmount_all(root)
    print(f"unmounted {len(done.points)}, detached {len(done.devices)}")
    return 0


async def _serve(config: Path) -> int:
    from c2d_box.volumes import settings
    from c2d_box.volumes.logs import to_stdout
    from c2d_box.volumes.serving import serve

    to_stdout()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    node = os.environ.get("NODE_NAME") or socket.gethostname()
    service = asyncio.create_task(serve(settings.load(config), node))
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait({service, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not service.done():
        service.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await service
    return 0


if __name__ == "__main__":
    sys.exit(main())
