"""A model of one job and its cluster without real time: every step of node, pods, owner and engine is a move
that a test chooses. The invariants are asserted at every move.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Literal

from c2d_box import timestamps
from c2d_box.operator_engine.rules import stage_reports
from c2d_box.operator_engine.rules.actions import (
    Action,
    AddFinalizer,
    CreateClaim,
    CreatePod,
    CreateSecret,
    DeleteClaim,
    DeletePod,
    DeleteResults,
    DeleteSecretsAndLeases,
    DeleteWorkflow,
    PatchStatus,
    ReadIsolationReport,
    RemoveFinalizer,
)
from c2d_box.operator_engine.rules.limits import StageLimits
from c2d_box.operator_engine.rules.observation import (
    JobRejection,
    Observation,
    ObservedContainer,
    ObservedPod,
    Step,
    Termination,
)
from c2d_box.operator_engine.rules.plan import plan_actions
from c2d_box.workflow import manifests, names, resource, states
from c2d_box.workflow.names import Component
from c2d_box.workflow.resource import WorkFlow

JOB = "f" * 32
LIMITS = StageLimits(
    queue=500,
    binding=100,
    staging=1000,
    image=200,
    kill=50,
    publishing=900,
    retention=100_000,
    storage=50_000,
)
MAXTIME = 300.0
OUTPUT = stage_reports.ReportedResult(
    filename="x", filesize=1, type="output", url=f"ipfs://b{'a' * 58}/outputs/x", sha256="0" * 64
)
MANIFEST = manifests.manifest_digest([{"filename": "x", "type": "output", "size": 1, "sha256": "0" * 64}])
CONTAINERS: dict[Component, tuple[str, ...]] = {
    "configuration": ("configuration",),
    "algorithm": ("warden", "algorithm"),
    "publishing": ("judge", "upload"),
}


class JobModel:
    """The cluster's state of one job. Its methods are the moves; the engine's real rules (``plan_actions``
    and ``stage_reports``) decide, and only the cluster's part is modelled.
    """

    def __init__(self, asset: bool = False) -> None:
        """Create the job; with ``asset``, its results are to become an asset."""
        self.now = 1_000_000.0
        stage: dict[str, Any] = {"algorithm": {"container": {"entrypoint": "x", "image": "i"}}, "input": []}
        spec = {"environment": "e", "stages": [{**stage, "output": {"publish": {}} if asset else {}}]}
        self.body: dict[str, Any] | None = resource.build_workflow(JOB, spec, self.now)
        assert self.body is not None
        self.body["metadata"]["creationTimestamp"] = timestamps.rfc3339_text(self.now)
        self.body["metadata"]["uid"] = "u"
        self.pods: dict[str, ObservedPod] = {}
        self.claim: str | None = None
        self.claim_deleted = False
        self.grants = False
        self.room = False
        self.done: set[Step] = set()
        self.marker = ""
        """Uid of the algorithm pod that configuration let start."""
        self.refusal: JobRejection | None = None
        self.ahead: set[str] = set()
        """Uids of pods whose warden has given the go-ahead."""
        self.started: list[str] = []
        self.sent: set[str] = set()
        """Distinct transactions that register containers have sent; more than one means two assets."""
        self.serial = 0

    # -- what the engine does

    @property
    def workflow(self) -> WorkFlow:
        assert self.body is not None
        return resource.parse_workflow(self.body)

    def observe_job(self) -> Observation:
        return Observation(
            workflow=self.workflow,
            now=self.now,
            pods=tuple(self.pods.values()),
            claim=self.claim,
            claim_deleted=self.claim_deleted,
            grants=self.grants,
            may_start=self.room,
            refusal=self.refusal,
            done=frozenset(self.done),
        )

    def run_engine(self, choose: Callable[[list[Action]], list[Action]] = lambda actions: actions) -> bool:
        """Make one plan and carry out the actions that ``choose`` picks; return whether there was anything to
        do but wait.
        """
        if self.body is None:
            return False
        actions = plan_actions(self.observe_job(), LIMITS, MAXTIME)
        before = repr(self.body)
        for action in choose(actions):
            self.apply_action(action)
        return repr(self.body) != before or any(isinstance(action, CreatePod) for action in actions)

    def apply_action(self, action: Action) -> None:
        match action:
            case PatchStatus(changes):
                self.patch_status(dict(changes))
            case AddFinalizer():
                self.metadata["finalizers"] = [names.FINALIZER]
            case RemoveFinalizer():
                self.body = None
            case CreateClaim():
                self.claim = self.claim or "Pending"
            case CreateSecret():
                self.done.add("secret")
            case CreatePod(component, attempt):
                self.create_pod(component, attempt)
            case DeletePod(name, uid, grace):
                self.delete_pod(name, uid, grace)
            case DeleteClaim():
                self.claim_deleted = True
            case DeleteSecretsAndLeases():
                self.done.add("sweep")
            case DeleteResults():
                assert not self.pods, "results taken away from a job that is not over"
                self.patch_status({"times": {"expired": timestamps.rfc3339_text(self.now)}, "results": []})
            case ReadIsolationReport():
                self.patch_status({"isolation": {"verdict": "closed"}})
            case DeleteWorkflow():
                self.remove_workflow()

    @property
    def metadata(self) -> dict[str, Any]:
        assert self.body is not None
        found: dict[str, Any] = self.body["metadata"]
        return found

    def patch_status(self, changes: dict[str, Any]) -> None:
        assert self.body is not None
        status = self.body.setdefault("status", {})
        for moment in changes.get("times", {}):
            assert moment not in status.get("times", {}) or moment == "judged", f"{moment} written twice"
        if "ended" in changes.get("times", {}):
            assert not self.is_running(), "said to have ended while it runs"
        _merge_patch(status, changes)

    def is_running(self) -> bool:
        """Return whether the algorithm may be running. A container of a pod that the status does not record
        does not count: its gate waits for ever.
        """
        recorded = self.workflow.status.algorithm.uid
        return any(
            pod.container("algorithm").running and (recorded in (None, pod.uid) or pod.uid in self.ahead)
            for pod in self.pods.values()
        )

    def create_pod(self, component: Component, attempt: int) -> None:
        name = names.pod_name(JOB, component, attempt)
        if name not in self.pods:
            self.serial += 1
            self.pods[name] = ObservedPod(name, f"pod-{self.serial}", component)

    def delete_pod(self, name: str, uid: str, grace: int) -> None:
        pod = self.pods.get(name)
        if pod is None or pod.uid != uid:
            return
        if grace == 0 and pod.over:
            del self.pods[name]
        elif pod.deleted is None:
            self.pods[name] = _changed_pod(pod, deleted=self.now + grace)

    # -- what node, pods and people do

    def pod_of(self, component: Component) -> ObservedPod | None:
        return next((pod for pod in self.pods.values() if pod.component == component and not pod.over), None)

    def bind_claim(self) -> None:
        if self.claim == "Pending":
            self.claim = "Bound"

    def give_grants(self) -> None:
        self.grants = True

    def admit_job(self) -> None:
        self.room = True

    def start_pod(self, component: Component) -> None:
        pod = self.pod_of(component)
        if pod is not None and pod.phase == "Pending" and self.claim == "Bound" and pod.deleted is None:
            running = ObservedContainer(running=True, since=self.now)
            self.pods[pod.name] = _changed_pod(
                pod, phase="Running", containers=dict.fromkeys(CONTAINERS[component], running)
            )

    def pull_fails(self) -> None:
        pod = self.pod_of("algorithm")
        if pod is not None and pod.phase == "Pending":
            self.pods[pod.name] = _changed_pod(
                pod, containers={"algorithm": ObservedContainer(waiting="ErrImageNeverPull")}
            )

    def report_stage(self, status: Literal[30, 31, 32]) -> None:
        pod = self.pod_of("configuration")
        if pod is None or pod.phase != "Running" or self.body is None:
            return
        answer = stage_reports.take_configuration(
            self.workflow,
            stage_reports.ConfigurationReport(status=status, reason="why"),
            self.now,
        )
        if answer.changes:
            self.patch_status(answer.changes)
        if answer.status == 200:
            self.marker = self.marker or str(answer.content.get("algorithm", ""))
            self.end_pod(pod, 0)

    def configuration_dies(self) -> None:
        if (pod := self.pod_of("configuration")) is not None:
            self.end_pod(pod, 1)

    def end_warden(self, code: int) -> None:
        pod = self.pod_of("algorithm")
        if pod is None or not pod.container("warden").running or (code == 0 and self.marker != pod.uid):
            return
        if code == 0:
            self.ahead.add(pod.uid)
            self.started.append(pod.uid)
        containers = {**pod.containers, "warden": ObservedContainer(end=Termination(code))}
        self.pods[pod.name] = _changed_pod(pod, containers=containers)

    def algorithm_ends(self, code: int, reason: str = "Error") -> None:
        pod = self.pod_of("algorithm")
        if pod is not None and pod.uid in self.ahead:
            self.end_pod(pod, code, reason)

    def node_dies(self) -> None:
        for pod in list(self.pods.values()):
            if not pod.over:
                self.end_pod(pod, 137, "ContainerStatusUnknown")

    def lose_pod(self, component: Component) -> None:
        if (pod := self.pod_of(component)) is not None:
            del self.pods[pod.name]

    def end_pod(self, pod: ObservedPod, code: int, reason: str = "") -> None:
        ended = {
            name: container if container.end is not None else ObservedContainer(end=Termination(code, reason))
            for name, container in {
                **dict.fromkeys(CONTAINERS[pod.component], ObservedContainer()),
                **pod.containers,
            }.items()
        }
        self.pods[pod.name] = _changed_pod(
            pod, phase="Succeeded" if code == 0 else "Failed", containers=ended
        )

    def publish_results(self, failed: str | None = None, refused: bool = False) -> None:
        pod = self.pod_of("publishing")
        if (
            pod is None
            or pod.phase != "Running"
            or self.body is None
            or stage_reports.answer_go_ahead(self.workflow) is None
        ):
            return
        assert not self.is_running(), "judged while it runs"
        refusals = (stage_reports.ReportedRejection(path="x", reason="link"),) if refused else ()
        report = stage_reports.JudgeReport(refused=refusals, manifest=MANIFEST)
        judged = stage_reports.take_judgement(self.workflow, report, self.now)
        if judged.changes:
            self.patch_status(judged.changes)
        results = () if failed else (OUTPUT,)
        stored = stage_reports.take_upload(
            self.workflow, stage_reports.UploadReport(results=results, failed=failed), self.now
        )
        if stored.changes:
            self.patch_status(stored.changes)
        if self.workflow.finished:
            self.end_pod(pod, 0)

    def registering_pod(self) -> ObservedPod | None:
        """Return the publishing pod if its register container may run now: after the upload, before the job's
        end.
        """
        pod = self.pod_of("publishing")
        turn = pod is not None and pod.phase == "Running" and self.body is not None
        return pod if turn and self.workflow.at("uploaded") and not self.workflow.finished else None

    def asset_sent(self) -> None:
        """Send the transaction that the status records; if none is recorded, record an own one first, then
        send it.
        """
        if (pod := self.registering_pod()) is None:
            return
        known = ((self.workflow.status.asset or {}).get("transactions") or {}).get("create")
        answer = stage_reports.take_intent(self.workflow, "create", known or f"0:{pod.uid}", known)
        if answer.changes:
            self.patch_status(answer.changes)
        if answer.status == 200:
            self.sent.add(known or f"0:{pod.uid}")

    def asset_done(self, failed: str | None = None) -> None:
        if (pod := self.registering_pod()) is None or not (self.sent or failed):
            return
        report = stage_reports.RegisterReport(failed=failed, did="" if failed else "did:op:1")
        answer = stage_reports.take_registration(self.workflow, report, self.now)
        if answer.changes:
            self.patch_status(answer.changes)
        self.end_pod(pod, 0)

    def publishing_dies(self) -> None:
        if (pod := self.pod_of("publishing")) is not None:
            self.end_pod(pod, 1)

    def add_impostor(self) -> None:
        """Create a second algorithm pod, as an engine does that has lost its lease and does not
        know it yet.
        """
        name = names.pod_name(JOB, "algorithm")
        recorded = self.body is not None and self.workflow.status.algorithm.uid
        if recorded and self.claim is not None and name not in self.pods:
            self.create_pod("algorithm", 1)

    def environment_goes(self) -> None:
        self.refusal = JobRejection(
            states.State.INFRASTRUCTURE_LOST, "There is no such environment.", always=True
        )

    def stop_job(self) -> None:
        if self.body is not None:
            self.body["spec"]["stop"] = True

    def remove_workflow(self) -> None:
        if self.body is not None:
            self.metadata.setdefault("deletionTimestamp", timestamps.rfc3339_text(self.now))

    def crash_engine(self) -> None:
        self.done.clear()

    def collect_deleted(self) -> None:
        """Remove deleted pods whose grace period is over (kubelet), then the deleted volume (provisioner)."""
        for pod in list(self.pods.values()):
            if pod.deleted is not None and self.now >= pod.deleted:
                del self.pods[pod.name]
        if self.claim_deleted and not self.pods:
            self.claim, self.claim_deleted = None, False

    def pass_time(self, seconds: float) -> None:
        self.now += seconds


def _changed_pod(pod: ObservedPod, **changes: Any) -> ObservedPod:
    values = {name: getattr(pod, name) for name in ObservedPod.__slots__}
    return ObservedPod(**{**values, **changes})


def _merge_patch(into: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge_patch(into[key], value)
        else:
            into[key] = value


def _some_actions(dice: random.Random) -> Callable[[list[Action]], list[Action]]:
    return lambda actions: [action for action in actions if dice.random() < 0.6]


def _shuffled_twice(dice: random.Random) -> Callable[[list[Action]], list[Action]]:
    """Choose all actions but status patches, twice and shuffled: Kubernetes takes a status
    patch once only.
    """

    def choose(actions: list[Action]) -> list[Action]:
        chosen: list[Action] = []
        chosen.extend(action for action in actions * 2 if not isinstance(action, PatchStatus))
        dice.shuffle(chosen)
        return chosen

    return choose


MOVES: dict[str, Callable[[JobModel, random.Random], object]] = {
    "engine": lambda model, _: model.run_engine(),
    "engine, some of it": lambda model, dice: model.run_engine(_some_actions(dice)),
    "engine, shuffled and twice": lambda model, dice: model.run_engine(_shuffled_twice(dice)),
    "crash": lambda model, _: model.crash_engine(),
    "admit": lambda model, _: model.admit_job(),
    "bind": lambda model, _: model.bind_claim(),
    "grant": lambda model, _: model.give_grants(),
    "start configuration": lambda model, _: model.start_pod("configuration"),
    "start algorithm": lambda model, _: model.start_pod("algorithm"),
    "start publishing": lambda model, _: model.start_pod("publishing"),
    "staged": lambda model, _: model.report_stage(30),
    "inputs fail": lambda model, _: model.report_stage(31),
    "algorithm's files fail": lambda model, _: model.report_stage(32),
    "configuration dies": lambda model, _: model.configuration_dies(),
    "warden proves": lambda model, _: model.end_warden(0),
    "warden finds a hole": lambda model, _: model.end_warden(10),
    "algorithm succeeds": lambda model, _: model.algorithm_ends(0, "Completed"),
    "algorithm fails": lambda model, _: model.algorithm_ends(3),
    "algorithm floods its log": lambda model, _: model.algorithm_ends(names.GATE_LOG_LIMIT),
    "algorithm out of memory": lambda model, _: model.algorithm_ends(137, "OOMKilled"),
    "image cannot be had": lambda model, _: model.pull_fails(),
    "node dies": lambda model, _: model.node_dies(),
    "configuration vanishes": lambda model, _: model.lose_pod("configuration"),
    "algorithm vanishes": lambda model, _: model.lose_pod("algorithm"),
    "publishing vanishes": lambda model, _: model.lose_pod("publishing"),
    "publishing succeeds": lambda model, _: model.publish_results(),
    "outputs refused": lambda model, _: model.publish_results(refused=True),
    "store fails": lambda model, _: model.publish_results(failed="IPFS answered 500."),
    "the asset's transaction is sent": lambda model, _: model.asset_sent(),
    "the asset is there": lambda model, _: model.asset_done(),
    "the asset cannot be made": lambda model, _: model.asset_done("no coins"),
    "publishing dies": lambda model, _: model.publishing_dies(),
    "a second algorithm pod": lambda model, _: model.add_impostor(),
    "the environment goes": lambda model, _: model.environment_goes(),
    "stop": lambda model, _: model.stop_job(),
    "delete": lambda model, _: model.remove_workflow(),
    "collect": lambda model, _: model.collect_deleted(),
    "a second": lambda model, _: model.pass_time(1),
    "minutes": lambda model, _: model.pass_time(120),
    "half an hour": lambda model, _: model.pass_time(1800),
}


def everybody_does_their_duty(model: JobModel) -> None:
    """Let every party act correctly until the job is cleaned up; what was lost stays lost."""
    for _ in range(60):
        engine_until_quiet(model)
        if model.body is None or model.workflow.at("cleaned") is not None:
            return
        model.admit_job()
        model.give_grants()
        model.bind_claim()
        for component in names.COMPONENTS:
            model.start_pod(component)
        model.report_stage(30)
        engine_until_quiet(model)
        model.report_stage(30)
        model.end_warden(0)
        model.algorithm_ends(0, "Completed")
        engine_until_quiet(model)
        model.publish_results()
        model.asset_sent()
        model.asset_done()
        model.collect_deleted()
        model.pass_time(61)
    raise AssertionError(f"no way out of {model.body}")


def engine_until_quiet(model: JobModel) -> None:
    for _ in range(50):
        if not model.run_engine():
            return
    raise AssertionError(f"the engine spins on {model.body}")


def check_model(model: JobModel) -> None:
    assert len(model.started) <= 1, "the algorithm was started twice"
    assert len(model.sent) <= 1, "the results became two assets"
    if model.body is not None:
        workflow = model.workflow
        assert workflow.status.code in states.FINAL
        assert workflow.finished
        assert workflow.status.phase == "Finished"
