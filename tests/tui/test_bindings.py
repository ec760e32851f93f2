"""Every key does what it says: each binding of each class is pressed where it can be met.

The table must name every binding there is; a key without a line here fails the suite.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import DirectoryTree, TabbedContent, TextArea

from tests.conftest import sample_cells
from tests.tui.bindings import bound_keys
from tests.tui.key_steps import Settle, wait_until
from tui.app import BoxApp
from tui.runtime.screen_table import SCREENS
from tui.screens.outputs.trees import JsonTree
from tui.widgets.header import TopLine
from tui.widgets.live_table import LiveTable
from tui.widgets.log_view import LogView
from tui.widgets.tour import TourBar

Check = Callable[[BoxApp], object]
SIZE = (120, 40)
KEYS = {f"{key.where} {key.id}": key for key in bound_keys()}


@dataclass(frozen=True)
class Case:
    """On ``screen``, after ``before``, the key makes ``check`` true (which it was not)."""

    screen: str
    before: tuple[str, ...]
    check: Check
    prepare: Callable[[Any], object] = lambda recorded: None
    memory: Callable[[BoxApp], object] = lambda app: None


def on(name: str) -> Check:
    """A screen or dialog of this class is on top."""
    return lambda app: type(app.screen).__name__ == name


def mode(name: str) -> Check:
    return lambda app: app.current_mode == name and len(app.screen_stack) == 1


def copied(words: str) -> Check:
    return lambda app: words in app.clipboard


def _table(app: BoxApp) -> LiveTable:
    return app.focused if isinstance(app.focused, LiveTable) else app.screen.query(LiveTable).first()


def row(number: int) -> Check:
    return lambda app: _table(app).cursor_coordinate.row == number


def log(check: Callable[[LogView], object]) -> Check:
    return lambda app: check(app.screen.query_one(LogView))


def focused(kind: str) -> Check:
    return lambda app: app.focused is not None and (kind in (app.focused.id, type(app.focused).__name__))


def tab(name: str) -> Check:
    return lambda app: app.screen.query_one(TabbedContent).active == name


def shows(query: str) -> Check:
    return lambda app: app.screen.query_one(query).display


def _long_log(recorded: Any) -> None:
    recorded.log_lines = {"provider": [f"2026-01-01T00:00:00Z INFO line {n}" for n in range(200)]}


def _stopped(recorded: Any) -> None:
    recorded.state = "stopped"


def _absent(recorded: Any) -> None:
    recorded.state = "absent"


def _touring(app: BoxApp) -> None:
    app.memory.tour = 3


def _filtered(app: BoxApp) -> None:
    app.memory.filters["assets"] = "pat"


JOB = ("down", "enter")
OUTPUT = ("down", "down")
PREVIEW = (*OUTPUT, "down", "down", "enter")
FORM = ("n",)
FOUND = ("slash", "5", "enter", "g")
BOOT = ("enter", "right", "enter")
CASES = {
    "AccountsScreen accounts.act": Case("accounts", ("down",), lambda app: app.chosen_account is not None),
    "AccountsScreen accounts.roles": Case(
        "accounts", ("down", "enter"), lambda app: app.chosen_account is None
    ),
    "AccountsScreen accounts.faucet": Case("accounts", (), on("FormDialog")),
    "AccountsScreen accounts.command": Case("accounts", (), copied("c2d-box accounts")),
    "ActionDialog dialog.cancel": Case("jobs", ("x",), mode("jobs")),
    "ActionDialog dialog.copy": Case("jobs", ("x",), copied("c2d-box stop")),
    "ActionDialog dialog.previous": Case("jobs", ("x",), focused("copy")),
    "ActionDialog dialog.next": Case("jobs", ("x",), focused("proceed")),
    "AskLine line.cancel": Case("outputs", ("o",), mode("outputs")),
    "AssetScreen asset.down": Case(
        "assets", ("enter",), lambda app: app.screen.query_one("VerticalScroll").scroll_offset.y == 1
    ),
    "AssetScreen asset.up": Case(
        "assets", ("enter", "j", "j"), lambda app: app.screen.query_one("VerticalScroll").scroll_offset.y == 1
    ),
    "AssetScreen asset.edit": Case("assets", ("enter",), on("FormDialog")),
    "AssetScreen asset.end": Case("assets", ("enter",), on("ActionDialog")),
    "AssetScreen asset.command": Case("assets", ("enter",), copied("assets --json")),
    "AssetsScreen assets.dataset": Case("assets", (), on("FormDialog")),
    "AssetsScreen assets.algorithm": Case("assets", (), on("FormDialog")),
    "AssetsScreen assets.edit": Case("assets", (), on("FormDialog")),
    "AssetsScreen assets.end": Case("assets", (), on("ActionDialog")),
    "AssetsScreen assets.command": Case("assets", (), copied("c2d-box assets")),
    "BootScreen boot.up": Case("dashboard", (), on("ActionDialog"), _stopped),
    "BootScreen boot.back": Case("dashboard", (), mode("dashboard"), _stopped),
    **{
        f"BoxApp screen.{name}": Case("doctor" if name == "jobs" else "jobs", (), mode(name))
        for name in SCREENS
    },
    "BoxApp app.help": Case("jobs", (), on("HelpDialog")),
    "BoxApp app.command": Case("jobs", (), on("CommandLine")),
    "BoxApp app.tour": Case("jobs", (), lambda app: app.screen.query_one(TourBar).display),
    "BoxApp tour.next": Case("jobs", (), lambda app: app.memory.tour == 4, memory=_touring),
    "BoxApp tour.back": Case("jobs", (), lambda app: app.memory.tour == 2, memory=_touring),
    "BoxApp app.quit": Case("jobs", (), lambda app: not app.is_running),
    "BoxScreen screen.filter": Case("jobs", (), focused("filter")),
    "BoxScreen screen.refresh": Case("doctor", (), lambda app: app.feeds.findings.answers > 1),
    "BoxScreen screen.copy": Case("jobs", (), copied("1" * 32)),
    "BoxScreen screen.back": Case(
        "assets", (), lambda app: _table(app).shown_counts == (3, 3), memory=_filtered
    ),
    "ChainScreen chain.blocks": Case("chain", (), shows("#blocks")),
    "ChainScreen chain.read": Case("chain", (), focused("VerticalScroll")),
    "ChainScreen chain.command": Case("chain", (), copied("c2d-box chain 0x")),
    "CidScreen cid.command": Case("outputs", ("o", *"Qm1", "enter"), copied("cid Qm1")),
    "ClusterScreen cluster.yaml": Case("cluster", (), on("YamlScreen")),
    "ClusterScreen cluster.logs": Case("cluster", (), on("PodLogScreen")),
    "ClusterScreen cluster.events": Case("cluster", (), shows("#happenings")),
    "ClusterScreen cluster.copy": Case("cluster", (), copied("c2d/provider-0")),
    "ClusterScreen cluster.command": Case("cluster", (), copied("kubectl get pod provider-0")),
    "CommandLine command.close": Case("jobs", ("colon",), mode("jobs")),
    "DashboardScreen box.up": Case("dashboard", (), on("ActionDialog")),
    "DashboardScreen box.down": Case("dashboard", (), on("ActionDialog")),
    "DashboardScreen dashboard.command": Case("dashboard", (), copied("c2d-box status")),
    "DoctorScreen doctor.command": Case("doctor", (), copied("c2d-box doctor")),
    "FilePicker files.cancel": Case("assets", ("n", "ctrl+o"), on("FormDialog")),
    "FilePicker files.down": Case(
        "assets", ("n", "ctrl+o"), lambda app: app.screen.query_one(DirectoryTree).cursor_line == 1
    ),
    "FilePicker files.up": Case(
        "assets", ("n", "ctrl+o", "j", "j"), lambda app: app.screen.query_one(DirectoryTree).cursor_line == 1
    ),
    "FilePicker files.above": Case(
        "assets",
        ("n", "ctrl+o"),
        lambda app: Path(app.screen.query_one(DirectoryTree).path) == Path.cwd().parent,
    ),
    "FormDialog form.cancel": Case("assets", FORM, mode("assets")),
    "FormDialog form.go": Case("accounts", ("f",), on("ActionDialog")),
    "FormDialog form.pick": Case("assets", FORM, on("FilePicker")),
    "HelpDialog help.close": Case("jobs", ("question_mark",), mode("jobs")),
    "HelpDialog help.down": Case(
        "jobs", ("question_mark",), lambda app: app.screen.query_one("VerticalScroll").scroll_offset.y == 1
    ),
    "HelpDialog help.up": Case(
        "jobs",
        ("question_mark", "j", "j"),
        lambda app: app.screen.query_one("VerticalScroll").scroll_offset.y == 1,
    ),
    "AssetsScreen assets.read": Case("assets", (), on("AssetScreen")),
    "JobScreen job.outputs": Case("jobs", (*JOB, "p"), tab("outputs")),
    "JobScreen job.logs": Case("jobs", JOB, tab("logs")),
    "JobScreen job.pods": Case("jobs", JOB, tab("pods")),
    "JobScreen job.events": Case("jobs", JOB, tab("events")),
    "JobScreen job.explain": Case("jobs", JOB, tab("explain")),
    "JobScreen job.verify": Case("jobs", JOB, tab("verify")),
    "JobScreen job.save": Case("jobs", JOB, on("ActionDialog")),
    "JobScreen job.stop": Case("jobs", ("enter",), on("ActionDialog")),
    "JobScreen job.again": Case("jobs", JOB, on("ActionDialog")),
    "JobScreen job.yaml": Case("jobs", JOB, on("YamlScreen")),
    "JobScreen job.command": Case("jobs", JOB, copied("c2d-box job 2222")),
    "JobsScreen jobs.open": Case("jobs", (), on("JobScreen")),
    "JobsScreen jobs.yaml": Case("jobs", (), on("YamlScreen")),
    "JobsScreen jobs.stop": Case("jobs", (), on("ActionDialog")),
    "JobsScreen jobs.logs": Case("jobs", (), lambda app: on("JobScreen")(app) and tab("logs")(app)),
    "JobsScreen jobs.again": Case("jobs", (), on("ActionDialog")),
    "JobsScreen jobs.command": Case("jobs", (), copied("c2d-box jobs")),
    "LaunchScreen launch.start": Case("launch", (), on("ActionDialog")),
    "LaunchScreen launch.add": Case(
        "launch", ("down",), lambda app: str(_table(app).get_row_at(1)[0]).startswith("+")
    ),
    "LaunchScreen launch.script": Case("launch", (), on("FormDialog")),
    "LaunchScreen launch.parameters": Case("launch", (), on("ParametersDialog")),
    "LaunchScreen launch.asset": Case("launch", (), on("FormDialog")),
    "LaunchScreen launch.encrypt": Case("launch", (), lambda app: "--encrypt" in _launch_words(app)),
    "LaunchScreen launch.next": Case(
        "launch", (), lambda app: app.focused is app.screen.query_one("#algorithms").query_one(LiveTable)
    ),
    "LaunchScreen launch.command": Case("launch", (), copied("c2d-box start did:op:")),
    "LiveTable table.down": Case("jobs", (), row(1)),
    "LiveTable table.up": Case("jobs", ("down", "down"), row(1)),
    "LiveTable table.left": Case(
        "permissions", ("right",), lambda app: _table(app).cursor_coordinate.column == 0
    ),
    "LiveTable table.right": Case("permissions", (), lambda app: _table(app).cursor_coordinate.column == 1),
    "LiveTable table.top": Case("jobs", ("down", "down"), row(0)),
    "LiveTable table.bottom": Case("jobs", (), row(2)),
    "LiveTable table.column": Case(
        "jobs", (), lambda app: "underline" in str(_table(app).ordered_columns[1].label.style)
    ),
    "LiveTable table.narrow": Case("jobs", (), lambda app: "job" in app.memory.widths["jobs-table"]),
    "LiveTable table.widen": Case("jobs", (), lambda app: app.memory.widths["jobs-table"].get("job", 0) > 11),
    "LiveTable table.sort": Case(
        "jobs", ("S",), lambda app: str(_table(app).get_row_at(0)[0]).endswith("11111111…") is False
    ),
    "LogView log.down": Case("logs", ("g",), log(lambda view: view.scroll_offset.y == 1), _long_log),
    "LogView log.up": Case(
        "logs", (), log(lambda view: view.scroll_offset.y == view.max_scroll_y - 1), _long_log
    ),
    "LogView log.top": Case("logs", (), log(lambda view: view.scroll_offset.y == 0), _long_log),
    "LogView log.follow": Case("logs", ("g",), log(lambda view: view.following), _long_log),
    "LogView log.next": Case("logs", FOUND, log(lambda view: view.found == 5), _long_log),
    "LogView log.previous": Case("logs", (*FOUND, "n", "n"), log(lambda view: view.found == 5), _long_log),
    "LogView log.trouble": Case("logs", (), log(lambda view: len(view.shown_lines) == 1)),
    "LogsScreen logs.command": Case("logs", (), copied("c2d-box logs")),
    "OutputsScreen outputs.save": Case("outputs", OUTPUT, on("ActionDialog")),
    "OutputsScreen outputs.cid": Case("outputs", (), on("AskLine")),
    "OutputsScreen outputs.read": Case("outputs", OUTPUT, focused("VerticalScroll")),
    "OutputsScreen outputs.command": Case("outputs", OUTPUT, copied("c2d-box results 2222")),
    "ParametersDialog parameters.cancel": Case("launch", ("p",), mode("launch")),
    "ParametersDialog parameters.take": Case(
        "launch", ("p", *"k=3"), lambda app: not app.screen.query(TextArea) and "k=3" in _launch_words(app)
    ),
    "PermissionsScreen permissions.toggle": Case("permissions", (), on("ActionDialog")),
    "PermissionsScreen permissions.trust": Case("permissions", (), on("FormDialog")),
    "PermissionsScreen permissions.simulate": Case("permissions", (), on("SimulationScreen")),
    "PermissionsScreen permissions.command": Case("permissions", (), copied("c2d-box revoke")),
    "PodLogScreen podlog.command": Case("cluster", ("l",), copied("kubectl logs provider-0")),
    "PreviewScreen preview.save": Case("outputs", PREVIEW, on("ActionDialog")),
    "PreviewScreen preview.down": Case(
        "outputs", ("down", "enter"), lambda app: app.screen.query_one(JsonTree).cursor_line == 1
    ),
    "PreviewScreen preview.up": Case(
        "outputs", ("down", "enter", "j", "j"), lambda app: app.screen.query_one(JsonTree).cursor_line == 1
    ),
    "PreviewScreen preview.command": Case("outputs", PREVIEW, copied("c2d-box results 2222")),
    "Question question.no": Case("dashboard", BOOT, on("BootScreen"), _absent),
    "Question dialog.previous": Case("dashboard", BOOT, focused("proceed"), _absent),
    "Question dialog.next": Case("dashboard", BOOT, focused("proceed"), _absent),
    "RunDialog run.close": Case("jobs", ("x", "right", "enter"), mode("jobs")),
    "RunDialog run.copy": Case("jobs", ("x", "right", "enter"), copied("c2d-box stop")),
    "SimulationScreen simulate.command": Case("permissions", ("i",), copied("simulate did:op:")),
    "YamlScreen yaml.command": Case("cluster", ("enter",), copied("kubectl get pod")),
}


def _launch_words(app: BoxApp) -> str:
    from tui.screens.launch.screen import LaunchScreen

    assert isinstance(app.screen, LaunchScreen)
    return app.screen.copied_text()


def test_every_binding_has_a_case() -> None:
    assert set(KEYS) == set(CASES)


def test_no_id_means_two_things() -> None:
    meant: dict[str, set[tuple[str, str]]] = {}
    for key in KEYS.values():
        meant.setdefault(key.id, set()).add((key.key, key.text))
    assert {id: ways for id, ways in meant.items() if len(ways) > 1} == {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "pressed" in metafunc.fixturenames:
        full = bool(metafunc.config.getoption("--full"))
        seed = os.environ.get("C2D_TEST_SEED", "0")
        metafunc.parametrize("pressed", sample_cells(sorted(CASES), 20, seed, full))


async def test_a_key_does_what_it_says(
    pressed: str, opened: Callable[..., BoxApp], settle: Settle, recorded: Any
) -> None:
    case, key = CASES[pressed], KEYS[pressed]
    case.prepare(recorded)
    app = opened(case.screen)
    case.memory(app)
    async with app.run_test(size=(120, 12) if key.where == "HelpDialog" else SIZE) as pilot:
        await settle(pilot)
        for before in case.before:
            await pilot.press(before)
            await settle(pilot)
        assert not case.check(app), "it was so before the key"
        await pilot.press(key.key)
        await wait_until(pilot, lambda: bool(case.check(app)))


async def test_every_key_can_be_another_one(
    opened: Callable[..., BoxApp], settle: Settle, tmp_path: Path
) -> None:
    file = tmp_path / "tui.json"
    file.write_text(json.dumps({"keys": {"jobs.stop": "f5", "table.down": "f6", "dialog.cancel": "f7"}}))
    app = opened("jobs", memory_file=file)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        for key, check in (("f6", row(1)), ("k", row(0)), ("f5", on("ActionDialog")), ("f7", mode("jobs"))):
            await pilot.press(key)
            await wait_until(pilot, lambda check=check: bool(check(app)))  # type: ignore[misc]


async def test_the_screens_tell_the_key_that_the_user_has_bound(
    opened: Callable[..., BoxApp], settle: Settle, recorded: Any, tmp_path: Path
) -> None:
    file = tmp_path / "tui.json"
    file.write_text(json.dumps({"keys": {"screen.launch": "f5"}, "tour": 6}))
    app = opened("jobs", memory_file=file)
    recorded.empty()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        assert "f5Launch" in str(app.screen.query_one(TopLine).render())
        assert "f5 launches one" in str(app.screen.query_one("#empty").render())
        app.tour_to(5)
        assert "f5 then s" in str(app.screen.query_one(TourBar).render())
        await pilot.press("f5")
        await wait_until(pilot, lambda: app.current_mode == "launch")


async def test_the_header_shows_every_key_however_long_they_are(
    opened: Callable[..., BoxApp], settle: Settle, tmp_path: Path
) -> None:
    file, bound = tmp_path / "tui.json", {name: f"f{n}" for n, name in enumerate(SCREENS, 2)}
    file.write_text(json.dumps({"keys": {f"screen.{name}": key for name, key in bound.items()}}))
    app = opened("jobs", memory_file=file)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        line = app.screen.query_one(TopLine).render_line(1).text
        assert [word[: len(key)] for word, key in zip(line.split(), bound.values(), strict=True)] == [
            *bound.values()
        ]
