"""The launch screen: choose dataset, algorithm and environment, see the price or the refusal, then start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import DataTable

from c2d_box.client import JobRequest
from sandbox.verbs.compute.job_output import JobOutput
from tui.actions.action import UserAction
from tui.screens.launch import results
from tui.screens.launch.parameters import ParametersDialog
from tui.screens.launch.scripts import script_form
from tui.screens.launch.widgets import CheckPane, ChoicePane, EnvironmentPane, JobCheck
from tui.widgets.base_screen import BoxScreen
from tui.widgets.live_table import LiveTable


class LaunchScreen(BoxScreen):
    """The launch screen. Nothing is paid before the check has been seen and confirmed.

    The check runs when the cursor rests, so that walking through a list does not ask the Provider for every
    row.
    """

    NAME = "launch"
    CSS = """
    #datasets, #algorithms { height: 2fr; }
    #environments { height: 1fr; min-height: 5; }
    #check { width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "start", "Start", id="launch.start"),
        Binding("space", "add", "Add", id="launch.add"),
        Binding("n", "script", "Script", id="launch.script"),
        Binding("p", "parameters", "Parameters", id="launch.parameters"),
        Binding("e", "encrypt", "Encrypt results", show=False, id="launch.encrypt"),
        Binding("a", "asset", "Results as an asset", show=False, id="launch.asset"),
        # Named here so that the help lists it.
        Binding("tab", "app.focus_next", "Next", show=False, id="launch.next"),
        Binding("c", "as_command", "As command", id="launch.command"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._soon: Timer | None = None
        # The job and the account of the last check: the same pair is not asked about twice.
        self._checked: tuple[JobRequest, str] | None = None

    def compose_body(self) -> ComposeResult:
        """Compose the three lists and the check beside them. Both lists of assets share one feed."""
        feeds = self.box_app.feeds
        with Horizontal():
            with Vertical():
                yield ChoicePane("1 Dataset", feeds.assets, "dataset", id="datasets")
                yield ChoicePane("2 Algorithm", feeds.assets, "algorithm", id="algorithms")
                yield EnvironmentPane("3 Environment", feeds.environments, id="environments")
            yield CheckPane("Check, nothing paid yet", id="check")

    def on_mount(self) -> None:
        """Begin in the first list, as the panes' titles count."""
        self.query_one("#datasets", ChoicePane).query_one(LiveTable).focus()

    @property
    def chosen_job(self) -> JobRequest | None:
        """The chosen assets and environment; None while dataset or algorithm is missing.

        Parameters and output are left out: they change neither price nor verdict, and would start a new check
        each.
        """
        datasets = self.query_one("#datasets", ChoicePane)
        dataset, algorithm = datasets.chosen_asset, self.query_one("#algorithms", ChoicePane).chosen_asset
        if not dataset or not algorithm:
            return None
        # The dataset under the cursor may have been added before; it must not be ordered twice.
        more = tuple(did for did in datasets.added if did != dataset)
        return JobRequest(
            dataset, algorithm, more, self.query_one(EnvironmentPane).chosen_environment or None
        )

    @property
    def wanted_job(self) -> JobRequest | None:
        """The chosen job with its parameters and what becomes of its results."""
        chosen, pane = self.chosen_job, self.query_one(CheckPane)
        if chosen is None:
            return None
        return replace(chosen, parameters=pane.parameters or None, output=pane.output.sdk_output())

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """Check the new choice once the cursor rests."""
        self._check_soon()

    def on_list_changed(self) -> None:
        """Check when a list arrives: its first row is chosen without a key press."""
        self._check_soon()

    def on_data_table_row_selected(self, _event: DataTable.RowSelected) -> None:
        """Go to the next list: enter confirms a choice and never starts a job."""
        self.app.action_focus_next()

    @property
    def is_waiting(self) -> bool:
        """True while a check is scheduled for when the cursor rests."""
        return self._soon is not None

    def _check_soon(self) -> None:
        """Schedule a check; a check scheduled before is put off again."""
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(0.2, self._check_job)

    def _check_job(self) -> None:
        """Ask about the choice, unless the last check was about the same job and account."""
        self._soon = None
        chosen = self.chosen_job
        if chosen is not None and (key := (chosen, self.box_app.consumer)) != self._checked:
            self._checked = key
            self.query_one(CheckPane).check_job(chosen)

    def on_screen_resume(self) -> None:
        """Check again: assets or the account may have changed while another screen was shown."""
        self._check_soon()

    def action_add(self) -> None:
        """Add the dataset under the cursor to the job, or take it away: a job may have several."""
        self.query_one("#datasets", ChoicePane).toggle_asset()
        self._check_soon()

    def copied_text(self) -> str:
        """Return the command that starts this job."""
        return self.box_app.command_line(self._command_words())

    def _command_words(self) -> str:
        """Return the words of ``c2d-box start``; without a choice, those that explain it."""
        wanted = self.wanted_job
        return "start --help" if wanted is None else wanted.command_line()

    @property
    def job_parameters(self) -> Mapping[str, Any]:
        """The algorithm's parameters. The check pane keeps them, as it shows them."""
        return self.query_one(CheckPane).parameters

    def action_parameters(self) -> None:
        """Edit the parameters; the job is not checked again, since they do not change its price."""
        self.app.push_screen(ParametersDialog(self.job_parameters), self._set_parameters)

    def action_encrypt(self) -> None:
        """Switch encryption on or off. It excludes an asset of the results, so that choice is dropped."""
        self._set_output(JobOutput(encrypt=not self.query_one(CheckPane).output.encrypt))

    def action_asset(self) -> None:
        """Open the form for an asset of the results."""
        self.app.push_screen(results.asset_form(self.query_one(CheckPane).output), self._set_output)

    def _set_output(self, output: JobOutput | None) -> None:
        """Take the choice; None means that the form was left."""
        if output is not None:
            pane = self.query_one(CheckPane)
            pane.output = output
            pane.show_again()

    def action_script(self) -> None:
        """Open the form of the one-command loop, with the chosen dataset filled in."""
        dids = self.query_one("#datasets", ChoicePane).chosen_asset
        self.box_app.fill_form(script_form(self.box_app, dids))

    def _set_parameters(self, parameters: Mapping[str, Any] | None) -> None:
        """Take the parameters; None means that the dialog was left."""
        if parameters is not None:
            pane = self.query_one(CheckPane)
            pane.parameters = parameters
            pane.show_again()

    def action_as_command(self) -> None:
        self.box_app.copy_command(self._command_words())

    def action_start(self) -> None:
        """Start the job if its check allows it. Without a check there are no prices that the user could have
        seen.
        """
        wanted, check = self.wanted_job, self.query_one(CheckPane).last_check
        if wanted is None or check is None:
            self.notify("choose a dataset and an algorithm; wait for the check", timeout=3)
            return
        problems = check.start_problems(self.box_app.key_of("accounts"))
        if problems:
            self.notify(f"nothing was paid: {problems[0]}", severity="error", markup=False)
            return
        self.box_app.perform_action(self._start_action(wanted, check))

    def _start_action(self, wanted: JobRequest, check: JobCheck) -> UserAction:
        """Return the action that starts the job. The dialog says what is signed, what is paid and what cannot
        be had back.
        """
        app, who, output = self.box_app, self.box_app.consumer, self.query_one(CheckPane).output
        # The dialog shows prices of a moment ago; the limit makes sure that not more is paid.
        limited = replace(wanted, spending=check.spending_limit)
        return UserAction(
            title="Order and start this job?",
            # The command has no limit, so that it can be used again when prices have changed.
            command=app.command_line(wanted.command_line()),
            verb=lambda _ask: app.source.start_job(who, limited),
            effects=(
                f"account {who} signs the orders on the chain",
                *check.price_lines(app.feeds.asset_names),
                *((results.output_text(output),) if output != JobOutput() else ()),
            ),
            losses=check.payment_lines,
            proceed="Order and start",
            pokes=("jobs", "accounts"),
            done=app.note_started,
        )
