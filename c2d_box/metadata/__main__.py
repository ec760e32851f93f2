"""``python3 -m c2d_box.metadata --config FILE``"""

from __future__ import annotations

import sys
from functools import partial

from c2d_box.metadata.app import application
from c2d_box.metadata.settings import Settings
from c2d_box.service.http_server import serve
from c2d_box.service.main import run_service, service_parser


def main(arguments: list[str] | None = None) -> int:
    return run_service(
        service_parser("c2d_box.metadata", "The metadata cache."),
        Settings,
        lambda settings, _: partial(serve, application(settings), settings.listen),
        arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
