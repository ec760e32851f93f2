"""Panes that choose a job's parts, and the pane that checks the combination.

Apart from added datasets no choice is stored: the row under each cursor is the choice, so the lists and the
job can never differ.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from c2d_box.client import JobRequest, SpendingLimits
from c2d_box.errors import C2DError, Refused
from sandbox.verbs.compute.job_output import JobOutput
from tui.backend.port import Ddo
from tui.live.feed import Feed
from tui.screens.assets.view import AssetView
from tui.screens.launch.results import output_text
from tui.widgets.live_table import LiveTable, TableRow
from tui.widgets.pane import ListChanged, Pane
from tui.widgets.reason_tree import reason_tree
from tui.widgets.text import safe_text, short_id

if TYPE_CHECKING:
    from sandbox.verbs.accounts import BoxAccount
    from sandbox.verbs.compute.quotes import AssetPrice


@dataclass(frozen=True)
class JobCheck:
    """The Provider's answer about a job: its prices, or the refusal that a start would meet."""

    prices: Sequence[AssetPrice] = ()
    refusal: C2DError | None = None
    balance: float | None = None
    """OCEAN that the consumer has; None where it is not known."""

    @property
    def token_totals(self) -> dict[str, float]:
        """The sums that are due, in whole tokens by the token's symbol."""
        from sandbox.verbs.compute.quotes import price_totals

        return price_totals(self.prices)

    @property
    def spending_limit(self) -> SpendingLimits:
        """The spending limit that a confirmation of these prices sets: the prices and one per cent more, as
        fees for time differ from one second to the next; and nothing of any other token.
        """
        # 18 decimals are those of OCEAN; of a token with fewer, the rest is rounded down.
        most = tuple(f"{amount * 1.01:.18f}:{token}" for token, amount in self.token_totals.items())
        # Limits of nothing would allow everything; for a free job the limit is 0.
        return SpendingLimits(most or ("0",))

    def start_problems(self, accounts_key: str) -> tuple[str, ...]:
        """Return the reasons why the job would not start, known before anything is paid. ``accounts_key``
        opens the screen where there is test money.
        """
        if self.refusal is not None:
            return (f"{self.refusal.code}: {self.refusal.message}",)
        due = self.token_totals.get("OCEAN", 0.0)
        if self.balance is not None and due > self.balance:
            return (
                f"{due:g} OCEAN are due and {self.balance:g} are there: {accounts_key}, f gives test money",
            )
        return ()

    @property
    def payment_lines(self) -> tuple[str, ...]:
        """The amounts that are paid, one line per token."""
        return tuple(
            f"{amount:g} {token} are paid and do not come back" for token, amount in self.token_totals.items()
        )

    def price_lines(self, names: Mapping[str, str]) -> tuple[str, ...]:
        """Return one line per asset with its price."""
        return tuple(_price_line(price, names) for price in self.prices)


def _account_balance(accounts: Sequence[BoxAccount], who: str) -> float | None:
    """Return the OCEAN of the account; ``who`` may be a role, an address or an index."""
    for account in accounts:
        if who in (account.role, account.address, str(account.index)):
            return account.ocean
    return None


def _price_line(price: AssetPrice, names: Mapping[str, str]) -> str:
    """Return an asset's price with every fee in its own token; fees may be due even where the asset
    is free.
    """
    name = names.get(price.did, short_id(price.did))
    if price.action == "none":
        return f"{name}: an earlier order still covers it"
    fee = f" + {price.fee:g} {price.fee_token} fee" if price.fee else ""
    if price.market_fee:
        fee = f" + {price.market_fee:g} {price.market_token} for its market{fee}"
    cost = f"{price.price:g} {price.token}" if price.price else "free"
    return f"{name}: {'extended, ' if price.action == 'extend' else ''}{cost}{fee}"


class ChoicePane(Pane):
    """Assets of one kind; the row under the cursor is the choice, ``added`` are further datasets."""

    def __init__(self, title: str, feed: Feed[list[Ddo]], kind: str, id: str) -> None:
        super().__init__(title, feed, id=id)
        self._kind = kind
        self.added: list[str] = []

    def compose_body(self) -> ComposeResult:
        """Compose the table. It has no id, so its widths are not remembered: there are two of it on the
        screen.
        """
        yield LiveTable("name", "price", "did")

    @property
    def chosen_asset(self) -> str:
        """The DID under the cursor, empty while the list is."""
        row = self.query_one(LiveTable).selected_row
        return row.key if row else ""

    def toggle_asset(self) -> None:
        """Add the asset under the cursor to the job, or remove it again."""
        did = self.chosen_asset
        if did in self.added:
            self.added.remove(did)
        elif did:
            self.added.append(did)
        self.show_again()

    def show_value(self, value: list[Ddo]) -> None:
        """Draw the assets of this pane's kind. A new list may have another row under the cursor, so the
        screen is told.
        """
        # Ended assets are listed too: the check says why they cannot be used.
        views = [view for view in map(AssetView.from_ddo, value) if view.kind == self._kind]
        rows = []
        for view in views:
            mark = "+ " if view.did in self.added else ""
            rows.append(TableRow(view.did, (f"{mark}{view.name}", view.price, short_id(view.did))))
        self.query_one(LiveTable).show_rows(rows)
        self.post_message(ListChanged())


