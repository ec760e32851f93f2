"""The battery's judgement: what an attack must leave behind to count as contained, and that it can say no."""

from __future__ import annotations

import ast
import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from c2d_box.errors import UsageError
from c2d_box.pods.judge import __main__ as judge
from c2d_box.workflow import states
from c2d_box.workflow.states import State
from sandbox.attacks import bystanders, checks, prelude
from sandbox.attacks.attack import BREACH, RULES, Attack, EndedAttack
from sandbox.attacks.battery import AttackBattery
from sandbox.attacks.catalogue import ATTACKS
from sandbox.attacks.surroundings import NodeFacts
from sandbox.verbs.lifecycle.selftest import choose_attacks

SENTINEL, VICTIM = b"sentinel:1", b"victim-secret:2"
ATTACK = Attack("x", "group", "tries", "sys.exit(0)", "checked")


def result(name: str, data: bytes, kind: str = "output", **other: Any) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    return {"filename": name, "filesize": len(data), "type": kind, "sha256": digest, "data": data, **other}


def ended(
    attack: Attack = ATTACK, results: list[Mapping[str, Any]] | None = None, **status: Any
) -> EndedAttack:
    code = status.pop("code", int(attack.code))
    found = {
        "code": code,
        "text": states.state_text(code),
        "reason": attack.reason,
        "algorithm": {"exitCode": attack.exit_code},
        "stop": attack.stop or 0,
        "isolation": {"verdict": "closed", "probes": 20, "answered": []},
        "times": {"staged": "2030-01-01T00:00:10.000000Z", "ended": "2030-01-01T00:00:12.500000Z"},
        **status,
    }
    log: list[Mapping[str, Any]] = [result("algorithm.log", b"closed\n", "algorithmLog")]
    kept = log if results is None else results
    return EndedAttack(attack, found, lambda entry: bytes(entry["data"]), SENTINEL, VICTIM, kept)


def problems(job: EndedAttack) -> list[str]:
    return [said for check in (*checks.ALWAYS, *job.attack.checks) if (said := check(job))]


def test_what_ended_as_expected_is_contained() -> None:
    assert problems(ended()) == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"algorithm": {"exitCode": BREACH}, "code": 75}, "the program got through"),
        ({"code": 78}, "ended 78"),
        ({"code": 81}, "ended 81"),
        ({"text": "Job completed"}, "text of 70"),
        ({"algorithm": {"exitCode": 3}}, "exit code 3"),
        ({"isolation": {}}, "not proven"),
        ({"isolation": {"verdict": "closed", "answered": ["tcp 10.0.0.1:443"]}}, "not proven"),
    ],
)
def test_another_end_is_not(status: dict[str, Any], words: str) -> None:
    assert any(words in said for said in problems(ended(**status)))


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ([result("x", VICTIM)], "another job's input"),
        ([{**result("x", b"1"), "data": b"2"}], "other bytes"),
        ([{**result("x", b"12"), "filesize": 1}], "other bytes"),
    ],
)
def test_a_result_that_should_not_be_is_seen(results: list[Mapping[str, Any]], words: str) -> None:
    assert any(words in said for said in problems(ended(results=results)))


def test_each_special_check_can_fail() -> None:
    log = result("algorithm.log", b"\x1b[2J", "algorithmLog")
    big = {**log, "filesize": checks.LOG_LIMIT + 1000}
    assert checks.no_outputs(ended(results=[result("x", b"1"), log]))
    assert checks.no_outputs(ended(results=[]))
    assert checks.log_is_plain(ended(results=[log]))
    assert checks.log_is_bounded(ended(results=[big]))
    assert checks.log_is_empty(ended(results=[log]))
    assert checks.nothing_of_the_inputs(ended(results=[result("x", b"a" + SENTINEL)]))
    assert checks.ended_within(1.0)(ended())
    assert checks.ended_within(3.0)(ended()) is None


def test_reason_and_stop_mark_are_part_of_the_expectation() -> None:
    refused = replace(ATTACK, code=State.OUTPUTS_REFUSED, reason="hard link")
    assert problems(ended(refused)) == []
    assert problems(ended(refused, reason="something else"))
    timed = replace(ATTACK, stop=2)
    assert problems(ended(timed, stop=0))


def test_bystanders_that_suffer_are_seen() -> None:
    read = lambda entry: bytes(entry["data"])  # noqa: E731
    good = {"code": 70, "results": [result("answer.txt", hashlib.sha256(b"w").hexdigest().encode())]}
    assert bystanders.innocent_problem(good, "w", read) is None
    assert bystanders.innocent_problem(good, "other", read)
    assert bystanders.innocent_problem({"code": 81}, "w", read)
    for pulse, words in (
        (b'{"heard": ["10.0.0.1"], "longest": 0.2}', "spoke"),
        (b'{"heard": [], "longest": 90.0}', "stood still"),
    ):
        status = {"code": 70, "stop": 1, "results": [result("pulse.json", pulse)]}
        assert words in (bystanders.victim_problem(status, read) or "")


def test_a_harmed_box_is_seen() -> None:
    before = NodeFacts({"kubelet": 0, "pod/c": 1}, (), 100.0)
    assert before.describe_changes(before) == []
    later = NodeFacts({"kubelet": 1}, ("node n has DiskPressure",), 107.0)
    assert before.describe_changes(later) == [
        "kubelet was restarted",
        "pod/c is gone",
        "node n has DiskPressure",
        "the clock moved by 7.0 s",
    ]


