"""Runs attacks beside a victim and innocent jobs, and judges what is left of each.

The victim holds a secret and listens while the attacks run; innocent jobs come one after the other and must
end with their right result, during the attacks and after. Whether an attack was contained is seen from
outside: the job's state as Kubernetes has it, the bytes in the result store, canaries, the node.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from c2d_box.errors import C2DError
from sandbox.attacks import prelude
from sandbox.attacks.attack import RULES, Attack, Check, EndedAttack
from sandbox.attacks.bystanders import INNOCENT, VICTIM, innocent_problem, victim_problem
from sandbox.attacks.checks import ALWAYS, UNDER_RULES, seconds_between
from sandbox.attacks.report import AttackVerdict
from sandbox.attacks.workflows import AttackJobs
from sandbox.progress import Progress, ProgressEvent

AT_ONCE = 5
"""Attacks that run at the same time, beside the victim and an innocent job."""
PATIENCE = 300.0
"""Seconds that one job may take besides its own time limit; then it counts as not ended."""
TIDY = 120.0
"""Seconds until everything that the jobs had must be gone."""
_PAUSE = 0.3
"""Seconds between two looks at all jobs."""

Read = Callable[[Mapping[str, Any]], bytes]
"""Function that returns the bytes of a stored result."""
Status = Mapping[str, Any]
"""A WorkFlow's ``status`` as Kubernetes has it."""


@dataclass
class _RunningAttack:
    """An attack whose job has not ended, and the random text in that job's inputs. ``began`` is monotonic;
    ``live`` is the container's output as last read, which is gone with its pod.
    """

    attack: Attack
    job: str
    sentinel: str
    began: float
    live: str = ""


