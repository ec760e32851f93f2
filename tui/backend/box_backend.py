"""The real source: each method calls one verb of ``sandbox``.

Verbs are imported inside the methods, so in the feed's thread and at the first call: the first paint waits
for none of them, least of all for web3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.box import Box, open_box
from tui.backend.port import Ddo

if TYPE_CHECKING:
    from c2d_box.client import JobDetails, JobRequest
    from c2d_box.client.evidence.verification import JobVerification
    from sandbox.bundle.build import Confirm
    from sandbox.doctor.finding import Finding
    from sandbox.install.images import ContainerImage
    from sandbox.loop.running import RunReport, ScriptRun
    from sandbox.progress import Progress
    from sandbox.verbs.accounts import BoxAccount
    from sandbox.verbs.compute.quotes import AssetPrice
    from sandbox.verbs.faucet import DatatokenHolding
    from sandbox.verbs.inspection.chain import ChainBlock, DecodedTransaction
    from sandbox.verbs.inspection.pods import EventSummary, PodSummary, WorkflowSummary
    from sandbox.verbs.lifecycle.status import BoxStatus, ResourceReport
    from sandbox.verbs.publishing.assets import AssetOffer
    from sandbox.verbs.publishing.ddo_preview import DdoPreview
    from sandbox.verbs.publishing.permissions import PermissionCell
    from sandbox.verbs.publishing.trust import JobSimulation, TrustChange


class BoxBackend:
    """The :class:`tui.backend.port.BackendPort` of a real box, which calls the verbs.

    It keeps no connection and no state: methods are called from many threads at the same time.
    """

    def __init__(self, box: Box) -> None:
        # Not the box itself: its settings are as old as the object that holds them.
        self._home, self._named = box.home.path, box.name

    @property
    def current_box(self) -> Box:
        """The box as its file describes it now; read anew each time, as an ``up`` elsewhere may have changed
        its ports.
        """
        return open_box(self._home, self._named)

    @property
    def name(self) -> str:
        return self._named

    def command_line(self, arguments: str, who: str = "") -> str:
        # Shown to users to copy, so that every action of the TUI can be repeated in a shell.
        return self.current_box.command_line(f"--as {who} {arguments}" if who else arguments)

    # The methods below are one call each; contracts and errors are those of
    # :class:`tui.backend.port.BackendPort`.
    def box_status(self) -> BoxStatus:
        from sandbox.verbs.lifecycle.status import status

        return status(self.current_box)

    def resource_report(self) -> ResourceReport:
        from sandbox.verbs.lifecycle.status import resource_report

        return resource_report(self.current_box)

    def list_jobs(self, who: str) -> list[JobDetails]:
        from sandbox.verbs.compute.jobs import list_jobs

        return list_jobs(self.current_box, who)

    def read_job(self, who: str, job_id: str) -> JobDetails:
        from sandbox.verbs.compute.jobs import read_job

        return read_job(self.current_box, who, job_id)

    def job_logs(self, who: str, job_id: str) -> Mapping[str, str]:
        from sandbox.verbs.compute.job_logs import live_log_texts

        # Live ones too, as the port says: a user looks at a log mostly while the job runs.
        return live_log_texts(self.current_box, who, job_id)

    def explain_job(self, who: str, job_id: str) -> str:
        from sandbox.verbs.compute.evidence import explain_job

        return explain_job(self.current_box, who, job_id)

    def verify_job(self, who: str, job_id: str) -> JobVerification:
        from sandbox.verbs.compute.evidence import verify_evidence

        return verify_evidence(self.current_box, who, job_id)

    def read_result(self, who: str, job_id: str, index: int) -> bytes:
        # No verb: a preview needs the bytes and no file.
        from sandbox.verbs.sdk_connections import open_consumer

        with open_consumer(self.current_box, who) as party:
            return party.read_result(job_id, index)

    def assets(self) -> list[Ddo]:
        from sandbox.verbs.publishing.assets import list_assets

        return list(list_assets(self.current_box))

    def list_permissions(self) -> list[PermissionCell]:
        from sandbox.verbs.publishing.permissions import permission_matrix

        return permission_matrix(self.current_box)

    def list_accounts(self) -> list[BoxAccount]:
        from sandbox.verbs.accounts import list_accounts

        return list_accounts(self.current_box)

    def list_environments(self) -> list[Mapping[str, Any]]:
        from sandbox.verbs.compute.quotes import list_environments

        return list_environments(self.current_box)

    def list_images(self) -> list[ContainerImage]:
        from sandbox.install.images import node_images

        return node_images(self.current_box)

    def list_findings(self) -> list[Finding]:
        from sandbox.verbs.lifecycle.doctor import diagnose_box

        return diagnose_box(self.current_box)

    def log_sources(self) -> list[str]:
        from sandbox.install.chart_values import SERVICES

        # Services come first: a newcomer looks for the Provider's log before that of etcd.
        # The driver knows its components; they differ between the native node and somebody's cluster.
        components = [component.name for component in self.current_box.cluster.status().components]
        return [*SERVICES, *components]

    def read_logs(self, source: str, lines: int) -> list[str]:
        from sandbox.verbs.lifecycle.logs import stream_logs

        # Never followed here: the merged log reads tails of all sources and finds what is new by itself.
        return list(stream_logs(self.current_box, source, lines=lines))

    def quote_job(self, who: str, wanted: JobRequest) -> list[AssetPrice]:
        from sandbox.verbs.compute.quotes import quote

        return quote(self.current_box, who, wanted)

    def list_blocks(self) -> list[ChainBlock]:
        from sandbox.verbs.inspection.chain import list_blocks

        return list_blocks(self.current_box)

    def list_transactions(self) -> list[DecodedTransaction]:
        from sandbox.verbs.inspection.chain import list_transactions

        return list_transactions(self.current_box)

    def pods(self, job_id: str = "") -> list[PodSummary]:
        from sandbox.verbs.inspection.pods import list_pods

        return list_pods(self.current_box, job_id)

    def list_workflows(self) -> list[WorkflowSummary]:
        from sandbox.verbs.inspection.pods import list_workflows

        return list_workflows(self.current_box)

    def describe_object(self, kind: str, namespace: str, name: str) -> str:
        from sandbox.verbs.inspection.pods import describe_object

        return describe_object(self.current_box, kind, namespace, name)

    def list_events(self, job_id: str = "") -> list[EventSummary]:
        from sandbox.verbs.inspection.pods import list_events

        return list_events(self.current_box, job_id)

    def follow_container(self, namespace: str, pod: str, container: str) -> Iterator[str]:
        from sandbox.verbs.inspection.pods import follow_container

        return follow_container(self.current_box, namespace, pod, container)

    def follow_heads(self) -> Iterator[int]:
        from sandbox.verbs.inspection.chain import watch_heads

        # A generator, too: the connection is opened by the thread that reads it.
        return watch_heads(self.current_box)

    def follow_changes(self) -> Iterator[str]:
        from sandbox.verbs.inspection.pods import watch_jobs

        return watch_jobs(self.current_box)

    def list_datatokens(self, who: str) -> list[DatatokenHolding]:
        from sandbox.verbs.faucet import datatoken_holdings

        return datatoken_holdings(self.current_box, who)

    def open_cid(self, cid: str) -> bytes:
        from sandbox.verbs.inspection.cid import open_cid

        return open_cid(self.current_box, cid)

    def draft_ddo(
        self, who: str, kind: str, source: str, offer: AssetOffer, image: str, entrypoint: str
    ) -> DdoPreview:
        from sandbox.verbs.publishing.ddo_preview import preview_ddo

        # Builds what publishing would sign, and neither signs nor stores it.
        return preview_ddo(self.current_box, who, kind, source, offer, image, entrypoint)

    def simulate_job(self, who: str, dataset: str, algorithm: str) -> JobSimulation:
        from sandbox.verbs.publishing.trust import simulate_job

        return simulate_job(self.current_box, who, dataset, algorithm)

    # Verbs that change something are returned as generators: nothing happens until a run drives them in its
    # thread.
    def boot_box(self, confirm: Confirm) -> Progress[object]:
        from sandbox.verbs.lifecycle.up import boot_declared_box

        # By the box file in the home, as ``c2d-box up`` does it.
        return boot_declared_box(self.current_box, confirm=confirm)

    def stop_box(self) -> Progress[object]:
        from sandbox.verbs.lifecycle.down import down

        return down(self.current_box)

    def start_job(self, who: str, wanted: JobRequest) -> Progress[JobDetails]:
        from sandbox.verbs.compute.jobs import start

        return start(self.current_box, who, wanted)

    def run_script(self, loop: ScriptRun, confirm: Confirm) -> Progress[RunReport]:
        from sandbox.loop.running import run_script

        return run_script(self.current_box, loop, confirm)

    def stop_job(self, who: str, job_id: str) -> Progress[JobDetails]:
        from sandbox.verbs.compute.jobs import stop_job

        return stop_job(self.current_box, who, job_id)

    def fetch_results(self, who: str, job_id: str, folder: Path, index: int | None) -> Progress[object]:
        from sandbox.verbs.compute.jobs import fetch_results

        return fetch_results(self.current_box, who, job_id, folder, index)

    def publish_dataset(self, who: str, source: str, offer: AssetOffer) -> Progress[object]:
        from sandbox.verbs.publishing.assets import publish_dataset

        return publish_dataset(self.current_box, who, source, offer)

    def publish_algorithm(
        self, who: str, source: str, image: str, entrypoint: str, offer: AssetOffer
    ) -> Progress[object]:
        from sandbox.verbs.publishing.assets import publish_algorithm

        return publish_algorithm(self.current_box, who, source, image, entrypoint, offer)

    def permit_algorithm(self, who: str, dataset: str, algorithm: str) -> Progress[object]:
        from sandbox.verbs.publishing.assets import permit_algorithm

        return permit_algorithm(self.current_box, who, dataset, algorithm)

    def revoke_algorithm(self, who: str, dataset: str, algorithm: str) -> Progress[object]:
        from sandbox.verbs.publishing.assets import revoke_algorithm

        return revoke_algorithm(self.current_box, who, dataset, algorithm)

    def change_trust(self, who: str, dataset: str, wanted: TrustChange) -> Progress[object]:
        from sandbox.verbs.publishing.trust import change_trust

        return change_trust(self.current_box, who, dataset, wanted)

    def edit_asset(self, who: str, did: str, name: str | None, description: str | None) -> Progress[object]:
        from sandbox.verbs.publishing.trust import edit_asset

        return edit_asset(self.current_box, who, did, name, description)

    def end_asset(self, who: str, did: str) -> Progress[object]:
        from sandbox.verbs.publishing.trust import end_asset

        return end_asset(self.current_box, who, did)

    def fund_account(self, who: str, eth: float, ocean: float) -> Progress[object]:
        from sandbox.verbs.faucet import faucet

        return faucet(self.current_box, who, eth, ocean)
