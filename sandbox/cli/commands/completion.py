"""completion."""

from __future__ import annotations

import os
from pathlib import Path

import click

from sandbox.cli.app import COMPLETION, PROGRAM, root
from sandbox.cli.declare import command

SHELLS = ("bash", "zsh", "fish")


@command(
    'eval "$(c2d-box completion bash)"\n'
    "c2d-box completion zsh > ~/.zfunc/_c2d-box\n"
    "c2d-box completion fish > ~/.config/fish/completions/c2d-box.fish",
    name="completion",
)
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def completion(shell: str | None) -> None:
    """The script with which a shell completes commands and options, and, of a box that answers within a
    second, short ids and names. SHELL is that of $SHELL where it is left out.

    The line of the example in ~/.bashrc or ~/.zshrc makes it last.
    """
    from click.shell_completion import get_completion_class

    from c2d_box.errors import UsageError

    name = shell or Path(os.environ.get("SHELL", "")).name
    script = get_completion_class(name) if name in SHELLS else None
    if script is None:
        raise UsageError(
            "C2D-USAGE",
            f"there is no completion for the shell {name or '(unknown)'}",
            "name bash, zsh or fish",
        )
    click.echo(script(root, {}, PROGRAM, COMPLETION).source())
