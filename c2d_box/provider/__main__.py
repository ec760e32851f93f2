"""``python3 -m c2d_box.provider --config FILE``"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from pydantic import ValidationError

from c2d_box.errors import C2DError
from c2d_box.provider.app import application
from c2d_box.provider.settings import Settings
from c2d_box.serving import configure_logging, serve


def main() -> int:
    parser = argparse.ArgumentParser(prog="c2d_box.provider", description="The Provider.")
    parser.add_argument("--config", type=Path, required=True)
    path = parser.parse_args().config
    configure_logging()
    try:
        settings = Settings.model_validate(json.loads(path.read_text()))
        serve(application(settings), settings.listen.host, settings.listen.port)
    except C2DError as error:
        print(f"{error}. {error.next_step}", file=sys.stderr)
        return error.exit_status
    except (OSError, ValidationError, ValueError) as error:
        print(f"C2D-CONFIG: {path} cannot be used: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
