"""The warden's report, as it gets into the status: short, and with nothing believed that cannot be."""

from __future__ import annotations

from typing import Any

from c2d_box.operator_engine.rules import status_patch
from c2d_box.strict_json import JsonRefused, parse_json
from c2d_box.workflow.resource import WorkFlow

READ_BYTES = 256 << 10
_LISTED = 20


def parse_warden_log(output: bytes) -> dict[str, Any] | None:
    """The last line of the warden's output that is a report."""
    for line in reversed(output[:READ_BYTES].splitlines()):
        try:
            found = parse_json(line)
        except JsonRefused:
            continue
        if isinstance(found, dict) and isinstance(found.get("probes"), list):
            return found
    return None


def _restrictions(said: Any) -> dict[str, str]:
    """What the kernel told the warden of its pod: user namespace, control groups, seccomp and so on."""
    if not isinstance(said, dict):
        return {}
    return {str(name)[:40]: str(value)[:40] for name, value in list(said.items())[:_LISTED]}


def _control(report: dict[str, Any]) -> dict[str, Any]:
    """What answered another pod of the job, and how many seconds before the verdict it did."""
    alive, seconds = report.get("alive"), report.get("aliveSeconds")
    if not isinstance(alive, list) or not isinstance(seconds, int | float):
        return {}
    return {"alive": [str(address)[:60] for address in alive[:_LISTED]], "seconds": seconds}


def isolation_status(workflow: WorkFlow, report: dict[str, Any]) -> status_patch.Changes:
    """Verdict, number of probes, which answered, what answered another pod then, what the kernel said;
    the go-ahead's moment if possible.
    """
    probes = [probe for probe in report["probes"] if isinstance(probe, dict)]
    answered = [f"{probe.get('kind')} {probe.get('target')}" for probe in probes if not probe.get("closed")]
    found: status_patch.Changes = {
        "isolation": {
            "verdict": str(report.get("verdict", ""))[:100],
            "probes": len(probes),
            "answered": answered[:_LISTED],
            "restrictions": _restrictions(report.get("restrictions")),
            "control": _control(report),
        }
    }
    at, staged = report.get("at"), workflow.at("staged")
    latest = workflow.at("ended") or float("inf")
    ahead = not answered or report.get("unproven") is True
    if isinstance(at, float) and staged is not None and staged <= at <= latest and ahead:
        found.update(status_patch.set_moment(at, "started"))
    return found
