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
from sandbox.attacks.battery import Battery
from sandbox.attacks.catalogue import ATTACKS
from sandbox.attacks.report import Report, Verdict
from sandbox.attacks.surroundings import Facts, MachineListener, machine_listener
from sandbox.attacks.workflows import Workflows
from sandbox.box import Box
from sandbox.clusters.k3d import trust
from sandbox.install import isolation
from sandbox.install.canary import Canary, Image, canary
from sandbox.install.chart_values import ENVIRONMENT, JOBS, NAMESPACE, SYSTEM, Addresses, warden_targets
from sandbox.install.images import find_image
from sandbox.keys import open_keys
from sandbox.objectstore import ObjectStore
from sandbox.progress import Event, Progress

ALGORITHM_IMAGE = "algo-python"


def chosen(only: Sequence[str] = (), quick: bool = False) -> list[Attack]:
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
    return [attack for attack in found if not (quick and attack.slow)] if quick else found


def selftest(box: Box, attacks: Sequence[Attack], under_rules: bool = False) -> Progress[Report]:
    """Run ``attacks`` on the box, which must be up; the report says for each whether it was contained.

    ``under_rules``: each as an algorithm on data with disclosure rules, judged by what leaves.
    """
    began = time.monotonic()
    if box.cluster.status().state not in ("running", "degraded"):
        raise StateProblem("C2D-BOX-DOWN", "there is nothing to test: the box is not up", box.command("up"))
    with ExitStack() as stack:
        kube = stack.enter_context(box.kube())
        before = Facts.of(kube, box.cluster, (NAMESPACE, SYSTEM))
        listener = stack.enter_context(machine_listener(box.cluster.node_ip))
        yield Event("selftest.canary", "started", "setting up canaries")
        bird = stack.enter_context(canary(kube, Image(_runtime(kube))))
        verdicts = [(yield from _isolation(box, bird, listener))]
        known = len(bird.heard())
        jobs = Workflows(kube, JOBS, ENVIRONMENT, find_image(box, ALGORITHM_IMAGE))
        jobs.sweep()
        stack.callback(jobs.forget)
        battery = Battery(jobs, reader(box), _targets(box, bird, listener), under_rules=under_rules)
        verdicts += yield from battery.run(attacks)
        verdicts += [_unheard(bird.heard()[known:], listener), _unharmed(box, kube, before)]
        for verdict in verdicts[-2:]:
            yield _told(verdict)
    contained = all(verdict.contained for verdict in verdicts)
    if contained and box.settings.cluster == "k3d" and list(attacks) == list(ATTACKS) and not under_rules:
        trust.verified()
    return Report(contained, time.monotonic() - began, tuple(verdicts))


def reader(box: Box) -> Callable[[Mapping[str, Any]], bytes]:
    """Return a function that reads results straight from the store in use: the check must not depend on what
    is tested.
    """
    gateway, keys = box.urls["ipfs-gateway"].rstrip("/"), open_keys(box.home.keys)
    objects = ObjectStore(box.urls["s3"], keys["s3-access-key"], keys["s3-secret-key"])

    def read(result: Mapping[str, Any]) -> bytes:
        place = urlsplit(str(result["url"]))
        path = unquote(place.path).lstrip("/")
        if place.scheme == "s3":
            return objects.content(place.netloc, path)
        if place.scheme != "ipfs":
            raise Failed(
                "C2D-SELFTEST-STORE",
                f"a result lies at {place.scheme or 'no'}://, which is no store of this box",
                box.command("status"),
            )
        url = f"{gateway}/ipfs/{place.netloc}/{quote(path, safe='/')}"
        answer = httpx.get(url, timeout=30.0, trust_env=False)
        answer.raise_for_status()
        return answer.content

    return read


def _runtime(kube: KubeApi) -> str:
    """Return the runtime image as the box runs it now."""
    engine = kube.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/operator-engine")
    if engine is None:
        raise StateProblem("C2D-BOX-DOWN", "there is nothing to test: the engine is not there", "c2d-box up")
    return str(engine["spec"]["template"]["spec"]["containers"][0]["image"])


def _alive(box: Box) -> list[str]:
    return [*warden_targets(box), *Addresses.within(box.cluster.service_cidr).endpoints()]


def _targets(box: Box, bird: Canary, listener: MachineListener) -> list[str]:
    return [*bird.addresses, *_alive(box), listener.address]


def _isolation(box: Box, bird: Canary, listener: MachineListener) -> Progress[Verdict]:
    """Test pods without any warden, so that an open network is seen as open."""
    began = time.monotonic()
    algorithm = box.cluster.runtime_classes.get("algorithm", "")
    found = isolation.look(bird, algorithm, JOBS, _targets(box, bird, listener))
    problem = "" if found.proven else found.text
    verdict = Verdict(
        "box-isolation",
        "box",
        "reach anything from a pod with an algorithm's network, no warden before it",
        "a routed pod reaches the canary, this one nothing",
        found.proven,
        problem,
        text=found.text,
        seconds=time.monotonic() - began,
    )
    yield _told(verdict)
    return verdict


def _unheard(contacts: list[str], listener: MachineListener) -> Verdict:
    heard = [*contacts, *(f"machine heard {peer}" for peer in listener.heard)]
    return Verdict(
        "box-canaries",
        "box",
        "be heard by a canary while the attacks ran",
        "the listeners' own log",
        not heard,
        "; ".join(heard[:3]),
    )


def _unharmed(box: Box, kube: KubeApi, before: Facts) -> Verdict:
    changed = before.changed(Facts.of(kube, box.cluster, (NAMESPACE, SYSTEM)))
    return Verdict(
        "box-unharmed",
        "box",
        "make a component restart, the node run short, the clock move",
        "components, containers, node conditions and clock before and after",
        not changed,
        "; ".join(changed[:5]),
    )


def _told(verdict: Verdict) -> Event:
    words = verdict.problem or "contained"
    return Event(
        f"attack.{verdict.name}",
        "done" if verdict.contained else "failed",
        f"{verdict.name:<26} {words}",
        seconds=verdict.seconds,
    )
