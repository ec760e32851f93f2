"""``python -m c2d_box.pods.warden``: proves, waits for the inputs, proves again, gives the go-ahead, ends.

Exit codes, which the engine reads from Kubernetes: 0 go-ahead given; 10 something answered; 11 the inputs
were not there in time; 12 the proof could not be made. The report on stdout is one line of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from c2d_box.pods.warden import probes, restrictions
from c2d_box.workflow import names

OPEN, LATE, UNABLE = 10, 11, 12
UNPROVEN = "NOT ISOLATED: something answered, and the operator lets jobs run all the same"
FRESH = 10.0
"""Seconds for which a proof is good; an older one is made again before the go-ahead."""
_QUICK, _CALM = 0.005, 0.05
"""Seconds between two looks for the marker: at first, and after two seconds."""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(LATE))
    settings = json.loads(os.environ[names.ENV_WARDEN])
    deadline = time.monotonic() + float(os.environ[names.ENV_DEADLINE])
    return watch(
        tuple(settings["targets"]),
        float(settings["timeout"]),
        deadline,
        Path(names.STAGED_MARKER),
        Path(names.GO_AHEAD),
        os.environ[names.ENV_POD_UID],
        required=settings["required"] is not False,
    )


def watch(
    targets: tuple[str, ...],
    timeout: float,
    deadline: float,
    marker: Path,
    ahead: Path,
    pod: str,
    *,
    required: bool = True,
) -> int:
    """Proven at the start, while inputs are staged, so that it costs a job nothing; and again before the
    go-ahead where that was long ago or failed: on some clusters network rules are put in place after the
    start. ``pod``: this pod's uid, which must be the one on record, or an algorithm could run twice.
    ``required`` false: the operator lets jobs run that are not isolated, and the report says so.
    """
    if not targets:
        return _report([], "no targets are configured: nothing could be proven", UNABLE)
    tries = probes.targets(targets)
    seen = probes.run(tries, timeout)
    early = time.monotonic()
    if not wait(marker, deadline):
        return _report(seen, "the inputs were not staged in time", LATE)
    if marker.read_text().strip() != pod:
        return _report(seen, "another pod is on record as the one that runs the algorithm", UNABLE)
    if not all(probe.closed for probe in seen) or time.monotonic() - early > FRESH:
        seen = probes.run(tries, timeout)
    proven = all(probe.closed for probe in seen)
    if not proven and required:
        return _report(seen, "something answered", OPEN)
    fresh = ahead.with_name("ahead.new")
    fresh.write_text("go\n")
    fresh.replace(ahead)
    return _report(seen, "closed", 0) if proven else _report(seen, UNPROVEN, 0, unproven=True)


def wait(marker: Path, deadline: float) -> bool:
    began = time.monotonic()
    while not marker.exists():
        now = time.monotonic()
        if now >= deadline:
            return False
        time.sleep(_QUICK if now - began < 2 else _CALM)
    return True


def _report(seen: list[probes.Probe], verdict: str, code: int, unproven: bool = False) -> int:
    report = {
        "verdict": verdict,
        "unproven": unproven,
        "at": time.time(),
        "probes": [
            {"target": probe.target, "kind": probe.kind, "closed": probe.closed, "seen": probe.seen}
            for probe in seen
        ],
        "restrictions": restrictions.of_this_process(),
    }
    print(json.dumps(report), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
