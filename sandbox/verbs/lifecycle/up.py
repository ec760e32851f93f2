"""``up``: boots or repairs the box, whatever state it is in. Every step checks first and does only what is
missing, so that an interrupted ``up`` is repaired by the next one.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from c2d_box.errors import EnvironmentProblem, Failed, StateProblem
from c2d_box.files import replace_file
from c2d_box.kubernetes.sync_client import KubeApi
from sandbox.box import Box, open_box
from sandbox.box_file.changes import SettingChange, demand_possible, setting_changes
from sandbox.box_file.settings_mapping import declared_box
from sandbox.box_lock import hold_box_lock
from sandbox.bundle import Bundle, build_bundle
from sandbox.bundle.build import Confirm
from sandbox.clusters.existing.introduction import ask_consent
from sandbox.clusters.existing.pull_secrets import find_pull_secret, put_pull_secret
from sandbox.doctor.ports import is_free, port_holder
from sandbox.install import isolation
from sandbox.install.baseline import has_baseline, take_baseline
from sandbox.install.boot import boot_cluster, load_images
from sandbox.install.canary import CanaryImage
from sandbox.install.chart_values import (
    JOBS,
    NAMESPACE,
    SERVICE_IMAGES,
    SYSTEM,
    ServiceAddresses,
    chart_folder,
    chart_values,
    pinned_image,
    pull_policy,
    service_secrets,
    services_of,
    values_fingerprint,
    warden_targets,
)
from sandbox.install.cluster_choice import choose_cluster, parts_for
from sandbox.install.external_chain import examine_chain
from sandbox.install.funding import fund_register
from sandbox.install.helm import install_chart
from sandbox.install.readiness import Probe, await_services, http_probe
from sandbox.keys import BoxKeys, open_keys
from sandbox.parallel import run_together
from sandbox.progress import Progress, ProgressEvent, run_step
from sandbox.settings import BoxPorts, BoxSettings

# Annotation of the services' namespace: the fingerprint of the chart that was installed last.
RELEASED = "c2d-box.io/released"
ALGORITHM_IMAGES = ("algo-python", "algo-node")
# Services with ``/healthz``; the others are probed in their own ways.
HEALTHZ = ("chain", "cache", "provider", "operator-service")


@dataclass(frozen=True, slots=True)
class UpReport:
    """The result of ``up``: the addresses of the running box."""

    name: str
    home: Path
    urls: Mapping[str, str]
    kubeconfig: Path
    address_file: Path
    seconds: float
    steps: Mapping[str, float] = field(default_factory=dict)
    changes: tuple[SettingChange, ...] = ()
    """Settings that differ from those which the box had."""


def boot_declared_box(box: Box, *, yes: bool = False, confirm: Confirm | None = None) -> Progress[UpReport]:
    """Boot or resume ``box`` with the settings of the box file in its home, where there is one."""
    return (yield from up(declared_box(box), yes=yes, confirm=confirm))


def up(box: Box, *, yes: bool = False, confirm: Confirm | None = None) -> Progress[UpReport]:
    """Boot or resume ``box``. Idempotent. ``yes`` or ``confirm`` agree to what a build installs.

    Raises ``C2D-BOX-BUSY`` while another verb changes the box, ``C2D-PORT-TAKEN``, ``C2D-BOX-OTHER-CHAIN``,
    and the failure of the step that failed. What was done until then stays and is used by the next ``up``.
    """
    began = time.monotonic()
    with hold_box_lock(box.home, "up"):
        choice = choose_cluster(box)
        yield ProgressEvent("cluster.choice", "note", choice.text)
        settings = replace(_with_chain(box), cluster=choice.driver)
        changes = _demanded_changes(box, settings)
        box = replace(box, settings=settings)
        is_running = bool(changes) and _is_running(box)
        for change in changes:
            yield ProgressEvent("box.settings", "note", change.describe_change(is_running))
        if is_running and box.ports != _published_ports(box):
            # First of all: ports that are taken or fixed are refused while nothing is changed.
            publish_ports(box)
        # Saved before anything starts, but with the ports that are open now: :func:`publish_ports` saves the
        # new ones.
        box.save_settings(replace(settings, ports=_published_ports(box)))
        steps = yield from _raise(box, yes, confirm)
    return UpReport(
        box.name,
        box.home.path,
        box.service_urls,
        box.home.kubeconfig,
        box.home.address_file,
        time.monotonic() - began,
        steps,
        tuple(changes),
    )


def _demanded_changes(box: Box, settings: BoxSettings) -> list[SettingChange]:
    """Return what ``up`` changes of a box that was up before; raise for what cannot be changed."""
    if not box.exists:
        return []
    before = open_box(box.home.path).settings
    demand_possible(before, settings)
    return setting_changes(before, settings)


def _is_running(box: Box) -> bool:
    return box.cluster.status().state in ("running", "degraded")


def _raise(box: Box, yes: bool, confirm: Confirm | None) -> Progress[dict[str, float]]:
    """Take the steps in order and return seconds by lap: bundle, cluster, install, services."""
    clock = _LapClock()
    keys = open_keys(box.home.keys_folder, barge=box.settings.barge_keys)
    if box.settings.cluster == "existing" and box.cluster.status().state == "absent":
        # Somebody else's cluster is changed only after they were told what is added; asked once, at the first
        # ``up``.
        yield from ask_consent(box.settings.existing, keys, box.settings.unproven_jobs, yes, confirm)
    bundle = yield from build_bundle(parts_for(box.settings.cluster), yes=yes, confirm=confirm)
    clock.end_lap("bundle")
    if not _is_running(box):
        # Only when booting: a running box holds its ports itself.
        yield from _demand_ports(box)
        isolation.forget_finding(box.home.path)
    yield from boot_cluster(box, [bundle.image(name) for name in SERVICE_IMAGES])
    clock.end_lap("cluster")
    # From here on the API server answers.
    with box.kube_api() as kube:
        yield from _install_chart(box, kube, bundle, keys)
        clock.end_lap("install")
        # The chart has made the services' addresses; jobs' pods may reach these and nothing else.
        box.cluster.allow_endpoints(
            ServiceAddresses.within_range(box.cluster.service_cidr).job_isolation(box.settings.result_store)
        )
        publish_ports(box)
        # Independent of one another, and each mostly waits: together they take as long as the slowest.
        waiting: list[Progress[Any]] = [
            await_services(kube, NAMESPACE, services_of(box), _readiness_probes(box, kube)),
            load_images(box, [bundle.image(name) for name in ALGORITHM_IMAGES]),
        ]
        # Once per boot: the finding was forgotten above when the cluster was not running.
        if isolation.load_finding(box.home.path) is None:
            runtime = CanaryImage(pinned_image(box, bundle.image("runtime")), pull_policy(box))
            waiting.append(_prove_isolation(box, kube, runtime))
        yield from run_together(waiting)
    clock.end_lap("services")
    yield from run_step("box.addresses", "contract addresses", lambda: _save_addresses(box))
    if box.settings.chain.rpc_url is None:
        fund_register(box)
    # Last, when chain and stores are as a new user finds them: ``reset --assets`` returns to this.
    if not has_baseline(box):
        yield from take_baseline(box)
    return clock.laps


def publish_ports(box: Box) -> None:
    """Open the box's ports on this machine, and only then store them: so ``box.json`` is true also after an
    ``up`` that failed on its way.
    """
    box.cluster.publish_ports(box.published_ports)
    box.save_settings(box.settings)


def _published_ports(box: Box) -> BoxPorts:
    """Return the ports that were published last; of a new box those that were chosen for it."""
    return open_box(box.home.path).ports if box.exists else box.ports


def _prove_isolation(box: Box, kube: KubeApi, runtime: CanaryImage) -> Progress[None]:
    """Test the isolation once per boot. An open network does not stop ``up``: each job's warden refuses to
    start (78), unless the operator of somebody's cluster said otherwise.
    """
    targets = [
        *warden_targets(box),
        *ServiceAddresses.within_range(box.cluster.service_cidr).endpoint_texts(),
    ]
    classes = box.cluster.runtime_classes
    found = yield from isolation.probe_isolation(kube, runtime, classes.get("algorithm", ""), JOBS, targets)
    isolation.save_finding(box.home.path, found)
    if box.settings.unproven_jobs and not found.is_proven:
        yield ProgressEvent("isolation", "note", "JOBS RUN ALL THE SAME, as the operator of this box said")


class _LapClock:
    """Measures consecutive laps; monotonic, as ``up`` may run while the clock is being set."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.monotonic()

    def end_lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name], self._last = now - self._last, now


