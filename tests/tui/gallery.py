"""The gallery of docs: the pictures with which the tests compare the screens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """``test`` is the name of the test (with its cell) that made it."""

    test: str
    text: str


PICTURES = {
    "dashboard": Picture("test_a_screen[dashboard-120x40-normal]", "How the box is, and what to do next."),
    "boot": Picture("test_a_box_that_boots[size1]", "The step graph of a box that boots."),
    "tour": Picture("test_what_a_key_opens[tour]", "The guided tour on the live screens."),
    "assets": Picture("test_a_screen[assets-120x40-normal]", "What is published; `n` and `a` publish."),
    "permissions": Picture("test_a_screen[permissions-120x40-normal]", "Who may compute on what, and why."),
    "permit": Picture("test_what_a_key_opens[permit]", "What goes on chain, before a yes."),
    "trust": Picture("test_what_a_key_opens[trust]", "Trusting further, in plain words."),
    "simulate": Picture("test_what_a_key_opens[simulate]", "What each account would meet."),
    "launch": Picture("test_a_screen[launch-120x40-normal]", "What it costs, before anything is paid."),
    "jobs": Picture("test_a_screen[jobs-120x40-normal]", "Jobs, live; `S` sorts, `/` filters."),
    "logs of a job": Picture("test_what_a_key_opens[job_logs]", "Each container of a job, live."),
    "explanation of a job": Picture("test_what_a_key_opens[job_explained]", "How it ended, in words."),
    "evidence of a job": Picture(
        "test_what_a_key_opens[job_evidence]", "What ran, held against its sources."
    ),
    "outputs": Picture("test_a_screen[outputs-120x40-normal]", "Results with a preview."),
    "logs": Picture("test_a_screen[logs-120x40-normal]", "All components in one searchable stream."),
    "accounts": Picture("test_a_screen[accounts-120x40-normal]", "Roles, balances, datatokens, faucet."),
    "chain": Picture("test_a_screen[chain-120x40-normal]", "Transactions with decoded events."),
    "cluster": Picture("test_a_screen[cluster-120x40-normal]", "Pods and WorkFlows; `y` YAML, `l` logs."),
    "doctor": Picture("test_a_screen[doctor-120x40-normal]", "What the machine lacks, with the fix."),
}
