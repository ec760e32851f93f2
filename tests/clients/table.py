"""Writes docs/clients.md: endpoint × version × passed, and step × version, from what a run saw."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.clients import oceanjs_runs, oceanpy_runs
from tests.clients.driving import Runs, Step

DOCS = Path(__file__).parents[2] / "docs" / "clients.md"

BY_HAND = {"token instead of a signature", "decrypt", "validate a container"}
"""Steps whose requests the library only finds and signs, because it has no call for them."""
STRICTER = {"compute: one job at a time for one order", "one job at a time"}
"""Steps in which a request is refused that the original allows."""

_INTRODUCTION = """# Real clients against the box

Written by `pytest tests/clients --write-docs`; do not edit. ocean.js as published on npm and ocean.py
(ocean-lib) as published on PyPI, the latter on Python 3.10, both unmodified, by their public calls. Every
step runs against a real chain, metadata cache and Provider; operator-service is a small one of the tests, so
jobs do not run in a cluster here.

"""

_ENDPOINTS = """## Endpoints

Passed: of the steps that called the endpoint, how many did what they should, refusals included.
\\* not called by the library: found and signed by it, sent by hand.

"""

_STEPS = """## Steps

`permit first`: a Provider as the box sets it up, where nobody may compute before a publisher permits it.
`unmodified`: a Provider with `trust.emptyLists` set to `all`, as the original behaves.
† refused here and allowed by the original, which lets one paid order carry several jobs at once.

"""


_OTHERS = """## Other clients

web3.py talks to the chain with the published ABIs, and to the Provider with its own signatures;
ipfshttpclient to Kubo as the chart configures it.

"""

Outcomes = dict[tuple[str, str], str]
"""How each test of another client ended, by client and name of the test."""


def write(javascript: Runs, python: Runs, others: Outcomes) -> None:
    """Replace the page by what this session saw."""
    named = {f"ocean.js {version}": steps for version, steps in javascript.items()}
    endpoints = _INTRODUCTION + _endpoints({**named, **python})
    DOCS.write_text("\n".join([endpoints, _steps(named), _python_steps(python), _others(others)]))


def _others(others: Outcomes) -> str:
    shown = {"passed": "yes", "skipped": "not tried"}
    rows = [
        [client, name.removeprefix("test_").replace("_", " "), shown.get(outcome, "NO")]
        for (client, name), outcome in others.items()
    ]
    return _OTHERS + _table(["Client", "What it did", "Passed"], rows)


def _endpoints(runs: Runs) -> str:
    seen = {client: _by_endpoint(steps) for client, steps in runs.items()}
    names = sorted({name for each in seen.values() for name in each}, key=_order)
    rows = [[f"`{name}`", *(_verdict(found.get(name, [])) for found in seen.values())] for name in names]
    return _ENDPOINTS + _table(["Endpoint", *runs], rows)


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
        [chapter, _marked(name), *(_outcome(steps.get(name)) for steps in runs.values())]
        for chapter, names in oceanjs_runs.CHAPTERS.items()
        for name in names
    ]
    return _STEPS + _table(["Trust", "Step", *runs], rows)


def _python_steps(runs: Runs) -> str:
    rows = [
        [chapter, _marked(name), *(_outcome(steps.get(f"{chapter}: {name}")) for steps in runs.values())]
        for chapter, names in oceanpy_runs.CHAPTERS.items()
        for name in names
    ]
    return _table(["Trust", "Step", *runs], rows) if runs else "ocean.py was not run.\n"


def _marked(step: str) -> str:
    return f"{step} †" if step in STRICTER else step


def _outcome(step: Step | None) -> str:
    return {"passed": "yes", "absent": "not in this version"}.get(step.outcome if step else "", "NO")


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
