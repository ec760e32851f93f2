"""A recorded box: what its verbs answered once, played to the screens without any cluster."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from c2d_box.client import JobDetails, JobRequest, SpendingLimits
from c2d_box.client.evidence.verification import EvidenceCheck, JobVerification
from c2d_box.errors import C2DError, Failed, Refused
from sandbox.bundle.build import Confirm
from sandbox.doctor.finding import Finding
from sandbox.install.images import ContainerImage
from sandbox.loop.running import RunReport, ScriptRun
from sandbox.progress import Progress, ProgressEvent
from sandbox.verbs.accounts import BoxAccount
from sandbox.verbs.compute.quotes import AssetPrice
from sandbox.verbs.faucet import DatatokenHolding
from sandbox.verbs.inspection.chain import ChainBlock, DecodedTransaction
from sandbox.verbs.inspection.pods import EventSummary, PodSummary, WorkflowSummary
from sandbox.verbs.lifecycle.status import BoxPart, BoxStatus, ResourceReport
from sandbox.verbs.publishing.assets import AssetOffer
from sandbox.verbs.publishing.ddo_preview import DdoPreview
from sandbox.verbs.publishing.permissions import PermissionCell
from sandbox.verbs.publishing.trust import JobSimulation, TrustChange
from tests.tui.recorded_data import (
    ALGORITHM,
    BROKEN,
    CONTENTS,
    DATASET,
    DONE,
    NOW,
    PRIVATE,
    RESULTS,
    RUNNING,
    TIMES,
    recorded_ddo,
    recorded_job,
    recorded_pod,
    recorded_transaction,
)
from tui.backend.port import Ddo


class Recorded:
    """Answers from attributes; ``problem`` makes every question fail; ``done`` keeps what was changed."""

    name = "c2d"

    def __init__(self) -> None:
        self.problem: C2DError | None = None
        self.state = "running"
        self.done: list[tuple[str, ...]] = []
        self.spending = SpendingLimits()
        self.refusal: C2DError | None = None
        self.over = threading.Event()
        self.hold = threading.Event()
        self.hold.set()
        self.boot_fails = False
        self.job_list: list[dict[str, Any]] = [
            recorded_job(RUNNING, 40, "Running algorithm ", NOW - 42, None),
            recorded_job(
                DONE, 70, "Job finished", NOW - 120, NOW - 108.9, results=RESULTS, times=TIMES, exitCode=0
            ),
            recorded_job(
                BROKEN, 75, "Algorithm failed", NOW - 900, NOW - 890, reason="exit code 1", exitCode=1
            ),
        ]
        self.asset_list: list[Ddo] = [
            recorded_ddo(DATASET, "dataset", "Patients", 3),
            recorded_ddo(PRIVATE, "dataset", "Salaries [red]not markup[/red]", 0),
            recorded_ddo(ALGORITHM, "algorithm", "Train a classifier", 1),
        ]
        self.transaction_list = [recorded_transaction(n) for n in range(2)]
        self.pod_list = [
            recorded_pod("c2d", "provider-0", "Running", 0),
            recorded_pod("c2d", "chain-0", "CrashLoopBackOff", 3),
            recorded_pod("c2d-jobs", f"{RUNNING}-algorithm", "Running", 0, RUNNING, ("warden", "algorithm")),
            recorded_pod("c2d-jobs", f"{RUNNING}-configuration", "Succeeded", 0, RUNNING, ("configuration",)),
        ]
        self.log_lines = {
            "provider": [
                "2026-01-01T00:00:00Z INFO provider started",
                "2026-01-01T00:00:02Z ERROR refused one",
            ],
            "kubelet": ["2026-01-01T00:00:01Z INFO kubelet ready"],
        }

    def empty(self) -> Recorded:
        """A box nobody has used."""
        self.job_list, self.asset_list, self.log_lines = [], [], {}
        self.transaction_list, self.pod_list = [], []
        return self

    def many(self, count: int = 5000) -> Recorded:
        """A box after a long workshop."""
        states = ((70, "Job finished"), (75, "Algorithm failed"), (40, "Running algorithm "))
        self.job_list = [
            recorded_job(
                f"{n:032x}", *states[n % 3], NOW - n, None if n % 3 == 2 else NOW - n + 9, results=RESULTS
            )
            for n in range(count)
        ]
        self.asset_list = [
            *self.asset_list,
            *(recorded_ddo(f"did:op:{n:064x}", "dataset", f"Table {n}", n % 7) for n in range(count)),
        ]
        self.transaction_list = [recorded_transaction(n) for n in range(count)]
        self.pod_list = [recorded_pod("c2d-jobs", f"pod-{n}", "Running", n % 3) for n in range(count)]
        self.log_lines = {"provider": [f"2026-01-01T00:00:00Z INFO line {n}" for n in range(count)]}
        return self

    def _answer(self) -> None:
        if self.problem is not None:
            raise self.problem

    def command_line(self, arguments: str, who: str = "") -> str:
        return f"c2d-box --as {who} {arguments}" if who else f"c2d-box {arguments}"

    def box_status(self) -> BoxStatus:
        self._answer()
        parts: tuple[BoxPart, ...] = ()
        if self.state not in ("absent", "stopped"):
            components = ("etcd", "containerd", "kube-apiserver", "kube-scheduler", "kubelet", "kube-proxy")
            services = {"chain": 8545, "cache": 5000, "provider": 8030, "operator-service": 31000}
            parts = (
                *(BoxPart(name, "cluster", "ready") for name in components),
                *(BoxPart(n, "service", "ready", 0, f"http://127.0.0.1:{p}") for n, p in services.items()),
            )
        if self.state == "degraded":
            late = BoxPart("provider", "service", "starting", 2, detail="CrashLoopBackOff")
            parts = (*parts[:-2], late, parts[-1])
        home = Path("/home/ada/.local/share/c2d-box")
        return BoxStatus("c2d", home, self.state, parts, {}, {"c2d-box": "0.1.0"}, home / "kubeconfig")

    def resource_report(self) -> ResourceReport:
        self._answer()
        return ResourceReport(900 << 20, {"kube-apiserver": 300 << 20, "containerd": 80 << 20})

    def list_jobs(self, who: str) -> list[JobDetails]:
        self._answer()
        return [JobDetails.parse(job) for job in self.job_list]

    def read_job(self, who: str, job_id: str) -> JobDetails:
        self._answer()
        return JobDetails.parse(next(job for job in self.job_list if job["jobId"] == job_id))

    def job_logs(self, who: str, job_id: str) -> Mapping[str, str]:
        self._answer()
        return {"algorithm.log": CONTENTS[3].decode()}

    def read_result(self, who: str, job_id: str, index: int) -> bytes:
        self._answer()
        return CONTENTS[index]

    def explain_job(self, who: str, job_id: str) -> str:
        self._answer()
        return f"Job {job_id[:8]} ended well after 11.1 s. Its results are in the Outputs tab."

    def verify_job(self, who: str, job_id: str) -> JobVerification:
        self._answer()
        checks = (
            EvidenceCheck("signature", True, "signed by the environment's key"),
            EvidenceCheck("input 0", None, "too large for a checksum"),
            EvidenceCheck("algorithm", False, "the published script has another checksum"),
        )
        return JobVerification(job_id, checks)

    def assets(self) -> list[Ddo]:
        self._answer()
        return list(self.asset_list)

    def list_permissions(self) -> list[PermissionCell]:
        self._answer()
        if not self.asset_list:
            return []
        no = ("no  Train a classifier may not run", "  no  no list is filled: nobody may compute")
        return [
            PermissionCell(
                DATASET, ALGORITHM, True, "", ("yes Train a classifier may run", "  yes it is listed")
            ),
            PermissionCell(PRIVATE, ALGORITHM, False, "not_trusted_algo", no),
        ]

    def list_accounts(self) -> list[BoxAccount]:
        self._answer()
        roles = {0: "deployer", 3: "publisher", 5: "consumer2", 7: "consumer"}
        return [BoxAccount(roles.get(i, ""), i, f"0x{i:040x}", 99.5, 1000.0 - i) for i in range(8)]

    def list_environments(self) -> list[Mapping[str, Any]]:
        self._answer()
        return [
            {
                "id": "ocean-compute",
                "desc": "",
                "cpuNumber": 1,
                "ramGB": 1,
                "priceMin": 0,
                "maxJobDuration": 3600,
            }
        ]

    def list_images(self) -> list[ContainerImage]:
        self._answer()
        return [ContainerImage("c2d.local/algo-python", "latest", "sha256:" + "0" * 64, 1)]

    def list_findings(self) -> list[Finding]:
        self._answer()
        return [
            Finding("C2D-DOC-DISK", "warning", "disk", "4 GB free", "free some space"),
            Finding("C2D-DOC-MEMORY", "ok", "memory", "8 GB"),
        ]

    def log_sources(self) -> list[str]:
        self._answer()
        return list(self.log_lines)

    def read_logs(self, source: str, lines: int) -> list[str]:
        self._answer()
        return self.log_lines[source][-lines:]

    def quote_job(self, who: str, wanted: JobRequest) -> list[AssetPrice]:
        self._answer()
        if wanted.dataset == PRIVATE:
            raise Refused(
                "C2D-NOT-TRUSTED-ALGO",
                "the compute job was refused: the dataset's publisher has not permitted this algorithm",
                "ask the publisher to permit it: c2d-box permit DATASET ALGORITHM",
            )
        return [
            AssetPrice(wanted.dataset, "order", 3.0, "OCEAN", 0.0, "OCEAN"),
            AssetPrice(str(wanted.algorithm), "order", 1.0, "OCEAN", 0.0, "OCEAN"),
        ]

    def list_blocks(self) -> list[ChainBlock]:
        self._answer()
        return [
            ChainBlock(12 - n, f"0x{n:064x}", int(NOW) - 12 * n, 120_000, (tx.hash,))
            for n, tx in enumerate(self.transaction_list)
        ]

    def list_transactions(self) -> list[DecodedTransaction]:
        self._answer()
        return list(self.transaction_list)

    def pods(self, job_id: str = "") -> list[PodSummary]:
        self._answer()
        return [pod for pod in self.pod_list if not job_id or pod.job == job_id]

    def list_workflows(self) -> list[WorkflowSummary]:
        self._answer()
        return [
            WorkflowSummary(
                str(job["jobId"]),
                f"{job['status']} {job['statusText']}",
                NOW - 42,
                job["owner"],
                "ocean-compute",
            )
            for job in self.job_list
        ]

    def describe_object(self, kind: str, namespace: str, name: str) -> str:
        self._answer()
        return f"apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: {namespace}\n"

    def list_events(self, job_id: str = "") -> list[EventSummary]:
        self._answer()
        seen = [
            EventSummary(NOW - 30, "Normal", "Scheduled", f"{RUNNING}-algorithm", "assigned to the node"),
            EventSummary(NOW - 20, "Warning", "BackOff", "provider-0", "restarting failed container"),
        ]
        return [each for each in seen if job_id in each.about] if self.pod_list else []

    def follow_container(self, namespace: str, pod: str, container: str) -> Iterator[str]:
        self._answer()
        if container in ("warden", "configuration"):
            return  # one voice: what several say at once comes in any order
        yield f"{container} says hello"
        yield "\x1b]0;pwned\x07and means no harm"

    def list_datatokens(self, who: str) -> list[DatatokenHolding]:
        self._answer()
        return [DatatokenHolding(DATASET, "Patients", "0x" + "1" * 40, 2.0)] if who == "consumer" else []

    def open_cid(self, cid: str) -> bytes:
        self._answer()
        return CONTENTS[0]

    def draft_ddo(
        self, who: str, kind: str, source: str, offer: AssetOffer, image: str, entrypoint: str
    ) -> DdoPreview:
        document = {"version": "4.1.0", "metadata": {"type": kind, "name": offer.name, "author": who}}
        return DdoPreview(
            document, {} if Path(source).is_file() else {"services.0.files": "there is no file"}
        )

    def simulate_job(self, who: str, dataset: str, algorithm: str) -> JobSimulation:
        try:
            return JobSimulation(who, True, prices=tuple(self.quote_job(who, JobRequest(dataset, algorithm))))
        except Refused as refusal:
            return JobSimulation(who, False, refusal.code, refusal.message, refusal.next_step)

    def follow_heads(self) -> Iterator[int]:
        yield 12
        self.over.wait()

    def follow_changes(self) -> Iterator[str]:
        yield ""
        self.over.wait()

    def _record_change(self, *words: str) -> Progress[None]:
        yield ProgressEvent(words[0], "started", " ".join(words), at=NOW)
        self.hold.wait(10)
        if self.refusal is not None:
            yield ProgressEvent(words[0], "failed", " ".join(words), seconds=0.1, at=NOW)
            raise self.refusal
        self.done.append(words)
        yield ProgressEvent(words[0], "done", " ".join(words), seconds=0.1, at=NOW)

    def boot_box(self, confirm: Confirm) -> Progress[None]:
        if self.state == "absent" and not confirm("Build the bundle?"):
            raise Refused("C2D-BUNDLE-NOT-CONFIRMED", "nothing was built", "answer yes")
        yield ProgressEvent("bundle.open", "done", "bundle", seconds=0.2, at=NOW)
        yield ProgressEvent("cluster.etcd", "done", "etcd", seconds=1.1, at=NOW)
        yield ProgressEvent("cluster.kubelet", "started", "kubelet", seconds=5, at=NOW)
        yield ProgressEvent("image.runtime", "progress", "loading runtime", fraction=0.5, at=NOW)
        self.hold.wait(10)
        if self.boot_fails:
            yield ProgressEvent("cluster.kubelet", "failed", "kubelet", seconds=9, at=NOW)
            raise Failed("C2D-SERVICE-NOT-READY", "the kubelet does not become ready", "c2d-box logs kubelet")
        yield ProgressEvent("cluster.kubelet", "done", "kubelet", seconds=2, at=NOW)
        self.state = "running"
        self.done.append(("up",))

    def stop_box(self) -> Progress[None]:
        yield from self._record_change("down")
        self.state = "stopped"

    def start_job(self, who: str, wanted: JobRequest) -> Progress[JobDetails]:
        self.spending = wanted.spending
        told = [json.dumps(each) for each in (wanted.parameters, wanted.output) if each is not None]
        assets = (wanted.dataset, str(wanted.algorithm), *wanted.additional)
        yield from self._record_change("start", who, *assets, str(wanted.environment), *told)
        return JobDetails.parse({"jobId": RUNNING})

    def stop_job(self, who: str, job_id: str) -> Progress[JobDetails]:
        yield from self._record_change("stop", who, job_id)
        return self.read_job(who, job_id)

    def fetch_results(self, who: str, job_id: str, folder: Path, index: int | None) -> Progress[None]:
        return self._record_change("fetch", who, job_id, str(folder), str(index))

    def publish_dataset(self, who: str, source: str, offer: AssetOffer) -> Progress[None]:
        return self._record_change(
            "publish_dataset", who, source, offer.name, f"{offer.price:g}", *offer.services
        )

    def publish_algorithm(
        self, who: str, source: str, image: str, entrypoint: str, offer: AssetOffer
    ) -> Progress[None]:
        return self._record_change("publish_algorithm", who, source, image, entrypoint, offer.name)

    def permit_algorithm(self, who: str, dataset: str, algorithm: str) -> Progress[None]:
        return self._record_change("permit", who, dataset, algorithm)

    def revoke_algorithm(self, who: str, dataset: str, algorithm: str) -> Progress[None]:
        return self._record_change("revoke", who, dataset, algorithm)

    def run_script(self, loop: ScriptRun, confirm: Confirm) -> Progress[RunReport]:
        yield from self._record_change("run", loop.who, str(loop.script), *loop.data)
        return RunReport(
            JobDetails.parse({"jobId": RUNNING, "status": 70}), loop.data, ALGORITHM, (), (), loop.folder, ()
        )

    def change_trust(self, who: str, dataset: str, wanted: TrustChange) -> Progress[None]:
        return self._record_change("trust", who, dataset, repr(wanted))

    def edit_asset(self, who: str, did: str, name: str | None, description: str | None) -> Progress[None]:
        return self._record_change("edit", who, did, str(name), str(description))

    def end_asset(self, who: str, did: str) -> Progress[None]:
        return self._record_change("end", who, did)

    def fund_account(self, who: str, eth: float, ocean: float) -> Progress[None]:
        return self._record_change("faucet", who, f"{eth:g}", f"{ocean:g}")
