"""What is looked at from outside when an attack's job has ended; the attacker is not asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from c2d_box import timestamps
from c2d_box.workflow import states
from c2d_box.workflow.resource import Moment
from c2d_box.workflow.states import State
from sandbox.attacks.attack import BREACH, Check, EndedAttack

LOG_LIMIT = 10 << 20
WITHHELD = b"The log stays in: a rule of a dataset's publisher.\n"
"""What the judge puts in the place of a log."""
READ_LIMIT = 32 << 20
"""Results above it are not read back."""


def ended_as_expected(job: EndedAttack) -> str | None:
    """Number, text, reason, exit code and stop mark."""
    attack, status = job.attack, job.status
    code = int(status.get("code", 0))
    if status.get("algorithm", {}).get("exitCode") == BREACH:
        return f"the program got through: {_confession_lines(job)}"
    if code != attack.code:
        last = f"; {_last_words(job)}" if code == State.ALGORITHM_FAILED else ""
        return f"ended {code} ({status.get('reason', '')}), expected {int(attack.code)}{last}"
    if status.get("text") != states.state_text(code):
        return f"the text of {code} is {status.get('text')!r}"
    if attack.reason not in str(status.get("reason", "")):
        return f"the reason is {status.get('reason')!r}, without {attack.reason!r}"
    if attack.stop is not None and status.get("stop") != attack.stop:
        return f"stopreq is {status.get('stop')}, expected {attack.stop}"
    seen = status.get("algorithm", {}).get("exitCode")
    if attack.exit_code is not None and seen != attack.exit_code:
        return f"exit code {seen}, expected {attack.exit_code}"
    return None


def _confession_lines(job: EndedAttack) -> str:
    """The lines in which the program says so; for people, who should look at the rest of the log too."""
    lines = [
        line.decode(errors="replace")
        for result in job.of_type("algorithmLog")
        for line in job.read(result).splitlines()
        if line.startswith(b"BREACH")
    ]
    return "; ".join(lines[:4]) or "its log does not say how"


def _last_words(job: EndedAttack) -> str:
    logs = [job.read(result) for result in job.of_type("algorithmLog")]
    lines = b"".join(logs).decode(errors="replace").splitlines()
    return lines[-1] if lines else "no log"


def proven_closed(job: EndedAttack) -> str | None:
    """The warden's proof belongs to every job whose algorithm ran."""
    proof = job.status.get("isolation") or {}
    if proof.get("verdict") != "closed" or proof.get("answered"):
        return f"its isolation was not proven: {proof}"
    return None


def hashes_true(job: EndedAttack) -> str | None:
    """What is stored is what was judged."""
    for result in job.results:
        if int(result["filesize"]) > READ_LIMIT:
            continue
        data = job.read(result)
        if hashlib.sha256(data).hexdigest() != result.get("sha256") or len(data) != result["filesize"]:
            return f"{result['filename']} is stored with other bytes than recorded"
    return None


def nothing_of_the_victim(job: EndedAttack) -> str | None:
    """No result holds what was in another job's inputs."""
    return _check_absence(job, job.victim, "another job's input")


def nothing_of_the_inputs(job: EndedAttack) -> str | None:
    """No result holds this job's input: its program never copied it, only linked to it."""
    return _check_absence(job, job.sentinel, "the job's input")


def no_outputs(job: EndedAttack) -> str | None:
    """Where one output is refused, none leaves; the log does."""
    kept = [str(result["filename"]) for result in job.of_type("output")]
    if kept:
        return f"outputs left all the same: {', '.join(kept[:3])}"
    return None if job.of_type("algorithmLog") else "the algorithm's log is missing"


def nothing_said_of_the_inputs(job: EndedAttack) -> str | None:
    """No word of the status, and nothing that was shown while it ran, holds this job's input."""
    secret = job.sentinel.decode()
    plain = secret.partition(":")[2]
    for where, text in (("the status", json.dumps(job.status, default=str)), ("the live log", job.live)):
        if secret in text or (len(plain) >= 8 and plain in text):
            return f"{where} holds the job's input"
    return None


def log_stays_in(job: EndedAttack) -> str | None:
    """Rules that allow no log let none out: a line of ours stands in its place."""
    for result in job.of_type("algorithmLog"):
        if int(result["filesize"]) > READ_LIMIT or job.read(result) != WITHHELD:
            return "the algorithm's log left"
    return None


def log_is_plain(job: EndedAttack) -> str | None:
    """No control character reaches a terminal."""
    for result in job.of_type("algorithmLog"):
        data = job.read(result)
        if any(byte < 32 and byte not in (9, 10) for byte in data):
            return "the log holds control characters"
    return None


def log_is_bounded(job: EndedAttack) -> str | None:
    for result in job.of_type("algorithmLog"):
        if int(result["filesize"]) > LOG_LIMIT + 200:
            return f"the log has {result['filesize']} bytes"
    return None


def log_is_empty(job: EndedAttack) -> str | None:
    """What stands in the log's place was not followed."""
    sizes = [int(result["filesize"]) for result in job.of_type("algorithmLog")]
    return None if sizes == [0] else f"the log's sizes are {sizes}"


def ended_within(seconds: float) -> Check:
    """From the go-ahead to Kubernetes' word that it ended, the machine's load allowed for."""

    def check(job: EndedAttack) -> str | None:
        ran = seconds_between(job.status, "staged", "ended") or 0.0
        return None if ran <= seconds else f"it took {ran:.0f} s to end, more than {seconds:.0f}"

    return check


def seconds_between(status: Mapping[str, Any], first: Moment, last: Moment) -> float | None:
    """Between two moments of a job; None where one of them is missing."""
    times = status.get("times", {})
    if first not in times or last not in times:
        return None
    return timestamps.rfc3339_seconds(times[last]) - timestamps.rfc3339_seconds(times[first])


def _check_absence(job: EndedAttack, secret: bytes, what: str) -> str | None:
    for result in job.results:
        if int(result["filesize"]) <= READ_LIMIT and secret in job.read(result):
            return f"{result['filename']} holds {what}"
    return None


def ended_by_itself(job: EndedAttack) -> str | None:
    """Under rules that were not written for it: the program must not get through, however it ends."""
    if job.status.get("algorithm", {}).get("exitCode") == BREACH:
        return "the program got through; its log stays in"
    code = int(job.status.get("code", 0))
    lost = (State.NOT_ISOLATED, State.PUBLISHING_FAILED, State.INFRASTRUCTURE_LOST)
    return f"ended {code} ({job.status.get('reason', '')})" if code in lost else None


UNDER_RULES: tuple[Check, ...] = (
    ended_by_itself,
    proven_closed,
    hashes_true,
    nothing_of_the_victim,
    nothing_of_the_inputs,
    nothing_said_of_the_inputs,
    log_stays_in,
)
ALWAYS: tuple[Check, ...] = (ended_as_expected, proven_closed, hashes_true, nothing_of_the_victim)