def test_the_pod_of_a_finished_kubernetes_job_may_go() -> None:
    """It is taken away when its time is over, in the middle of the battery as well."""

    class Api:
        def items(self, path: str) -> list[dict[str, Any]]:
            if not path.endswith("/pods"):
                return []
            return [
                {
                    "metadata": {"name": name},
                    "spec": spec,
                    "status": {"containerStatuses": [{"name": "c", "restartCount": 0}]},
                }
                for name, spec in (("service", {}), ("accounts", {"restartPolicy": "OnFailure"}))
            ]

    class Node:
        def status(self) -> Any:
            return SimpleNamespace(components=())

    api: Any = Api()
    node: Any = Node()
    assert NodeFacts.read_facts(api, node, ("c2d",)).restarts == {"service/c": 0}


def test_every_attack_is_well_formed() -> None:
    assert len(ATTACKS) >= 30
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
    for attack in ATTACKS:
        compile(prelude.TEXT + attack.script, attack.name, "exec")
        assert attack.tries and attack.checked and attack.name == attack.name.lower()
        assert attack.code in states.FINAL
        assert attack.code == State.FINISHED or attack.reason, attack.name


def test_each_system_call_that_is_named_is_numbered_for_both_architectures() -> None:
    calls = {attack.name: attack.script for attack in ATTACKS}
    tables = prelude.TEXT.split("NUMBERS = ")[1].split("[os.uname")[0]
    numbers = eval(tables)
    assert set(numbers["aarch64"]) <= set(numbers["x86_64"])
    for name, script in calls.items():
        for word in script.split("syscall"):
            quoted = word.lstrip("(, ").partition('"')
            if quoted[0] == "" and quoted[1] and not word.startswith('"'):
                assert quoted[2].partition('"')[0] in numbers["x86_64"], (name, quoted[2][:30])


def test_attacks_are_chosen_by_name_and_group() -> None:
    assert {attack.group for attack in choose_attacks(["network"])} == {"network"}
    assert [attack.name for attack in choose_attacks(["end-core"])] == ["end-core"]
    everything, quick = choose_attacks(), choose_attacks(quick=True)
    assert set(quick) < set(everything)
    assert len(list(itertools.chain(choose_attacks(["outputs", "kernel-*"])))) > 20
    with pytest.raises(UsageError, match="C2D-SELFTEST-NONE"):
        choose_attacks(["no-such-attack"])


def test_no_attempt_is_one_that_cannot_fail() -> None:
    """An answer that is harmless whatever it is makes an attempt that proves nothing."""
    for attack in ATTACKS:
        for call in ast.walk(ast.parse(attack.script)):
            if not isinstance(call, ast.Call) or getattr(call.func, "id", "") != "attempt":
                continue
            for word in call.keywords:
                assert word.arg == "harmless" and isinstance(word.value, ast.Lambda), attack.name
                used = {name.id for name in ast.walk(word.value.body) if isinstance(name, ast.Name)}
                assert "answer" in used, f"{attack.name}: {ast.unparse(call)}"


def test_each_kind_of_socket_that_is_named_is_tried() -> None:
    (families,) = (attack for attack in ATTACKS if attack.name == "network-families")
    for number in (38, 40, 15, 44, 43, 21, 30, 29, 31, 39):
        assert re.search(rf"\b{number}\b", families.script), number
    for protocol in (6, 9, 12):
        assert f"told, {protocol}, " in families.script


def test_under_rules_what_leaves_is_what_counts() -> None:
    quiet = ended(ATTACK, results=[result("algorithm.log", checks.WITHHELD, "algorithmLog")])
    assert checks.WITHHELD == judge._WITHHELD
    judged = [check(quiet) for check in checks.UNDER_RULES]
    assert judged == [None] * len(checks.UNDER_RULES)
    for leaking in (
        ended(ATTACK),
        ended(ATTACK, results=[result("x.csv", b"a" + SENTINEL)]),
        ended(ATTACK, results=[], reason=f"1 refused, the first: outputs/{SENTINEL.decode()}.bin"),
        replace(
            ended(ATTACK, results=[], refused=[{"path": "outputs/0123456789", "reason": "x"}]),
            sentinel=b"sentinel:0123456789",
        ),
        replace(quiet, live=f"x {SENTINEL.decode()} y"),
        ended(ATTACK, results=[], algorithm={"exitCode": BREACH}),
        ended(ATTACK, results=[], code=81),
    ):
        assert any(check(leaking) for check in checks.UNDER_RULES), leaking


class Recorded:
    """Plays the cluster for one job: what was asked of it is kept."""

    def __init__(self) -> None:
        self.rules: list[Any] = []
        self.made: list[str] = []

    def start_job(self, script: str, custom: Any, maxtime: Any = None, rules: Any = None) -> str:
        self.rules.append(rules)
        self.made.append(f"job{len(self.made)}")
        return self.made[-1]

    def job_statuses(self) -> dict[str, Any]:
        times = dict.fromkeys(("staged", "finished", "cleaned"), "2030-01-01T00:00:10.000000Z")
        return {job: {"code": 70, "text": states.state_text(70), "times": times} for job in self.made}

    def live_log(self, job: str) -> str:
        return "a line that was shown"

    def stop_job(self, job: str) -> None: ...

    def leftover_objects(self, job: str) -> list[str]:
        return []


@pytest.mark.parametrize("everybody", [False, True])
def test_rules_are_set_for_attacks_that_have_some_and_for_all_where_asked(everybody: bool) -> None:
    cluster = Recorded()
    battery = AttackBattery(cluster, lambda entry: b"", [], under_rules=everybody)  # type: ignore[arg-type]
    list(battery.run_attacks([ATTACK, replace(ATTACK, name="own", rules=True)]))
    assert cluster.rules[0] is None, "the victim has none"
    assert cluster.rules.count(RULES) == (2 if everybody else 1)
