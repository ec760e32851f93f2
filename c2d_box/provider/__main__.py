"""``python3 -m c2d_box.provider --config FILE``"""

from __future__ import annotations

import sys
from functools import partial

from c2d_box.provider.app import build_provider_app
from c2d_box.provider.settings import ProviderSettings
from c2d_box.service.http_server import serve
from c2d_box.service.main import run_service, service_parser


def main(arguments: list[str] | None = None) -> int:
    """Run the Provider until it is stopped, and return the exit code. Configuration errors are reported by
    :func:`run_service` before a port is opened."""
    return run_service(
        service_parser("c2d_box.provider", "The Provider."),
        ProviderSettings,
        lambda settings, _: partial(serve, build_provider_app(settings), settings.listen),
        arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
