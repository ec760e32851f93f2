"""The choices of a job, and the check of what they add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from c2d_box.errors import C2DError, Refused
from tui.feeds import Feed
from tui.panes import Pane
from tui.screens.assets.view import AssetView
from tui.tables import LiveTable, Row
from tui.text import plain, safe, short

if TYPE_CHECKING:
    from sandbox.verbs.quotes import Price


@dataclass(frozen=True)
class Check:
    """What the Provider says to the job: prices, or the refusal it would meet."""

    prices: Sequence[Price] = ()
    refusal: C2DError | None = None

    @property
    def totals(self) -> dict[str, float]:
        due: dict[str, float] = {}
        for price in self.prices:
            due[price.token] = due.get(price.token, 0.0) + price.price
            due[price.fee_token] = due.get(price.fee_token, 0.0) + price.fee
        return {token: amount for token, amount in due.items() if amount}

    @property
    def losses(self) -> tuple[str, ...]:
        """What is paid, token by token."""
        return tuple(
            f"{amount:g} {token} are paid and do not come back" for token, amount in self.totals.items()
        )

    def lines(self, names: Mapping[str, str]) -> tuple[str, ...]:
        """A line per asset."""
        return tuple(_price(price, names) for price in self.prices)


def _price(price: Price, names: Mapping[str, str]) -> str:
    name = names.get(price.did, short(price.did))
    if price.action == "none":
        return f"{name}: an earlier order still covers it"
    fee = f" + {price.fee:g} {price.fee_token} fee" if price.fee else ""
    cost = f"{price.price:g} {price.token}" if price.price else "free"
    return f"{name}: {'extended, ' if price.action == 'extend' else ''}{cost}{fee}"


class ChoicePane(Pane):
    """Assets of one kind; the one under the cursor is chosen."""

    def __init__(self, title: str, feed: Feed[Any], kind: str, id: str) -> None:
        super().__init__(title, feed, id=id)
        self._kind = kind
        self.added: list[str] = []

    def body(self) -> ComposeResult:
        yield LiveTable("name", "price", "did")

    @property
    def chosen(self) -> str:
        row = self.query_one(LiveTable).selected
        return row.key if row else ""

    def toggle(self) -> None:
        """Add the one under the cursor to the job, or take it out again."""
        did = self.chosen
        if did in self.added:
            self.added.remove(did)
        elif did:
            self.added.append(did)
        self.again()

    def show(self, value: Any) -> None:
        views = [view for view in map(AssetView.of, value or []) if view.kind == self._kind]
        rows = []
        for view in views:
            mark = "+ " if view.did in self.added else ""
            rows.append(Row(view.did, (f"{mark}{view.name}", view.price, short(view.did))))
        self.query_one(LiveTable).show(rows)


class EnvironmentPane(Pane):
    """Where the job may run."""

    def body(self) -> ComposeResult:
        yield LiveTable("environment", "cpu", "ram", "price", "longest")

    @property
    def chosen(self) -> str:
        row = self.query_one(LiveTable).selected
        return row.key if row else ""

    def show(self, value: Any) -> None:
        self.query_one(LiveTable).show(
            Row(
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


class CheckPane(Pane):
    """Asks the Provider what it would say; pays nothing."""

    def body(self) -> ComposeResult:
        with VerticalScroll():
            yield Static("Choose a dataset and an algorithm.", id="verdict", markup=False)

    @property
    def result(self) -> Check | None:
        """The last answer for what is chosen now."""
        return self.feeds[0].reading.value if self.feeds else None

    def check(self, dataset: str, algorithm: str, more: Sequence[str], environment: str | None) -> None:
        """Ask about this job from now on."""
        self.pause()
        app = self.box_app

        def ask() -> Check:
            try:
                return Check(app.source.quote(app.consumer, dataset, algorithm, more, environment))
            except Refused as refusal:
                return Check(refusal=refusal)

        self.query_one("#verdict", Static).update("asking the Provider …")
        self.feeds = (app.feeds.one("check", ask, 10.0),)
        self.resume()

    def show(self, check: Check) -> None:
        drawn = Text()
        if check.refusal is not None:
            drawn.append("✗ this would be refused\n\n", "bold")
            drawn.append(f"{safe(check.refusal.code)}\n{safe(check.refusal.message)}\n")
            if check.refusal.next_step:
                drawn.append(f"\nnext: {safe(check.refusal.next_step)}\n")
            drawn.append_text(_reasons(check.refusal.details.get("reasons")))
        else:
            drawn.append("✓ the Provider would start it\n\n", "bold")
            for line in check.lines(self.box_app.names):
                drawn.append(f"{safe(line)}\n")
            total = ", ".join(f"{amount:g} {token}" for token, amount in check.totals.items()) or "nothing"
            drawn.append(f"\nto pay: {total}\n", "bold")
            drawn.append("s orders and starts, after asking")
        self.query_one("#verdict", Static).update(drawn)


def _reasons(tree: Any, depth: int = 0) -> Text:
    """The Provider's reason tree, a rule per line."""
    if not isinstance(tree, dict):
        return Text()
    drawn = plain(f"\n{'  ' * depth}{'✓' if tree.get('allowed') else '✗'} {tree.get('text', '')}")
    for inner in tree.get("because", []):
        drawn.append_text(_reasons(inner, depth + 1))
    return drawn
