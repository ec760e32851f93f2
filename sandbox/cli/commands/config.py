"""config: the box file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from c2d_box.errors import UsageError
from sandbox.cli.declare import command, group
from sandbox.cli.opening import for_this_box, the_box
from sandbox.cli.output import print_content, print_json, print_text
from sandbox.display_text import visible_text

if TYPE_CHECKING:
    from sandbox.box_file.changes import SettingChange

EXAMPLES = "c2d-box config show > c2d-box.yaml\nc2d-box config set trust.empty_lists all\nc2d-box up"


@group(EXAMPLES, name="config")
def config() -> None:
    """The box file, c2d-box.yaml in the box's home: what the box is, with comments. `up` applies it."""


@command("c2d-box config show\nc2d-box config show ports.provider", name="show")
@click.argument("key", required=False)
@click.option("--defaults", is_flag=True, help="The file of a box for which nothing was chosen.")
@click.option("--schema", is_flag=True, help="The JSON schema of the file instead, for editors.")
def show(key: str | None, defaults: bool, schema: bool) -> None:
    """Print the file with every key, its value and its meaning, or one KEY's value; where there is no file,
    what the box has. --json: {file, settings, changes}.
    """
    from sandbox.box_file.rendering import render_box_file, value_as_yaml
    from sandbox.box_file.schema import BoxFile, box_file_schema
    from sandbox.verbs.lifecycle.configuration import ConfigReport, show_config, value_at

    if schema:
        print(json.dumps(box_file_schema(), indent=2))
        return
    file, report = BoxFile(), ConfigReport(None, BoxFile().model_dump(mode="json"), ())
    if not defaults:
        file, report = show_config(the_box())
    if key is not None:
        value = value_at(file, key)
        if not print_json(value):
            print_text(value_as_yaml(value))
    elif not print_json(report):
        print_content(render_box_file(file).encode())
        _narrate_changes(report.changes)


@command(
    "c2d-box config set ports.provider 18030\nc2d-box config set origins '[http://localhost:3000]'",
    name="set",
)
@click.argument("key")
@click.argument("value")
def set_key(key: str, value: str) -> None:
    """Set KEY to VALUE (text, number, YAML; null takes it away) in the file; comments stay. The next `up`
    applies it.
    """
    from sandbox.box_file.changes import value_text
    from sandbox.verbs.lifecycle.configuration import set_config

    report = set_config(the_box(), key, value)
    if not print_json(report):
        print_text(f"{key}: {value_text(report.before)} → {value_text(report.after)}, in {report.file}")
        _narrate_changes(report.changes)


@command("EDITOR=nano c2d-box config edit", name="edit")
def edit() -> None:
    """Open the file in your editor. What is saved is checked, and written only when it is good."""
    from sandbox.verbs.lifecycle.configuration import edit_config

    def ask_again(problem: UsageError) -> bool:
        print(visible_text(problem.message), file=sys.stderr)
        return sys.stdin.isatty() and click.confirm("Edit it again?", default=True, err=True)

    report = edit_config(the_box(), lambda text: click.edit(text, extension=".yaml"), ask_again)
    if report is None:
        print("nothing was changed", file=sys.stderr)
    elif not print_json(report):
        print_text(f"wrote {report.file}")
        _narrate_changes(report.changes)


@command("c2d-box config check\nc2d-box config check ./c2d-box.yaml", name="check")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
def check(file: Path | None) -> None:
    """Check FILE, or the one in the box's home: what is wrong with line and reason (status 2), or what `up`
    would change. Nothing is changed.
    """
    from sandbox.verbs.lifecycle.configuration import check_config

    report = check_config(the_box(), file)
    if not print_json(report):
        print_text(f"{report.file} is good")
        _narrate_changes(report.changes)


def _narrate_changes(changes: Iterable[SettingChange]) -> None:
    """Say on stderr what the next ``up`` changes of the box."""
    lines = list(changes)
    if lines:
        print(for_this_box("c2d-box up will change:"), file=sys.stderr)
    for change in lines:
        print(visible_text(f"  {change.describe_change(is_running=True)}"), file=sys.stderr)


for _subcommand in (show, set_key, edit, check):
    config.add_command(_subcommand)