@dataclass
class AttackBattery:
    """One run of attacks. ``read`` fetches a stored result; ``targets`` are the ``ip:port`` that must not be
    reached.
    """

    workflows: AttackJobs
    read: Read
    targets: Sequence[str]
    at_once: int = AT_ONCE
    under_rules: bool = False
    """Every attack is under disclosure rules; one that was not made for them is judged by what leaves."""
    # The prefix is in no attack's source as one word: pod-other-jobs searches files for it and would find
    # itself.
    victim_secret: str = field(default_factory=lambda: f"victim-secret:{secrets.token_hex(12)}")
    _verdicts: list[AttackVerdict] = field(default_factory=list)
    _innocents: list[tuple[str, str]] = field(default_factory=list)

    def run_attacks(self, attacks: Sequence[Attack]) -> Progress[list[AttackVerdict]]:
        """Run the attacks; return a verdict for each, then those for the bystanders and for what is left
        behind.
        """
        victim = self.workflows.start_job(VICTIM, {"secret": self.victim_secret})
        # Only a victim that holds its secret and listens can be attacked.
        yield from self._await_job(victim, lambda status: "staged" in status.get("times", {}))
        yield from self._run_all(list(attacks))
        self._start_innocent()  # one more when all attacks are over
        # The victim runs until it is stopped: its own end would be an attack's doing.
        self.workflows.stop_job(victim)
        jobs = [victim, *(job for job, _ in self._innocents)]
        for job in jobs:
            yield from self._await_job(job, _is_finished)
        yield from self._judge_bystanders(victim)
        yield from self._await_cleanup()
        return self._verdicts

    # -- the attacks

    def _run_all(self, waiting: list[Attack]) -> Progress[None]:
        """Run the attacks, ``at_once`` at a time, in the catalogue's order."""
        running: list[_RunningAttack] = []
        while waiting or running:
            # Fill up to the limit, then judge whatever has ended, until both lists are empty.
            while waiting and len(running) < self.at_once:
                running.append(self._start_attack(waiting.pop(0)))
            # One list request per round for all jobs: the API server shares the machine with the attacks.
            statuses = self.workflows.job_statuses()
            self._keep_an_innocent_running(statuses)
            # A copy, because entries are removed on the way.
            for entry in list(running):
                verdict = self._judge_attack(entry, statuses.get(entry.job, {}))
                if verdict is None:
                    continue
                running.remove(entry)
                self._verdicts.append(verdict)
                yield _verdict_event(verdict)
            time.sleep(_PAUSE)

    def _start_attack(self, attack: Attack) -> _RunningAttack:
        """Start an attack's job; its inputs hold a new sentinel and the targets."""
        # Made anew for each job, so that no attack can know another's.
        sentinel = f"sentinel:{secrets.token_hex(12)}"
        custom = {"attack": attack.name, "sentinel": sentinel, "targets": list(self.targets)}
        rules = RULES if self._has_rules(attack) else None
        job = self.workflows.start_job(prelude.TEXT + attack.script, custom, attack.maxtime, rules)
        return _RunningAttack(attack, job, sentinel, time.monotonic())

    def _judge_attack(self, entry: _RunningAttack, status: Status) -> AttackVerdict | None:
        """Return the verdict on an attack, or None while its job goes on. The first check that fails names
        it.
        """
        seconds = time.monotonic() - entry.began
        # The container's output is gone with its pod, so it is read while the job runs; the last reading
        # stays.
        if self._has_rules(entry.attack) and "staged" in status.get("times", {}):
            entry.live = self.workflows.live_log(entry.job) or entry.live
        if not _is_finished(status):
            # A job that hangs is a verdict like any other: the battery must not hang with it.
            limit = PATIENCE + (entry.attack.maxtime or 0)
            return (
                self._build_verdict(entry, status, f"it did not end within {limit:.0f} s")
                if seconds > limit
                else None
            )
        results = list(status.get("results") or [])
        secret, victim = entry.sentinel.encode(), self.victim_secret.encode()
        ended = EndedAttack(entry.attack, status, self.read, secret, victim, results, entry.live)
        problem = None
        for check in self._checks_for(entry.attack):
            try:
                # A check that cannot look has not seen the job contained: its error counts as a problem.
                problem = check(ended)
            except (C2DError, OSError) as failure:
                problem = f"{check.__name__}: {failure}"
            # The first failure is the cause; later checks would mostly tell of its consequences.
            if problem:
                break
        return self._build_verdict(entry, status, problem or "")

    def _has_rules(self, attack: Attack) -> bool:
        """Return whether the attack's job is under disclosure rules."""
        return attack.rules or self.under_rules

    def _checks_for(self, attack: Attack) -> tuple[Check, ...]:
        """Return the checks for an attack. One that was not made for rules ends otherwise under them, so its
        own expectations do not hold then.
        """
        return UNDER_RULES if self.under_rules and not attack.rules else (*ALWAYS, *attack.checks)

    def _build_verdict(self, entry: _RunningAttack, status: Status, problem: str) -> AttackVerdict:
        """Return the verdict for a job; an empty problem means contained."""
        attack = entry.attack
        return AttackVerdict(
            attack.name,
            attack.group,
            attack.tries,
            attack.checked,
            not problem,
            problem,
            int(status.get("code") or 0),
            str(status.get("text", "")),
            str(status.get("reason") or ""),
            time.monotonic() - entry.began,
        )

    # -- bystanders

    def _keep_an_innocent_running(self, statuses: Mapping[str, Status]) -> None:
        """Start the next innocent job where the last one has ended: at any moment one runs beside the
        attacks.
        """
        last = self._innocents[-1][0] if self._innocents else None
        if last is None or _is_finished(statuses.get(last, {})):
            self._start_innocent()

    def _start_innocent(self) -> None:
        """Start an innocent job with a word of its own, which its result depends on."""
        word = f"innocent-{secrets.token_hex(6)}"
        self._innocents.append((self.workflows.start_job(INNOCENT, {"word": word}), word))

    def _judge_bystanders(self, victim: str) -> Progress[None]:
        """Yield a verdict for each innocent job and for the victim."""
        statuses = self.workflows.job_statuses()
        for number, (job, word) in enumerate(self._innocents, 1):
            problem = innocent_problem(statuses.get(job, {}), word, self.read)
            # The last one was started after all attacks: it shows that the box still works.
            last = number == len(self._innocents)
            yield self._add_bystander(
                f"innocent-{'last' if last else number}",
                "be served while others attack" if not last else "be served when all attacks are over",
                "its result has the right bytes",
                statuses.get(job, {}),
                problem,
            )
        problem = victim_problem(statuses.get(victim, {}), self.read)
        yield self._add_bystander(
            "victim", "run undisturbed through all attacks", "its log: nobody spoke to it, no long pause",
            statuses.get(victim, {}), problem,
        )  # fmt: skip

    def _add_bystander(
        self, name: str, tries: str, checked: str, status: Status, problem: str | None
    ) -> ProgressEvent:
        """Record a bystander's verdict; return its event."""
        verdict = AttackVerdict(
            f"bystander-{name}",
            "bystanders",
            tries,
            checked,
            problem is None,
            problem or "",
            int(status.get("code") or 0),
            str(status.get("text", "")),
            str(status.get("reason") or ""),
            seconds_between(status, "admitted", "finished"),
        )
        self._verdicts.append(verdict)
        return _verdict_event(verdict)

    def _await_cleanup(self) -> Progress[None]:
        """Wait until every job is cleaned, then look for pods, claims and Secrets that are left."""
        began = time.monotonic()
        jobs = list(self.workflows.made)
        while time.monotonic() - began < TIDY:
            statuses = self.workflows.job_statuses()
            if all("cleaned" in statuses.get(job, {}).get("times", {}) for job in jobs):
                break
            time.sleep(_PAUSE)
        # Listed by label after the wait: the status is the engine's word, the objects are the fact.
        left = [found for job in jobs for found in self.workflows.leftover_objects(job)]
        problem = f"left behind: {', '.join(left[:5])}" if left else ""
        verdict = AttackVerdict(
            "box-tidied",
            "box",
            "leave something of a job behind",
            "pods, claims and Secrets by label",
            not left,
            problem,
            seconds=time.monotonic() - began,
        )
        self._verdicts.append(verdict)
        yield _verdict_event(verdict)

    def _await_job(self, job: str, condition: Callable[[Status], bool]) -> Progress[None]:
        """Wait until ``condition`` holds or the job has ended; give up without an error after ``PATIENCE``.
        The verdict that follows then names the state.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            status = self.workflows.job_statuses().get(job, {})
            if condition(status) or _is_finished(status):
                return
            yield ProgressEvent("selftest.wait", "progress", f"job {job[:8]}: {status.get('text', 'queued')}")
            time.sleep(_PAUSE)


def _is_finished(status: Status) -> bool:
    """Return whether the engine has recorded the job's end."""
    return "finished" in status.get("times", {})


def _verdict_event(verdict: AttackVerdict) -> ProgressEvent:
    """Return the progress event for a verdict."""
    state = f"{verdict.code} {verdict.text}" if verdict.code else ""
    words = verdict.problem or f"contained  {state}".rstrip()
    return ProgressEvent(
        f"attack.{verdict.name}",
        "done" if verdict.contained else "failed",
        f"{verdict.name:<26} {words}",
        seconds=verdict.seconds,
    )
