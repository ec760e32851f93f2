"""``config``: shows, changes and checks the box file in the home of a box.

Nothing here touches the cluster: the file is a wish that the next ``up`` fulfils.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from c2d_box.errors import UsageError
from c2d_box.files import replace_file
from c2d_box.strict_json import JsonRefused
from c2d_box.strict_yaml import parse_yaml
from sandbox.box import Box
from sandbox.box_file.changes import SettingChange, setting_changes
from sandbox.box_file.editing import text_with_value
from sandbox.box_file.key_lines import KeyPath
from sandbox.box_file.reading import parse_box_file, read_box_file, read_box_text, unknown_key_text
from sandbox.box_file.rendering import render_box_file
from sandbox.box_file.schema import BoxFile
from sandbox.box_file.settings_mapping import file_from_settings, settings_from_file


@dataclass(frozen=True, slots=True)
class ConfigReport:
    """A box file, and what the next ``up`` changes of the box by it."""

    file: Path | None
    """None: there is no file, and the settings are those that the box has."""
    settings: dict[str, Any]
    changes: tuple[SettingChange, ...]


@dataclass(frozen=True, slots=True)
class KeyReport:
    """A key of the box file that was set."""

    file: Path
    key: str
    before: Any
    after: Any
    changes: tuple[SettingChange, ...]


def show_config(box: Box) -> tuple[BoxFile, ConfigReport]:
    """Return the box's file, or one of the settings that it has, and the report on it."""
    path = box.home.declaration_file
    if not path.exists():
        file = file_from_settings(box.settings)
        return file, ConfigReport(None, file.model_dump(mode="json"), ())
    return read_box_file(path), check_config(box, path)


def check_config(box: Box, path: Path | None = None) -> ConfigReport:
    """Return the report on the file at ``path`` or in the box's home; raise for a bad one, and
    ``C2D-BOXFILE-UNREADABLE`` where there is none. Nothing is changed.
    """
    path = path or box.home.declaration_file
    return _config_report(box, read_box_file(path), path)


def value_at(file: BoxFile, key: str) -> Any:
    """Return the value of a key; raise ``C2D-BOXFILE-KEY`` for one that does not exist."""
    value: Any = file.model_dump(mode="json")
    for name in _known_path(key):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def set_config(box: Box, key: str, text: str) -> KeyReport:
    """Set one key of the file in the home; where there is no file yet it is made of the settings that the box
    has. Comments stay. A value that is refused changes nothing.
    """
    path, given = _known_path(key), box.home.declaration_file
    before = _current_text(box)
    old = value_at(parse_box_file(before, given), key)
    refusal: UsageError | None = None
    # The first reading that makes a good file counts: "8130" is a port, "1.0" perhaps a version.
    for value in _readings(text):
        try:
            edited = text_with_value(before, path, value)
            file = parse_box_file(edited, given)
        except UsageError as problem:
            # The first refusal is told: it is about the reading that the user most likely meant.
            refusal = refusal or problem
            continue
        _write_file(given, edited)
        return KeyReport(given, key, old, value_at(file, key), _config_report(box, file, given).changes)
    # There is at least one reading, and each one has returned or was refused.
    assert refusal is not None
    raise refusal


def edit_config(
    box: Box, edit: Callable[[str], str | None], again: Callable[[UsageError], bool]
) -> ConfigReport | None:
    """Let ``edit`` change the file's text until it is a good file, asking ``again`` about a bad one; None
    where it was left as it was.
    """
    # Read once: ``edit`` gets either this text or the one that was refused.
    path, text = box.home.declaration_file, _current_text(box)
    while True:
        edited = edit(text)
        if edited is None:
            return None
        try:
            file = parse_box_file(edited, path)
        except UsageError as problem:
            if not again(problem):
                raise
            # The editor opens with what the user wrote, faults included, so that no work is lost.
            text = edited
            continue
        _write_file(path, edited)
        return _config_report(box, file, path)


def _config_report(box: Box, file: BoxFile, path: Path) -> ConfigReport:
    """Return the report on a file that was read; a box that was never made has nothing to change."""
    changes: list[SettingChange] = []
    if box.exists:
        changes = setting_changes(
            box.settings, settings_from_file(file, path.absolute().parent, box.settings)
        )
    return ConfigReport(path, file.model_dump(mode="json"), tuple(changes))


def _current_text(box: Box) -> str:
    """Return the text of the file in the home, or one made of the settings that the box has."""
    path = box.home.declaration_file
    return read_box_text(path) if path.exists() else render_box_file(file_from_settings(box.settings))


def _write_file(path: Path, text: str) -> None:
    """Replace the file in one step, so that an interrupted write leaves the old one."""
    # A link to a file of a repository stays one.
    replace_file(path.resolve(), text)


def _known_path(key: str) -> KeyPath:
    """Return the parts of a dotted key; raise ``C2D-BOXFILE-KEY`` for one that is not in the schema."""
    path = tuple(key.split("."))
    section: Any = BoxFile
    for depth, name in enumerate(path):
        fields = getattr(section, "model_fields", None)
        # Below ``values`` are the chart's keys, which its own schema checks.
        if fields is None and path[0] == "values":
            return path
        if fields is None or name not in fields:
            reason = unknown_key_text(path[: depth + 1]) if fields is not None else "there is no such key"
            raise UsageError("C2D-BOXFILE-KEY", f"{key}: {reason}", "c2d-box config show lists all")
        section = fields[name].annotation
    return path


def _readings(text: str) -> Iterator[Any]:
    """Yield what a word of the command line may mean: the value that YAML reads, and the text itself."""
    try:
        # By the parser of the file, so that the command line and the file mean the same.
        value = parse_yaml(text)
    except JsonRefused:
        value = text
    yield value
    # A key of type text may want what YAML takes for a number or a boolean.
    if value != text:
        yield text