def _demand_ports(box: Box) -> Progress[None]:
    """Raise where another program holds a port. A half-made cluster of a killed `up` may hold it: that is
    removed.
    """
    if _taken_ports(box) and box.cluster.status().state == "starting":
        yield from box.cluster.stop()
    for name, port in _taken_ports(box):
        raise EnvironmentProblem(
            "C2D-PORT-TAKEN",
            f"port {port}, wanted for {name.replace('_', '-')}, "
            f"is held by {port_holder(port) or 'a process'}",
            f"end that process, or use other ports: {box.command_line('up --port-offset 100')}",
        )


def _taken_ports(box: Box) -> list[tuple[str, int]]:
    """Return the ports that the box would open on this machine and that are taken, by name."""
    return [
        item
        for item in box.ports.as_dict().items()
        if item[1] in box.published_ports and not is_free(item[1])
    ]


def _install_chart(box: Box, kube: KubeApi, bundle: Bundle, keys: BoxKeys) -> Progress[None]:
    """Install the chart, unless values, secrets and the chart itself are what they were: resuming a
    box stays quick.
    """
    images = {name: bundle.image(name) for name in SERVICE_IMAGES}
    values = chart_values(box, keys, {name: pinned_image(box, image) for name, image in images.items()})
    pulling = find_pull_secret(kube, box.settings.existing) if box.settings.cluster == "existing" else ""
    print_of_this = values_fingerprint(
        {**values, "secrets": service_secrets(keys), "pulling": pulling}, chart_folder()
    )
    namespace = kube.get(f"/api/v1/namespaces/{NAMESPACE}") or {}
    if namespace.get("metadata", {}).get("annotations", {}).get(RELEASED) == print_of_this:
        yield ProgressEvent("chart.install", "skipped", "chart: nothing changed")
        return
    rekeyed = _rekeyed_services(kube, keys)
    yield from run_step("chart.secrets", "keys of this box", lambda: _apply_secrets(kube, keys, pulling))
    yield from run_step(
        "chart.install",
        "installing the chart",
        lambda: install_chart(box, kube, bundle.binary("helm"), values),
    )
    if pulling:  # namespaces of the chart: a pod that came first pulls again after ten seconds
        for name in (SYSTEM, JOBS):
            put_pull_secret(kube, name, pulling)
    for name in rekeyed:
        _restart_service(kube, name, print_of_this)
    # Last: an ``up`` that is interrupted before installs again.
    kube.apply(f"/api/v1/namespaces/{NAMESPACE}", _namespace_manifest(print_of_this))


