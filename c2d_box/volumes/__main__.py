"""``python3 -m c2d_box.volumes --config FILE`` serves; ``… unmount --root DIR`` clears a node."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import sys
from pathlib import Path

from c2d_box.errors import UsageError
from c2d_box.service.json_logging import configure_logging
from c2d_box.service.main import exit_status, load_settings, stop_event


def main(arguments: list[str] | None = None) -> int:
    """Run the service, or the verb `unmount`; return the exit status of the process."""
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

    def work() -> None:
        if options.verb == "unmount":
            _unmount_root(options.root)
        # argparse cannot say "either --config or a verb", so this is checked here.
        elif options.config is None:
            raise UsageError(
                "C2D-VOLUMES-USAGE", "neither --config nor a verb", "python3 -m c2d_box.volumes --help"
            )
        else:
            configure_logging()
            asyncio.run(_serve_until_stopped(options.config))

    return exit_status(work)


def _unmount_root(root: Path) -> None:
    """Unmount every volume below ``root``, and say on stdout how much there was."""
    # Imported late: a node that goes down has no API server, and this verb needs neither it nor pydantic.
    from c2d_box.volumes.unmounting import unmount_all

    done = unmount_all(root)
    print(f"unmounted {len(done.points)}, detached {len(done.devices)}")


async def _serve_until_stopped(config: Path) -> None:
    """Run the service until a signal stops it or one of its tasks fails; the failure is raised."""
    from c2d_box.volumes.serving import serve_provisioner
    from c2d_box.volumes.settings import VolumesSettings

    settings = load_settings(VolumesSettings, config)
    stopped = stop_event()
    # The chart sets NODE_NAME. A pod's host name is the pod's; it is the node's only outside of a cluster.
    node = os.environ.get("NODE_NAME") or socket.gethostname()
    service = asyncio.create_task(serve_provisioner(settings, node))
    waiting = asyncio.create_task(stopped.wait())
    # Whichever comes first: a service that has failed must end the process, so that Kubernetes restarts it.
    await asyncio.wait({service, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not service.done():
        service.cancel()
    # Awaited also after its own end: that raises the error which ended it.
    with contextlib.suppress(asyncio.CancelledError):
        await service


if __name__ == "__main__":
    sys.exit(main())
