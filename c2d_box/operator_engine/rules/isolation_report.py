"""Takes the warden's report into the status: shortened, and without values that cannot be true."""

from __future__ import annotations

from typing import Any

from c2d_box.operator_engine.rules import status_patch
from c2d_box.strict_json import JsonRefused, parse_json
from c2d_box.workflow.resource import WorkFlow

READ_BYTES = 256 << 10
"""Bytes of the warden's log that are read; its report is one line."""
_LISTED = 20
"""Entries kept of each list, so that the status stays small."""


def parse_warden_log(output: bytes) -> dict[str, Any] | None:
    """Return the last line of the warden's output that is a report, None where there is none."""
    # From the end: the report is the last thing that the warden prints.
    for line in reversed(output[:READ_BYTES].splitlines()):
        try:
            found = parse_json(line)
        except JsonRefused:
            continue
        if isinstance(found, dict) and isinstance(found.get("probes"), list):
            return found
    return None


def _restrictions(said: Any) -> dict[str, str]:
    """Return what the kernel reports of the warden's pod: user namespace, control groups, seccomp
    and so on."""
    if not isinstance(said, dict):
        return {}
    return {str(name)[:40]: str(value)[:40] for name, value in list(said.items())[:_LISTED]}


def _control(report: dict[str, Any]) -> dict[str, Any]:
    """Return the control measurement: the addresses that answered another pod of the job, and how many
    seconds before the verdict they did. It shows that these addresses were alive.
    """
    alive, seconds = report.get("alive"), report.get("aliveSeconds")
    if not isinstance(alive, list) or not isinstance(seconds, int | float):
        return {}
    return {"alive": [str(address)[:60] for address in alive[:_LISTED]], "seconds": seconds}


def isolation_status(workflow: WorkFlow, report: dict[str, Any]) -> status_patch.Changes:
    """Return the patch: verdict, number of probes, probes that answered, the control, the kernel's
    restrictions; and the moment ``started``, if the report lets the algorithm go and its time is plausible.
    """
    # The report comes from a log, so every part of it may be missing or of another type.
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
    # The warden's clock is the node's. A moment outside of what the engine saw itself is not taken over.
    latest = workflow.at("ended") or float("inf")
    # `unproven`: the operator lets jobs run all the same, and the algorithm did start.
    ahead = not answered or report.get("unproven") is True
    if isinstance(at, float) and staged is not None and staged <= at <= latest and ahead:
        found.update(status_patch.set_moment(at, "started"))
    return found
