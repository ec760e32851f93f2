"""Writes docs/clients.md: endpoint × version × passed, and step × version, from what a run saw."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.clients.oceanjs_runs import CHAPTERS, Runs, Step

DOCS = Path(__file__).parents[2] / "docs" / "clients.md"

BY_HAND = {"token instead of a signature", "decrypt", "validate a container"}
"""Steps whose requests the library only finds and signs, because it has no call for them."""

_INTRODUCTION = """# Real clients against the box

Written by `pytest tests/clients --write-docs`; do not edit. ocean.js as published on npm, unmodified, by
its public calls. Every step runs against a real chain, metadata cache and Provider; operator-service is a
small one of the tests, so jobs do not run in a cluster here.

"""

_ENDPOINTS = """## Endpoints

Passed: of the steps that called the endpoint, how many did what they should, refusals included.
\\* not called by the library: found and signed by it, sent by hand.

"""

_STEPS = """## Steps

`permit first`: a Provider as the box sets it up, where nobody may compute before a publisher permits it.
`unmodified`: a Provider with `trust.emptyLists` set to `all`, as the original behaves.

"""


_OTHERS = """## Other clients

web3.py talks to the chain with the published ABIs, and to the Provider with its own signatures;
ipfshttpclient to Kubo as the chart configures it. ocean.py 3.1.2 needs Python 3.10 and is not run here.

"""

Outcomes = dict[tuple[str, str], str]
"""How each test of another client ended, by client and name of the test."""


def write(runs: Runs, others: Outcomes) -> None:
    """Replace the page by what this session saw."""
    DOCS.write_text("\n".join([_INTRODUCTION + _endpoints(runs), _steps(runs), _others(others)]))


def _others(others: Outcomes) -> str:
    shown = {"passed": "yes", "skipped": "not tried"}
    rows = [
        [client, name.removeprefix("test_").replace("_", " "), shown.get(outcome, "NO")]
        for (client, name), outcome in others.items()
    ]
    return _OTHERS + _table(["Client", "What it did", "Passed"], rows)


def _endpoints(runs: Runs) -> str:
    seen = {version: _by_endpoint(steps) for version, steps in runs.items()}
    names = sorted({name for each in seen.values() for name in each}, key=_order)
    rows = [[f"`{name}`", *(_verdict(seen[version].get(name, [])) for version in runs)] for name in names]
    return _ENDPOINTS + _table(["Endpoint", *(f"ocean.js {version}" for version in runs)], rows)


def _by_endpoint(steps: Mapping[str, Step]) -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = {}
    for step in steps.values():
        for name in {_endpoint(call) for call in step.calls} - {None}:
            found.setdefault(str(name), []).append(step)
    return found


def _endpoint(call: str) -> str | None:
    service, method, path, _ = call.split(" ")
    if service == "elsewhere":
        return None
    return f"{service}: {method} {re.sub('did:op:[0-9a-f]{64}', '<did>', path)}"


def _order(name: str) -> tuple[int, str]:
    return ["provider", "cache", "chain"].index(name.partition(":")[0]), name.split(" ")[-1]


def _verdict(steps: list[Step]) -> str:
    if not steps:
        return "not called"
    passed = sum(step.outcome == "passed" for step in steps)
    only_by_hand = all(step.name in BY_HAND for step in steps)
    return f"{'yes' if passed == len(steps) else 'NO'} ({passed}/{len(steps)}){'*' if only_by_hand else ''}"


def _steps(runs: Runs) -> str:
    rows = [
        [chapter, name, *(_outcome(steps.get(name)) for steps in runs.values())]
        for chapter, names in CHAPTERS.items()
        for name in names
    ]
    return _STEPS + _table(["Trust", "Step", *(f"ocean.js {version}" for version in runs)], rows)


def _outcome(step: Step | None) -> str:
    return {"passed": "yes", "absent": "not in this version"}.get(step.outcome if step else "", "NO")


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
