"""``python3 -m c2d_box.metadata --config FILE``"""

from __future__ import annotations

import sys
from functools import partial

from c2d_box.metadata.app import build_cache_app
from c2d_box.metadata.settings import MetadataSettings
from c2d_box.service.http_server import serve
from c2d_box.service.main import run_service, service_parser


def main(arguments: list[str] | None = None) -> int:
    """Run the metadata cache until it is stopped, and return the exit code.

    A configuration that is not valid ends it before the port is opened.
    """
    return run_service(
        service_parser("c2d_box.metadata", "The metadata cache."),
        MetadataSettings,
        lambda settings, _: partial(serve, build_cache_app(settings), settings.listen),
        arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
