"""The simulation screen: the Provider's answer to each account if it started this job now.
Nothing is paid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Static

from sandbox.verbs.accounts import ROLES
from tui.widgets.base_screen import BoxScreen
from tui.widgets.live_table import LiveTable, TableRow
from tui.widgets.pane import Pane
from tui.widgets.reason_tree import reason_tree
from tui.widgets.text import plain_text

if TYPE_CHECKING:
    from sandbox.verbs.publishing.trust import JobSimulation


class SimulationsPane(Pane):
    """A row per account; below, the whole answer to the account under the cursor."""

    def compose_body(self) -> ComposeResult:
        yield LiveTable("consumer", "verdict", "to pay", id="simulations-table")
        with VerticalScroll(id="answer-scroll"):
            yield Static(id="answer", markup=False)

    def on_mount(self) -> None:
        self.query_one(LiveTable).focus()

    def show_value(self, value: list[JobSimulation]) -> None:
        """Draw the answers, then the one under the cursor in full."""
        self.query_one(LiveTable).show_rows(map(_simulation_row, value))
        self.show_pointed()

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """Show the whole answer to the account that the cursor has come to."""
        self.show_pointed()

    def show_pointed(self) -> None:
        """Show the answer to the account under the cursor, with the Provider's tree of reasons."""
        row = self.query_one(LiveTable).selected_row
        known: list[JobSimulation] = self.feeds[0].reading.value or []
        seen = next((each for each in known if row and each.consumer == row.key), None)
        if seen is None:
            return
        text = "✓ the Provider would start it" if seen.allowed else f"✗ {seen.code}\n{seen.text}"
        drawn = plain_text(f"{text}\n" + (f"next: {seen.next_step}\n" if seen.next_step else ""))
        self.query_one("#answer", Static).update(drawn.append_text(reason_tree(seen.reasons)))


def _simulation_row(seen: JobSimulation) -> TableRow:
    """Return an account's row; a refusal has no price, as nothing would be ordered."""
    from sandbox.verbs.compute.quotes import price_totals

    due = price_totals(seen.prices)
    cost = ", ".join(f"{amount:g} {token}" for token, amount in due.items()) or "nothing"
    verdict = "✓ would start" if seen.allowed else f"✗ {seen.code}"
    return TableRow(
        seen.consumer,
        (seen.consumer, verdict, cost if seen.allowed else "-"),
        "good" if seen.allowed else "bad",
    )


class SimulationScreen(BoxScreen):
    """Simulates one dataset and one algorithm for every role."""

    NAME = "permissions"
    CSS = """
    #answer-scroll { height: 1fr; border-top: solid $primary; }
    #answer { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "as_command", "As command", id="simulate.command"),
    ]

    def __init__(self, dataset: str, algorithm: str, title: str) -> None:
        super().__init__()
        self.dataset, self.algorithm, self.heading = dataset, algorithm, title

    def compose_body(self) -> ComposeResult:
        source, pair = self.box_app.source, (self.dataset, self.algorithm)
        # The acting consumer first, then every role, each once.
        who = list(dict.fromkeys([self.box_app.consumer, *ROLES]))

        def ask() -> list[JobSimulation]:
            # One question to the Provider per account, so the feed below asks only every 30 seconds.
            return [source.simulate_job(role, *pair) for role in who]

        yield SimulationsPane(
            self.heading, self.box_app.feeds.make_feed("simulations", ask, 30.0), id="simulations"
        )

    def action_as_command(self) -> None:
        """Copy the command that simulates as the account under the cursor."""
        row = self.active_table.selected_row if self.active_table is not None else None
        words = f"simulate {self.dataset} {self.algorithm}"
        self.box_app.copy_text(self.box_app.source.command_line(words, row.key if row else ""))
