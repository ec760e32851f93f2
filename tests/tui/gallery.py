"""The gallery of docs: which pictures, made by the same tests that compare them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """``keys`` lead from ``screen`` to what is shown."""

    name: str
    screen: str
    keys: tuple[str, ...]
    text: str
    tour: int = -1
    theme: str = "dark"


PICTURES = (
    Picture(
        "dashboard", "dashboard", (), "How the box is, what it costs, what was last run, what to do next."
    ),
    Picture(
        "assets", "assets", (), "Everything that is published; `n` and `a` publish, `e` edits, `x` ends."
    ),
    Picture("publish", "assets", ("n",), "Publishing: the DDO that will be signed stands beside the form."),
    Picture("permissions", "permissions", (), "Who may compute on what, and the reason of each cell."),
    Picture(
        "permit", "permissions", ("j", "enter"), "Permitting: what goes on chain, and the command for it."
    ),
    Picture("trust", "permissions", ("t",), "Trusting further, and what it would mean, in plain words."),
    Picture("simulate", "permissions", ("i",), "What each account would meet, asked of the Provider; free."),
    Picture(
        "launch", "launch", (), "What a job would cost, or why it would be refused, before anything is paid."
    ),
    Picture("jobs", "jobs", (), "Jobs, live; `S` sorts, `/` filters."),
    Picture(
        "job", "jobs", ("down", "enter"), "One job: where its seconds went, its outputs, logs, pods, events."
    ),
    Picture(
        "logs-of-a-job", "jobs", ("l",), "Every container of a running job, live; escape sequences are shown."
    ),
    Picture("outputs", "outputs", ("down",), "Results with a preview: text, CSV, JSON as a tree, images."),
    Picture("logs", "logs", (), "All components in one stream; searchable, and still under a reader."),
    Picture("accounts", "accounts", (), "Roles, balances, datatokens; `f` is the faucet."),
    Picture("chain", "chain", (), "Transactions and blocks with decoded events."),
    Picture("cluster", "cluster", (), "Pods and WorkFlows; `y` YAML, `l` logs."),
    Picture("doctor", "doctor", (), "What the machine lacks, with the fix."),
    Picture("tour", "assets", (), "The guided tour beside the live screens.", tour=1),
    Picture("light", "jobs", (), "Light; there are high contrast and no colour, too.", theme="light"),
)
