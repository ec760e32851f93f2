"""``python -m sandbox.cli`` is the same program as the console script."""

from sandbox.cli import main

main()
