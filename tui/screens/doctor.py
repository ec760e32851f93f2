"""The doctor screen: the findings about this machine, each with its evidence and its fix.

Fixes are shown and copied, and never run from here: they change the machine and not the box.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Static

from sandbox.doctor.finding import Finding
from tui.widgets.base_screen import BoxScreen
from tui.widgets.live_table import LiveTable, TableRow
from tui.widgets.pane import Pane
from tui.widgets.text import plain_text

MARKS = {"ok": "✓", "warning": "!", "problem": "✗"}
TONES = {"ok": "good", "warning": "warn", "problem": "bad"}


class FindingsPane(Pane):
    """The table of findings, and below it the evidence and the fix of the one under the cursor. Filling it
    takes seconds: each check looks at the machine anew.
    """

    def compose_body(self) -> ComposeResult:
        yield LiveTable("check", "evidence", id="findings")
        yield Static(id="fix", markup=False)

    def on_mount(self) -> None:
        self.focus_first(self.query_one(LiveTable))

    def show_value(self, findings: list[Finding]) -> None:
        """Draw the findings in the doctor's order, problems first."""
        self.query_one(LiveTable).show_rows(
            TableRow(f.id, (f"{MARKS[f.level]} {f.title}", f.evidence), TONES[f.level], f.fix)
            for f in _distinct_findings(findings)
        )
        # Problems are counted over all findings, also those that share an id.
        problems = sum(finding.level == "problem" for finding in findings)
        warnings = sum(finding.level == "warning" for finding in findings)
        self.border_title = f"Doctor: {problems} problems, {warnings} warnings"
        self.tell_fix()

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """Show the fix of the row that the cursor has come to."""
        self.tell_fix()

    def tell_fix(self) -> None:
        """Show the finding under the cursor in full; the fix travels in the row's search text, so the filter
        finds it too.
        """
        row = self.query_one(LiveTable).selected_row
        if row is None:
            return
        fix = f"fix: {row.search}" if row.search else "nothing to do"
        # The suffix that made the key unique is no part of the id.
        text = f"{row.key.partition('#')[0]}\n{row.cells[1]}\n{fix}"
        self.query_one("#fix", Static).update(plain_text(text))


def _distinct_findings(findings: list[Finding]) -> list[Finding]:
    """Make the ids unique, as they are row keys: a second finding of one id gets ``#2`` behind
    it, and so on.
    """
    seen: dict[str, int] = {}
    distinct: list[Finding] = []
    for finding in findings:
        count = seen[finding.id] = seen.get(finding.id, 0) + 1
        distinct.append(finding if count == 1 else replace(finding, id=f"{finding.id}#{count}"))
    return distinct


class DoctorScreen(BoxScreen):
    """The doctor screen."""

    NAME = "doctor"
    CSS = "#fix { height: auto; max-height: 8; border-top: solid $primary; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("c", "as_command", "As command", id="doctor.command")]

    def compose_body(self) -> ComposeResult:
        yield FindingsPane("Doctor", self.box_app.feeds.findings, id="doctor")

    def copied_text(self) -> str:
        """Return the fix, which is mostly a command line; without one the evidence."""
        row = self.active_table.selected_row if self.active_table is not None else None
        return (row.search or row.cells[1]) if row else ""

    def action_as_command(self) -> None:
        self.box_app.copy_command("doctor")
