"""``python -m c2d_box.pods.warden``: proves, waits for the inputs, proves again, gives the go-ahead, ends.

Exit codes, which the engine reads from Kubernetes: 0 go-ahead given; 10 something answered; 11 the inputs
were not there in time; 12 the proof could not be made; 13 the pod is not restricted as it must be. The report
on stdout is one line of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from c2d_box.files import replace_file
from c2d_box.pods import alive
from c2d_box.pods.alive import AliveAddresses
from c2d_box.pods.warden import probes, restrictions
from c2d_box.pods.warden.probes import Kind, ProbeResult
from c2d_box.workflow import names

OPEN, LATE, UNABLE, UNRESTRICTED = 10, 11, 12, 13
KUBELET_PORT = 10250
"""Port of the kubelet's API, which runs commands in every pod of its node for whoever may call it."""
UNPROVEN = "NOT ISOLATED: something answered, and the operator lets jobs run all the same"
"""Verdict of a job that runs although nothing was proven; it goes into the status and the signed evidence."""
FRESH = 10.0
"""Seconds for which a proof is good; an older one is made again before the go-ahead."""
_QUICK, _CALM = 0.005, 0.05
"""Seconds between two looks for the marker: at first, and after two seconds."""


def main() -> int:
    # Without a handler the signal would end Python with an exit code that is none of the warden's.
    """Prove the isolation by the engine's settings, and return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(LATE))
    settings = json.loads(os.environ[names.ENV_WARDEN])
    deadline = time.monotonic() + float(os.environ[names.ENV_DEADLINE])
    return prove_isolation(
        (*settings["targets"], *_kubelet_target(os.environ.get(names.ENV_NODE_IP, ""))),
        float(settings["timeout"]),
        deadline,
        Path(names.STAGED_MARKER),
        Path(names.GO_AHEAD),
        os.environ[names.ENV_POD_UID],
        # Only a literal false lifts the demand: a missing or odd value must not let jobs run unproven.
        required=settings["required"] is not False,
        demanded=tuple(settings.get("restrictions", ())),
    )


def _kubelet_target(node: str) -> tuple[str, ...]:
    """Return the kubelet of this pod's node, where Kubernetes said which node that is."""
    return (f"[{node}]:{KUBELET_PORT}" if ":" in node else f"{node}:{KUBELET_PORT}",) if node else ()


def prove_isolation(
    targets: tuple[str, ...],
    timeout: float,
    deadline: float,
    marker: Path,
    ahead: Path,
    pod: str,
    *,
    required: bool = True,
    demanded: tuple[str, ...] = (),
) -> int:
    """Prove the isolation at the start, while inputs are staged, so that it costs a job nothing; and again
    before the go-ahead where that was long ago or failed: on some clusters network rules are put in place
    after the start. What answered configuration a moment ago is tried last, and must be silent: the positive
    control. ``pod``: this pod's uid, which must be the one on record, or an algorithm could run twice.
    ``required`` false: the operator lets jobs run that are not isolated, and the report says so.
    ``demanded``: the restrictions of this pod that must hold."""
    # Without a target there is nothing to be silent, and silence would pass for a proof.
    if not targets:
        return _print_report([], "no targets are configured: nothing could be proven", UNABLE)
    tries = probes.targets(targets)
    seen = probes.run(tries, timeout)
    early = time.monotonic()
    if not wait_for_marker(marker, deadline):
        return _print_report(seen, "the inputs were not staged in time", LATE)
    # Configuration names one pod. Another may exist where an engine had lost its lease and did not know it
    # yet.
    if marker.read_text().strip() != pod:
        return _print_report(seen, "another pod is on record as the one that runs the algorithm", UNABLE)
    # Again where the first proof is old or failed: rules may be in place only now. A fresh one costs no
    # second round.
    if not all(probe.closed for probe in seen) or time.monotonic() - early > FRESH:
        seen = probes.run(tries, timeout)
    control = alive.read_alive(marker.with_name(Path(names.ALIVE_FILE).name))
    # Last of all, since the control was alive a moment ago: the closer in time, the stronger its silence.
    seen = _with_control(seen, control, timeout)
    code, verdict = _judge_probes(seen, control, demanded)
    if code and required:
        return _print_report(seen, verdict, code, control=control)
    # The gate waits for this file, in a folder that the algorithm's container mounts read-only.
    replace_file(ahead, "go\n")
    return _print_report(seen, UNPROVEN if code else verdict, 0, unproven=bool(code), control=control)


def _with_control(
    seen: list[ProbeResult], control: AliveAddresses | None, timeout: float
) -> list[ProbeResult]:
    """Probe now what is known to be alive, whatever was seen of it before."""
    tries: list[tuple[str, Kind]] = [
        way for address in (control.addresses if control else ()) for way in probes.ways_to(address)
    ]
    tried = probes.run(tries, timeout)
    known = {(probe.target, probe.kind) for probe in tried}
    return [probe for probe in seen if (probe.target, probe.kind) not in known] + tried


def _judge_probes(
    seen: list[ProbeResult], control: AliveAddresses | None, demanded: tuple[str, ...]
) -> tuple[int, str]:
    """Return exit code and verdict; 0 where all is as it must be."""
    if not all(probe.closed for probe in seen):
        return OPEN, "something answered"
    # All addresses may have been silent because they are dead.
    if control is None:
        return UNABLE, "no address was known to be alive: silence proves nothing"
    if lacking := restrictions.missing_restrictions(restrictions.of_this_process(), demanded):
        return UNRESTRICTED, f"the pod is not restricted: {', '.join(lacking)}"
    return 0, "closed"


def wait_for_marker(marker: Path, deadline: float) -> bool:
    """Wait for configuration's marker; return False where the deadline (monotonic seconds) comes first."""
    began = time.monotonic()
    while not marker.exists():
        now = time.monotonic()
        if now >= deadline:
            return False
        # Staging of small inputs takes milliseconds; a wait of minutes should not burn the pod's CPU.
        time.sleep(_QUICK if now - began < 2 else _CALM)
    return True


def _print_report(
    seen: list[ProbeResult],
    verdict: str,
    code: int,
    unproven: bool = False,
    control: AliveAddresses | None = None,
) -> int:
    """Print the report as one line of JSON, which the engine reads from the pod's log, and return the exit
    code. The algorithm cannot write to this container's output."""
    now = time.time()
    report = {
        "verdict": verdict,
        "unproven": unproven,
        "at": now,
        "alive": list(control.addresses) if control else [],
        # Both times are of the same node's clock, since the pods of a job share a node.
        "aliveSeconds": round(now - control.at, 3) if control else None,
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