class EnvironmentPane(Pane):
    """The environments that the job may run in."""

    def compose_body(self) -> ComposeResult:
        yield LiveTable("environment", "cpu", "ram", "price", "longest")

    @property
    def chosen_environment(self) -> str:
        """The id under the cursor, empty while the list is: the Provider's client then chooses one."""
        row = self.query_one(LiveTable).selected_row
        return row.key if row else ""

    def show_value(self, value: list[Mapping[str, Any]]) -> None:
        """Draw the environments. Keys are those of Ocean's API; one that an environment lacks leaves its cell
        open.
        """
        self.query_one(LiveTable).show_rows(
            TableRow(
                str(env["id"]),
                (
                    str(env["id"]),
                    str(env.get("cpuNumber", "")),
                    f"{env.get('ramGB', '?')} GB",
                    str(env.get("priceMin") or "free"),
                    f"{env.get('maxJobDuration', '?')} s",
                ),
            )
            for env in value
        )
        self.post_message(ListChanged())


class CheckPane(Pane):
    """Asks the Provider for prices or refusal of the chosen job; pays nothing."""

    # Class attributes as defaults: they are replaced as a whole, never changed in place.
    parameters: Mapping[str, Any] = {}
    """Parameters of the algorithm, besides its inputs."""
    output = JobOutput()

    def compose_body(self) -> ComposeResult:
        with VerticalScroll():
            yield Static("Choose a dataset and an algorithm.", id="verdict", markup=False)

    @property
    def last_check(self) -> JobCheck | None:
        """The last answer about the current choice; None while there is none."""
        return self.feeds[0].reading.value if self.feeds else None

    def check_job(self, wanted: JobRequest) -> None:
        """Switch to this job: ask about it now and again while the pane is shown."""
        self.pause_feeds()
        app = self.box_app

        def ask() -> JobCheck:
            try:
                prices = app.source.quote_job(app.consumer, wanted)
            except Refused as refusal:
                # A refusal is an answer, to be shown with its reasons; an outage stays an error of the feed.
                return JobCheck(refusal=refusal)
            return JobCheck(prices, balance=_account_balance(app.source.list_accounts(), app.consumer))

        self.query_one("#verdict", Static).update("asking the Provider …")
        self.feeds = (app.feeds.make_feed("check", ask, 10.0),)
        self.resume_feeds()

    def show_value(self, check: JobCheck) -> None:
        """Draw the verdict: the refusal with its reasons, or prices, balance, parameters and what becomes of
        the results.
        """
        drawn = Text()
        # The same text that a start would meet, with the Provider's tree of reasons below it.
        if check.refusal is not None:
            drawn.append("✗ this would be refused\n\n", "bold")
            drawn.append(f"{safe_text(check.refusal.code)}\n{safe_text(check.refusal.message)}\n")
            if check.refusal.next_step:
                drawn.append(f"\nnext: {safe_text(check.refusal.next_step)}\n")
            drawn.append_text(reason_tree(check.refusal.details.get("reasons")))
        else:
            drawn.append("✓ the Provider would start it\n\n", "bold")
            for line in check.price_lines(self.box_app.feeds.asset_names):
                drawn.append(f"{safe_text(line)}\n")
            total = (
                ", ".join(f"{amount:g} {token}" for token, amount in check.token_totals.items()) or "nothing"
            )
            drawn.append(f"\nto pay:  {total}\n", "bold")
            if check.balance is not None:
                drawn.append(f"you have {check.balance:g} OCEAN ({self.box_app.consumer})\n")
            # The Provider knows nothing of the balance: the chain would refuse the order later.
            problems = check.start_problems(self.box_app.key_of("accounts"))
            for problem in problems:
                drawn.append(f"✗ {safe_text(problem)}\n", "bold")
            if self.parameters:
                drawn.append(f"\nparameters: {safe_text(json.dumps(dict(self.parameters)))}\n")
            drawn.append(f"\n{output_text(self.output)}\n")
            drawn.append("e encrypts them, a makes an asset\n", "dim")
            if not problems:
                drawn.append("\ns orders and starts, after asking")
        self.query_one("#verdict", Static).update(drawn)
