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
PATIENCE = 300.0
"""Seconds for one job, besides its own time limit."""
TIDY = 120.0
"""Seconds until everything a job had must be gone."""
_PAUSE = 0.3

Read = Callable[[Mapping[str, Any]], bytes]
Status = Mapping[str, Any]


@dataclass
class _RunningAttack:
    attack: Attack
    job: str
    sentinel: str
    began: float
    live: str = ""


@dataclass
class AttackBattery:
    """One run. ``read`` fetches a stored result; ``targets``: ``ip:port`` of what must not be reached."""

    workflows: AttackJobs
    read: Read
    targets: Sequence[str]
    at_once: int = AT_ONCE
    under_rules: bool = False
    """Every attack is under disclosure rules; one that was not made for them is judged by what leaves."""
    victim_secret: str = field(default_factory=lambda: f"victim-secret:{secrets.token_hex(12)}")
    _verdicts: list[AttackVerdict] = field(default_factory=list)
    _innocents: list[tuple[str, str]] = field(default_factory=list)

    def run_attacks(self, attacks: Sequence[Attack]) -> Progress[list[AttackVerdict]]:
        """A verdict for each attack, then those for the bystanders."""
        victim = self.workflows.start_job(VICTIM, {"secret": self.victim_secret})
        yield from self._await_job(victim, lambda status: "staged" in status.get("times", {}))
        yield from self._run_all(list(attacks))
        self._start_innocent()  # one more when all attacks are over
        self.workflows.stop_job(victim)
        jobs = [victim, *(job for job, _ in self._innocents)]
        for job in jobs:
            yield from self._await_job(job, _is_finished)
        yield from self._judge_bystanders(victim)
        yield from self._await_cleanup()
        return self._verdicts

    # -- the attacks

    def _run_all(self, waiting: list[Attack]) -> Progress[None]:
        running: list[_RunningAttack] = []
        while waiting or running:
            while waiting and len(running) < self.at_once:
                running.append(self._start_attack(waiting.pop(0)))
            statuses = self.workflows.job_statuses()
            self._keep_an_innocent_running(statuses)
            for entry in list(running):
                verdict = self._judge_attack(entry, statuses.get(entry.job, {}))
                if verdict is None:
                    continue
                running.remove(entry)
                self._verdicts.append(verdict)
                yield _verdict_event(verdict)
            time.sleep(_PAUSE)

    def _start_attack(self, attack: Attack) -> _RunningAttack:
        sentinel = f"sentinel:{secrets.token_hex(12)}"
        custom = {"attack": attack.name, "sentinel": sentinel, "targets": list(self.targets)}
        rules = RULES if self._has_rules(attack) else None
        job = self.workflows.start_job(prelude.TEXT + attack.script, custom, attack.maxtime, rules)
        return _RunningAttack(attack, job, sentinel, time.monotonic())

    def _judge_attack(self, entry: _RunningAttack, status: Status) -> AttackVerdict | None:
        """None while the job goes on."""
        seconds = time.monotonic() - entry.began
        if self._has_rules(entry.attack) and "staged" in status.get("times", {}):
            entry.live = self.workflows.live_log(entry.job) or entry.live
        if not _is_finished(status):
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
                problem = check(ended)
            except (C2DError, OSError) as failure:
                problem = f"{check.__name__}: {failure}"
            if problem:
                break
        return self._build_verdict(entry, status, problem or "")

    def _has_rules(self, attack: Attack) -> bool:
        return attack.rules or self.under_rules

    def _checks_for(self, attack: Attack) -> tuple[Check, ...]:
        return UNDER_RULES if self.under_rules and not attack.rules else (*ALWAYS, *attack.checks)

    def _build_verdict(self, entry: _RunningAttack, status: Status, problem: str) -> AttackVerdict:
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

    # -- who must not suffer

    def _keep_an_innocent_running(self, statuses: Mapping[str, Status]) -> None:
        last = self._innocents[-1][0] if self._innocents else None
        if last is None or _is_finished(statuses.get(last, {})):
            self._start_innocent()

    def _start_innocent(self) -> None:
        word = f"innocent-{secrets.token_hex(6)}"
        self._innocents.append((self.workflows.start_job(INNOCENT, {"word": word}), word))

    def _judge_bystanders(self, victim: str) -> Progress[None]:
        statuses = self.workflows.job_statuses()
        for number, (job, word) in enumerate(self._innocents, 1):
            problem = innocent_problem(statuses.get(job, {}), word, self.read)
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
        """Every job's pods, claims and Secrets are gone."""
        began = time.monotonic()
        jobs = list(self.workflows.made)
        while time.monotonic() - began < TIDY:
            statuses = self.workflows.job_statuses()
            if all("cleaned" in statuses.get(job, {}).get("times", {}) for job in jobs):
                break
            time.sleep(_PAUSE)
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
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            status = self.workflows.job_statuses().get(job, {})
            if condition(status) or _is_finished(status):
                return
            yield ProgressEvent("selftest.wait", "progress", f"job {job[:8]}: {status.get('text', 'queued')}")
            time.sleep(_PAUSE)


def _is_finished(status: Status) -> bool:
    return "finished" in status.get("times", {})


def _verdict_event(verdict: AttackVerdict) -> ProgressEvent:
    state = f"{verdict.code} {verdict.text}" if verdict.code else ""
    words = verdict.problem or f"contained  {state}".rstrip()
    return ProgressEvent(
        f"attack.{verdict.name}",
        "done" if verdict.contained else "failed",
        f"{verdict.name:<26} {words}",
        seconds=verdict.seconds,
    )