def _apply_secrets(kube: KubeApi, keys: BoxKeys, pulling: str) -> None:
    """Make the namespace and the services' Secrets. They are not values of the chart, which helm
    would store in the cluster a second time.
    """
    kube.apply(f"/api/v1/namespaces/{NAMESPACE}", _namespace_manifest(None))
    if pulling:
        put_pull_secret(kube, NAMESPACE, pulling)
    for name, values in service_secrets(keys).items():
        kube.apply(
            f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}",
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name},
                "type": "Opaque",
                "stringData": values,
            },
        )


def _rekeyed_services(kube: KubeApi, keys: BoxKeys) -> list[str]:
    """Return the running services whose Secret is about to change. They read it once, at their start."""
    rekeyed = []
    for name, values in service_secrets(keys).items():
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        secret = kube.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}")
        # Keys of an older version may stay in it, which nobody reads.
        if secret and not encoded.items() <= secret.get("data", {}).items():
            rekeyed.append(name.removesuffix("-secrets"))
    return rekeyed


def _restart_service(kube: KubeApi, name: str, release: str) -> None:
    """Have a service's pod made anew as ``kubectl rollout restart`` does, by an annotation."""
    template = {"metadata": {"annotations": {RELEASED: release}}}
    kube.merge(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{name}", {"spec": {"template": template}})


def _namespace_manifest(released: str | None) -> dict[str, Any]:
    """Return the services' namespace; Kubernetes refuses pods in it that are not ``restricted``."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            "annotations": {RELEASED: released} if released else {},
        },
    }


def _readiness_probes(box: Box, kube: KubeApi) -> dict[str, Probe]:
    """Return a probe per service. The engine has no port on this machine, so it is asked through the API
    server's proxy.
    """
    urls = box.service_urls
    engine = f"/api/v1/namespaces/{NAMESPACE}/services/operator-engine:8051/proxy/healthz"
    return {
        **{name: http_probe(f"{urls[name]}/healthz") for name in HEALTHZ},
        "postgres": http_probe(f"{urls['operator-service']}/healthz/database"),  # of no use but through it
        "operator-engine": lambda: kube.ok(engine),
        "ipfs": http_probe(f"{urls['ipfs-gateway']}/"),
        "s3": http_probe(f"{urls['s3']}/"),
    }


def _with_chain(box: Box) -> BoxSettings:
    """Return the settings, after a check of a chain outside the box; its addresses are kept like those of our
    own.
    """
    before = open_box(box.home.path).settings.chain if box.exists else box.settings.chain
    if box.home.address_file.exists() and before.rpc_url != box.settings.chain.rpc_url:
        raise StateProblem(
            "C2D-BOX-OTHER-CHAIN",
            f"this box is on {before.rpc_url or 'its own test chain'}; its assets and jobs mean that chain",
            f"forget it first: {box.command_line('reset')}; or use another box: --name",
        )
    if box.settings.chain.rpc_url is None:
        return box.settings
    choice, document = examine_chain(box.settings.chain)
    replace_file(box.home.address_file, json.dumps(document))
    return replace(box.settings, chain=choice)


def _save_addresses(box: Box) -> None:
    """Store the contracts' addresses that the box's own chain reports. On a chain outside,
    :func:`_with_chain` did.
    """
    if box.settings.chain.rpc_url is not None:
        return
    answer = httpx.get(f"{box.service_urls['chain']}/address.json", timeout=10.0, trust_env=False)
    if answer.status_code != 200:
        raise Failed(
            "C2D-CHAIN-NOT-DEPLOYED", "the chain does not know its contracts' addresses", "c2d-box logs chain"
        )
    replace_file(box.home.address_file, answer.content)
