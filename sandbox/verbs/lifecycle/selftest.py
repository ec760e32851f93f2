"""``selftest``: tests whether this very box contains what it claims to: attacks, control jobs, canaries, the
node.

It removes everything it makes. It changes nothing else and may run on a box that is in use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx

from c2d_box.errors import Failed, StateProblem, UsageError
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.attacks.attack import Attack
from sandbox.attacks.battery import AttackBattery
from sandbox.attacks.catalogue import ATTACKS
from sandbox.attacks.report import AttackVerdict, SelftestReport
from sandbox.attacks.surroundings import MachineListener, NodeFacts, machine_listener
from sandbox.attacks.workflows import AttackJobs
from sandbox.box import Box
from sandbox.clusters.k3d import trust
from sandbox.install import isolation
from sandbox.install.canary import Canary, CanaryImage, open_canary
from sandbox.install.chart_values import (
    ENVIRONMENT,
    JOBS,
    NAMESPACE,
    SYSTEM,
    ServiceAddresses,
    warden_targets,
)
from sandbox.install.images import find_image
from sandbox.keys import open_keys
from sandbox.objectstore import ObjectStore
from sandbox.progress import Progress, ProgressEvent

ALGORITHM_IMAGE = "algo-python"


def choose_attacks(only: Sequence[str] = (), quick: bool = False) -> list[Attack]:
    """Return the attacks whose name or group matches one of the patterns (all where there is none)."""
    found = [
        attack
        for attack in ATTACKS
        if not only
        or any(fnmatchcase(word, pattern) for pattern in only for word in (attack.name, attack.group))
    ]
    if not found:
        raise UsageError(
            "C2D-SELFTEST-NONE",
            f"no attack is called {', '.join(only)}",
            "c2d-box selftest --list shows them",
        )
    # A slow attack is left out even if it was named: ``quick`` is a promise about time.
    return [attack for attack in found if not (quick and attack.slow)] if quick else found


def selftest(box: Box, attacks: Sequence[Attack], under_rules: bool = False) -> Progress[SelftestReport]:
    """Run ``attacks`` on the box, which must be up; the report says for each whether it was contained.

    ``under_rules``: each as an algorithm on data with disclosure rules, judged by what leaves. Everything
    made is registered on one stack and removed in reverse order, however the test ends.
    """
    began = time.monotonic()
    if box.cluster.status().state not in ("running", "degraded"):
        raise StateProblem(
            "C2D-BOX-DOWN", "there is nothing to test: the box is not up", box.command_line("up")
        )
    with ExitStack() as stack:
        kube = stack.enter_context(box.kube_api())
        # Taken before anything of the test runs, and compared with the state after the last attack.
        before = NodeFacts.read_facts(kube, box.cluster, (NAMESPACE, SYSTEM))
        listener = stack.enter_context(machine_listener(box.cluster.node_ip))
        yield ProgressEvent("selftest.canary", "started", "setting up canaries")
        bird = stack.enter_context(open_canary(kube, CanaryImage(_runtime_image(kube))))
        verdicts = [(yield from _probe_isolation(box, bird, listener))]
        # The probe makes a routed pod reach the canary on purpose; only contacts after it are evidence.
        known = len(bird.heard_contacts())
        jobs = AttackJobs(kube, JOBS, ENVIRONMENT, find_image(box, ALGORITHM_IMAGE))
        # Of a test that was killed: its jobs would disturb the innocent ones of this test.
        jobs.delete_leftovers()
        stack.callback(jobs.delete_jobs)
        battery = AttackBattery(
            jobs, result_reader(box), _attack_targets(box, bird, listener), under_rules=under_rules
        )
        verdicts += yield from battery.run_attacks(attacks)
        verdicts += [
            _canary_verdict(bird.heard_contacts()[known:], listener),
            _health_verdict(box, kube, before),
        ]
        # The battery has reported its own verdicts.
        for verdict in verdicts[-2:]:
            yield _verdict_progress(verdict)
    contained = all(verdict.contained for verdict in verdicts)
    # Only the whole battery counts: k3d stays unverified on this machine until then (ADR 0006).
    if contained and box.settings.cluster == "k3d" and list(attacks) == list(ATTACKS) and not under_rules:
        trust.mark_verified()
    return SelftestReport(contained, time.monotonic() - began, tuple(verdicts))


def result_reader(box: Box) -> Callable[[Mapping[str, Any]], bytes]:
    """Return a function that reads results straight from the store in use: the check must not depend on what
    is tested.
    """
    gateway, keys = box.service_urls["ipfs-gateway"].rstrip("/"), open_keys(box.home.keys_folder)
    objects = ObjectStore(box.service_urls["s3"], keys["s3-access-key"], keys["s3-secret-key"])

    def read(result: Mapping[str, Any]) -> bytes:
        # The URL is the store's own, from the job's status, not the Provider's that a consumer gets.
        place = urlsplit(str(result["url"]))
        path = unquote(place.path).lstrip("/")
        if place.scheme == "s3":
            return objects.read_object(place.netloc, path)
        if place.scheme != "ipfs":
            raise Failed(
                "C2D-SELFTEST-STORE",
                f"a result lies at {place.scheme or 'no'}://, which is no store of this box",
                box.command_line("status"),
            )
        url = f"{gateway}/ipfs/{place.netloc}/{quote(path, safe='/')}"
        # No proxy and no redirect: the bytes must come from this box's gateway.
        answer = httpx.get(url, timeout=30.0, trust_env=False)
        answer.raise_for_status()
        return answer.content

    return read


def _runtime_image(kube: KubeApi) -> str:
    """Return the runtime image as the box runs it now: the canary then needs no image that the node lacks."""
    engine = kube.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/operator-engine")
    if engine is None:
        raise StateProblem("C2D-BOX-DOWN", "there is nothing to test: the engine is not there", "c2d-box up")
    return str(engine["spec"]["template"]["spec"]["containers"][0]["image"])


def _service_targets(box: Box) -> list[str]:
    return [*warden_targets(box), *ServiceAddresses.within_range(box.cluster.service_cidr).endpoint_texts()]


def _attack_targets(box: Box, bird: Canary, listener: MachineListener) -> list[str]:
    """Return the addresses that no algorithm may reach: canaries, API server, kubelet, DNS, services,
    this machine.
    """
    return [*bird.addresses, *_service_targets(box), listener.address]


def _probe_isolation(box: Box, bird: Canary, listener: MachineListener) -> Progress[AttackVerdict]:
    """Test pods without any warden, so that an open network is seen as open."""
    began = time.monotonic()
    algorithm = box.cluster.runtime_classes.get("algorithm", "")
    found = isolation.probe_with_canary(bird, algorithm, JOBS, _attack_targets(box, bird, listener))
    problem = "" if found.is_proven else found.summary_text
    verdict = AttackVerdict(
        "box-isolation",
        "box",
        "reach anything from a pod with an algorithm's network, no warden before it",
        "a routed pod reaches the canary, this one nothing",
        found.is_proven,
        problem,
        text=found.summary_text,
        seconds=time.monotonic() - began,
    )
    yield _verdict_progress(verdict)
    return verdict


def _canary_verdict(contacts: list[str], listener: MachineListener) -> AttackVerdict:
    """Return whether anything was heard while the attacks ran; a contact counts even if no attack
    reported it.
    """
    heard = [*contacts, *(f"machine heard {peer}" for peer in listener.heard)]
    return AttackVerdict(
        "box-canaries",
        "box",
        "be heard by a canary while the attacks ran",
        "the listeners' own log",
        not heard,
        "; ".join(heard[:3]),
    )


def _health_verdict(box: Box, kube: KubeApi, before: NodeFacts) -> AttackVerdict:
    """Return whether the node is as it was before: restarts, pressure and clock."""
    changed = before.describe_changes(NodeFacts.read_facts(kube, box.cluster, (NAMESPACE, SYSTEM)))
    return AttackVerdict(
        "box-unharmed",
        "box",
        "make a component restart, the node run short, the clock move",
        "components, containers, node conditions and clock before and after",
        not changed,
        "; ".join(changed[:5]),
    )


def _verdict_progress(verdict: AttackVerdict) -> ProgressEvent:
    words = verdict.problem or "contained"
    return ProgressEvent(
        f"attack.{verdict.name}",
        "done" if verdict.contained else "failed",
        f"{verdict.name:<26} {words}",
        seconds=verdict.seconds,
    )
