"""The port between the screens and a box. The real adapter calls the verbs; the tests' one plays a recording.

Reading methods may block and raise :class:`c2d_box.errors.C2DError`; feeds call them in threads. Changing
methods are verbs: generators of progress events, run by :mod:`tui.actions.run`. Where nobody reads the
result of a verb, it is an ``object``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

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

Ddo = Mapping[str, Any]
"""An asset's record as the metadata cache has it."""


class BackendPort(Protocol):
    """Everything that the screens read from one box and change in it.

    The port is in terms of the verbs' own values, so that screens and command line cannot disagree. ``who``
    is a role, an index or an address of the box's accounts.
    """

    @property
    def name(self) -> str:
        """The name of the box, as ``--name`` takes it."""
        ...

    def command_line(self, arguments: str, who: str = "") -> str:
        """Return the command line for ``arguments`` on this box, acting as ``who`` if given."""
        ...

    # -- reads: they may be called from any thread and change nothing
    def box_status(self) -> BoxStatus:
        """Return the state of the box and its parts; also answers on a box that is down."""
        ...

    def resource_report(self) -> ResourceReport:
        """Return the memory of every process of the box, in bytes."""
        ...

    def list_jobs(self, who: str) -> list[JobDetails]:
        """Return all jobs of the account ``who``, in the Provider's order."""
        ...

    def read_job(self, who: str, job_id: str) -> JobDetails:
        """Return one job as its owner sees it; raise Refused for anybody else's."""
        ...

    def job_logs(self, who: str, job_id: str) -> Mapping[str, str]:
        """Return the job's logs by name: stored ones once it has ended, the live one before."""
        ...

    def read_result(self, who: str, job_id: str, index: int) -> bytes:
        """Return the bytes of a small result, decrypted if it was encrypted for ``who``."""
        ...

    def assets(self) -> list[Ddo]:
        """Return every asset in the metadata cache."""
        ...

    def list_permissions(self) -> list[PermissionCell]:
        """Return the verdict about every pair of a dataset and an algorithm."""
        ...

    def list_accounts(self) -> list[BoxAccount]:
        """Return the accounts of the box's mnemonic with balances in whole tokens."""
        ...

    def list_environments(self) -> list[Mapping[str, Any]]:
        """Return the compute environments as the Provider describes them."""
        ...

    def list_images(self) -> list[ContainerImage]:
        """Return the images on the node that an algorithm may name."""
        ...

    def list_findings(self) -> list[Finding]:
        """Return the doctor's findings, problems first. Takes seconds."""
        ...

    def log_sources(self) -> list[str]:
        """Return the names that :meth:`read_logs` takes: services, then components of the cluster."""
        ...

    def read_logs(self, source: str, lines: int) -> list[str]:
        """Return the last ``lines`` lines of one source."""
        ...

    def quote_job(self, who: str, wanted: JobRequest) -> list[AssetPrice]:
        """Return what the job would cost now; raise Refused as a start would. Pays nothing."""
        ...

    def list_blocks(self) -> list[ChainBlock]:
        """Return the newest blocks, newest first."""
        ...

    def explain_job(self, who: str, job_id: str) -> str:
        """Return two sentences: how the job ended, and what to do about it."""
        ...

    def verify_job(self, who: str, job_id: str) -> JobVerification:
        """Return the job's evidence compared with its sources."""
        ...

    def list_transactions(self) -> list[DecodedTransaction]:
        """Return the newest transactions, decoded, newest first."""
        ...

    def pods(self, job_id: str = "") -> list[PodSummary]:
        """Return the pods of one job, or of the whole box without one."""
        ...

    def list_workflows(self) -> list[WorkflowSummary]:
        """Return all WorkFlow objects, youngest first."""
        ...

    def describe_object(self, kind: str, namespace: str, name: str) -> str:
        """Return the YAML of a ``pod`` or ``workflow``; raise UsageError once it is gone."""
        ...

    def list_events(self, job_id: str = "") -> list[EventSummary]:
        """Return Kubernetes' events, oldest first, of one job or of the whole box."""
        ...

    def follow_container(self, namespace: str, pod: str, container: str) -> Iterator[str]:
        """Yield a container's log lines until it ends. Blocks between lines."""
        ...

    def follow_heads(self) -> Iterator[int]:
        """Yield the chain's newest block number, and again whenever there is another."""
        ...

    def follow_changes(self) -> Iterator[str]:
        """Yield a job's id whenever its state changes; first the empty string, once the watch is
        established.
        """
        ...

    def list_datatokens(self, who: str) -> list[DatatokenHolding]:
        """Return the datatokens that the account holds."""
        ...

    def open_cid(self, cid: str) -> bytes:
        """Return the content of a CID from the box's IPFS node, up to 16 MiB."""
        ...

    def draft_ddo(
        self, who: str, kind: str, source: str, offer: AssetOffer, image: str, entrypoint: str
    ) -> DdoPreview:
        """Return the DDO as it would be signed, with its problems. Signs and stores nothing.

        ``kind`` is ``dataset`` or ``algorithm``; image and entrypoint count for an algorithm only.
        """
        ...

    def simulate_job(self, who: str, dataset: str, algorithm: str) -> JobSimulation:
        """Return the Provider's answer to ``who`` on starting this job; a refusal is a value here."""
        ...

    # -- verbs: nothing happens until the returned generator is driven
    def boot_box(self, confirm: Confirm) -> Progress[object]:
        """Boot or resume the box; ``confirm`` agrees to what a build installs."""
        ...

    def stop_box(self) -> Progress[object]:
        """Stop every process of the box; its state stays."""
        ...

    def start_job(self, who: str, wanted: JobRequest) -> Progress[JobDetails]:
        """Order, pay and start a job, within ``wanted.spending``."""
        ...

    def run_script(self, loop: ScriptRun, confirm: Confirm) -> Progress[RunReport]:
        """Publish, permit, run and fetch in one. ``confirm`` is called from the verb's thread before anything
        is permitted, and blocks it until the user has answered.
        """
        ...

    def stop_job(self, who: str, job_id: str) -> Progress[JobDetails]:
        """Stop a job; what it wrote until then is judged and published."""
        ...

    def fetch_results(self, who: str, job_id: str, folder: Path, index: int | None) -> Progress[object]:
        """Save one result, or all with ``index`` None, into ``folder``."""
        ...

    def publish_dataset(self, who: str, source: str, offer: AssetOffer) -> Progress[object]:
        """Publish a local file or an address as a dataset, with the price of ``offer``."""
        ...

    def publish_algorithm(
        self, who: str, source: str, image: str, entrypoint: str, offer: AssetOffer
    ) -> Progress[object]:
        """Publish a script with the image and the command that it runs with."""
        ...

    def permit_algorithm(self, who: str, dataset: str, algorithm: str) -> Progress[object]:
        """Put the algorithm, as it is now, on the dataset's list."""
        ...

    def revoke_algorithm(self, who: str, dataset: str, algorithm: str) -> Progress[object]:
        """Take the algorithm off the dataset's list; jobs under way go on."""
        ...

    def change_trust(self, who: str, dataset: str, wanted: TrustChange) -> Progress[object]:
        """Change the rules that trust more than single algorithms."""
        ...

    def edit_asset(self, who: str, did: str, name: str | None, description: str | None) -> Progress[object]:
        """Change name or description of an asset under its DID; None leaves one as it is."""
        ...

    def end_asset(self, who: str, did: str) -> Progress[object]:
        """Declare the asset's end of life."""
        ...

    def fund_account(self, who: str, eth: float, ocean: float) -> Progress[object]:
        """Give test money, in whole tokens; only on the box's own chain."""
        ...
