"""Checks of an attack's job from outside, after it has ended. The attacker is not asked.

Each returns the problem as a text, or None. A new check needs a case in the battery's tests in which it
fails: a check that cannot say no proves nothing.
"""

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
"""Largest log in bytes that the box's environment stores (10 MiB)."""
WITHHELD = b"The log stays in: a rule of a dataset's publisher.\n"
"""Line that the judge puts in the place of a log that stays in."""
READ_LIMIT = 32 << 20
"""Largest result in bytes that is read back: some attacks leave large ones on purpose."""


def ended_as_expected(job: EndedAttack) -> str | None:
    """Check status number, text, reason, exit code and stop mark."""
    attack, status = job.attack, job.status
    code = int(status.get("code", 0))
    # First, because a breach explains every other difference.
    if status.get("algorithm", {}).get("exitCode") == BREACH:
        return f"the program got through: {_confession_lines(job)}"
    if code != attack.code:
        # The last line of a program that failed is mostly its exception.
        last = f"; {_last_words(job)}" if code == State.ALGORITHM_FAILED else ""
        return f"ended {code} ({status.get('reason', '')}), expected {int(attack.code)}{last}"
    if status.get("text") != states.state_text(code):
        return f"the text of {code} is {status.get('text')!r}"
    if attack.reason not in str(status.get("reason", "")):
        return f"the reason is {status.get('reason')!r}, without {attack.reason!r}"
    # The mark tells the time limit from a program that ended by itself at the same moment.
    if attack.stop is not None and status.get("stop") != attack.stop:
        return f"stopreq is {status.get('stop')}, expected {attack.stop}"
    seen = status.get("algorithm", {}).get("exitCode")
    if attack.exit_code is not None and seen != attack.exit_code:
        return f"exit code {seen}, expected {attack.exit_code}"
    return None


def _confession_lines(job: EndedAttack) -> str:
    """Return the log's lines that say how the program got through. They are for people, who should look at
    the rest of the log too.
    """
    lines = [
        line.decode(errors="replace")
        for result in job.of_type("algorithmLog")
        for line in job.read(result).splitlines()
        if line.startswith(b"BREACH")
    ]
    return "; ".join(lines[:4]) or "its log does not say how"


def _last_words(job: EndedAttack) -> str:
    """Return the last line of the algorithm's log."""
    logs = [job.read(result) for result in job.of_type("algorithmLog")]
    lines = b"".join(logs).decode(errors="replace").splitlines()
    return lines[-1] if lines else "no log"


def proven_closed(job: EndedAttack) -> str | None:
    """Check the warden's proof, which every job has whose algorithm ran (docs/adr/0012)."""
    proof = job.status.get("isolation") or {}
    if proof.get("verdict") != "closed" or proof.get("answered"):
        return f"its isolation was not proven: {proof}"
    return None


def hashes_true(job: EndedAttack) -> str | None:
    """Check that the stored bytes are the ones that were judged: a program may go on writing meanwhile."""
    for result in job.results:
        if int(result["filesize"]) > READ_LIMIT:
            continue
        data = job.read(result)
        if hashlib.sha256(data).hexdigest() != result.get("sha256") or len(data) != result["filesize"]:
            return f"{result['filename']} is stored with other bytes than recorded"
    return None


def nothing_of_the_victim(job: EndedAttack) -> str | None:
    """Check that no result holds another job's input."""
    return _check_absence(job, job.victim, "another job's input")


def nothing_of_the_inputs(job: EndedAttack) -> str | None:
    """Check that no result holds this job's input. For programs that never copy it and only link to it."""
    return _check_absence(job, job.sentinel, "the job's input")


def no_outputs(job: EndedAttack) -> str | None:
    """Check that no output left, and that the log did: where one output is refused, none leaves
    (docs/adr/0015).
    """
    kept = [str(result["filename"]) for result in job.of_type("output")]
    if kept:
        return f"outputs left all the same: {', '.join(kept[:3])}"
    return None if job.of_type("algorithmLog") else "the algorithm's log is missing"


def nothing_said_of_the_inputs(job: EndedAttack) -> str | None:
    """Check that neither the status nor what was shown while the job ran holds this job's input."""
    secret = job.sentinel.decode()
    # Some attacks replace the colon, which a file name may not have; the random half is enough to tell.
    plain = secret.partition(":")[2]
    for where, text in (("the status", json.dumps(job.status, default=str)), ("the live log", job.live)):
        if secret in text or (len(plain) >= 8 and plain in text):
            return f"{where} holds the job's input"
    return None


def log_stays_in(job: EndedAttack) -> str | None:
    """Check that rules that allow no log let none out: one fixed line stands in its place."""
    for result in job.of_type("algorithmLog"):
        if int(result["filesize"]) > READ_LIMIT or job.read(result) != WITHHELD:
            return "the algorithm's log left"
    return None


def log_is_plain(job: EndedAttack) -> str | None:
    """Check that the log holds no control character but tab and line feed: terminals obey the others."""
    for result in job.of_type("algorithmLog"):
        data = job.read(result)
        if any(byte < 32 and byte not in (9, 10) for byte in data):
            return "the log holds control characters"
    return None


def log_is_bounded(job: EndedAttack) -> str | None:
    """Check that the stored log keeps to its limit."""
    for result in job.of_type("algorithmLog"):
        # 200 bytes for the line that says where it was cut.
        if int(result["filesize"]) > LOG_LIMIT + 200:
            return f"the log has {result['filesize']} bytes"
    return None


def log_is_empty(job: EndedAttack) -> str | None:
    """Check that a link in the log's place was not followed."""
    sizes = [int(result["filesize"]) for result in job.of_type("algorithmLog")]
    return None if sizes == [0] else f"the log's sizes are {sizes}"


def ended_within(seconds: float) -> Check:
    """Return a check that Kubernetes saw the job end within ``seconds`` of the go-ahead. The limits leave
    room for a loaded machine.
    """

    def check(job: EndedAttack) -> str | None:
        """Compare the engine's own times: they are of Kubernetes, and not of the program."""
        ran = seconds_between(job.status, "staged", "ended") or 0.0
        return None if ran <= seconds else f"it took {ran:.0f} s to end, more than {seconds:.0f}"

    return check


def seconds_between(status: Mapping[str, Any], first: Moment, last: Moment) -> float | None:
    """Return the seconds between two moments of a job; None where one of them is missing."""
    times = status.get("times", {})
    if first not in times or last not in times:
        return None
    return timestamps.rfc3339_seconds(times[last]) - timestamps.rfc3339_seconds(times[first])


def _check_absence(job: EndedAttack, secret: bytes, what: str) -> str | None:
    """Return a problem where a result holds ``secret``; large results are not read."""
    for result in job.results:
        if int(result["filesize"]) <= READ_LIMIT and secret in job.read(result):
            return f"{result['filename']} holds {what}"
    return None


def ended_by_itself(job: EndedAttack) -> str | None:
    """Check an attack under rules that were not written for it: it must not get through, however it ends."""
    if job.status.get("algorithm", {}).get("exitCode") == BREACH:
        return "the program got through; its log stays in"
    code = int(job.status.get("code", 0))
    # Ends that are the box's fault and not the program's: nothing was proven then.
    lost = (State.NOT_ISOLATED, State.PUBLISHING_FAILED, State.INFRASTRUCTURE_LOST)
    return f"ended {code} ({job.status.get('reason', '')})" if code in lost else None


# For attacks that run under rules without being made for them: how they end is open, what leaves is not.
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
